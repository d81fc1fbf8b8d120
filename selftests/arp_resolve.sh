#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Address resolution: queued packets, and which hosts learn from requests, replies and invalid
# ARP.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	packets_are_queued
	queue_is_bounded
	target_learns_sender
	other_hosts_learn_nothing
	known_sender_is_updated
	five_hosts
	invalid_arp
	without_arp
	resolved_by_table
"

start_station

# start_late: two hosts; host 2 replies after a second.
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

packets_are_queued()
{
	local asked_at

	RET=0
	start_late
	asked_at=$(now)
	station 1 udp 10.0.0.2 10.0.0.2 10.0.0.2 10.0.0.2 10.0.0.2
	check_err $? "cannot send"
	# Reading the counter takes time, too.
	nap_until $((asked_at + 400))
	expect "datagrams received before the reply" 0 "$(udp_received)"
	nap_until $((asked_at + 1300))
	expect "datagrams received" 5 "$(udp_received)"
	expect arp_requests 1 "$(get_spans 1 arp_requests)"
	expect arp_resolved 1 "$(get_spans 1 arp_resolved)"
	log_test "packets are queued until the reply"
}

queue_is_bounded()
{
	local full arrived

	RET=0
	start_late
	dropped NEIGH_QUEUEFULL send_udp 0 200 1000
	full=$reasons
	[ "$full" -ge 100 ]
	check_err $? "only $full of 200 packets were dropped as NEIGH_QUEUEFULL"
	some_came() { [ "$(udp_received)" = $((200 - full)) ]; }
	busywait 60000 some_came
	arrived=$(udp_received)
	expect "datagrams received or dropped" 200 $((arrived + full))
	[ "$arrived" -ge 10 ]
	check_err $? "only $arrived of 200 packets were queued"
	log_test "the queue for unresolved packets is bounded"
}

target_learns_sender()
{
	RET=0
	hosts 2
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	expect "entry of host 1" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	expect "entry of host 2" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	expect "arp_requests of host 2" 0 "$(get_spans 2 arp_requests)"
	expect "arp_learned of host 2" 1 "$(get_spans 2 arp_learned)"
	log_test "the target of a request learns its sender"
}

other_hosts_learn_nothing()
{
	RET=0
	hosts 3
	quiet 3
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect "host 3 received a packet" 1 "$(queues 3 rx packets | awk '{ print ($1 >= 1) }')"
	expect "entries of host 3" 0 "$(get_spans 3 arp_entries)"
	log_test "hosts that are not the target learn no new sender"
}

known_sender_is_updated()
{
	RET=0
	hosts 3
	quiet 3
	host 3 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	expect "entry of host 3" "valid $(lladdr 1)" "$(arp_entry 3 10.0.0.1)"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	expect "entry of host 3 without an announcement" "valid $(lladdr 1)" "$(arp_entry 3 10.0.0.1)"
	# Host 3 receives a request for host 2.
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect "entry of host 3 after a request for host 2" "valid 02:00:00:00:00:00:00:41" "$(arp_entry 3 10.0.0.1)"
	expect "neighbour of host 3" "02:00:00:00:00:00:00:41" \
		"$(host 3 ip -j neigh show 10.0.0.1 | jq -r '.[0].lladdr')"
	expect arp_changed 1 "$(get_spans 3 arp_changed)"
	log_test "any ARP of a known sender updates its entry"
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
			check_err $? "no reply from host $j to host $i"
			expect "entry of host $j at host $i" "valid $(lladdr $j)" "$(arp_entry $i "10.0.0.$j")"
		done
	done
	log_test "resolution between all pairs of five hosts"
}

# arp OPERATION SHA SPA TPA [SOURCE [HRD PRO HLN PLN]]: sends ARP from host 2 to host 1.
arp()
{
	local body

	body=${6:-4040}${7:-0800}${8:-08}${9:-04}$1${2//:/}$3$(printf '0%.0s' {1..16})$4
	station 2 frames 1 "$(frame "$(lladdr 1)" "${5:-$2}" 0806 "$body")"
	check_err $? "cannot send"
}

invalid_arp()
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
	# Sender addresses 0.0.0.0, broadcast and multicast: accepted, but not learned.
	arp 0001 $other 00000000 $us
	arp 0001 $other 0a0000ff $us
	arp 0001 $other e0000001 $us
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	# A reply that was not requested creates no entry, as in the kernel's ARP; a request does.
	arp 0002 $other $ip $us
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	arp 0001 $other $ip $us
	expect "entry" "valid $other" "$(arp_entry 1 10.0.0.99)"
	log_test "invalid ARP is dropped or not learned"
}

without_arp()
{
	RET=0
	hosts 2
	quiet 2
	host 1 ip link set s0 arp off
	host 2 ping -q -c 1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "a reply from a device without ARP"
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	host 1 ip link set s0 arp on
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply after ARP is on again"
	log_test "ip link set arp off disables resolution"
}

# An unsolicited entry exists, though the stack did not reply to the request (arp_ignore). The
# neighbour that the first packet creates is updated from it.
resolved_by_table()
{
	RET=0
	hosts 2
	quiet 2
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	write 1 net/ipv4/conf/s0/arp_ignore 8
	capture 2 arp
	send_arp 2 1 op=1 spa=10.0.0.2 tpa=10.0.0.1
	eventually "entry of host 2" "valid $(lladdr 2)" arp_entry 1 10.0.0.2
	expect "neighbour before the first packet" "" "$(neigh_entry 1 10.0.0.2)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	expect "requests" 0 "$(count_requests 2 10.0.0.2)"
	expect "neighbour after the first packet" "REACHABLE $(lladdr 2)" "$(neigh_entry 1 10.0.0.2)"
	log_test "a neighbour is updated from the table without a request"
}

tests_run
exit "$EXIT_STATUS"
