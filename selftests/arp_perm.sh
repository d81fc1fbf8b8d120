#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Permanent entries: only the user changes or deletes them.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	used
	not_expired
	not_overwritten
	down_and_up
	address_change
	moved_to_namespace
	replaced
	deleted
	added_while_incomplete
	without_ipv4
	own_address
"
start_station

tick=$(scaled 50)

# three: 10.0.0.50, which no host has, is permanent at the link address of host 3.
three()
{
	hosts 3
	quiet 3
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "ip neigh add failed"
	still "after it was added" "$(lladdr 3)"
}

# still WHEN LLADDR: the entry and the neighbour must be permanent with LLADDR.
still()
{
	expect "entry $1" "$2 permanent perm" "$(arp_table 1 10.0.0.50 "2 3 4")"
	expect "neighbour $1" "10.0.0.50 lladdr $2 PERMANENT" "$(neigh 1 10.0.0.50 | sed 's/ *$//')"
}

gone()
{
	expect "entry $1" "" "$(arp_table 1 10.0.0.50)"
	expect "neighbour $1" "" "$(neigh 1 10.0.0.50)"
}

# goes_to I: a packet to 10.0.0.50 must reach host I without a request.
goes_to()
{
	local before requests

	before=$(queues "$1" rx packets)
	requests=$(get_spans 1 arp_requests)
	station 1 udp 10.0.0.50
	check_err $? "cannot send"
	eventually "packets received by host $1" $((before + 1)) queues "$1" rx packets
	expect arp_requests "$requests" "$(get_spans 1 arp_requests)"
}

used()
{
	RET=0
	three
	goes_to 3
	log_test "packets are sent to a permanent entry's address without a request"
}

not_expired()
{
	RET=0
	three
	set_spans 1 arp_tick_ms "$tick"
	# The entry of host 2, which does not reply, expires meanwhile.
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	write 2 net/ipv4/conf/s0/arp_ignore 8
	nap $((70 * tick))
	eventually "entry that is not permanent" "" arp_table 1 10.0.0.2
	still "after three lifetimes" "$(lladdr 3)"
	goes_to 3
	nap $((30 * tick))
	still "after another lifetime" "$(lladdr 3)"
	log_test "a permanent entry does not expire"
}

not_overwritten()
{
	local op

	RET=0
	three
	for op in 1 2; do
		send_arp 2 3 op=$op spa=10.0.0.50 tpa=10.0.0.1 dst="$(lladdr 1)"
		send_arp 2 3 op=$op spa=10.0.0.50 tpa=10.0.0.50
		nap 100
		still "after ARP of another host, operation $op" "$(lladdr 3)"
	done
	expect arp_changed 0 "$(get_spans 1 arp_changed)"
	goes_to 3
	log_test "ARP does not overwrite a permanent entry"
}

down_and_up()
{
	local i

	RET=0
	three
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	for ((i = 0; i < 3; i++)); do
		host 1 ip link set s0 down
		expect "neighbour while down" "" "$(neigh 1 10.0.0.50)"
		host 1 ip link set s0 up
		still "after down and up" "$(lladdr 3)"
	done
	# Other requests by which the kernel deletes neighbours.
	for i in "addr flush dev s0" "link set s0 arp off" "link set s0 arp on"; do
		# shellcheck disable=SC2086 # several words
		host 1 ip $i
		nap 100
		still "after ip $i" "$(lladdr 3)"
	done
	host 1 ip addr add 10.0.0.1/24 dev s0
	expect "entry that is not permanent, after down and up" "" "$(arp_table 1 10.0.0.2)"
	goes_to 3
	host 1 ip link set s0 down
	refused "No such file" ip -n "$NS1" neigh del 10.0.0.50 dev s0
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud stale
	check_err $? "cannot replace an entry while down"
	host 1 ip link set s0 up
	expect "entry that was set while down" "unverified $(lladdr 2)" "$(arp_entry 1 10.0.0.50)"
	log_test "permanent entries are restored after down and up"
}

address_change()
{
	RET=0
	three
	host 1 ip link set s0 address "$(lladdr 111)"
	check_err $? "cannot change the link address"
	still "after a change of the link address" "$(lladdr 3)"
	goes_to 3
	host 1 ip link set s0 down
	host 1 ip link set s0 address "$(lladdr 112)"
	host 1 ip link set s0 up
	still "after a change of the link address while down" "$(lladdr 3)"
	log_test "permanent entries are restored after a change of the link address"
}

moved_to_namespace()
{
	local back

	RET=0
	three
	back=$NS1
	setup_ns NS4
	ip -n "$NS1" link set s0 netns "$NS4"
	check_err $? "cannot move the device"
	NS1=$NS4
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ip link set s0 up
	gone "in another namespace"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	ip -n "$NS4" link set s0 netns "$back"
	NS1=$back
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ip link set s0 up
	gone "after it came back"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	log_test "permanent entries do not move to another namespace"
}

replaced()
{
	RET=0
	three
	refused "File exists" ip -n "$NS1" neigh add 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud permanent
	still "after a second add, which failed" "$(lladdr 3)"
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud permanent
	check_err $? "ip neigh replace failed"
	still "after it was replaced" "$(lladdr 2)"
	goes_to 2
	host 1 ip neigh change 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "ip neigh change failed"
	still "after it was changed" "$(lladdr 3)"
	goes_to 3
	# The last change is restored.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	still "after down and up" "$(lladdr 3)"
	# An entry that is no longer permanent is not restored.
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud stale
	expect "entry after replace, nud stale" "$(lladdr 2) unverified lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	host 1 ip addr add 10.0.9.1/24 dev s0
	host 1 ip addr del 10.0.9.1/24 dev s0
	expect "neighbour after replace, nud stale" "STALE $(lladdr 2)" "$(neigh_entry 1 10.0.0.50)"
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	gone "after down and up, no longer permanent"
	log_test "ip neigh replace and change of a permanent entry"
}

deleted()
{
	RET=0
	three
	host 1 ip neigh del 10.0.0.50 dev s0
	check_err $? "ip neigh del failed"
	gone "after it was deleted"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	gone "after down and up"
	# The address can be resolved again.
	host 2 ip addr add 10.0.0.50/24 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.50 >/dev/null
	check_err $? "no reply from host 2"
	expect "resolved entry" "$(lladdr 2) valid lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	log_test "ip neigh del of a permanent entry"
}

# Queued packets are sent when the user adds the entry.
added_while_incomplete()
{
	local before

	RET=0
	hosts 3
	quiet 3
	# Only one request is sent.
	set_spans 1 arp_retrans_ms 600000
	before=$(queues 3 rx packets)
	station 1 udp 10.0.0.50 10.0.0.50 10.0.0.50 10.0.0.50 10.0.0.50
	check_err $? "cannot send"
	expect "state" "- incomplete lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	still "after ip neigh replace" "$(lladdr 3)"
	# One request and five packets.
	eventually "packets received by host 3" $((before + 6)) queues 3 rx packets
	expect "waiters" 0 "$(arp_table 1 10.0.0.50 6)"
	log_test "a permanent entry is added while packets wait for a reply"
}

# The ancestor dereferences a null pointer here.
without_ipv4()
{
	RET=0
	ipv6=off hosts 3
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.9.1/32 dev lo
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "ip neigh add failed"
	still "on a device that is up" "$(lladdr 3)"
	host 1 ip route add 10.0.0.50 dev s0
	goes_to 3
	host 1 ip neigh del 10.0.0.50 dev s0
	check_err $? "ip neigh del failed"
	gone "after it was deleted"
	host 1 ip link set s0 down
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "cannot add an entry to a device that is down"
	host 1 ip link set s0 up
	still "on a device that was down" "$(lladdr 3)"
	host 1 ip addr add 10.0.0.1/24 dev s0
	still "after an address was added" "$(lladdr 3)"
	goes_to 3
	log_test "permanent entries of a device without an IPv4 address"
}

# If its address becomes a local one, a permanent neighbour is not restored, as the user could
# not delete it.
own_address()
{
	RET=0
	hosts 2
	host 1 ip neigh add 10.0.0.7 lladdr "$(lladdr 7)" dev s0 nud permanent
	host 1 ip addr add 10.0.0.7/32 dev s0
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "entry of a local address" "" "$(arp_entry 1 10.0.0.7)"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	host 1 ip addr del 10.0.0.7/32 dev s0
	host 1 ip neigh add 10.0.0.7 lladdr "$(lladdr 7)" dev s0 nud permanent
	expect "entry after the local address was deleted" "permanent $(lladdr 7)" \
		"$(arp_entry 1 10.0.0.7)"
	log_test "a permanent neighbour with a local address is not restored"
}

tests_run
exit "$EXIT_STATUS"
