#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Duplicate addresses (another host sends ARP with the receiver's IPv4 address), and changes of
# a host's link address.
#
#   host 1: 10.0.0.1   host 2: 10.0.0.2   host 3: sends ARP as 10.0.0.1 or 10.0.0.2

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	logged
	answered_and_not_learned
	only_requests_are_answered
	other_address_of_known_host
	own_announcements_and_probes
	log_is_limited
	msglvl
	two_hosts_with_one_address
"
start_station

three()
{
	hosts 3
	quiet 3
	# Only host 1 receives the ARP of the test, so that no other host logs it.
	to="dst=$(lladdr 1)"
	log_begins
}

# replies: the number of ARP replies from host 1 to host 3.
replies() { captured 3 | grep -c " 2 $(lladdr 3) $(lladdr 1) $(lladdr 1) 10.0.0.1 "; }

logged()
{
	RET=0
	three
	send_arp 3 1 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	in_log() { log | grep "s0: .*10\.0\.0\.1\b" | grep -q "$(lladdr 3)"; }
	busywait 60000 in_log
	check_err $? "not in the log, with both addresses: '$(log)'"
	expect arp_duplicates 1 "$(get_spans 1 arp_duplicates)"
	log_test "a duplicate address is logged and counted"
}

answered_and_not_learned()
{
	RET=0
	three
	capture 3 arp
	send_arp 3 20 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually "replies to the duplicate" 20 replies
	expect arp_duplicates 20 "$(get_spans 1 arp_duplicates)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	expect arp_changed 0 "$(get_spans 1 arp_changed)"
	expect "ARP table" "" "$(arp_table 1)"
	expect "neighbour 10.0.0.1" "" "$(neigh 1 10.0.0.1)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply from host 2 to host 1"
	log_test "requests of a duplicate are answered, and not learned"
}

only_requests_are_answered()
{
	RET=0
	three
	capture 3 arp
	send_arp 3 10 op=2 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	send_arp 3 10 op=2 spa=10.0.0.1 tpa=10.0.0.2 "$to"
	eventually arp_duplicates 20 get_spans 1 arp_duplicates
	# Replies are sent when duplicates are counted.
	nap 100
	expect "ARP of host 1 at host 3" 0 "$(captured 3 | grep -c " $(lladdr 1) ")"
	# A request for another target with host 1's address as sender has to be answered, too.
	send_arp 3 10 op=1 spa=10.0.0.1 tpa=10.0.0.2 "$to"
	eventually "replies to requests of the duplicate" 10 replies
	expect arp_duplicates 30 "$(get_spans 1 arp_duplicates)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	expect "ARP table" "" "$(arp_table 1)"
	log_test "requests of a duplicate are answered, its replies are not"
}

other_address_of_known_host()
{
	local before last=100

	RET=0
	three
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	start 1 stdbuf -oL ip monitor neigh >/tmp/monitor
	defer kill_process $!
	defer rm -f /tmp/monitor
	# Until the monitor shows this change. Each change must be a different one, as the kernel only
	# announces changes.
	probe() {
		((++last))
		host 1 ip neigh replace 10.0.0.200 lladdr "$(lladdr $last)" dev s0 nud permanent
		grep -q 10.0.0.200 /tmp/monitor
	}
	busywait 60000 probe
	check_err $? "ip monitor shows no changes"

	send_arp 3 1 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	eventually "link address in the ARP table" "$(lladdr 3)" arp_table 1 10.0.0.2 2
	taken() { neigh 1 10.0.0.2 | grep -q "lladdr $(lladdr 3)"; }
	busywait 60000 taken
	check_err $? "ip neigh shows '$(neigh 1 10.0.0.2)'"
	expect arp_changed 1 "$(get_spans 1 arp_changed)"
	expect arp_duplicates 0 "$(get_spans 1 arp_duplicates)"
	told() { grep -q "10.0.0.2 .*lladdr $(lladdr 3)" /tmp/monitor; }
	busywait 60000 told
	check_err $? "not in ip monitor neigh: '$(cat /tmp/monitor)'"
	in_log() { log | grep "s0: .*10\.0\.0\.2 " | grep "$(lladdr 2)" | grep -q "$(lladdr 3)"; }
	busywait 60000 in_log
	check_err $? "not in the log, with both link addresses: '$(log)'"

	before=$(queues 3 rx packets)
	station 1 udp 10.0.0.2
	eventually "packets to the new link address" $((before + 1)) queues 3 rx packets

	# The same reply again is no change.
	before=$(queues 1 rx packets)
	send_arp 3 5 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	eventually "rx packets of host 1" $((before + 5)) queues 1 rx packets
	expect arp_changed 1 "$(get_spans 1 arp_changed)"
	log_test "a changed link address is learned, logged and counted"
}

# Host 1's own announcements, and address probes (RFC 5227) of host 3.
own_announcements_and_probes()
{
	RET=0
	three
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ping -q -c 2 -i 0.2 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	capture 3 arp
	send_arp 3 5 op=1 spa=0.0.0.0 tpa=10.0.0.1 "$to"
	eventually "replies to probes" 5 replies
	expect "entry of 0.0.0.0" "" "$(arp_table 1 0.0.0.0)"
	expect arp_duplicates 0 "$(get_spans 1 arp_duplicates)"
	expect "log lines" "" "$(log | grep duplicate)"
	log_test "own announcements and probes are no duplicates"
}

# net_ratelimit() lets the whole network stack log 10 lines in 5 seconds.
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
	between "log lines" 1 10 "$lines"
	log_test "the log of duplicates is rate limited"
}

# level: the message level of host 1 in hex.
level() { host 1 ethtool s0 | sed -n 's/.*message level: \(.*\) (.*/\1/p'; }

msglvl()
{
	RET=0
	three
	lines() { log | grep -c "s0: duplicate address 10\.0\.0\.1: $(lladdr 3)"; }
	expect "message level" 0x000000c1 "$(level)"
	host 1 ethtool -s s0 msglvl drv off
	check_err $? "cannot turn drv off"
	expect "message level without drv" 0x000000c0 "$(level)"
	send_arp 3 5 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually arp_duplicates 5 get_spans 1 arp_duplicates
	expect "log lines with drv off" 0 "$(lines)"
	# The message level outlasts down and up.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "message level after down and up" 0x000000c0 "$(level)"
	host 1 ethtool -s s0 msglvl 0x1
	check_err $? "cannot set a numeric message level"
	expect "numeric message level" 0x00000001 "$(level)"
	send_arp 3 5 op=1 spa=10.0.0.1 tpa=10.0.0.1 "$to"
	eventually "log lines with drv on" 5 lines
	expect "message level of another device" 0x000000c1 "$(host 2 ethtool s0 | sed -n 's/.*level: \(.*\) (.*/\1/p')"
	log_test "ethtool -s msglvl selects the logged messages"
}

# Without crafted ARP: the user adds an address that another host has.
two_hosts_with_one_address()
{
	local i owner

	RET=0
	announce=yes ipv6=off hosts 3
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "no reply from host 1"
	log_begins
	host 3 ip addr add 10.0.0.1/24 dev s0
	check_err $? "cannot add the address to host 3"
	# Host 3 announces it and host 1 replies: both detect the duplicate.
	for i in 1 3; do
		noticed() { [ "$(get_spans $i arp_duplicates)" -ge 1 ]; }
		busywait 60000 noticed
		check_err $? "host $i does not detect the duplicate"
		expect "host $i: entry of 10.0.0.1" "" "$(arp_table $i 10.0.0.1)"
		in_log() { log | grep "s0: duplicate.* 10\.0\.0\.1\b" | grep -q "$(lladdr $((4 - i)))"; }
		busywait 60000 in_log
		check_err $? "host $i: not in the log: '$(log)'"
	done
	owner=$(arp_table 2 10.0.0.1 2)
	[ "$owner" = "$(lladdr 1)" ] || [ "$owner" = "$(lladdr 3)" ]
	check_err $? "host 2 has 10.0.0.1 at '$owner'"
	# Host 3 can still use its own address.
	host 3 ping -q -c 1 -W 5 -I 10.0.0.3 10.0.0.2 >/dev/null
	check_err $? "no reply from host 2 to host 3"
	host 3 ip addr del 10.0.0.1/24 dev s0
	# Host 2 has the link address of the last sender; a new announcement corrects it.
	host 1 ip addr del 10.0.0.1/24 dev s0
	host 1 ip addr add 10.0.0.1/24 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply from host 2 to host 1 after the duplicate was removed"
	host 3 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "no reply from host 1 to host 3 after the duplicate was removed"
	log_test "two hosts with one address detect each other"
}

tests_run
exit "$EXIT_STATUS"
