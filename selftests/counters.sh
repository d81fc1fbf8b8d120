#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each event changes exactly the documented counters, by the documented amounts, on all hosts.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	forwarded_spans
	forwarded_ethernet
	invalid_spans
	invalid_ethernet
	sender_drops
	receiver_drops
	receiver_is_reset
	hangs
	forced_off
	short
	reading
"
start_station

# Counters that depend on batching are ignored.
bundles='doorbells|flush|remote_schedules|migrations|_max|stop|wake'

# begin: remembers all counters, for `moved`.
begin()
{
	local i

	for ((i = 1; i <= stations; i++)); do
		[[ "$(meter $i mark)" -ge 50 ]]
		check_err $? "host $i has no counters"
	done
}

# moved: sets $found to the counters that have changed, with the differences, sorted.
moved()
{
	local i one

	found=
	for ((i = 1; i <= stations; i++)); do
		for one in $(meter $i moved); do
			[[ $one =~ $bundles ]] || found+=" $i:$one"
		done
	done
	found=${found# }
}

# moves WHAT EXPECTED...: checks the changes since begin, and begins anew.
moves()
{
	local what=$1 wanted found

	# shellcheck disable=SC2048,SC2086 # words
	wanted=$(printf '%s\n' ${*:2} | sort | xargs)
	as_wanted() { moved; [ "$found" = "$wanted" ]; }
	busywait 60000 as_wanted
	# No later changes.
	nap 50
	as_wanted
	expect "$what" "$wanted" "$found"
	begin
}

# The counters of COUNT frames of BYTES in total: sent I COUNT BYTES, got I COUNT BYTES; and of
# drops: lost I tx|rx REASON COUNT.
sent() { both "$1" tx "$2" "$3"; }
got() { both "$1" rx "$2" "$3"; }

both()
{
	echo "$1:$2_packets+$3 $1:$2_bytes+$4 $1:ethtool_$2_packets+$3 $1:ethtool_$2_bytes+$4"
}

lost() { echo "$1:$2_dropped+$4 $1:ethtool_$2_drop_$3+$4"; }

# to_group I COUNT, from_group I COUNT
to_group() { echo "$1:ethtool_tx_multicast+$2"; }
from_group() { echo "$1:rx_multicast+$2 $1:ethtool_rx_multicast+$2"; }

send()
{
	local said

	said=$(station "$1" frames "${@:2}")
	check_err $? "cannot send: $said"
}

# send_on_0 COUNT FRAME: from CPU 0 of host 1; its ring may be stalled.
send_on_0()
{
	host 1 taskset -c 0 "$selftests/frames.py" send s0 "$@"
	check_err $? "cannot send"
}

# zeroes COUNT: in hex.
zeroes() { printf '00%.0s' $(seq "$1"); }

# setup N: hosts without a qdisc and traffic of their own; captures accept all protocols.
setup()
{
	local i

	stations=$1
	if [ "$medium" = ethernet ]; then header=14; else header=28; fi
	hosts "$1"
	quiet "$1"
	neighbours "$1"
	for ((i = 1; i <= $1; i++)); do
		capture $i frames
		host $i tc qdisc replace dev s0 root noqueue
	done
	begin
}

forwarded()
{
	local good all group=01:00:5e:00:00:05 header length

	RET=0
	setup 3
	length=$((header + 100))
	good=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	all=$(frame "$(broadcast_addr)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	send 1 5 "$good"
	moves "unicast" "$(sent 1 5 $((5 * length)))" "$(got 2 5 $((5 * length)))"
	send 1 4 "$all"
	moves "broadcast" "$(sent 1 4 $((4 * length)))" "$(to_group 1 4)" \
		"$(got 2 4 $((4 * length)))" "$(from_group 2 4)" \
		"$(got 3 4 $((4 * length)))" "$(from_group 3 4)"
	send 1 3 "$(frame "$(lladdr 99)" "$(lladdr 1)" 88b5 "$(zeroes 100)")"
	moves "unicast to an unknown address" "$(lost 1 tx no_target 3)"
	host 3 ip link set s0 promisc on
	begin
	send 1 6 "$good"
	moves "unicast, with a promiscuous member" "$(sent 1 6 $((6 * length)))" \
		"$(got 2 6 $((6 * length)))" "$(got 3 6 $((6 * length)))"
	send 1 2 "$(frame "$(lladdr 99)" "$(lladdr 1)" 88b5)"
	moves "unicast to an unknown address, with a promiscuous member" "$(sent 1 2 $((2 * header)))" \
		"$(got 3 2 $((2 * header)))"
	host 3 ip link set s0 promisc off
	log_test "counters of forwarded frames, $medium"
	[ "$medium" = ethernet ] || return 0

	RET=0
	host 2 ip maddr add $group dev s0
	begin
	good=$(frame $group "$(lladdr 1)" 88b5 "$(zeroes 100)")
	send 1 7 "$good"
	moves "multicast to one member of the group" "$(sent 1 7 $((7 * length)))" "$(to_group 1 7)" \
		"$(got 2 7 $((7 * length)))" "$(from_group 2 7)" 3:ethtool_rx_filtered+7
	host 3 ip link set s0 allmulticast on
	host 2 ip maddr del $group dev s0
	begin
	send 1 2 "$good"
	moves "multicast to a member with allmulticast, after host 2 left the group" \
		"$(sent 1 2 $((2 * length)))" "$(to_group 1 2)" \
		"$(got 3 2 $((2 * length)))" "$(from_group 3 2)" 2:ethtool_rx_filtered+2
	host 3 ip link set s0 allmulticast off
	begin
	send 1 2 "$good"
	moves "multicast without a member of the group" "$(sent 1 2 $((2 * length)))" "$(to_group 1 2)" \
		2:ethtool_rx_filtered+2 3:ethtool_rx_filtered+2
	host 2 bridge fdb add "$(lladdr 98)" dev s0 self
	# The filter is updated asynchronously; `ip link set up` updates it at once.
	host 2 ip link set s0 up
	begin
	send 1 3 "$(frame "$(lladdr 98)" "$(lladdr 1)" 88b5)"
	moves "unicast to a secondary address" "$(sent 1 3 $((3 * header)))" "$(got 2 3 $((3 * header)))"
	log_test "counters of groups and secondary addresses, $medium"
}

forwarded_spans() { medium=spans forwarded; }
forwarded_ethernet() { medium=ethernet forwarded; }

# claim SHA: an ARP reply with sender addresses SHA and 10.0.0.99.
claim()
{
	local type=4040 length=08

	if [ "$medium" = ethernet ]; then type=0001 length=06; fi
	frame "$(lladdr 2)" "$(lladdr 1)" 0806 \
		"${type}0800${length}040002${1//:/}0a000063$(zeroes "$length")0a000063"
}

invalid()
{
	local good header arp

	RET=0
	setup 2
	good=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	if [ "$medium" = ethernet ]; then arp=28; else arp=32; fi
	host 2 ip link set s0 mtu 1000
	begin
	send 1 3 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 "$(zeroes 1100)")"
	moves "frames longer than the receiver's MTU" "$(sent 1 3 $((3 * (header + 1100))))" \
		2:rx_errors+3 2:rx_length_errors+3 2:ethtool_rx_error_long+3
	send 1 2 "$(claim "$(broadcast_addr)")" "$(claim "$(lladdr 2)")"
	moves "ARP with an invalid sender" "$(sent 1 4 $((4 * (header + arp))))" \
		"$(lost 2 rx arp 4)"
	if [ "$medium" = spans ]; then
		send 1 4 "${good/aaaa03/aaaa13}"
		moves "malformed frames" "$(sent 1 4 $((4 * (header + 100))))" \
			2:rx_errors+4 2:rx_frame_errors+4 2:ethtool_rx_error_malformed+4
		send 1 2 "${good/aaaa03000000/aaaa030080c2}"
		moves "bridged frames" "$(sent 1 2 $((2 * (header + 100))))" "$(lost 2 rx bridged 2)"
	fi
	log_test "counters of invalid frames, $medium"
}

invalid_spans() { medium=spans invalid; }
invalid_ethernet() { medium=ethernet invalid; }

# datagrams PRIORITY COUNT: of 18 bytes from host 1 to host 2.
datagrams()
{
	host 1 taskset -c 0 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, $1)
for _ in range($2):
    s.sendto(bytes(18), ('10.0.0.2', 9))"
}

# More packets than a ring of 16 and a subqueue of 10 hold.
sender_drops()
{
	local header length

	RET=0
	setup 2
	host 2 ip route replace unreachable 10.0.0.1/32
	length=$((header + 46))
	host 1 ethtool -G s0 tx 16
	set_spans 1 stage_count 0
	set_spans 1 queue_len 10
	begin
	stall 1 0
	datagrams 0 30
	moves "full subqueue" "$(lost 1 tx full 4)"
	datagrams 6 3
	moves "full subqueue, prio packets" "$(lost 1 tx prio_evict 3)"
	stall 1 -1
	moves "end of the stall" "$(sent 1 26 $((26 * length)))" "$(got 2 26 $((26 * length)))"
	stall 1 0
	datagrams 0 12
	host 1 ethtool --reset s0 all >/dev/null
	check_err $? "cannot reset"
	moves "reset with frames in the TX ring" "$(lost 1 tx purge 12)"
	stall 1 0
	datagrams 0 20
	host 1 ip link set s0 down
	moves "down with queued frames" "$(lost 1 tx purge 20)"
	log_test "counters of drops by the sender"
}

# Broadcast causes no backpressure: a full RX ring of 16 misses frames.
receiver_drops()
{
	local header all length took

	RET=0
	setup 3
	length=$((header + 100))
	all=$(frame "$(broadcast_addr)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	host 2 ethtool -G s0 rx 16
	begin
	stall 1 0
	send_on_0 64 "$all"
	stall 1 -1
	waited() { [ "$(queues 1 tx packets)" = 64 ]; }
	busywait 60000 waited
	took=$(queues 2 rx packets)
	between "packets of 64 received by a ring of 16" 16 63 "$took"
	moves "broadcast with a full RX ring" "$(sent 1 64 $((64 * length)))" "$(to_group 1 64)" \
		"$(got 2 "$took" $((took * length)))" "$(from_group 2 "$took")" \
		2:rx_missed_errors+$((64 - took)) 2:ethtool_rx_drop_full+$((64 - took)) \
		"$(got 3 64 $((64 * length)))" "$(from_group 3 64)"
	log_test "counters of a receiver with a full ring"
}

# Deferred interrupts keep frames in the RX ring.
receiver_is_reset()
{
	local header all length

	RET=0
	setup 2
	length=$((header + 100))
	all=$(frame "$(broadcast_addr)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	host 2 sh -c 'echo 1 >/sys/class/net/s0/napi_defer_hard_irqs
		echo 20000000000 >/sys/class/net/s0/gro_flush_timeout'
	send_on_0 1 "$all"
	first() { [ "$(queues 2 rx packets)" = 1 ]; }
	busywait 60000 first
	begin
	send_on_0 5 "$all"
	moves "frames in the RX ring" "$(sent 1 5 $((5 * length)))" "$(to_group 1 5)"
	host 2 ethtool --reset s0 all >/dev/null
	check_err $? "cannot reset"
	moves "reset with frames in the RX ring" "$(lost 2 rx purge 5)"
	log_test "counters of a reset of a receiver"
}

hangs()
{
	local header

	RET=0
	setup 2
	stall 1 0
	datagrams 0 12
	found() { [ "$(queues 1 tx timeouts)" = 1 ]; }
	busywait 60000 found
	moves "reset by the watchdog" "$(lost 1 tx timeout 12)" \
		1:ethtool_tx_timeouts+1 1:tx_errors+1
	log_test "counters of a reset by the watchdog"
}

# Frames in flight and queued frames when a device is forced off.
forced_off()
{
	local header length good

	RET=0
	setup 3
	length=$((header + 100))
	good=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 "$(zeroes 100)")
	set_spans 1 delay_usecs 1000000
	begin
	send 1 3 "$good"
	# Host 3 is up, so host 1 keeps its carrier.
	host 2 ip link set s0 carrier off
	moves "receiver forced off with frames in flight" "$(sent 1 3 $((3 * length)))" "$(lost 2 rx not_ready 3)"
	set_spans 1 delay_usecs 0
	stall 1 0
	send_on_0 6 "$(frame "$(lladdr 3)" "$(lladdr 1)" 88b5)"
	host 1 ip link set s0 carrier off
	moves "sender forced off with queued frames" "$(lost 1 tx no_carrier 6)"
	log_test "counters of a device that is forced off"
}

# Only redirected packets can be without a link header.
short()
{
	local header

	RET=0
	setup 2
	modprobe -q tun
	host 1 ip tuntap add t0 mode tun
	host 1 ip link set t0 up
	if ! host 1 tc qdisc add dev t0 clsact 2>/dev/null ||
	   ! host 1 tc filter add dev t0 ingress matchall action mirred egress redirect dev s0 2>/dev/null; then
		log_test_skip "counters of frames without a link header" "no clsact or mirred"
		return
	fi
	begin
	host 1 python3 -c '
import fcntl, struct
t = open("/dev/net/tun", "r+b", buffering=0)
fcntl.ioctl(t, 0x400454ca, struct.pack("16sH", b"t0", 0x1001))
for _ in range(5):
    t.write(bytes.fromhex("45000014000000004000000001020304") + bytes(4))'
	moves "frames shorter than a link header" 1:tx_errors+5 1:ethtool_tx_error_short+5
	log_test "counters of frames without a link header"
}

# Each transmit queue is locked once to read its maxima, a receive queue not at all. While the
# device is down nothing else takes these locks.
reading()
{
	local count event=/sys/kernel/tracing/events/lock/lock_acquire what="ethtool -S takes one xmit lock for each TX queue"

	RET=0
	[ -e $event ] || { log_test_skip "$what" "no lockdep"; return; }
	setup_ns NS1
	ip -n "$NS1" link add s0 numtxqueues 3 numrxqueues 5 type spans
	echo 'name == "&qdisc_xmit_lock_key"' >$event/filter
	trace lock/lock_acquire
	host 1 ethtool -S s0 >/dev/null
	check_err $? "ethtool -S"
	untrace lock/lock_acquire
	echo 0 >$event/filter
	count=$(grep -c '^ *ethtool-.*qdisc_xmit_lock_key' /sys/kernel/tracing/trace)
	expect "xmit locks taken for 3 transmit queues and 5 receive queues" 3 "$count"
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
