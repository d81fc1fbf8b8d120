#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Forwarding on a segment: unicast, broadcast, shared addresses, isolation of segments, and
# conservation: each sent frame is received or counted as dropped.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	bytes_on_the_wire
	unicast
	broadcast
	shared_address
	unknown_address
	member_down
	isolation
	switchid
	full
	conservation
"

start_station

# listen I...: captures the frames that these hosts receive until the test ends.
listen()
{
	local i

	for i in "$@"; do
		capture "$i" frames
	done
}

# arrived WHERE I COUNT: host I must receive COUNT frames, and no more.
arrived()
{
	came() { [ "$(captured "$1" | wc -l)" -ge "$2" ]; }
	busywait 60000 came "$2" "$3"
	nap 50
	expect "frames $1" "$3" "$(captured "$2" | wc -l)"
}

send()
{
	station "$1" frames "${@:2}"
	check_err $? "cannot send"
}

bytes_on_the_wire()
{
	local arp

	RET=0
	hosts 2
	quiet 2
	listen 2
	host 1 ping -q -c 1 10.0.0.2 >/dev/null
	# Broadcast, source, IEEE 802.6 and LLC/SNAP constants, ARP; hardware type
	# 0x4040, IP, lengths 8 and 4, request, sender and target.
	arp=ffffffffffffffff020000000000000100000000aaaa030000000806
	arp+=404008000804000102000000000000010a000001
	expect "ARP request" "$arp" "$(captured 2 | sed -n 1p | cut -c 1-96)"
	expect "target of the ARP request" 0a000002 "$(captured 2 | sed -n 1p | cut -c 113-120)"
	expect "header of the IP packet" \
		0200000000000002020000000000000100000000aaaa030000000800 \
		"$(captured 2 | sed -n 2p | cut -c 1-56)"
	log_test "link header and ARP request byte for byte"
}

unicast()
{
	RET=0
	hosts 4
	quiet 4
	listen 2 3 4
	send 1 10 "$(frame "$(lladdr 3)" "$(lladdr 1)" 88b5)"
	arrived "at the member with the address" 3 10
	arrived "at another member" 2 0
	arrived "at another member" 4 0
	log_test "unicast reaches only the member with the address"
}

broadcast()
{
	RET=0
	hosts 4
	quiet 4
	listen 1 2 3 4
	send 2 10 "$(frame ff:ff:ff:ff:ff:ff:ff:ff "$(lladdr 2)" 88b5)"
	arrived "at host 1" 1 10
	arrived "at host 3" 3 10
	arrived "at host 4" 4 10
	arrived "at the sender" 2 0
	log_test "broadcast reaches all members but the sender"
}

shared_address()
{
	RET=0
	hosts 4
	quiet 4
	host 4 ip link set s0 address "$(lladdr 3)"
	listen 2 3 4
	send 1 10 "$(frame "$(lladdr 3)" "$(lladdr 1)" 88b5)"
	arrived "at the first member with the address" 3 10
	arrived "at the second member with the address" 4 10
	arrived "at another member" 2 0
	# To the sender's own address: the other member with that address receives it.
	send 3 5 "$(frame "$(lladdr 3)" "$(lladdr 3)" 88b5)"
	arrived "to the sender's address, at the other member" 4 15
	arrived "to the sender's address, at the sender" 3 10
	log_test "two members with one address both receive its frames"
}

unknown_address()
{
	local reasons

	RET=0
	hosts 2
	quiet 2
	dropped NO_TX_TARGET send 1 10 "$(frame "$(lladdr 99)" "$(lladdr 1)" 88b5)"
	expect "drop reason NO_TX_TARGET" 10 "$reasons"
	expect "drop_no_target" 10 "$(queues 1 tx drop_no_target)"
	expect "tx dropped" 10 "$(stat 1 tx dropped)"
	expect "tx packets" 0 "$(stat 1 tx packets)"
	expect "rx packets of host 2" 0 "$(stat 2 rx packets)"
	log_test "a frame to an unknown address is dropped and counted"
}

member_down()
{
	RET=0
	hosts 2
	quiet 2
	# Another member, which gives host 1 its carrier and receives the broadcast.
	host 2 ip link add s1 link s0 type spans
	host 2 ip link set s1 up
	host 2 ip link set s0 down
	send 1 10 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5)" \
		"$(frame ff:ff:ff:ff:ff:ff:ff:ff "$(lladdr 1)" 88b5)"
	eventually "drop_no_target" 10 queues 1 tx drop_no_target
	eventually "broadcasts sent" 10 stat 1 tx packets
	expect "rx packets" 0 "$(stat 2 rx packets)"
	log_test "a device that is down receives nothing"
}

# Hosts 1 and 2 on one segment, host 3 on another one.
another_segment()
{
	hosts 2
	quiet 2
	setup_ns NS3
	ip -n "$NS3" link add s0 address "$(lladdr 3)" type spans
	ip -n "$NS3" link set s0 up
	quiet 3
}

isolation()
{
	RET=0
	another_segment
	listen 3
	send 1 5 "$(frame "$(lladdr 3)" "$(lladdr 1)" 88b5)" \
		"$(frame ff:ff:ff:ff:ff:ff:ff:ff "$(lladdr 1)" 88b5)"
	arrived "on another segment" 3 0
	log_test "no frame crosses from one segment to another"
}

switchid()
{
	local first

	RET=0
	another_segment
	id() { host "$1" ip -j -d link show s0 | jq -r '.[0].phys_switch_id'; }
	first=$(id 1)
	[[ $first =~ ^[0-9a-f]{16}$ ]]
	check_err $? "phys_switch_id '$first' is not 16 hex digits"
	expect "on the same segment" "$first" "$(id 2)"
	[ "$(id 3)" != "$first" ]
	check_err $? "another segment has the phys_switch_id $first, too"
	log_test "phys_switch_id is that of the segment"
}

full()
{
	local i

	RET=0
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then
		log_test_skip "a segment has at most 1024 members" "too slow"
		return
	fi
	setup_ns NS1
	quiet 1
	host 1 ip link add s0 numtxqueues 1 numrxqueues 1 type spans
	for ((i = 1; i <= 1024; i++)); do
		echo "link add s$i link s0 numtxqueues 1 numrxqueues 1 type spans"
		((i == 1024)) || echo "link set s$i up"
	done | host 1 ip -batch -
	check_err $? "cannot add 1024 devices"
	host 1 ip link set s0 up
	check_err $? "cannot have 1024 devices up"
	refused "No space left on device" host 1 ip link set s1024 up
	host 1 ip link set s7 down
	host 1 ip link set s1024 up
	check_err $? "no room after a member went down"
	send 1 1 "$(frame ff:ff:ff:ff:ff:ff:ff:ff "$(lladdr 1)" 88b5)"
	expect "broadcasts received by the last member" 1 \
		"$(host 1 ip -j -s link show s1024 | jq '.[0].stats64.rx.packets')"
	log_test "a segment has at most 1024 members"
}

# sum COUNTER...: a counter summed over the three hosts.
sum()
{
	local i sum=0

	for i in 1 2 3; do ((sum += $("$1" $i "${@:2}"))); done
	echo $sum
}

conservation()
{
	local i next sent lost=$((3 * 20))

	RET=0
	hosts 3
	quiet 3
	neighbours 3
	for i in 1 2 3; do
		next=$(lladdr $((i % 3 + 1)))
		send "$i" 20 "$(frame ff:ff:ff:ff:ff:ff:ff:ff "$(lladdr "$i")" 88b5)" \
			"$(frame "$next" "$(lladdr "$i")" 88b5)" \
			"$(frame "$(lladdr 77)" "$(lladdr "$i")" 88b5)" \
			"$(frame "$next" "$(lladdr "$i")" 88b5 | sed 's/aaaa03/aaab03/')"
		host "$i" ping -q -f -c 50 "10.0.0.$((i % 3 + 1))" >/dev/null
	done
	# Each host sent four kinds of frames, 50 echo requests and 50 replies.
	sent=$((3 * (4 * 20 + 100)))
	eventually "sent" $sent sum accounted tx
	expect "dropped: no member has the address" $lost "$(sum queues tx drop_no_target)"
	# A broadcast is received by two members.
	eventually "received, or dropped and counted by a receiver" $((sent - lost + 3 * 20)) sum accounted rx
	expect "malformed" $((3 * 20)) "$(sum queues rx error_malformed)"
	log_test "each sent frame is received or counted as dropped"
}

tests_run
exit "$EXIT_STATUS"
