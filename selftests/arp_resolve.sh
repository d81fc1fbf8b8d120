#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who asks for whom, who learns from it, and what becomes of packets meanwhile.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	first_packets_are_held
	held_packets_are_bounded
	who_is_asked_learns
	who_is_not_asked_learns_nothing
	who_knows_learns_always
	five_hosts
	bad_arp_teaches_nothing
	without_arp
	table_answers
"

start_station

# start_late: two hosts, of which the second answers a second late.
start_late()
{
	hosts 2
	quiet 2
	set_spans 1 arp_retrans_ms 600000
	set_spans 2 delay_usecs 1000000
}

udp_received()
{
	# shellcheck disable=SC2016 # awk's variables
	host 2 awk '/^Udp:/ && $4 ~ /[0-9]/ { print $2 + $3 }' /proc/net/snmp
}

first_packets_are_held()
{
	local asked_at

	RET=0
	start_late
	asked_at=$(now)
	station 1 udp 10.0.0.2 10.0.0.2 10.0.0.2 10.0.0.2 10.0.0.2
	check_err $? "cannot send"
	# Looking takes its time, too.
	nap_until $((asked_at + 400))
	expect "arrived before the answer" 0 "$(udp_received)"
	nap_until $((asked_at + 1300))
	expect "arrived" 5 "$(udp_received)"
	expect "requests" 1 "$(get_spans 1 arp_requests)"
	expect "resolved" 1 "$(get_spans 1 arp_resolved)"
	log_test "the first packets wait for the answer"
}

held_packets_are_bounded()
{
	local full arrived

	RET=0
	start_late
	dropped NEIGH_QUEUEFULL send_udp 0 200 1000
	full=$reasons
	[ "$full" -ge 100 ]
	check_err $? "only $full of 200 packets were dropped as too many wait"
	some_came() { [ "$(udp_received)" = $((200 - full)) ]; }
	busywait 60000 some_came
	arrived=$(udp_received)
	expect "arrived or dropped" 200 $((arrived + full))
	[ "$arrived" -ge 10 ]
	check_err $? "only $arrived of 200 packets were held"
	log_test "packets that wait are bounded"
}

who_is_asked_learns()
{
	RET=0
	hosts 2
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	expect "host 1 knows" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	expect "host 2 knows" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	expect "requests of host 2" 0 "$(get_spans 2 arp_requests)"
	expect "learned by host 2" 1 "$(get_spans 2 arp_learned)"
	log_test "who is asked learns who asks"
}

who_is_not_asked_learns_nothing()
{
	RET=0
	hosts 3
	quiet 3
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect "host 3 heard" 1 "$(queues 3 rx packets | awk '{ print ($1 >= 1) }')"
	expect "entries of host 3" 0 "$(get_spans 3 arp_entries)"
	log_test "who is not asked learns nothing"
}

who_knows_learns_always()
{
	RET=0
	hosts 3
	quiet 3
	host 3 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	expect "host 3 knows" "valid $(lladdr 1)" "$(arp_entry 3 10.0.0.1)"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	expect "not announced" "valid $(lladdr 1)" "$(arp_entry 3 10.0.0.1)"
	# Host 3 hears host 1 ask for somebody else.
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect "host 3 learned" "valid 02:00:00:00:00:00:00:41" "$(arp_entry 3 10.0.0.1)"
	expect "the kernel knows" "02:00:00:00:00:00:00:41" \
		"$(host 3 ip -j neigh show 10.0.0.1 | jq -r '.[0].lladdr')"
	expect "changed" 1 "$(get_spans 3 arp_changed)"
	log_test "who knows a host learns from whatever it says"
}

five_hosts()
{
	local i j

	RET=0
	hosts 5
	for ((i = 1; i <= 5; i++)); do
		for ((j = 1; j <= 5; j++)); do
			((i == j)) && continue
			host $i ping -q -c 1 -W 5 "10.0.0.$j" >/dev/null
			check_err $? "no answer from $j to $i"
			expect "host $i knows $j" "valid $(lladdr $j)" "$(arp_entry $i "10.0.0.$j")"
		done
	done
	log_test "five hosts"
}

# arp OPERATION SHA SPA TPA [SOURCE [HRD PRO HLN PLN]]: sends ARP to host 1 from host 2.
arp()
{
	local body

	body=${6:-4040}${7:-0800}${8:-08}${9:-04}$1${2//:/}$3$(printf '0%.0s' {1..16})$4
	station 2 frames 1 "$(frame "$(lladdr 1)" "${5:-$2}" 0806 "$body")"
	check_err $? "cannot send"
}

bad_arp_teaches_nothing()
{
	local peer own other ip=0a000063 us=0a000001

	RET=0
	hosts 2
	quiet 2
	peer=$(lladdr 2)
	own=$(lladdr 1)
	other=02:00:00:00:00:00:00:63
	arp 0001 ff:ff:ff:ff:ff:ff:ff:ff $ip $us
	arp 0001 "$own" $ip $us
	arp 0001 $other $ip $us "$peer"
	expect "drop_arp" 3 "$(queues 1 rx drop_arp)"
	arp 0001 $other $ip $us $other 0001
	arp 0001 $other $ip $us $other 4040 86dd
	arp 0001 $other $ip $us $other 4040 0800 06
	arp 0001 $other $ip $us $other 4040 0800 08 10
	arp 0003 $other $ip $us
	arp 0000 $other $ip $us
	expect "error_arp" 6 "$(queues 1 rx error_arp)"
	station 2 frames 1 "$(frame "$own" $other 0806 40400800)"
	check_err $? "cannot send"
	expect "error_short" 1 "$(queues 1 rx error_short)"
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	# From nobody and from everybody: heard, but not learned.
	arp 0001 $other 00000000 $us
	arp 0001 $other 0a0000ff $us
	arp 0001 $other e0000001 $us
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	# And the test can see one that teaches.
	arp 0002 $other $ip $us
	expect "entry" "valid $other" "$(arp_entry 1 10.0.0.99)"
	log_test "bad ARP teaches nothing"
}

without_arp()
{
	RET=0
	hosts 2
	quiet 2
	host 1 ip link set s0 arp off
	host 2 ping -q -c 1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "an answer from a device without ARP"
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	host 1 ip link set s0 arp on
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer after ARP is on again"
	log_test "ip link set arp off and on"
}

# A host that asked for us is known, though the stack was not to answer: its neighbour, which
# the first packet makes, gets the answer from the table.
table_answers()
{
	RET=0
	hosts 2
	quiet 2
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	write 1 net/ipv4/conf/s0/arp_ignore 8
	hear 2 arp
	send_arp 2 1 op=1 spa=10.0.0.2 tpa=10.0.0.1
	eventually "the table" "valid $(lladdr 2)" arp_entry 1 10.0.0.2
	expect "ip neigh" "" "$(neigh_entry 1 10.0.0.2)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	expect "requests" 0 "$(asked 2 10.0.0.2)"
	expect "ip neigh" "REACHABLE $(lladdr 2)" "$(neigh_entry 1 10.0.0.2)"
	log_test "the table answers the stack without a request"
}

tests_run
exit "$EXIT_STATUS"
