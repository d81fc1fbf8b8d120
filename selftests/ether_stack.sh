#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The kernel's Ethernet stack on the ethernet medium: VLAN, macvlan, bridge, bond, pktgen, XDP,
# packet sockets, IPv6 autoconfiguration.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	vlan
	vlan_of_macvlan
	macvlan
	bridge
	bond
	vlan_in_bond_in_bridge
	generator
	xdp
	packet_sockets
	autoconfiguration
"

# shellcheck disable=SC2034 # for lib.sh
medium=ethernet
# Several times the period of stream.py and the window of a connection.
bytes=$((4 << 20))
if ((${SPANS_SCALE:-1} > 1)); then bytes=$((2 << 20)); fi
if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then bytes=$((1 << 20)); fi

# wire I DEVICE NUMBER J DEVICE NUMBER: a segment of two devices with these names on hosts I and
# J; the numbers make their link addresses.
wire()
{
	local there=NS$4

	host "$1" ip -batch - <<-END
		link add $2 address $(lladdr "$3") type spans
		link add $5 link $2 netns ${!there} address $(lladdr "$6") type spans
	END
}

# ip_host I: runs a batch of `ip` commands on host I.
ip_host()
{
	host "$1" ip -batch -
	check_err $? "host $1: ip -batch failed: '$(host "$1" ip -o link)'"
}

# spaces N: empty namespaces.
spaces()
{
	# shellcheck disable=SC2046 # several words
	setup_ns $(seq -f NS%.0f "$1")
	quiet "$1"
}

# have MODULE...: loads modules, or skips the test.
have()
{
	modprobe -qa "$@" && return
	log_test_skip "$what" "no $*"
	return 1
}

# works FROM TO ADDRESS [SIZE]: ping with packets of the MTU (SIZE), and a TCP stream.
works()
{
	local from=NS$1 to=NS$2 said

	host "$1" ping -q -c 3 -i 0.1 -W 5 -M "do" -s "${4:-1472}" "$3" >/dev/null
	check_err $? "no reply from $3"
	said=$("$selftests/stream.py" "${!from}" "${!to}" "$3" "$bytes" 2>&1)
	expect "TCP to $3" "bytes $bytes" "$said"
}

vlan()
{
	local i what="VLAN"

	RET=0
	have 8021q || return
	hosts 2
	quiet 2
	for i in 1 2; do
		ip_host $i <<-END
			link add s0.5 link s0 type vlan id 5
			link add s0.6 link s0 type vlan id $((5 + i))
			addr add 10.5.0.$i/24 dev s0.5
			addr add 10.6.0.$i/24 dev s0.6
			link set s0.5 up
			link set s0.6 up
			link add s0.7 link s0 type vlan proto 802.1ad id 7
			link add s0.7.8 link s0.7 type vlan id 8
			addr add 10.7.0.$i/24 dev s0.7.8
			link set s0.7 up
			link set s0.7.8 up
		END
	done
	works 1 2 10.0.0.2
	# A tag, or two, do not reduce the MTU.
	works 1 2 10.5.0.2
	host 1 ping -q -c 1 -W 5 -s 1472 -M "do" 10.7.0.2 >/dev/null
	check_err $? "no reply with two tags"
	host 1 ping -q -c 1 -W 1 10.6.0.2 >/dev/null
	check_fail $? "a reply from another VLAN"
	log_test "$what"
}

vlan_of_macvlan()
{
	local what="VLAN on macvlan"

	RET=0
	have 8021q macvlan || return
	hosts 2
	quiet 2
	ip_host 1 <<-END
		link add m0 link s0 address $(lladdr 21) type macvlan mode private
		link set m0 up
		link add m0.5 link m0 type vlan id 5
		addr add 10.5.0.1/24 dev m0.5
		link set m0.5 up
	END
	ip_host 2 <<-END
		link add s0.5 link s0 type vlan id 5
		addr add 10.5.0.2/24 dev s0.5
		link set s0.5 up
	END
	works 2 1 10.5.0.1
	log_test "$what"
}

macvlan()
{
	local what="macvlan"

	RET=0
	have macvlan || return
	setup_ns NS3
	hosts 2
	quiet 3
	ip_host 1 <<-END
		link add m0 link s0 netns $NS3 address $(lladdr 31) type macvlan mode bridge
	END
	ip_host 3 <<-END
		addr add 10.0.0.3/24 dev m0
		link set m0 up
	END
	works 2 3 10.0.0.3
	works 3 2 10.0.0.2
	works 2 1 10.0.0.1
	expect "link address of the macvlan at host 2" "$(lladdr 31)" \
		"$(host 2 ip -j neigh show 10.0.0.3 | jq -r '.[0].lladdr')"
	# A secondary address is enough for macvlan.
	expect "promiscuous" 0 "$(host 1 ip -j -d link show s0 | jq '.[0].promiscuity')"
	ip_host 3 <<<"link del m0"
	host 2 ping -q -c 1 -W 1 10.0.0.3 >/dev/null
	check_fail $? "a reply from a macvlan that is gone"
	log_test "$what"
}

# Hosts 1 and 2, each on a segment with a port of the bridge of host 3:
#
#   host 1 s0 ===== p1 host 3 p2 ===== s0 host 2
#                      br0
bridge()
{
	local i what="bridge"

	RET=0
	have bridge || return
	spaces 3
	for i in 1 2; do
		wire 3 p$i 10$i $i s0 $i
		ip_host $i <<-END
			addr add 10.0.0.$i/24 dev s0
			link set s0 up
		END
	done
	ip_host 3 <<-END
		link add br0 type bridge forward_delay 0
		link set p1 master br0
		link set p2 master br0
		addr add 10.0.0.3/24 dev br0
		link set p1 up
		link set p2 up
		link set br0 up
	END
	works 1 2 10.0.0.2
	works 2 1 10.0.0.1
	works 1 3 10.0.0.3
	expect "link address of host 2 at host 1" "$(lladdr 2)" \
		"$(host 1 ip -j neigh show 10.0.0.2 | jq -r '.[0].lladdr')"
	for i in 1 2; do
		expect "bridge port of host $i" p$i "$(host 3 bridge -j fdb show br br0 |
			jq -r ".[] | select(.mac == \"$(lladdr $i)\").ifname")"
	done
	# A removed port forwards nothing.
	ip_host 3 <<<"link set p2 nomaster"
	host 1 ping -q -c 1 -W 1 10.0.0.2 >/dev/null
	check_fail $? "a reply through a removed bridge port"
	log_test "$what"
}

# bonded I DEVICE DEVICE: bond9 of two devices.
bonded()
{
	ip_host "$1" <<-END
		link add bond9 type bond mode active-backup miimon 100
		link set $2 master bond9
		link set $3 master bond9
		link set bond9 up
	END
}

active() { host "$1" ip -j -d link show bond9 | jq -r '.[0].linkinfo.info_data.active_slave'; }

uses() { [ "$(active "$1") $(active "$2")" = "$3 $4" ]; }

# carrier_off I DEVICE, carrier_on I DEVICE: turn a carrier off and on.
carrier_off() { ip_host "$1" <<<"link set $2 carrier off"; }
carrier_on() { ip_host "$1" <<<"link set $2 carrier on"; }

bond()
{
	local i what="bond"

	RET=0
	have bonding || return
	spaces 2
	wire 1 a0 11 2 b0 21
	wire 1 a1 12 2 b1 22
	bonded 1 a0 a1
	bonded 2 b0 b1
	for i in 1 2; do ip_host $i <<<"addr add 10.0.0.$i/24 dev bond9"; done
	busywait 10000 uses 1 2 a0 b0
	expect "active slaves" "a0 b0" "$(active 1) $(active 2)"
	works 1 2 10.0.0.2
	carrier_off 1 a0
	busywait 10000 uses 1 2 a1 b1
	expect "active slaves, a0 forced off" "a1 b1" "$(active 1) $(active 2)"
	works 1 2 10.0.0.2
	carrier_on 1 a0
	carrier_off 2 b1
	busywait 10000 uses 1 2 a0 b0
	expect "active slaves, b1 forced off" "a0 b0" "$(active 1) $(active 2)"
	works 2 1 10.0.0.1
	carrier_off 2 b0
	lost() { [[ $(host 1 ip -j link show bond9 | jq -r '.[0].flags[]') == *NO-CARRIER* ]]; }
	busywait 10000 lost
	check_err $? "a bond has a carrier with both slaves forced off"
	log_test "$what"
}

#   host 1 s0 ===== p1 host 3 c0 ===== d0 host 2
#                      br0    c1 ===== d1 bond9.7
#                      bond9.7
vlan_in_bond_in_bridge()
{
	local what="VLAN on a bond in a bridge"

	RET=0
	have 8021q bonding bridge || return
	spaces 3
	wire 1 s0 1 3 p1 31
	wire 3 c0 32 2 d0 21
	wire 3 c1 33 2 d1 22
	bonded 3 c0 c1
	bonded 2 d0 d1
	ip_host 1 <<-END
		addr add 10.0.0.1/24 dev s0
		link set s0 up
	END
	ip_host 3 <<-END
		link add bond9.7 link bond9 type vlan id 7
		link add br0 type bridge forward_delay 0
		link set p1 master br0
		link set bond9.7 master br0
		link set p1 up
		link set bond9.7 up
		link set br0 up
	END
	ip_host 2 <<-END
		link add bond9.7 link bond9 type vlan id 7
		addr add 10.0.0.2/24 dev bond9.7
		link set bond9.7 up
	END
	busywait 10000 uses 3 2 c0 d0
	works 1 2 10.0.0.2
	carrier_off 3 c0
	busywait 10000 uses 3 2 c1 d1
	expect "active slaves, c0 forced off" "c1 d1" "$(active 3) $(active 2)"
	works 2 1 10.0.0.1
	works 1 2 10.0.0.2
	log_test "$what"
}

# say FILE LINE...: writes lines to a pktgen file of host 1, one at a time.
say()
{
	local file=/proc/net/pktgen/$1 line

	shift
	for line in "$@"; do echo "echo '$line' >$file || exit"; done | host 1 sh
	check_err $? "cannot write to pktgen's $file"
}

generator()
{
	local count what="pktgen"

	local ipv6=off

	RET=0
	have pktgen || return
	count=$(rounds 20000)
	hosts 2
	host 2 ip route replace unreachable 10.0.0.1/32
	say kpktgend_0 rem_device_all "add_device s0"
	say s0 "count $count" "delay 0" "pkt_size 60" "dst 10.0.0.2" "src_min 10.0.0.1" \
		"src_max 10.0.0.1" "dst_mac $(lladdr 2)"
	say pgctrl start
	host 1 grep -q 'Result: OK' /proc/net/pktgen/s0
	check_err $? "$(host 1 tail -n 4 /proc/net/pktgen/s0)"
	arrived() { [ "$(stat 2 rx packets)" = "$count" ]; }
	busywait 20000 arrived
	expect "rx packets" "$count" "$(stat 2 rx packets)"
	expect "tx packets" "$count" "$(stat 1 tx packets)"
	expect "rx bytes" $((count * 60)) "$(stat 2 rx bytes)"
	expect "tx dropped, rx missed_errors" "0 0" "$(stat 1 tx dropped) $(stat 2 rx missed_errors)"
	say kpktgend_0 rem_device_all
	log_test "$what"
}

xdp()
{
	local verdict answered what="XDP"

	RET=0
	hosts 2
	quiet 2
	neighbours 2
	for verdict in pass drop; do
		start 2 "$selftests/ether.py" xdp s0 $verdict >/tmp/xdp 2>&1
		ready() { grep -q ready /tmp/xdp || ! kill -0 $!; }
		busywait 60000 ready
		if grep -q "Function not implemented" /tmp/xdp; then
			log_test_skip "$what" "no bpf"
			return
		fi
		# Generic XDP does not accept GSO packets.
		expect "rx-gro-hw with a program" off \
			"$(host 2 ethtool -k s0 | sed -n 's/^rx-gro-hw: \([a-z]*\).*/\1/p')"
		answered=$(host 1 ping -q -c 5 -i 0.1 -W 1 10.0.0.2 |
			sed -n 's/.* \([0-9]*\) received.*/\1/p')
		if [ $verdict = pass ]; then
			expect "replies with XDP_${verdict^^}" 5 "$answered"
			works 1 2 10.0.0.2
		else
			expect "replies with XDP_${verdict^^}" 0 "$answered"
		fi
		kill $!
		wait $!
		check_err $? "$(cat /tmp/xdp)"
		if [ $verdict = drop ]; then
			expect "frames dropped by the program" 5 "$(sed 1d /tmp/xdp)"
		else
			# Each segment of a GSO packet.
			between "frames passed by the program" $((bytes / 1460)) \
				$((bytes / 500)) "$(sed 1d /tmp/xdp)"
		fi
	done
	rm /tmp/xdp
	works 1 2 10.0.0.2
	log_test "$what"
}

packet_sockets()
{
	RET=0
	hosts 2
	quiet 2
	expect "errors of ether.py" "" "$("$selftests/ether.py" packets "$NS1" "$NS2" 2>&1)"
	log_test "packet sockets"
}

# has I ADDRESS: whether the address is usable.
has() { host "$1" ip -6 addr show dev s0 -tentative | grep -q " $2/64 "; }

autoconfiguration()
{
	RET=0
	hosts 2
	# EUI-64 of lladdr 1 and 2.
	busywait 20000 has 1 fe80::ff:fe00:1
	busywait 20000 has 2 fe80::ff:fe00:2
	host 1 ping -6 -q -c 2 -i 0.1 -W 5 fe80::ff:fe00:2%s0 >/dev/null
	check_err $? "no reply from a link-local address"
	# Neighbour advertisements without the router flag would remove the default route.
	write 1 net/ipv6/conf/s0/forwarding 1
	host 1 "$selftests/ether.py" advertise s0
	check_err $? "cannot send a router advertisement"
	busywait 20000 has 2 fd00:5::ff:fe00:2
	check_err $? "no address of an advertised prefix"
	expect "default route" fe80::ff:fe00:1 \
		"$(host 2 ip -6 -j route show default | jq -r '.[0].gateway')"
	host 1 ip -6 route add fd00:5::/64 dev s0
	host 1 ping -6 -q -c 2 -i 0.1 -W 5 fd00:5::ff:fe00:2 >/dev/null
	check_err $? "no reply from an address of the advertised prefix"
	log_test "IPv6 autoconfiguration"
}

tests_run
exit "$EXIT_STATUS"
