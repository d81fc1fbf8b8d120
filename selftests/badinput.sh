#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Invalid requests get a precise error and have no effect; invalid frames are counted.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	addresses
	mtus
	links
	names_and_numbers
	not_ethernet
	nothing_left
	malformed_frames
	every_byte_of_the_header
	short_frames
	long_frames
	foreign_protocols
"
start_station

addresses()
{
	local address broadcast

	RET=0
	for address in 02:01 02:00:00:00:01 02:00:00:00:00:00:00:00:01; do
		refused "spans: address must be 1, 6, 7 or 8 bytes long" \
			ip link add s0 address $address type spans
	done
	for address in ff:ff:ff:ff:ff:ff:ff:ff 00:00:00:00:00:00:00:00 \
		ff:ff:ff:ff:ff:ff 01:00:5e:00:00:01 00:00:00:00:00:00 \
		a2:a6:a8:40:40:40:00 00:00:00:00:00:00:00 00; do
		refused "spans: address must be that of one station" \
			ip link add s0 address $address type spans
	done
	for broadcast in 01:02:03:04:05:06:07:08 ff:ff:ff:ff:ff:ff; do
		refused "spans: broadcast must be that of the medium" \
			ip link add s0 broadcast $broadcast type spans
	done

	adf_ip_link_add s0 address 02:00:00:00:00:00:00:01 type spans
	for address in ff:ff:ff:ff:ff:ff:ff:ff 00:00:00:00:00:00:00:00 02:00:00:00:00:01; do
		refused "" ip link set s0 address $address
	done
	ip link set s0 up
	refused "" ip link set s0 address ff:ff:ff:ff:ff:ff:ff:ff
	expect address 02:00:00:00:00:00:00:01 "$(ip -j link show s0 | jq -r '.[0].address')"
	log_test "invalid link addresses are rejected"
}

mtus()
{
	local mtu

	RET=0
	refused "mtu less than device minimum" ip link add s0 mtu 67 type spans
	refused "mtu greater than device maximum" ip link add s0 mtu 65536 type spans
	refused "spans: mtu must be one of the medium" \
		ip link add s0 address 07 mtu 60481 type spans
	adf_ip_link_add s0 type spans
	refused "mtu less than device minimum" ip link set s0 mtu 0
	refused "mtu greater than device maximum" ip link set s0 mtu 65536
	expect mtu 9180 "$(ip -j link show s0 | jq '.[0].mtu')"
	log_test "MTU out of range"
}

links()
{
	RET=0
	ip link add d0 type dummy
	refused "spans: link is not a spans device" ip link add s0 link d0 type spans
	refused "spans: link is not a spans device" ip link add s0 link lo type spans
	ip link del d0
	refused "" ip link add s0 link nosuchdevice type spans
	refused "spans: link does not exist" "$selftests/newlink.py" s0 link=12345
	log_test "IFLA_LINK to a device that is not spans, or does not exist"
}

names_and_numbers()
{
	RET=0
	refused "policy validation" ip link add "$(printf 'x%.0s' {1..65})" type spans
	refused "policy validation" ip link add "$(printf 'x%.0s' {1..16})" type spans
	refused "not a valid ifname" ip link add "a/b" type spans
	refused "Invalid number of transmit queues" ip link add s0 numtxqueues 5000 type spans
	refused "Invalid number of receive queues" ip link add s0 numrxqueues 5000 type spans
	refused "" ip link add s0 type spans nosuchword 7
	ip link add s0 type spans
	refused "File exists" ip link add s0 type spans
	ip link del s0
	log_test "invalid names and queue counts are rejected"
}

# Upper devices for Ethernet are rejected.
not_ethernet()
{
	RET=0
	ip link add s0 type spans
	refused "VLANs not supported on device" ip link add s0.5 link s0 type vlan id 5
	refused "Invalid argument" ip link add m0 link s0 type macvlan
	ip link add br0 type bridge
	check_err $? "cannot add a bridge: this test tests nothing"
	refused "Invalid argument" ip link set s0 master br0
	ip link del br0
	ip link add d0 type dummy
	ip link add m0 link d0 type macvlan
	check_err $? "cannot add a macvlan: this test tests nothing"
	ip link del d0
	ip link del s0
	log_test "VLAN, macvlan and bridge are rejected"
}

nothing_left()
{
	RET=0
	expect "devices left" "" "$(ip -o link show type spans)"
	rmmod spans
	check_err $? "cannot unload after rejected requests"
	load_module
	log_test "rejected requests leave no device and no module reference"
}

send() { station 1 frames "$@"; }

# drops COUNT REASON COMMAND...: skb:kfree_skb must report COUNT drops with this reason.
drops()
{
	local wanted=$1 reason=$2

	trace skb/kfree_skb
	"${@:3}"
	traced() { grep -c "reason: $reason\$" /sys/kernel/tracing/trace; }
	eventually "skb:kfree_skb events with reason $reason" "$wanted" traced
	untrace skb/kfree_skb
}

malformed_frames()
{
	local good

	RET=0
	hosts 2
	quiet 2
	good=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 0011223344)
	drops 5 DEV_HDR send 5 "${good/aaaa03/aaaa13}"
	expect error_malformed 5 "$(queues 2 rx error_malformed)"
	expect "rx errors" 5 "$(stat 2 rx errors)"
	drops 5 UNHANDLED_PROTO send 5 "${good/aaaa03000000/aaaa030080c2}"
	expect drop_bridged 5 "$(queues 2 rx drop_bridged)"
	expect "rx dropped" 5 "$(stat 2 rx dropped)"
	expect "rx packets" 0 "$(stat 2 rx packets)"
	log_test "malformed and bridged frames are counted"
}

every_byte_of_the_header()
{
	local good i frames=()

	RET=0
	hosts 2
	quiet 2
	good=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00)
	for ((i = 16; i < 26; i++)); do
		frames+=("${good:0:$((2 * i))}5b${good:$((2 * i + 2))}")
	done
	send 1 "${frames[@]}"
	eventually error_malformed 10 queues 2 rx error_malformed
	expect "rx packets" 0 "$(stat 2 rx packets)"
	log_test "each constant byte of the header is checked"
}

# Packet sockets reject frames shorter than a link header; packets of a tunnel can be
# redirected to the device without one.
short_frames()
{
	RET=0
	refused "" send 1 "0102030405060708"
	refused "" send 1 "$(printf '00%.0s' {1..27})"

	hosts 2
	quiet 2
	modprobe -q tun
	host 1 ip tuntap add t0 mode tun
	host 1 ip link set t0 up
	if ! host 1 tc qdisc add dev t0 clsact 2>/dev/null ||
	   ! host 1 tc filter add dev t0 ingress matchall action mirred egress redirect dev s0 2>/dev/null; then
		log_test_skip "short frames are counted" "no clsact or mirred"
		return
	fi
	host 1 python3 -c '
import fcntl, struct
t = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(t, 0x400454ca, struct.pack("16sH", b"t0", 0x1001))
for _ in range(5):
    t.write(bytes.fromhex("45000014000000004000000001020304") + bytes(4))'
	eventually error_short 5 queues 1 tx error_short
	expect "tx errors" 5 "$(stat 1 tx errors)"
	expect "rx packets" 0 "$(stat 2 rx packets)"
	log_test "short frames are counted"
}

long_frames()
{
	local long

	RET=0
	hosts 2
	quiet 2
	host 2 ip link set s0 mtu 1500
	long=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 "$(printf '00%.0s' {1..1501})")
	drops 3 PKT_TOO_BIG send 3 "$long"
	expect error_long 3 "$(queues 2 rx error_long)"
	expect "length errors" 3 "$(stat 2 rx length_errors)"
	send 1 "${long%00}"
	eventually "rx packets" 1 stat 2 rx packets
	log_test "frames longer than the receiver's MTU are counted"
}

foreign_protocols()
{
	RET=0
	hosts 2
	quiet 2
	send 4 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00)"
	eventually "rx packets" 4 stat 2 rx packets
	eventually "rx dropped" 4 stat 2 rx dropped
	drops 3 UNHANDLED_PROTO send 3 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00)"
	log_test "frames of an unknown protocol are received, and dropped by the stack"
}

tests_run
exit "$EXIT_STATUS"
