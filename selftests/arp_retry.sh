#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Retransmission of requests: arp_probes times, arp_retrans_ms apart plus or minus 3/16.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	number_and_spacing
	one_probe
	more_packets_no_more_requests
	all_incomplete_are_requested
	entries_are_independent
	queued_packets_are_sent
"
start_station

retry=$(scaled 500)
# A timer of the kernel may be an eighth late.
slack=$((retry / 8))
# The first request is sent at once. On a real clock, on which the sender waits for a CPU, it is
# only less than one pause.
at_once=$((retry * 13 / 16 - 1))
if virtual_clock; then at_once=10; fi

# three PROBES: host 1 sends requests, host 2 captures them.
three()
{
	hosts 3
	quiet 3
	set_spans 1 arp_retrans_ms "$retry"
	set_spans 1 arp_probes "$1"
	set_spans 1 arp_hold_ms 60000
	capture 2 arp
}

# want ADDRESS...: host 1 sends a datagram to each.
want()
{
	local said

	said=$(station 1 udp "$@")
	check_err $? "cannot send: $said"
}

# given_up PROBES ADDRESS...: waits until the entries have failed, and for excess requests.
given_up()
{
	# The pauses differ by 3/16.
	nap $(($1 * (retry * 19 / 16 + slack)))
	expect "failed entries" "$(printf '%s\n' "${@:2}" | sort)" \
		"$(arp_table 1 | awk '$3 == "failed" { print $1 }' | sort)"
	nap $((3 * retry))
	captured 2 >/tmp/requests
}

# times ADDRESS: the times in ms of captured requests for an address.
times() { awk -v address="$1" '$2 == 1 && $8 == address { print $1 }' /tmp/requests; }

# gaps ADDRESS: the differences of these times.
gaps() { times "$1" | awk 'NR > 1 { print $1 - last } { last = $1 }'; }

number_and_spacing()
{
	local began gap total

	RET=0
	three 6
	began=$(now)
	want 10.0.0.9
	given_up 6 10.0.0.9
	expect "requests" 6 "$(count_requests 2 10.0.0.9)"
	expect "requests that are not broadcast" 0 "$(grep 10.0.0.9 /tmp/requests | grep -vc " ff:ff:ff:ff:ff:ff:ff:ff ")"
	expect "requests with a target link address" 0 \
		"$(grep "10.0.0.9$" /tmp/requests | grep -vc " 00:00:00:00:00:00:00:00 10.0.0.9$")"
	expect "requests with another sender" 0 \
		"$(grep "10.0.0.9$" /tmp/requests | grep -vc " $(lladdr 1) $(lladdr 1) 10.0.0.1 ")"
	between "ms until the first request" 0 $at_once $(($(times 10.0.0.9 | head -n 1) - began))
	for gap in $(gaps 10.0.0.9); do
		between "ms between two requests" $((retry * 13 / 16)) $((retry * 19 / 16 + slack)) "$gap"
	done
	total=$(gaps 10.0.0.9 | awk '{ sum += $1 } END { print sum }')
	between "ms from the first to the last request" $((5 * retry * 13 / 16)) $((5 * (retry * 19 / 16 + slack))) "$total"
	expect arp_failed 1 "$(get_spans 1 arp_failed)"
	log_test "number, spacing and contents of requests"
}

one_probe()
{
	RET=0
	three 1
	want 10.0.0.9
	given_up 1 10.0.0.9
	expect "requests" 1 "$(count_requests 2 10.0.0.9)"
	log_test "a single request with arp_probes 1"
}

more_packets_no_more_requests()
{
	local i

	RET=0
	three 3
	for ((i = 0; i < 10; i++)); do
		want 10.0.0.9 10.0.0.9 10.0.0.9
	done
	given_up 3 10.0.0.9
	expect "requests" 3 "$(count_requests 2 10.0.0.9)"
	log_test "further packets cause no further requests"
}

# The ancestor only retransmitted for the first entry and its hash bucket.
all_incomplete_are_requested()
{
	local i addresses=() spread count=40

	RET=0
	three 4
	for ((i = 0; i < count; i++)); do
		addresses+=("10.0.0.$((100 + i))")
	done
	want "${addresses[@]}"
	given_up 4 "${addresses[@]}"
	expect "hosts with four requests" $count "$(awk '$2 == 1 { print $8 }' /tmp/requests |
		sort | uniq -c | grep -c '^ *4 10\.0\.0\.1[0-9][0-9]$')"
	expect arp_failed $count "$(get_spans 1 arp_failed)"
	# Retransmissions are spread over time, not a burst.
	spread=$(awk '$2 == 1 && ++n[$8] == 2 { print $1 }' /tmp/requests | sort -n |
		awk 'NR == 1 { first = $1 } { last = $1 } END { print last - first }')
	between "ms from the first to the last of the second requests" $((retry / 8)) \
		$((retry * 6 / 16 + slack)) "$spread"
	log_test "requests for all incomplete entries are repeated, spread over time"
}

# Replies, and entries that are valid, have no effect on other incomplete entries.
entries_are_independent()
{
	RET=0
	three 4
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	want 10.0.0.9 10.0.0.3 10.0.0.10
	given_up 4 10.0.0.9 10.0.0.10
	expect "requests for the first" 4 "$(count_requests 2 10.0.0.9)"
	expect "requests for the last" 4 "$(count_requests 2 10.0.0.10)"
	expect "requests for a host that replies" 1 "$(count_requests 2 10.0.0.3)"
	expect "requests for a valid entry" 1 "$(count_requests 2 10.0.0.2)"
	expect "state of a host that replies" valid "$(arp_table 1 10.0.0.3 3)"
	expect arp_failed 2 "$(get_spans 1 arp_failed)"
	log_test "requests are repeated only for hosts without a reply"
}

queued_packets_are_sent()
{
	RET=0
	three 10
	want 10.0.0.9 10.0.0.9 10.0.0.9 10.0.0.9 10.0.0.9
	expect "state" incomplete "$(arp_table 1 10.0.0.9 3)"
	# Host 3 replies from now on.
	host 3 ip addr add 10.0.0.9/24 dev s0
	nap $((retry * 19 / 16 + slack))
	expect "state" valid "$(arp_table 1 10.0.0.9 3)"
	# The port is closed, which the host counts (UDP NoPorts).
	no_ports() { host 3 sed -n 's/^Udp: [0-9]* \([0-9]\+\) .*/\1/p' /proc/net/snmp; }
	expect "queued datagrams received by host 3" 5 "$(no_ports)"
	expect "waiters" 0 "$(arp_table 1 10.0.0.9 6)"
	log_test "queued packets are sent after a late reply"
}

tests_run
exit "$EXIT_STATUS"
