#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Somebody else has our address, or a host gets another link address.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	logged
	answered_and_not_learned
	only_requests_are_answered
	other_address_of_known_host
	own_words_are_no_duplicate
	log_is_limited
	msglvl
	two_hosts_with_one_address
"
start_station

three()
{
	hosts 3
	quiet 3
	# Nobody but host 1 hears what is sent to it, so nobody else writes to the log.
	to="dst=$(lladdr 1)"
	log_begins
}

# answers: how often host 1 told host 3 where it is.
answers() { heard 3 | grep -c " 2 $(lladdr 3) $(lladdr 1) $(lladdr 1) 10.0.0.1 "; }

logged()
{
	RET=0
	three
	send_arp 3 1 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	in_log() { log | grep "s0: .*10\.0\.0\.1\b" | grep -q "$(lladdr 3)"; }
	busywait 60000 in_log
	check_err $? "not in the log, with both addresses: '$(log)'"
	expect arp_duplicates 1 "$(get_spans 1 arp_duplicates)"
	log_test "somebody else with our address is logged and counted"
}

answered_and_not_learned()
{
	RET=0
	three
	hear 3 arp
	send_arp 3 20 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually "answers to who has our address" 20 answers
	expect arp_duplicates 20 "$(get_spans 1 arp_duplicates)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	expect arp_changed 0 "$(get_spans 1 arp_changed)"
	expect "the table" "" "$(arp_table 1)"
	expect "ip neigh" "" "$(neigh 1 10.0.0.1)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "host 1 does not reach others any more"
	log_test "our address is defended, and nothing is learned"
}

only_requests_are_answered()
{
	RET=0
	three
	hear 3 arp
	send_arp 3 10 op=2 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	send_arp 3 10 op=2 spa=10.0.0.1 tpa=10.0.0.2 "$to"
	eventually arp_duplicates 20 get_spans 1 arp_duplicates
	# Answers are sent where duplicates are counted, so they would be here by now.
	nap 100
	expect "what host 3 hears of host 1" 0 "$(heard 3 | grep -c " $(lladdr 1) ")"
	# A request for another address in our name has to be corrected, too.
	send_arp 3 10 op=1 spa=10.0.0.1 tpa=10.0.0.2 "$to"
	eventually "answers to who asks in our name" 10 answers
	expect arp_duplicates 30 "$(get_spans 1 arp_duplicates)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	expect "the table" "" "$(arp_table 1)"
	log_test "requests in our name are answered, answers are not"
}

other_address_of_known_host()
{
	local before last=100

	RET=0
	three
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	start 1 stdbuf -oL ip monitor neigh >/tmp/monitor
	defer kill_process $!
	defer rm -f /tmp/monitor
	# It hears when it hears this, which must be another one each time: the kernel tells
	# changes only.
	probe() {
		((++last))
		host 1 ip neigh replace 10.0.0.200 lladdr "$(lladdr $last)" dev s0 nud permanent
		grep -q 10.0.0.200 /tmp/monitor
	}
	busywait 60000 probe
	check_err $? "ip monitor does not hear"

	send_arp 3 1 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	eventually "link address in the table" "$(lladdr 3)" arp_table 1 10.0.0.2 2
	taken() { neigh 1 10.0.0.2 | grep -q "lladdr $(lladdr 3)"; }
	busywait 60000 taken
	check_err $? "ip neigh says '$(neigh 1 10.0.0.2)'"
	expect arp_changed 1 "$(get_spans 1 arp_changed)"
	expect arp_duplicates 0 "$(get_spans 1 arp_duplicates)"
	told() { grep -q "10.0.0.2 .*lladdr $(lladdr 3)" /tmp/monitor; }
	busywait 60000 told
	check_err $? "ip monitor neigh does not tell: '$(cat /tmp/monitor)'"
	in_log() { log | grep "s0: .*10\.0\.0\.2 " | grep "$(lladdr 2)" | grep -q "$(lladdr 3)"; }
	busywait 60000 in_log
	check_err $? "not in the log, with both link addresses: '$(log)'"

	before=$(queues 3 rx packets)
	station 1 udp 10.0.0.2
	eventually "packets that go to the other address" $((before + 1)) queues 3 rx packets

	# The same once more is no change.
	before=$(queues 1 rx packets)
	send_arp 3 5 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	eventually "repetitions that arrived" $((before + 5)) queues 1 rx packets
	expect arp_changed 1 "$(get_spans 1 arp_changed)"
	log_test "another link address of a known host is taken, logged and counted"
}

# What we say ourselves, and a probe of somebody who has no address yet.
own_words_are_no_duplicate()
{
	RET=0
	three
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ping -q -c 2 -i 0.2 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	hear 3 arp
	send_arp 3 5 op=1 spa=0.0.0.0 tpa=10.0.0.1 "$to"
	eventually "answers to who probes" 5 answers
	expect "the table's word about 0.0.0.0" "" "$(arp_table 1 0.0.0.0)"
	expect arp_duplicates 0 "$(get_spans 1 arp_duplicates)"
	expect "lines in the log" "" "$(log | grep duplicate)"
	log_test "our own words and probes are no duplicates"
}

# The kernel lets the network say 10 things in 5 seconds, all together.
log_is_limited()
{
	local lines

	RET=0
	three
	sysctl -qw net.core.message_cost="$message_cost"
	nap 5100
	send_arp 3 200 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually arp_duplicates 200 get_spans 1 arp_duplicates
	lines=$(log | grep "s0: .*10\.0\.0\.1\b" | grep -c "$(lladdr 3)")
	between "lines in the log" 1 10 "$lines"
	log_test "200 duplicates are few lines in the log"
}

# level: what ethtool says of host 1, which the kernel tells as names of classes, too.
level() { host 1 ethtool s0 | sed -n 's/.*message level: \(.*\) (.*/\1/p'; }

msglvl()
{
	RET=0
	three
	lines() { log | grep -c "s0: duplicate address 10\.0\.0\.1: $(lladdr 3)"; }
	expect "level" 0x000000c1 "$(level)"
	host 1 ethtool -s s0 msglvl drv off
	check_err $? "cannot switch drv off"
	expect "level without drv" 0x000000c0 "$(level)"
	send_arp 3 5 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually arp_duplicates 5 get_spans 1 arp_duplicates
	expect "lines while drv is off" 0 "$(lines)"
	# It is the device's, not the state's of being up.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "level after down and up" 0x000000c0 "$(level)"
	host 1 ethtool -s s0 msglvl 0x1
	check_err $? "cannot set a number"
	expect "level that was set as a number" 0x00000001 "$(level)"
	send_arp 3 5 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually "lines while drv is on" 5 lines
	expect "level of another device" 0x000000c1 "$(host 2 ethtool s0 | sed -n 's/.*level: \(.*\) (.*/\1/p')"
	log_test "ethtool -s msglvl selects the lines that are logged"
}

# What happens by itself when the user gives an address to a second host.
two_hosts_with_one_address()
{
	local i owner

	RET=0
	announce=yes ipv6=off hosts 3
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "no answer from host 1"
	log_begins
	host 3 ip addr add 10.0.0.1/24 dev s0
	check_err $? "cannot have the address twice"
	# Host 3 announces it, host 1 defends it, and each hears the other.
	for i in 1 3; do
		noticed() { [ "$(get_spans $i arp_duplicates)" -ge 1 ]; }
		busywait 60000 noticed
		check_err $? "host $i does not notice"
		expect "host $i: the table's word about it" "" "$(arp_table $i 10.0.0.1)"
		in_log() { log | grep "s0: duplicate.* 10\.0\.0\.1\b" | grep -q "$(lladdr $((4 - i)))"; }
		busywait 60000 in_log
		check_err $? "host $i: not in the log: '$(log)'"
	done
	owner=$(arp_table 2 10.0.0.1 2)
	[ "$owner" = "$(lladdr 1)" ] || [ "$owner" = "$(lladdr 3)" ]
	check_err $? "host 2 knows '$owner'"
	# Both go on under their addresses.
	host 3 ping -q -c 1 -W 5 -I 10.0.0.3 10.0.0.2 >/dev/null
	check_err $? "host 3 does not reach host 2"
	host 3 ip addr del 10.0.0.1/24 dev s0
	# Host 2 knows the one that spoke last, until the other one speaks.
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "host 1 does not reach host 2 when it is alone again"
	host 3 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "host 3 does not reach host 1 when its address is its own again"
	log_test "two hosts with one address notice each other"
}

tests_run
exit "$EXIT_STATUS"
