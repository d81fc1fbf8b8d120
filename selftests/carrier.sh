#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Link state: a device has a carrier if it is up, not forced off (`ip link ... carrier off`),
# and another such device is on the segment.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	alone
	two
	three
	forced_off
	forced_off_while_down
	deleted
	moved
	operstate_at_once
	operstate_after_move
	modes
	ipv6_at_once
	counted
	entries_after_loss
	failed_entries
	incomplete_entries
	ipv6_dad
"

# members N: devices s0 to s(N-1) on one segment, all in $NS1 and down.
members()
{
	local i

	setup_ns NS1
	quiet 1
	host 1 ip link add s0 type spans
	for ((i = 1; i < $1; i++)); do
		host 1 ip link add s$i link s0 type spans
	done
}

# carriers DEVICE...: for each device 1, 0, or - if it is down.
carriers()
{
	local dev dir one found=

	dir=$(sys 1)/class/net
	for dev in "$@"; do
		# Reading fails while the device is down.
		{ read -r one <"$dir/$dev/carrier"; } 2>/dev/null || one=-
		found+=$one
	done
	echo "$found"
}

# changes DEVICE: carrier_up_count and carrier_down_count.
changes()
{
	local dir

	dir=$(sys 1)/class/net/$1
	echo "$(<"$dir/carrier_up_count") $(<"$dir/carrier_down_count")"
}

# state I: the state in `ip link` on host I.
state()
{
	local said

	said=$(host "$1" ip link show s0)
	[[ $said =~ "state "([A-Z]+) ]]
	echo "${BASH_REMATCH[1]}$([[ $said != *NO-CARRIER* ]] || echo " NO-CARRIER")"
}

set_link() { host 1 ip link set "$@"; }

alone()
{
	RET=0
	hosts 1
	expect "alone" "DOWN NO-CARRIER" "$(state 1)"
	expect "link detected" no "$(host 1 ethtool s0 | sed -n 's/.*Link detected: //p')"
	expect "changes" "0 0" "$(changes s0)"
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "alone, again" "DOWN NO-CARRIER" "$(state 1)"
	expect "changes" "0 0" "$(changes s0)"
	# A member of another segment does not matter.
	host 1 ip link add s1 type spans
	host 1 ip link set s1 up
	expect "on two segments" 00 "$(carriers s0 s1)"
	log_test "a lone device has no carrier"
}

two()
{
	RET=0
	hosts 2
	expect "host 1" UP "$(state 1)"
	expect "host 2" UP "$(state 2)"
	expect "changes of host 1" "1 0" "$(changes s0)"
	host 2 ip link set s0 down
	expect "host 1, alone" "DOWN NO-CARRIER" "$(state 1)"
	expect "host 2, down" DOWN "$(state 2)"
	expect "changes of host 1" "1 1" "$(changes s0)"
	host 2 ip link set s0 up
	expect "host 1, host 2 up again" UP "$(state 1)"
	expect "host 2, up again" UP "$(state 2)"
	expect "changes of host 1" "2 1" "$(changes s0)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	log_test "carrier of two devices"
}

three()
{
	RET=0
	members 3
	expect "all down" --- "$(carriers s0 s1 s2)"
	set_link s0 up
	expect "one up" 0-- "$(carriers s0 s1 s2)"
	set_link s2 up
	expect "two up" 1-1 "$(carriers s0 s1 s2)"
	set_link s1 up
	expect "three up" 111 "$(carriers s0 s1 s2)"
	set_link s0 down
	expect "s0 down" -11 "$(carriers s0 s1 s2)"
	set_link s1 carrier off
	expect "s0 down, s1 forced off" -00 "$(carriers s0 s1 s2)"
	set_link s0 up
	expect "s0 up again, s1 forced off" 101 "$(carriers s0 s1 s2)"
	set_link s1 carrier on
	expect "all up, none forced off" 111 "$(carriers s0 s1 s2)"
	expect "changes of s2" "2 1" "$(changes s2)"
	log_test "carrier of three devices"
}

forced_off()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 up
	set_link s0 carrier off
	expect "s0 forced off" 00 "$(carriers s0 s1)"
	set_link s0 carrier off
	set_link s1 carrier off
	expect "s0 and s1 forced off" 00 "$(carriers s0 s1)"
	set_link s0 carrier on
	expect "s1 forced off" 00 "$(carriers s0 s1)"
	set_link s1 carrier on
	expect "none forced off" 11 "$(carriers s0 s1)"
	set_link s1 carrier on
	expect "changes" "2 1" "$(changes s0)"
	set_link s2 up
	set_link s1 carrier off
	expect "s1 of three forced off" 101 "$(carriers s0 s1 s2)"
	expect "changes of s0, which keeps its carrier" "2 1" "$(changes s0)"
	log_test "ip link set carrier off and on"
}

forced_off_while_down()
{
	RET=0
	members 2
	set_link s0 up
	set_link s1 up
	set_link s1 carrier off
	set_link s1 down
	set_link s1 up
	expect "forced off, down and up" 00 "$(carriers s0 s1)"
	set_link s1 down
	set_link s1 carrier on
	expect "carrier on while down" 0- "$(carriers s0 s1)"
	set_link s1 up
	expect "carrier on while down, then up" 11 "$(carriers s0 s1)"
	set_link s1 down
	set_link s1 carrier off
	set_link s1 up
	expect "carrier off while down, then up" 00 "$(carriers s0 s1)"
	log_test "carrier off and on outlast down and up"
}

deleted()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 up
	set_link s2 up
	host 1 ip link del s1
	expect "s1 deleted" 11 "$(carriers s0 s2)"
	host 1 ip link del s0
	expect "s0 and s1 deleted" 0 "$(carriers s2)"
	host 1 ip link add s0 link s2 type spans
	expect "s0 created, down" 0- "$(carriers s2 s0)"
	set_link s0 up
	expect "s0 created, up" 11 "$(carriers s2 s0)"
	log_test "carrier when devices are deleted and created"
}

moved()
{
	RET=0
	hosts 3
	host 1 ip link add s9 link s0 type spans
	host 3 ip link set s0 down
	host 2 ip link set s0 netns "$NS3" name s8
	expect "the other device moved to another namespace" "DOWN NO-CARRIER" "$(state 1)"
	host 3 ip link set s8 up
	expect "the moved device up" UP "$(state 1)"
	ip netns del "$NS3"
	# The devices of a namespace are deleted asynchronously.
	eventually "its namespace deleted" "DOWN NO-CARRIER" state 1
	host 1 ip link set s9 up
	expect "another device up" UP "$(state 1)"
	log_test "carrier when devices move between namespaces"
}

# operstates DEVICE...: the states as last announced by linkwatch. Reading `carrier`, or
# `ip link show DEVICE`, would run linkwatch for the device; reading `operstate` does not.
operstates()
{
	local dev dir one found=()

	dir=$(sys 1)/class/net
	for dev in "$@"; do
		read -r one <"$dir/$dev/operstate"
		found+=("$one")
	done
	echo "${found[*]}"
}

# check_states STATES COMMAND...: checks the operational states of s0, s1 and s2 when a command
# returns, before linkwatch could have run by itself.
check_states()
{
	"${@:2}"
	check_err $? "cannot ${*:2}"
	expect "after '${*:2}'" "$1" "$(operstates s0 s1 s2)"
}

operstate_at_once()
{
	local try messages

	RET=0
	members 3
	ip -n "$NS1" -o monitor link >"$own_files/monitor" &
	defer kill_process $!
	nap 100
	for try in 1 2 3; do
		check_states "down down down" set_link s0 up
		check_states "up up down" set_link s1 up
		check_states "up up up" set_link s2 up
		check_states "up down up" set_link s1 down
		check_states "down down down" set_link s2 down
		check_states "up down up" set_link s2 up
		check_states "down down down" set_link s2 carrier off
		check_states "down down down" set_link s1 carrier off
		check_states "down down down" set_link s1 up
		check_states "up up down" set_link s1 carrier on
		check_states "up up up" set_link s2 carrier on
		for dev in s0 s1 s2; do set_link $dev down; done
		nap 10
	done
	expect "changes of s0" "9 9" "$(changes s0)"
	expect "changes of s1" "6 6" "$(changes s1)"
	expect "changes of s2" "9 9" "$(changes s2)"
	nap 2000
	# One or two messages for each change, and none later.
	messages=$(grep -c ' s0[:@].*LOWER_UP.* state UP' "$own_files/monitor")
	between "RTM_NEWLINK messages with s0 up" 9 18 "$messages"
	log_test "operstate is updated when ip link returns"
}

operstate_after_move()
{
	local try

	RET=0
	hosts 2
	for try in 1 2 3; do
		host 2 ip link set s0 netns "$NS1" name s1
		expect "the other device moved to another namespace" "down down" "$(operstates s0 s1)"
		set_link s1 up
		expect "the moved device up" "up up" "$(operstates s0 s1)"
		set_link s1 netns "$NS2" name s0
		expect "the device moved back while up" down "$(operstates s0)"
		host 2 ip link set s0 up
		expect "the device up there" up "$(operstates s0)"
	done
	ip netns del "$NS2"
	# The devices of a namespace are deleted asynchronously.
	eventually "its namespace deleted" down operstates s0
	log_test "operstate is updated when a device has moved"
}

modes()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 mode dormant
	check_states "up dormant down" set_link s1 up
	check_states "down down down" set_link s1 carrier off
	check_states "up dormant down" set_link s1 carrier on
	check_states "up up down" set_link s1 state up
	set_link s1 mode default
	check_states "down down down" set_link s1 down
	check_states "up up down" set_link s1 up
	log_test "link mode dormant"
}

ipv6_at_once()
{
	# Only for known link types the kernel adds multicast routes when a device goes up.
	local medium=ethernet try said

	RET=0
	hosts 2
	host 1 ip addr add 2001:db8::1/64 dev s0 nodad
	for try in 1 2 3; do
		host 2 ip link set s0 down
		host 2 ip addr add 2001:db8::2/64 dev s0 nodad
		host 2 ip link set s0 up
		said=$(host 1 ping -c 1 -W 5 2001:db8::2)
		check_err $? "no reply"
		[[ $said =~ time=([0-9]+) ]] && between "ms until the reply, time $try" 0 99 "${BASH_REMATCH[1]}"
	done
	log_test "the first IPv6 packet after up is not delayed"
}

# Packets that are queued when the carrier is lost; after that the stack sends none.
counted()
{
	RET=0
	hosts 3
	quiet 3
	neighbours 3
	host 2 ip route replace unreachable 10.0.0.1/32
	stall 1 0
	send_udp 0 10
	host 3 ip link set s0 down
	expect "packets sent or dropped while one other member is up" 0 "$(accounted 1 tx)"
	host 2 ip link set s0 down
	expect "drop_no_carrier" 10 "$(queues 1 tx drop_no_carrier)"
	expect "packets sent or dropped" 10 "$(accounted 1 tx)"
	expect "tx dropped" 10 "$(stat 1 tx dropped)"
	stall 1 -1
	host 2 ip link set s0 up
	neighbours 3
	host 2 ip route replace unreachable 10.0.0.1/32
	send_udp 0 5
	received 5
	expect "packets sent or dropped" 15 "$(accounted 1 tx)"
	log_test "queued packets are dropped and counted when the carrier is lost"
}

entries_after_loss()
{
	RET=0
	hosts 3
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr "$(lladdr 7)" nud permanent
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	host 3 ip link set s0 down
	expect "entries, host 3 down" "10.0.0.2 10.0.0.7" \
		"$(arp_table 1 "" 1 | sort | xargs)"
	host 2 ip link set s0 down
	expect "entries, hosts 2 and 3 down" 10.0.0.7 "$(arp_table 1 "" 1)"
	expect "neighbour, hosts 2 and 3 down" "" "$(neigh_entry 1 10.0.0.2)"
	expect "permanent neighbour" "PERMANENT $(lladdr 7)" "$(neigh_entry 1 10.0.0.7)"
	host 2 ip link set s0 up
	expect "permanent neighbour, host 2 up again" "PERMANENT $(lladdr 7)" "$(neigh_entry 1 10.0.0.7)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	host 2 ip link set s0 down
	expect "entries with arp_evict_nocarrier=0" "10.0.0.2 10.0.0.7" "$(arp_table 1 "" 1 | sort | xargs)"
	expect "neighbour with arp_evict_nocarrier=0" "$(lladdr 2)" "$(neigh_entry 1 10.0.0.2 | cut -d' ' -f2)"
	log_test "ARP table and neighbours when the carrier is lost and back"
}

# A host that failed while there was no carrier is requested again.
failed_entries()
{
	RET=0
	hosts 3
	quiet 3
	set_spans 1 arp_hold_ms 600000
	set_spans 1 arp_retrans_ms 100
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	host 3 ip link set s0 carrier off
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_fail $? "a reply from a device that is forced off"
	expect "state without a reply" failed "$(arp_table 1 10.0.0.3 3)"
	host 3 ip link set s0 carrier on
	# The carrier of host 1 has not changed.
	expect "state when host 3 has its carrier back" failed "$(arp_table 1 10.0.0.3 3)"
	host 2 ip link set s0 down
	host 3 ip link set s0 down
	host 3 ip link set s0 up
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no reply: $(arp_table 1 10.0.0.3)"
	log_test "failed entries are removed when the carrier is back"
}

# An incomplete entry is requested at once, not when arp_retrans_ms is over.
incomplete_entries()
{
	local pid began

	RET=0
	hosts 2
	quiet 2
	set_spans 1 arp_retrans_ms 20000
	host 2 ip link set s0 carrier off
	enter 1 ping -q -c 1 -W 60 10.0.0.2 >/dev/null &
	pid=$!
	asking() { [ "$(arp_table 1 10.0.0.2 3)" = incomplete ]; }
	busywait 20000 asking
	check_err $? "no incomplete entry"
	nap 500
	expect "state before the carrier is back" incomplete "$(arp_table 1 10.0.0.2 3)"
	began=$(now)
	host 2 ip link set s0 carrier on
	wait $pid
	check_err $? "no reply: $(arp_table 1 10.0.0.2)"
	between "ms until the reply" 0 "$(scaled 1000)" $(($(now) - began))
	log_test "incomplete entries are requested at once when the carrier is back"
}

ipv6_dad()
{
	RET=0
	hosts 2
	host 2 ip link set s0 down
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	host 1 ip addr add 2001:db8::1/64 dev s0
	nap 2500
	tentative() { host 1 ip -6 addr show dev s0 tentative | grep -c 2001:db8::1; }
	expect "tentative without a carrier" 1 "$(tentative)"
	host 2 ip link set s0 up
	certain() { [ "$(tentative)" = 0 ]; }
	busywait 60000 certain
	check_err $? "the address stays tentative"
	host 2 ip addr add 2001:db8::2/64 dev s0 nodad
	host 1 ping -q -c 1 -W 5 2001:db8::2 >/dev/null
	check_err $? "no reply"
	log_test "IPv6 duplicate address detection waits for the carrier"
}

tests_run
exit "$EXIT_STATUS"
