#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Permanent entries: what changes them, and what does not.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	used_as_told
	never_aged
	not_overwritten
	down_and_up
	address_change
	moved_away
	replaced
	deleted
	given_while_pending
	without_ipv4
	own_address
"
start_station

tick=$(scaled 50)

# three: 10.0.0.50 has the link address of host 3, and nobody the IP address.
three()
{
	hosts 3
	quiet 3
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "cannot add an entry"
	still "after it was added" "$(lladdr 3)"
}

# still WHEN LLADDR: both front panels know it.
still()
{
	expect "the table $1" "$2 permanent perm" "$(arp_table 1 10.0.0.50 "2 3 4")"
	expect "ip neigh $1" "10.0.0.50 lladdr $2 PERMANENT" "$(neigh 1 10.0.0.50 | sed 's/ *$//')"
}

gone()
{
	expect "the table $1" "" "$(arp_table 1 10.0.0.50)"
	expect "ip neigh $1" "" "$(neigh 1 10.0.0.50)"
}

# goes_to I: a packet to 10.0.0.50 comes to host I, and nobody is asked.
goes_to()
{
	local before requests

	before=$(queues "$1" rx packets)
	requests=$(get_spans 1 arp_requests)
	station 1 udp 10.0.0.50
	check_err $? "cannot send"
	eventually "packets that host $1 got" $((before + 1)) queues "$1" rx packets
	expect "requests" "$requests" "$(get_spans 1 arp_requests)"
}

used_as_told()
{
	RET=0
	three
	goes_to 3
	log_test "a permanent entry is used"
}

never_aged()
{
	RET=0
	three
	set_spans 1 arp_tick_ms "$tick"
	# Another one is there to prove that time passes, and is silent, or it would stay.
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	write 2 net/ipv4/conf/s0/arp_ignore 8
	nap $((70 * tick))
	eventually "who is not permanent" "" arp_table 1 10.0.0.2
	still "after three lives" "$(lladdr 3)"
	goes_to 3
	nap $((30 * tick))
	still "after another life" "$(lladdr 3)"
	log_test "a permanent entry does not age"
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
		still "after somebody else claimed it by operation $op" "$(lladdr 3)"
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
		expect "ip neigh while down" "" "$(neigh 1 10.0.0.50)"
		host 1 ip link set s0 up
		still "after down and up" "$(lladdr 3)"
	done
	# Whatever the kernel has forgotten, for whatever reason.
	for i in "addr flush dev s0" "link set s0 arp off" "link set s0 arp on"; do
		# shellcheck disable=SC2086 # several words
		host 1 ip $i
		nap 100
		still "after ip $i" "$(lladdr 3)"
	done
	host 1 ip addr add 10.0.0.1/24 dev s0
	expect "who is not permanent, after down and up" "" "$(arp_table 1 10.0.0.2)"
	goes_to 3
	host 1 ip link set s0 down
	refused "No such file" ip -n "$NS1" neigh del 10.0.0.50 dev s0
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud stale
	check_err $? "cannot replace it while down"
	host 1 ip link set s0 up
	expect "what was set while down" "unverified $(lladdr 2)" "$(arp_entry 1 10.0.0.50)"
	log_test "permanent entries are back after down and up"
}

address_change()
{
	RET=0
	three
	host 1 ip link set s0 address "$(lladdr 111)"
	check_err $? "cannot change the address"
	still "after another address" "$(lladdr 3)"
	goes_to 3
	host 1 ip link set s0 down
	host 1 ip link set s0 address "$(lladdr 112)"
	host 1 ip link set s0 up
	still "after another address while it was down" "$(lladdr 3)"
	log_test "permanent entries are back after a change of the link address"
}

moved_away()
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
	check_err $? "no answer"
	log_test "permanent entries do not move to another namespace"
}

replaced()
{
	RET=0
	three
	refused "File exists" ip -n "$NS1" neigh add 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud permanent
	still "after it could not be added once more" "$(lladdr 3)"
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud permanent
	check_err $? "cannot replace it"
	still "after it was replaced" "$(lladdr 2)"
	goes_to 2
	host 1 ip neigh change 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "cannot change it"
	still "after it was changed" "$(lladdr 3)"
	goes_to 3
	# And back after down and up as it was said last.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	still "after down and up" "$(lladdr 3)"
	# By what is not permanent: then it does not come back, whatever happens.
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 2)" dev s0 nud stale
	expect "the table" "$(lladdr 2) unverified lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	host 1 ip addr add 10.0.9.1/24 dev s0
	host 1 ip addr del 10.0.9.1/24 dev s0
	expect "ip neigh" "STALE $(lladdr 2)" "$(neigh_entry 1 10.0.0.50)"
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	gone "after down and up, not being permanent"
	log_test "permanent entries are replaced"
}

deleted()
{
	RET=0
	three
	host 1 ip neigh del 10.0.0.50 dev s0
	check_err $? "cannot delete it"
	gone "after it was deleted"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	gone "after down and up"
	# From now on it is like any other.
	host 2 ip addr add 10.0.0.50/24 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.50 >/dev/null
	check_err $? "no answer from who has the address"
	expect "the table" "$(lladdr 2) valid lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	log_test "permanent entries are deleted"
}

# What was held is sent to the link address that somebody told.
given_while_pending()
{
	local before

	RET=0
	hosts 3
	quiet 3
	# One request.
	set_spans 1 arp_retrans_ms 600000
	before=$(queues 3 rx packets)
	station 1 udp 10.0.0.50 10.0.0.50 10.0.0.50 10.0.0.50 10.0.0.50
	check_err $? "cannot send"
	expect "state" "- incomplete lookup" "$(arp_table 1 10.0.0.50 "2 3 4")"
	host 1 ip neigh replace 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	still "after it was told" "$(lladdr 3)"
	# A request, and five packets.
	eventually "packets that were held" $((before + 6)) queues 3 rx packets
	expect "waiters" 0 "$(arp_table 1 10.0.0.50 6)"
	log_test "an entry that is given while packets wait for it"
}

# The ancestor follows a null pointer here.
without_ipv4()
{
	RET=0
	ipv6=off hosts 3
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.9.1/32 dev lo
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "cannot add an entry"
	still "of a device that is up" "$(lladdr 3)"
	host 1 ip route add 10.0.0.50 dev s0
	goes_to 3
	host 1 ip neigh del 10.0.0.50 dev s0
	check_err $? "cannot delete it"
	gone "after it was deleted"
	host 1 ip link set s0 down
	host 1 ip neigh add 10.0.0.50 lladdr "$(lladdr 3)" dev s0 nud permanent
	check_err $? "cannot add an entry to a device that is down"
	host 1 ip link set s0 up
	still "of a device that was down" "$(lladdr 3)"
	host 1 ip addr add 10.0.0.1/24 dev s0
	still "when the device has got an address" "$(lladdr 3)"
	goes_to 3
	log_test "on a device without IPv4"
}

# A permanent neighbour whose address becomes our own does not come back, as nothing could
# delete it.
own_address()
{
	RET=0
	hosts 2
	host 1 ip neigh add 10.0.0.7 lladdr "$(lladdr 7)" dev s0 nud permanent
	host 1 ip addr add 10.0.0.7/32 dev s0
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "the table" "" "$(arp_entry 1 10.0.0.7)"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	host 1 ip addr del 10.0.0.7/32 dev s0
	host 1 ip neigh add 10.0.0.7 lladdr "$(lladdr 7)" dev s0 nud permanent
	expect "the table, when it is another host's again" "permanent $(lladdr 7)" \
		"$(arp_entry 1 10.0.0.7)"
	log_test "a permanent neighbour whose address becomes our own"
}

tests_run
exit "$EXIT_STATUS"
