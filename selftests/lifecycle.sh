#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# State changes of a device in use: down, up, reset, addresses, MTU, names, namespaces, carrier;
# other members are not affected.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	open_stop_reset
	reset_alone
	reset_of_a_stalled_ring
	address_spans
	address_ethernet
	mtu_live
	names
	moves
	carriers
	third_member
	set_while_down
	transmit_while_down
	no_packet_after_down
"
start_station

# flood FROM TO...: sends datagrams of two sizes to each host, until calm.
flood()
{
	local to=${*:2}

	start "$1" nice -n 19 python3 -c "
import itertools, os, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in itertools.count():
    for to in '$to'.split():
        try:
            s.sendto(bytes((18, 1400)[i % 2]), ('10.0.0.' + to, 9))
        except OSError:
            pass  # no carrier, no route: never passed to the device
    if i % 20 == 0:
        time.sleep(0.002)"
	floods+=($!)
}

calm()
{
	kill "${floods[@]}"
	wait "${floods[@]}" 2>/dev/null
	floods=()
}

# no_replies N: hosts 2 to N have no route to host 1.
no_replies()
{
	local i

	for ((i = 2; i <= $1; i++)); do host "$i" ip route replace unreachable 10.0.0.1/32; done
}

answers()
{
	# A lost ARP request is repeated after arp_retrans_ms. Until then the flood evicts the packets
	# that wait for the reply.
	busywait 60000 host "$1" ping -q -c 2 -i 0.1 -W 2 "10.0.0.$2" >/dev/null
	check_err $? "no reply to host $1 from host $2${3:+ }${3:-}"
}

# carrier I: prints up or down. becomes I up|down: waits for that.
carrier()
{
	if host "$1" ip -j link show s0 | jq -e '.[0].flags | index("LOWER_UP")' >/dev/null; then
		echo up
	else
		echo down
	fi
}

comes() { [ "$(carrier "$1")" = "$2" ]; }

becomes()
{
	busywait 60000 comes "$@"
	check_err $? "host $1: carrier is not $2${3:+ }${3:-}"
}

open_stop_reset()
{
	local i floods=()

	RET=0
	hosts 3
	quiet 3
	neighbours 3
	flood 1 2 3
	flood 2 1
	for ((i = 0; i < $(rounds 20); i++)); do
		host 2 ip link set s0 down
		check_err $? "cannot go down, time $i"
		host 2 ip link set s0 up
		check_err $? "cannot go up, time $i"
		host 2 ethtool --reset s0 "$([ $((i % 2)) = 0 ] && echo all || echo dedicated)" >/dev/null
		check_err $? "cannot reset, time $i"
		host 1 ethtool --reset s0 all >/dev/null
		check_err $? "cannot reset the sender, time $i"
	done
	calm
	neighbours 3
	answers 1 2
	answers 2 1
	answers 3 2
	# All frames are unicast: each sent one is received or dropped by one host.
	settled()
	{
		[ "$(($(queues 1 tx packets) + $(queues 2 tx packets) + $(queues 3 tx packets)))" = \
			"$(($(accounted 1 rx) + $(accounted 2 rx) + $(accounted 3 rx)))" ]
	}
	busywait 60000 settled
	check_err $? "the sum of sent frames is not that of received and dropped frames"
	log_test "down, up and reset under traffic"
}

reset_alone()
{
	local what

	RET=0
	hosts 2
	quiet 2
	for what in all dedicated; do
		host 1 ethtool --reset s0 $what >/dev/null
		check_err $? "cannot reset $what"
	done
	answers 1 2
	host 1 ip link set s0 down
	refused "Network is down" host 1 ethtool --reset s0 all
	host 1 ip link set s0 up
	answers 1 2 "after a rejected reset"
	log_test "reset without traffic, and while down"
}

reset_of_a_stalled_ring()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	expect "packets sent by a stalled ring" 0 "$(queues 1 tx packets)"
	host 1 ethtool --reset s0 all >/dev/null
	check_err $? "cannot reset"
	expect "drop_purge" 5 "$(queues 1 tx drop_purge)"
	expect "stalled ring after the reset" -1 "$(stall 1)"
	send_udp 0 7
	received 7
	log_test "reset of a stalled ring"
}

# announced I LLADDR: the number of announcements of 10.0.0.2 at LLADDR that host I received.
announced()
{
	local new=${2//:/} all type=4040 length=08

	all=$(broadcast_addr)
	if [ "$medium" = ethernet ]; then type=0001 length=06; fi
	captured "$1" |
		grep -cE "^$(frame "$all" "$2" 0806)${type}0800${length}04000[12]${new}0a000002[0-9a-f]*0a000002$"
}

follows() { [ "$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)" = "$1" ]; }

# address: changes of the link address while up and down.
address()
{
	local announce=yes number

	RET=0
	hosts 2
	quiet 2
	answers 1 2
	capture 1 frames
	# The kernel does not override a neighbour within a second of its update (locktime).
	for number in 77 2; do
		host 2 ip link set s0 address "$(lladdr $number)"
		check_err $? "cannot change the address while up"
		busywait 60000 follows "$(lladdr $number)"
		expect "link address of host 2 at host 1" "$(lladdr $number)" \
			"$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)"
		between "announcements" 1 3 "$(announced 1 "$(lladdr $number)")"
		answers 1 2 "with another link address"
		answers 2 1 "with another link address"
	done
	host 2 ip link set s0 down
	host 2 ip link set s0 address "$(lladdr 78)"
	check_err $? "cannot change the address while down"
	expect "announcements while down" 0 "$(announced 1 "$(lladdr 78)")"
	host 2 ip link set s0 up
	once() { [ "$(announced 1 "$(lladdr 78)")" -ge 1 ]; }
	busywait 60000 once
	between "announcements after up" 1 3 "$(announced 1 "$(lladdr 78)")"
	# Host 1 may have removed its entry when it lost the carrier, and sends a request.
	answers 1 2 "after up"
	expect "link address of host 2 at host 1 after up" "$(lladdr 78)" \
		"$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)"
	answers 1 2 "with the address set while down"
	refused "" host 2 ip link set s0 address "$(broadcast_addr)"
	expect "address" "$(lladdr 78)" "$(host 2 ip -j link show s0 | jq -r '.[0].address')"
	log_test "change of the link address, $medium"
}

address_spans() { medium=spans address; }
address_ethernet() { medium=ethernet address; }

mtu_live()
{
	local mtu floods=()

	RET=0
	hosts 2
	quiet 2
	neighbours 2
	flood 1 2
	for mtu in 9000 1500 65535 68 9180; do
		# The receiver first, as its MTU decides.
		host 2 ip link set s0 mtu "$mtu"
		check_err $? "MTU $mtu"
		host 1 ip link set s0 mtu "$mtu"
		check_err $? "MTU $mtu"
		host 1 ping -q -c 2 -i 0.1 -W 5 -M "do" -s $((mtu - 28)) 10.0.0.2 >/dev/null
		check_err $? "MTU $mtu: no reply to a packet of that size"
		host 1 ping -q -c 1 -W 1 -M "do" -s $((mtu - 27)) 10.0.0.2 >/dev/null 2>&1
		check_fail $? "MTU $mtu: a reply to a longer packet"
	done
	calm
	# The receiver's MTU limits received frames.
	host 2 ip link set s0 mtu 1500
	ended() { [ "$(queues 1 tx packets)" = "$(accounted 2 rx)" ]; }
	busywait 60000 ended
	mtu=$(queues 2 rx error_long)
	send_udp 0 3 4000
	long() { [ "$(queues 2 rx error_long)" = $((mtu + 3)) ]; }
	busywait 60000 long
	expect "error_long of host 2" $((mtu + 3)) "$(queues 2 rx error_long)"
	log_test "change of the MTU under traffic"
}

names()
{
	local floods=() state

	RET=0
	hosts 2
	quiet 2
	flood 1 2
	for state in up down; do
		host 2 ip link set s0 $state
		host 2 ip link set s0 name renamed
		check_err $? "cannot rename while $state"
		host 2 ip link set renamed alias "a word" group 7
		check_err $? "cannot set alias and group while $state"
		expect "alias and group while $state" "a word 7" \
			"$(host 2 ip -j link show renamed | jq -r '.[0] | .ifalias + " " + .group')"
		host 2 ip link set renamed name s0
		check_err $? "cannot rename back while $state"
		host 2 ip link set s0 alias "" group default
	done
	host 2 ip link set s0 up
	answers 1 2
	calm
	log_test "name, alias and group under traffic"
}

moves()
{
	local floods=() i id

	RET=0
	setup_ns NS3
	hosts 2
	quiet 3
	id=$(host 2 ip -j -d link show s0 | jq -r '.[0].phys_switch_id')
	flood 1 2
	for ((i = 0; i < $(rounds 6); i++)); do
		host 2 ip link set s0 netns "$NS3"
		check_err $? "cannot move, time $i"
		host 3 ip -batch - <<-END
			addr add 10.0.0.2/24 dev s0
			link set s0 up
		END
		answers 1 2 "in NS3, time $i"
		answers 3 1 "from NS3, time $i"
		host 3 ip link set s0 netns "$NS2"
		check_err $? "cannot move back, time $i"
		host 2 ip -batch - <<-END
			addr add 10.0.0.2/24 dev s0
			link set s0 up
		END
		answers 1 2 "back in NS2, time $i"
	done
	calm
	expect "phys_switch_id" "$id" "$(host 2 ip -j -d link show s0 | jq -r '.[0].phys_switch_id')"
	expect "address" "$(lladdr 2)" "$(host 2 ip -j link show s0 | jq -r '.[0].address')"
	log_test "a device moves between namespaces under traffic"
}

carriers()
{
	local i

	RET=0
	hosts 1
	comes 1 down
	check_err $? "a lone device has a carrier"
	hosts 2
	becomes 1 up
	becomes 2 up
	expect "operstate" UP "$(host 1 ip -j link show s0 | jq -r '.[0].operstate')"
	host 2 ip link set s0 down
	becomes 1 down "when host 2 is down"
	host 2 ip link set s0 up
	becomes 1 up "when host 2 is up again"
	host 2 ip link set s0 carrier off
	becomes 2 down "when it is forced off"
	becomes 1 down "when host 2 is forced off"
	host 2 ip link set s0 carrier on
	becomes 1 up "when host 2 is no longer forced off"
	becomes 2 up "when it is no longer forced off"
	answers 1 2

	hosts 3
	for i in 1 2 3; do becomes $i up; done
	host 2 ip link set s0 carrier off
	becomes 2 down "when it is forced off"
	# A wrong change of a carrier would be asynchronous.
	nap 300
	expect "carriers of hosts 1 and 3" "up up" "$(carrier 1) $(carrier 3)"
	host 3 ip link del s0
	becomes 1 down "when no other member has a carrier"
	host 2 ip link set s0 carrier on
	becomes 1 up "when host 2 is no longer forced off"
	becomes 2 up "when it is no longer forced off"
	answers 1 2
	log_test "carrier changes of other members"
}

# Host 1 sends to host 2; no state change of host 3 may drop one of these packets.
third_member()
{
	local i pid sent

	RET=0
	hosts 3
	quiet 3
	neighbours 3
	no_replies 2
	start 1 "$selftests/udp.py" send 10.0.0.2 0.001 600 >/tmp/sent
	pid=$!
	for ((i = 0; i < $(rounds 6); i++)); do
		host 3 ip link set s0 down
		host 3 ip link set s0 up
		host 3 ethtool --reset s0 all >/dev/null
		check_err $? "cannot reset"
		# On a virtual clock the sender only goes on during these pauses.
		nap 10
		host 3 ip link set s0 carrier off
		nap 10
		host 3 ip link set s0 carrier on
		host 3 ip link set s0 promisc on
		nap 10
		host 3 ethtool -G s0 rx 16
		host 3 ip link set s0 promisc off
		host 3 ip link set s0 address "$(lladdr 99)"
		host 3 ip link del s0
		check_err $? "cannot delete"
		host 1 ip link add s0 link s0 netns "$NS3" address "$(lladdr 3)" type spans
		check_err $? "cannot add a device to the segment"
		host 3 ip link set s0 up
	done
	kill "$pid"
	wait "$pid" 2>/dev/null
	read -r sent i </tmp/sent
	rm /tmp/sent
	expect "sendto() errors" 0 "$i"
	[ "$sent" -ge "$(rounds 100)" ]
	check_err $? "only $sent packets: this test tested little"
	received "$sent"
	expect "sent" "$sent" "$(queues 1 tx packets)"
	expect "tx dropped of host 1, rx dropped of host 2" "0 0" "$(stat 1 tx dropped) $(stat 2 rx dropped)"
	log_test "state changes of a third member do not affect two others"
}

set_while_down()
{
	RET=0
	hosts 2
	quiet 2
	host 2 ip link set s0 down
	host 2 sh -c '
		ip link set s0 carrier off &&
		ip link set s0 mtu 4000 &&
		ethtool -G s0 tx 64 rx 128 &&
		ethtool -L s0 combined 1 &&
		ethtool -C s0 tx-aggr-max-frames 5 &&
		ethtool -K s0 gro on >/dev/null &&
		echo 7 >/sys/class/net/s0/spans/queue_len'
	check_err $? "a setting cannot be changed while down"
	host 2 ip link set s0 up
	becomes 2 down "when it was forced off while down"
	becomes 1 down "when host 2 was forced off while down"
	host 2 ip link set s0 carrier on
	becomes 2 up "when it is no longer forced off"
	expect "rings" "128 64" \
		"$(host 2 ethtool -g s0 | sed -n '/^Current/,$ s/^[RT]X:[[:space:]]*//p' | xargs)"
	expect "channels" 1 \
		"$(host 2 ethtool -l s0 | sed -n '/^Current/,$ s/^Combined:[[:space:]]*//p')"
	expect "stage_count" 5 "$(get_spans 2 stage_count)"
	expect "queue_len" 7 "$(get_spans 2 queue_len)"
	expect "mtu" 4000 "$(host 2 ip -j link show s0 | jq '.[0].mtu')"
	expect "gro" on "$(host 2 ethtool -k s0 | sed -n 's/^generic-receive-offload: //p')"
	# 64 packets in the ring and 7 in the subqueue.
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	host 1 ip route replace unreachable 10.0.0.2/32
	host 2 tc qdisc replace dev s0 root noqueue
	set_spans 2 stage_count 0
	stall 2 0
	host 2 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range(100):
    s.sendto(bytes(18), ('10.0.0.1', 9))"
	stall 2 -1
	all() { [ "$(accounted 2 tx)" = 100 ]; }
	busywait 60000 all
	expect "packets sent and drop_full" "71 29" "$(queues 2 tx packets) $(queues 2 tx drop_full)"
	log_test "settings changed while down"
}

# ndo_start_xmit of a device that is down: pktgen checks the device, sleeps and sends.
transmit_while_down()
{
	local medium=ethernet try what="transmit on a device that is down"

	RET=0
	hosts 2
	if ! modprobe -q pktgen; then
		log_test_skip "$what" "no pktgen"
		return
	fi
	quiet 2
	neighbours 2
	generate()
	{
		for line in "rem_device_all" "add_device s0"; do
			echo "echo $line >/proc/net/pktgen/kpktgend_0 || exit"
		done
		for line in "count 0" "delay 500000000" "pkt_size 60" "dst 10.0.0.2" "dst_mac $(lladdr 2)"; do
			echo "echo $line >/proc/net/pktgen/s0 || exit"
		done
		# Returns when pktgen is done.
		echo "exec echo start >/proc/net/pktgen/pgctrl"
	}
	# The device goes down at a random moment, at which pktgen may not be about to send.
	goes_down()
	{
		local pid before

		before=$(queues 2 rx packets)
		generate | host 1 sh &
		pid=$!
		one_more() { [ "$(queues 2 rx packets)" -gt "$1" ]; }
		busywait 20000 one_more "$before"
		check_err $? "pktgen sends no packets"
		host 1 ip link set s0 down
		wait $pid
		check_err $? "pktgen failed"
		host 1 ip link set s0 up
	}
	for try in 1 2 3 4 5; do
		goes_down
		[ "$(queues 1 tx drop_not_ready)" = 0 ] || break
	done
	expect "drop_not_ready" 1 "$(queues 1 tx drop_not_ready)"
	expect "tx dropped" $((1 + $(queues 1 tx drop_purge))) "$(stat 1 tx dropped)"
	# Frames before host 2 has its carrier back are dropped, and multicast is filtered.
	ended_at_2() { echo $(($(accounted 2 rx) + $(queues 2 rx filtered))); }
	ended() { [ "$(queues 1 tx packets)" = "$(ended_at_2)" ]; }
	busywait 60000 ended
	expect "sent frames that were received, dropped or filtered" "$(queues 1 tx packets)" "$(ended_at_2)"
	answers 1 2
	host 1 sh -c 'echo rem_device_all >/proc/net/pktgen/kpktgend_0'
	log_test "$what"
}

# After down no counter of host 1 changes, with traffic in all directions. (Drops of a qdisc
# would be counted.)
no_packet_after_down()
{
	local i

	RET=0
	hosts 3
	neighbours 3
	quiet 3
	host 1 tc qdisc replace dev s0 root noqueue
	flood 1 2 3
	flood 2 1 3
	flood 3 1 2
	flows() { [ "$(queues 1 rx packets)" -gt "$1" ] && [ "$(queues 1 tx packets)" -gt "$2" ]; }
	for ((i = 0; i < $(rounds 9); i++)); do
		busywait 20000 flows $(($(queues 1 rx packets) + 20)) $(($(queues 1 tx packets) + 20))
		check_err $? "no traffic: this test tested nothing"
		host 1 ip link set s0 down
		ask_meter 1 mark
		# Hosts 2 and 3 go on sending to it.
		nap 50
		expect "counters that changed after down" "" "$(meter 1 moved)"
		host 1 ip link set s0 up
		neighbours 3
	done
	calm
	log_test "when down returns, no packet is in progress"
}

tests_run
exit "$EXIT_STATUS"
