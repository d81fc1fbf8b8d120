#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ARP tables are per device: moves between namespaces, deleted devices and namespaces, down, loss
# of the carrier or of the addresses.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

announce=yes

ALL_TESTS="
	bug_09_devices_do_not_share
	device_moves
	namespace_deleted
	carrier_loss
	carrier_loss_without_eviction
	down_and_up
	link_address_changes
	last_address
	arp_off
	own_addresses_of_other_devices
"
start_station

ping_host() { host "$1" ping -q -c 1 -W 5 "10.0.0.$2" >/dev/null; }

# The ancestor's table was global: two interfaces shared the entry of one IPv4 address.
bug_09_devices_do_not_share()
{
	local perm='lladdr 02:00:00:00:00:00:00:77 nud permanent'

	RET=0
	hosts 1
	host 1 ip link add s1 address 02:00:00:00:00:00:00:31 type spans
	host 1 ip link set s1 up
	host 1 ip addr add 10.0.0.31/24 dev s1
	# shellcheck disable=SC2086
	host 1 ip neigh add 10.0.0.7 dev s0 $perm
	expect "entry of s0" "permanent 02:00:00:00:00:00:00:77" "$(arp_entry 1 10.0.0.7)"
	expect "arp_entries of s1" 0 "$(host 1 cat /sys/class/net/s1/spans/arp_entries)"
	host 1 ip neigh add 10.0.0.7 dev s1 lladdr 02:00:00:00:00:00:00:78 nud permanent
	expect "entry of s0" "permanent 02:00:00:00:00:00:00:77" "$(arp_entry 1 10.0.0.7)"
	host 1 ip neigh del 10.0.0.7 dev s1
	expect "entry of s0" "permanent 02:00:00:00:00:00:00:77" "$(arp_entry 1 10.0.0.7)"
	log_test "devices do not share an ARP table"
}

device_moves()
{
	RET=0
	hosts 2
	ping_host 1 2
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
	expect "entries" 2 "$(get_spans 1 arp_entries)"
	setup_ns NS3
	ip -n "$NS1" link set s0 netns "$NS3"
	expect "entries in another namespace" 0 "$(get_spans 3 arp_entries)"
	host 3 ip addr add 10.0.0.1/24 dev s0
	host 3 ip link set s0 up
	expect "permanent entry in another namespace" "" "$(arp_entry 3 10.0.0.7)"
	expect "arp_notify in another namespace" 1 "$(host 3 sysctl -n net.ipv4.conf.s0.arp_notify)"
	host 3 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply in another namespace"
	log_test "the ARP table is empty after a move to another namespace"
}

# With incomplete entries, queued packets and failed entries.
namespace_deleted()
{
	local i

	RET=0
	for ((i = 0; i < 6; i++)); do
		hosts 2
		set_spans 1 arp_retrans_ms 20
		set_spans 1 arp_hold_ms 20
		ping_host 1 2
		# The kernel does not queue all of these packets.
		station 1 udp 10.0.0.{3..99} >/dev/null
		host 1 ip neigh add 10.0.1.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
		sleep 0.0$i
		ip netns del "$NS1"
		check_err $? "ip netns del failed"
	done
	cleanup_all_ns
	gone() { ! compgen -G "/sys/kernel/debug/spans-*" >/dev/null; }
	busywait 60000 gone
	check_err $? "debugfs folders of deleted devices still exist"
	log_test "a namespace is deleted with entries in all states"
}

carrier_loss()
{
	RET=0
	hosts 2
	ping_host 1 2
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
	host 1 ip link set s0 carrier off
	eventually "entries" 1 get_spans 1 arp_entries
	eventually "neighbour 10.0.0.2" "" neigh_entry 1 10.0.0.2
	expect "permanent neighbour" "PERMANENT 02:00:00:00:00:00:00:77" "$(neigh_entry 1 10.0.0.7)"
	host 1 ip link set s0 carrier on
	ping_host 1 2
	check_err $? "no reply after the carrier is back"
	log_test "loss of the carrier removes entries that are not permanent"
}

carrier_loss_without_eviction()
{
	RET=0
	hosts 2
	ping_host 1 2
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	host 1 ip link set s0 carrier off
	sleep 2
	expect "entries" 1 "$(get_spans 1 arp_entries)"
	expect "neighbour's link address" "$(lladdr 2)" "$(neigh_entry 1 10.0.0.2 | cut -d' ' -f2)"
	log_test "loss of the carrier with arp_evict_nocarrier=0 keeps entries"
}

# The next packet causes a request, by which the other host learns the new link address.
link_address_changes()
{
	RET=0
	announce='' hosts 2
	ping_host 1 2
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
	host 1 ip link set s0 address "$(lladdr 65)"
	expect "entries" 1 "$(get_spans 1 arp_entries)"
	expect "permanent neighbour" "PERMANENT 02:00:00:00:00:00:00:77" "$(neigh_entry 1 10.0.0.7)"
	host 1 ping -q -c 1 -W 2 10.0.0.2 >/dev/null
	check_err $? "no reply to the first packet from the new link address"
	expect "entry of host 2" "valid $(lladdr 65)" "$(arp_entry 2 10.0.0.1)"
	log_test "change of the link address without an announcement"
}

last_address()
{
	RET=0
	hosts 2
	ip -n "$NS1" addr add 10.0.2.1/24 dev s0
	ping_host 1 2
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
	ip -n "$NS1" addr del 10.0.2.1/24 dev s0
	expect "entries with an address left" 2 "$(get_spans 1 arp_entries)"
	ip -n "$NS1" addr del 10.0.0.1/24 dev s0
	expect "entries without an address" 1 "$(get_spans 1 arp_entries)"
	ip -n "$NS1" addr add 10.0.0.1/24 dev s0
	ping_host 1 2
	check_err $? "no reply with an address again"
	log_test "deletion of the last IPv4 address"
}

arp_off()
{
	RET=0
	hosts 2
	ping_host 1 2
	expect "entries" 1 "$(get_spans 1 arp_entries)"
	ip -n "$NS1" link set s0 arp off
	expect "entries without ARP" 0 "$(get_spans 1 arp_entries)"
	ip -n "$NS1" link set s0 arp on
	ping_host 1 2
	check_err $? "no reply with ARP on again"
	log_test "ip link set arp off removes all entries"
}

down_and_up()
{
	RET=0
	hosts 2
	ping_host 1 2
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr 02:00:00:00:00:00:00:77 nud permanent
	host 1 ip link set s0 down
	expect "entries while down" 1 "$(get_spans 1 arp_entries)"
	host 1 ip link set s0 up
	expect "permanent neighbour" "PERMANENT 02:00:00:00:00:00:00:77" "$(neigh_entry 1 10.0.0.7)"
	ping_host 1 2
	check_err $? "no reply after down and up"
	log_test "down and up keep permanent entries"
}

# Two devices of one host on one segment: an address of the other device is no duplicate.
own_addresses_of_other_devices()
{
	RET=0
	hosts 2
	host 1 ip link add s1 link s0 address 02:00:00:00:00:00:00:31 type spans
	host 1 ip link set s1 up
	host 1 ip addr add 10.0.0.31/32 dev s1
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	expect arp_duplicates 0 "$(get_spans 1 arp_duplicates)"
	expect "arp_duplicates of s1" 0 "$(host 1 cat /sys/class/net/s1/spans/arp_duplicates)"
	log_test "addresses of another device of the same host are no duplicates"
}

tests_run
exit "$EXIT_STATUS"
