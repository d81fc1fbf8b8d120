#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What can happen to a device while it is in use: it goes on, and others do not notice.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	open_stop_reset
	reset_alone
	reset_of_a_ring_that_hangs
	address_spans
	address_ethernet
	mtu_live
	names
	moves
	carriers
	third_station
	set_while_down
	sent_while_down
	down_is_the_end
"
start_station

# flood FROM TO...: datagrams of two sizes to each, until calm.
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
            pass  # no carrier, no route: not the device's affair
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

# deaf_hosts N: host 2 and those behind it answer nothing to host 1.
deaf_hosts()
{
	local i

	for ((i = 2; i <= $1; i++)); do host "$i" ip route replace unreachable 10.0.0.1/32; done
}

answers()
{
	# A request that was lost comes again after arp_retrans_ms. Until then a flood pushes out
	# all that waits.
	busywait 60000 host "$1" ping -q -c 2 -i 0.1 -W 2 "10.0.0.$2" >/dev/null
	check_err $? "no answer to host $1 from host $2${3:+ }${3:-}"
}

# carrier I: up or down; becomes I up|down: some time soon.
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
		check_err $? "cannot reset what sends, time $i"
	done
	calm
	neighbours 3
	answers 1 2
	answers 2 1
	answers 3 2
	# All that was sent to many ends at each; what went to one ends where it went.
	settled()
	{
		[ "$(($(queues 1 tx packets) + $(queues 2 tx packets) + $(queues 3 tx packets)))" = \
			"$(($(ends 1 rx) + $(ends 2 rx) + $(ends 3 rx)))" ]
	}
	busywait 60000 settled
	check_err $? "what was sent is not what was received or dropped"
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
	answers 1 2 "after a reset that was refused"
	log_test "reset"
}

reset_of_a_ring_that_hangs()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	expect "packets that left a ring that hangs" 0 "$(queues 1 tx packets)"
	host 1 ethtool --reset s0 all >/dev/null
	check_err $? "cannot reset"
	expect "lost in the ring" 5 "$(queues 1 tx drop_purge)"
	expect "the ring that hangs" -1 "$(stall 1)"
	send_udp 0 7
	received 7
	log_test "reset of a ring that hangs"
}

# announced I NEW: how often host I heard that NEW is where 10.0.0.2 is.
announced()
{
	local new=${2//:/} all type=4040 length=08

	all=$(everybody)
	if [ "$medium" = ethernet ]; then type=0001 length=06; fi
	heard "$1" |
		grep -cE "^$(frame "$all" "$2" 0806)${type}0800${length}04000[12]${new}0a000002[0-9a-f]*0a000002$"
}

follows() { [ "$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)" = "$1" ]; }

# address: under another one, up and down.
address()
{
	local announce=yes station

	RET=0
	hosts 2
	quiet 2
	answers 1 2
	hear 1 frames
	# A neighbour that was just heard of is believed for a second.
	for station in 77 2; do
		host 2 ip link set s0 address "$(lladdr $station)"
		check_err $? "cannot change the address while up"
		busywait 60000 follows "$(lladdr $station)"
		expect "where host 1 has host 2 now" "$(lladdr $station)" \
			"$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)"
		between "announcements" 1 3 "$(announced 1 "$(lladdr $station)")"
		answers 1 2 "under another address"
		answers 2 1 "under another address"
	done
	host 2 ip link set s0 down
	host 2 ip link set s0 address "$(lladdr 78)"
	check_err $? "cannot change the address while down"
	expect "announcements while down" 0 "$(announced 1 "$(lladdr 78)")"
	host 2 ip link set s0 up
	once() { [ "$(announced 1 "$(lladdr 78)")" -ge 1 ]; }
	busywait 60000 once
	between "announcements when it goes up" 1 3 "$(announced 1 "$(lladdr 78)")"
	# Without a carrier host 1 may have forgotten it, and asks.
	answers 1 2 "that is up again"
	expect "where host 1 has host 2 then" "$(lladdr 78)" \
		"$(neigh_entry 1 10.0.0.2 | cut -d ' ' -f 2)"
	answers 1 2 "after it was down"
	refused "" host 2 ip link set s0 address "$(everybody)"
	expect "address" "$(lladdr 78)" "$(host 2 ip -j link show s0 | jq -r '.[0].address')"
	log_test "another link address, $medium"
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
		# The receiver first: what is on its way may be too long only for a smaller one.
		host 2 ip link set s0 mtu "$mtu"
		check_err $? "MTU $mtu"
		host 1 ip link set s0 mtu "$mtu"
		check_err $? "MTU $mtu"
		host 1 ping -q -c 2 -i 0.1 -W 5 -M "do" -s $((mtu - 28)) 10.0.0.2 >/dev/null
		check_err $? "MTU $mtu: no answer to what fills it"
		host 1 ping -q -c 1 -W 1 -M "do" -s $((mtu - 27)) 10.0.0.2 >/dev/null 2>&1
		check_fail $? "MTU $mtu: an answer to more than that"
	done
	calm
	# It is the receiver's that counts for what comes.
	host 2 ip link set s0 mtu 1500
	ended() { [ "$(queues 1 tx packets)" = "$(ends 2 rx)" ]; }
	busywait 60000 ended
	mtu=$(queues 2 rx error_long)
	send_udp 0 3 4000
	long() { [ "$(queues 2 rx error_long)" = $((mtu + 3)) ]; }
	busywait 60000 long
	expect "too long for the receiver" $((mtu + 3)) "$(queues 2 rx error_long)"
	log_test "MTU under traffic"
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
		check_err $? "no alias, no group while $state"
		expect "alias and group while $state" "a word 7" \
			"$(host 2 ip -j link show renamed | jq -r '.[0] | .ifalias + " " + .group')"
		host 2 ip link set renamed name s0
		check_err $? "cannot rename back while $state"
		host 2 ip link set s0 alias "" group default
	done
	host 2 ip link set s0 up
	answers 1 2
	calm
	log_test "name, alias and group"
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
		answers 1 2 "elsewhere, time $i"
		answers 3 1 "from elsewhere, time $i"
		host 3 ip link set s0 netns "$NS2"
		check_err $? "cannot move back, time $i"
		host 2 ip -batch - <<-END
			addr add 10.0.0.2/24 dev s0
			link set s0 up
		END
		answers 1 2 "back, time $i"
	done
	calm
	expect "segment" "$id" "$(host 2 ip -j -d link show s0 | jq -r '.[0].phys_switch_id')"
	expect "address" "$(lladdr 2)" "$(host 2 ip -j link show s0 | jq -r '.[0].address')"
	log_test "to another namespace and back under traffic"
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
	becomes 1 down "when the other one is down"
	host 2 ip link set s0 up
	becomes 1 up "when the other one is up again"
	host 2 ip link set s0 carrier off
	becomes 2 down "with its line cut"
	becomes 1 down "with the other one's line cut"
	host 2 ip link set s0 carrier on
	becomes 1 up "with the line mended"
	becomes 2 up "with its line mended"
	answers 1 2

	hosts 3
	for i in 1 2 3; do becomes $i up; done
	host 2 ip link set s0 carrier off
	becomes 2 down "with its line cut"
	# Carriers come and go some time later, if wrongly so.
	nap 300
	expect "carriers of the others" "up up" "$(carrier 1) $(carrier 3)"
	host 3 ip link del s0
	becomes 1 down "when nobody is left"
	host 2 ip link set s0 carrier on
	becomes 1 up "with the line mended"
	becomes 2 up "with its line mended"
	answers 1 2
	log_test "carriers"
}

# Host 1 sends to host 2, and whatever host 3 does nothing of that is lost.
third_station()
{
	local i pid sent

	RET=0
	hosts 3
	quiet 3
	neighbours 3
	deaf_hosts 2
	start 1 "$selftests/udp.py" send 10.0.0.2 0.001 600 >/tmp/sent
	pid=$!
	for ((i = 0; i < $(rounds 6); i++)); do
		host 3 ip link set s0 down
		host 3 ip link set s0 up
		host 3 ethtool --reset s0 all >/dev/null
		check_err $? "cannot reset"
		# On the virtual clock the sender goes on only while this one waits.
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
		check_err $? "cannot join"
		host 3 ip link set s0 up
	done
	kill "$pid"
	wait "$pid" 2>/dev/null
	read -r sent i </tmp/sent
	rm /tmp/sent
	expect "errors of the sender" 0 "$i"
	[ "$sent" -ge "$(rounds 100)" ]
	check_err $? "only $sent packets: this test tested little"
	received "$sent"
	expect "sent" "$sent" "$(queues 1 tx packets)"
	expect "lost" "0 0" "$(stat 1 tx dropped) $(stat 2 rx dropped)"
	log_test "what a third station does, two others do not notice"
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
	check_err $? "something cannot be set while down"
	host 2 ip link set s0 up
	becomes 2 down "when it was cut before"
	becomes 1 down "when the other one was cut before"
	host 2 ip link set s0 carrier on
	becomes 2 up "when it is mended"
	expect "rings" "128 64" \
		"$(host 2 ethtool -g s0 | sed -n '/^Current/,$ s/^[RT]X:[[:space:]]*//p' | xargs)"
	expect "channels" 1 \
		"$(host 2 ethtool -l s0 | sed -n '/^Current/,$ s/^Combined:[[:space:]]*//p')"
	expect "stage_count" 5 "$(get_spans 2 stage_count)"
	expect "queue_len" 7 "$(get_spans 2 queue_len)"
	expect "mtu" 4000 "$(host 2 ip -j link show s0 | jq '.[0].mtu')"
	expect "gro" on "$(host 2 ethtool -k s0 | sed -n 's/^generic-receive-offload: //p')"
	# It holds what it says: 64 in the ring, and 7 and what is staged behind it.
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
	all() { [ "$(ends 2 tx)" = 100 ]; }
	busywait 60000 all
	expect "sent and lost" "71 29" "$(queues 2 tx packets) $(queues 2 tx drop_full)"
	log_test "what is set while down"
}

# The stack gives a device that is down nothing; what looks first and sends later does. So
# pktgen does, which sleeps between the two.
sent_while_down()
{
	local medium=ethernet try what="sent to a device that is down"

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
		# Until all have sent what they had to.
		echo "exec echo start >/proc/net/pktgen/pgctrl"
	}
	# It goes down at any moment, and may do so when nothing is about to be sent.
	goes_down()
	{
		local pid before

		before=$(queues 2 rx packets)
		generate | host 1 sh &
		pid=$!
		one_more() { [ "$(queues 2 rx packets)" -gt "$1" ]; }
		busywait 20000 one_more "$before"
		check_err $? "nothing is sent"
		host 1 ip link set s0 down
		wait $pid
		check_err $? "pktgen"
		host 1 ip link set s0 up
	}
	for try in 1 2 3 4 5; do
		goes_down
		[ "$(queues 1 tx drop_not_ready)" = 0 ] || break
	done
	expect "refused" 1 "$(queues 1 tx drop_not_ready)"
	expect "tx dropped" $((1 + $(queues 1 tx drop_purge))) "$(stat 1 tx dropped)"
	# What comes before host 2 has its carrier back is dropped there, and it is in no group.
	ended_at_2() { echo $(($(ends 2 rx) + $(queues 2 rx filtered))); }
	ended() { [ "$(queues 1 tx packets)" = "$(ended_at_2)" ]; }
	busywait 60000 ended
	expect "all that was sent ended" "$(queues 1 tx packets)" "$(ended_at_2)"
	answers 1 2
	host 1 sh -c 'echo rem_device_all >/proc/net/pktgen/kpktgend_0'
	log_test "$what"
}

# With traffic in all directions no counter of host 1 moves any more. (Without a qdisc, which
# would count what it still holds.)
down_is_the_end()
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
		check_err $? "nothing flows: this test tested nothing"
		host 1 ip link set s0 down
		ask_meter 1 mark
		# Others send to it all the time.
		nap 50
		expect "what moved after it was down" "" "$(meter 1 moved)"
		host 1 ip link set s0 up
		neighbours 3
	done
	calm
	log_test "when down returns, no packet is under way"
}

tests_run
exit "$EXIT_STATUS"
