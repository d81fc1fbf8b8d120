#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A device has a carrier when it is up, its line is not cut, and somebody else on the
# segment is up whose line is not cut either.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	alone
	two
	three
	cut_and_mended
	cut_survives
	deleted
	moved
	known_at_once
	moved_at_once
	modes
	ipv6_at_once
	counted
	neighbours_stay
	arp_after_mending
	asked_at_once
	ipv6_comes_late
"

# members N: as hosts, but all is in one namespace, and nothing is up.
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

# carriers DEVICE...: 1, 0, or - for one that is down, for each of them.
carriers()
{
	local dev dir one found=

	dir=$(sys 1)/class/net
	for dev in "$@"; do
		# What a device that is down says cannot be read.
		{ read -r one <"$dir/$dev/carrier"; } 2>/dev/null || one=-
		found+=$one
	done
	echo "$found"
}

# changes DEVICE: how often it got and lost its carrier.
changes()
{
	local dir

	dir=$(sys 1)/class/net/$1
	echo "$(<"$dir/carrier_up_count") $(<"$dir/carrier_down_count")"
}

# state I: what `ip link` says of host I.
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
	# Others are none of its business.
	host 1 ip link add s1 type spans
	host 1 ip link set s1 up
	expect "on two segments" 00 "$(carriers s0 s1)"
	log_test "a lone device has none"
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
	expect "host 1, again" UP "$(state 1)"
	expect "host 2, again" UP "$(state 2)"
	expect "changes of host 1" "2 1" "$(changes s0)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	log_test "two have one, or none"
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
	expect "the first one down" -11 "$(carriers s0 s1 s2)"
	set_link s1 carrier off
	expect "and another one cut" -00 "$(carriers s0 s1 s2)"
	set_link s0 up
	expect "the first one up again" 101 "$(carriers s0 s1 s2)"
	set_link s1 carrier on
	expect "all as before" 111 "$(carriers s0 s1 s2)"
	expect "changes of the last one" "2 1" "$(changes s2)"
	log_test "with three it takes two"
}

cut_and_mended()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 up
	set_link s0 carrier off
	expect "two, one cut" 00 "$(carriers s0 s1)"
	set_link s0 carrier off
	set_link s1 carrier off
	expect "two, both cut" 00 "$(carriers s0 s1)"
	set_link s0 carrier on
	expect "two, the other one cut" 00 "$(carriers s0 s1)"
	set_link s1 carrier on
	expect "two, both mended" 11 "$(carriers s0 s1)"
	set_link s1 carrier on
	expect "changes" "2 1" "$(changes s0)"
	set_link s2 up
	set_link s1 carrier off
	expect "three, one cut" 101 "$(carriers s0 s1 s2)"
	expect "changes of who is not concerned" "2 1" "$(changes s0)"
	log_test "cut and mended"
}

cut_survives()
{
	RET=0
	members 2
	set_link s0 up
	set_link s1 up
	set_link s1 carrier off
	set_link s1 down
	set_link s1 up
	expect "cut, down and up" 00 "$(carriers s0 s1)"
	set_link s1 down
	set_link s1 carrier on
	expect "mended while down" 0- "$(carriers s0 s1)"
	set_link s1 up
	expect "mended while down, and up" 11 "$(carriers s0 s1)"
	set_link s1 down
	set_link s1 carrier off
	set_link s1 up
	expect "cut while down, and up" 00 "$(carriers s0 s1)"
	log_test "a line that is cut stays so while the device is down"
}

deleted()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 up
	set_link s2 up
	host 1 ip link del s1
	expect "one deleted" 11 "$(carriers s0 s2)"
	host 1 ip link del s0
	expect "another one deleted" 0 "$(carriers s2)"
	host 1 ip link add s0 link s2 type spans
	expect "another one made" 0- "$(carriers s2 s0)"
	set_link s0 up
	expect "and up" 11 "$(carriers s2 s0)"
	log_test "members are deleted and made"
}

moved()
{
	RET=0
	hosts 3
	host 1 ip link add s9 link s0 type spans
	host 3 ip link set s0 down
	host 2 ip link set s0 netns "$NS3" name s8
	expect "the other one moved" "DOWN NO-CARRIER" "$(state 1)"
	host 3 ip link set s8 up
	expect "and went up" UP "$(state 1)"
	ip netns del "$NS3"
	# The namespace's devices go some time later.
	eventually "its namespace is gone" "DOWN NO-CARRIER" state 1
	host 1 ip link set s9 up
	expect "another one goes up" UP "$(state 1)"
	log_test "members move between namespaces"
}

# operstates DEVICE...: what those know who wait for a message. To look at a carrier, or with
# `ip link show DEVICE`, has the kernel take note of it, this does not.
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

# knows STATES COMMAND...: the operational states of s0, s1 and s2 as soon as a command ends,
# without a moment in which the kernel could find the time.
knows()
{
	"${@:2}"
	check_err $? "cannot ${*:2}"
	expect "after '${*:2}'" "$1" "$(operstates s0 s1 s2)"
}

known_at_once()
{
	local try messages

	RET=0
	members 3
	ip -n "$NS1" -o monitor link >"$own_files/monitor" &
	defer kill_process $!
	nap 100
	for try in 1 2 3; do
		knows "down down down" set_link s0 up
		knows "up up down" set_link s1 up
		knows "up up up" set_link s2 up
		knows "up down up" set_link s1 down
		knows "down down down" set_link s2 down
		knows "up down up" set_link s2 up
		knows "down down down" set_link s2 carrier off
		knows "down down down" set_link s1 carrier off
		knows "down down down" set_link s1 up
		knows "up up down" set_link s1 carrier on
		knows "up up up" set_link s2 carrier on
		for dev in s0 s1 s2; do set_link $dev down; done
		nap 10
	done
	expect "changes of s0" "9 9" "$(changes s0)"
	expect "changes of s1" "6 6" "$(changes s1)"
	expect "changes of s2" "9 9" "$(changes s2)"
	nap 2000
	# One up and one down for each change, and none later.
	messages=$(grep -c ' s0[:@].*LOWER_UP.* state UP' "$own_files/monitor")
	between "messages that s0 is up" 9 18 "$messages"
	log_test "carriers are known as soon as they change"
}

moved_at_once()
{
	local try

	RET=0
	hosts 2
	for try in 1 2 3; do
		host 2 ip link set s0 netns "$NS1" name s1
		expect "the other one moved" "down down" "$(operstates s0 s1)"
		set_link s1 up
		expect "and went up" "up up" "$(operstates s0 s1)"
		set_link s1 netns "$NS2" name s0
		expect "and moved while it was up" down "$(operstates s0)"
		host 2 ip link set s0 up
		expect "and went up there" up "$(operstates s0)"
	done
	ip netns del "$NS2"
	# The namespace's devices go some time later.
	eventually "its namespace is gone" down operstates s0
	log_test "carriers are known as soon as members move"
}

modes()
{
	RET=0
	members 3
	set_link s0 up
	set_link s1 mode dormant
	knows "up dormant down" set_link s1 up
	knows "down down down" set_link s1 carrier off
	knows "up dormant down" set_link s1 carrier on
	knows "up up down" set_link s1 state up
	set_link s1 mode default
	knows "down down down" set_link s1 down
	knows "up up down" set_link s1 up
	log_test "a dormant device is dormant with a carrier"
}

ipv6_at_once()
{
	# For others the kernel makes no multicast routes when a device goes up.
	local medium=ethernet try said

	RET=0
	hosts 2
	host 1 ip addr add 2001:db8::1/64 dev s0 nodad
	for try in 1 2 3; do
		host 2 ip link set s0 down
		host 2 ip addr add 2001:db8::2/64 dev s0 nodad
		host 2 ip link set s0 up
		said=$(host 1 ping -c 1 -W 5 2001:db8::2)
		check_err $? "no answer"
		[[ $said =~ time=([0-9]+) ]] && between "ms, time $try" 0 99 "${BASH_REMATCH[1]}"
	done
	log_test "the first IPv6 packet waits for nothing"
}

# Until the kernel has heard of it the queues take what comes, and after that nothing
# comes.
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
	expect "waiting, one is left" 0 "$(ends 1 tx)"
	host 2 ip link set s0 down
	expect "lost with the carrier" 10 "$(queues 1 tx drop_no_carrier)"
	expect "all ends" 10 "$(ends 1 tx)"
	expect "dropped" 10 "$(stat 1 tx dropped)"
	stall 1 -1
	host 2 ip link set s0 up
	neighbours 3
	host 2 ip route replace unreachable 10.0.0.1/32
	send_udp 0 5
	received 5
	expect "all ends" 15 "$(ends 1 tx)"
	log_test "what waits is lost with the carrier, and counted"
}

neighbours_stay()
{
	RET=0
	hosts 3
	host 1 ip neigh add 10.0.0.7 dev s0 lladdr "$(lladdr 7)" nud permanent
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	host 3 ip link set s0 down
	expect "entries, one of the others is down" "10.0.0.2 10.0.0.7" \
		"$(arp_table 1 "" 1 | sort | xargs)"
	host 2 ip link set s0 down
	expect "entries, alone" 10.0.0.7 "$(arp_table 1 "" 1)"
	expect "neighbour" "" "$(neigh_entry 1 10.0.0.2)"
	expect "permanent" "PERMANENT $(lladdr 7)" "$(neigh_entry 1 10.0.0.7)"
	host 2 ip link set s0 up
	expect "permanent, later" "PERMANENT $(lladdr 7)" "$(neigh_entry 1 10.0.0.7)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	host 2 ip link set s0 down
	expect "kept" "10.0.0.2 10.0.0.7" "$(arp_table 1 "" 1 | sort | xargs)"
	expect "neighbour that is kept" "$(lladdr 2)" "$(neigh_entry 1 10.0.0.2 | cut -d' ' -f2)"
	log_test "neighbours, while the others come and go"
}

# Who did not answer as nobody was there is asked again.
arp_after_mending()
{
	RET=0
	hosts 3
	quiet 3
	set_spans 1 arp_hold_ms 600000
	set_spans 1 arp_retrans_ms 100
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	host 3 ip link set s0 carrier off
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_fail $? "an answer over a line that is cut"
	expect "who does not answer" failed "$(arp_table 1 10.0.0.3 3)"
	host 3 ip link set s0 carrier on
	# Nothing has changed for host 1, who cannot know.
	expect "who does not answer, later" failed "$(arp_table 1 10.0.0.3 3)"
	host 2 ip link set s0 down
	host 3 ip link set s0 down
	host 3 ip link set s0 up
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no answer: $(arp_table 1 10.0.0.3)"
	log_test "a carrier that is back forgives who did not answer"
}

# A request that went into a line without a carrier is not waited for.
asked_at_once()
{
	local pid mended

	RET=0
	hosts 2
	quiet 2
	set_spans 1 arp_retrans_ms 20000
	host 2 ip link set s0 carrier off
	enter 1 ping -q -c 1 -W 60 10.0.0.2 >/dev/null &
	pid=$!
	asking() { [ "$(arp_table 1 10.0.0.2 3)" = incomplete ]; }
	busywait 20000 asking
	check_err $? "nothing is asked for"
	nap 500
	expect "before" incomplete "$(arp_table 1 10.0.0.2 3)"
	mended=$(now)
	host 2 ip link set s0 carrier on
	wait $pid
	check_err $? "no answer: $(arp_table 1 10.0.0.2)"
	between "ms until there is an answer" 0 "$(scaled 1000)" $(($(now) - mended))
	log_test "a carrier that is back has hosts asked at once"
}

ipv6_comes_late()
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
	check_err $? "nobody looked for duplicates"
	host 2 ip addr add 2001:db8::2/64 dev s0 nodad
	host 1 ping -q -c 1 -W 5 2001:db8::2 >/dev/null
	check_err $? "no answer"
	log_test "duplicate address detection waits for the carrier"
}

tests_run
exit "$EXIT_STATUS"
