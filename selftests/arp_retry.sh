#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who does not answer is asked arp_probes times, arp_retrans_ms apart more or less.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	number_and_spacing
	one_try
	more_packets_ask_no_more
	all_pending_are_asked
	pending_are_independent
	held_packets_are_sent
"
start_station

retry=$(scaled 500)
# A timer of the kernel may be an eighth late.
slack=$((retry / 8))
# Until the first: at once. A real clock goes on while the sender waits for a CPU; then what
# tells is that it is less than one pause.
at_once=$((retry * 13 / 16 - 1))
if virtual_clock; then at_once=10; fi

# three TRIES: host 1 asks, host 2 hears what is asked.
three()
{
	hosts 3
	quiet 3
	set_spans 1 arp_retrans_ms "$retry"
	set_spans 1 arp_probes "$1"
	set_spans 1 arp_hold_ms 60000
	hear 2 arp
}

# want ADDRESS...: host 1 has a datagram for them.
want()
{
	local said

	said=$(station 1 udp "$@")
	check_err $? "cannot send: $said"
}

# given_up TRIES ADDRESS...: wait until they are, and then for what must not come.
given_up()
{
	# The pauses differ by 3/16.
	nap $(($1 * (retry * 19 / 16 + slack)))
	expect "who is given up" "$(printf '%s\n' "${@:2}" | sort)" \
		"$(arp_table 1 | awk '$3 == "failed" { print $1 }' | sort)"
	nap $((3 * retry))
	heard 2 >/tmp/said
}

# times ADDRESS: when host 2 heard requests for it, as given_up saw it.
times() { awk -v address="$1" '$2 == 1 && $8 == address { print $1 }' /tmp/said; }

# gaps ADDRESS: between two of them.
gaps() { times "$1" | awk 'NR > 1 { print $1 - last } { last = $1 }'; }

number_and_spacing()
{
	local began gap total

	RET=0
	three 6
	began=$(now)
	want 10.0.0.9
	given_up 6 10.0.0.9
	expect "requests" 6 "$(asked 2 10.0.0.9)"
	expect "requests that are not to all" 0 "$(grep 10.0.0.9 /tmp/said | grep -vc " ff:ff:ff:ff:ff:ff:ff:ff ")"
	expect "requests that tell a target" 0 \
		"$(grep "10.0.0.9$" /tmp/said | grep -vc " 00:00:00:00:00:00:00:00 10.0.0.9$")"
	expect "requests of somebody else" 0 \
		"$(grep "10.0.0.9$" /tmp/said | grep -vc " $(lladdr 1) $(lladdr 1) 10.0.0.1 ")"
	between "ms until the first" 0 $at_once $(($(times 10.0.0.9 | head -n 1) - began))
	for gap in $(gaps 10.0.0.9); do
		between "ms between two" $((retry * 13 / 16)) $((retry * 19 / 16 + slack)) "$gap"
	done
	total=$(gaps 10.0.0.9 | awk '{ sum += $1 } END { print sum }')
	between "ms for all" $((5 * retry * 13 / 16)) $((5 * (retry * 19 / 16 + slack))) "$total"
	expect arp_failed 1 "$(get_spans 1 arp_failed)"
	log_test "number, spacing and bytes of requests"
}

one_try()
{
	RET=0
	three 1
	want 10.0.0.9
	given_up 1 10.0.0.9
	expect "requests" 1 "$(asked 2 10.0.0.9)"
	log_test "a single try"
}

more_packets_ask_no_more()
{
	local i

	RET=0
	three 3
	for ((i = 0; i < 10; i++)); do
		want 10.0.0.9 10.0.0.9 10.0.0.9
	done
	given_up 3 10.0.0.9
	expect "requests" 3 "$(asked 2 10.0.0.9)"
	log_test "more packets do not mean more requests"
}

# The ancestor only asked for the first one again, and for who was in its bucket.
all_pending_are_asked()
{
	local i who=() spread count=40

	RET=0
	three 4
	for ((i = 0; i < count; i++)); do
		who+=("10.0.0.$((100 + i))")
	done
	want "${who[@]}"
	given_up 4 "${who[@]}"
	expect "hosts that were asked for four times" $count "$(awk '$2 == 1 { print $8 }' /tmp/said |
		sort | uniq -c | grep -c '^ *4 10\.0\.0\.1[0-9][0-9]$')"
	expect arp_failed $count "$(get_spans 1 arp_failed)"
	# They are spread over the time: no burst of all.
	spread=$(awk '$2 == 1 && ++n[$8] == 2 { print $1 }' /tmp/said | sort -n |
		awk 'NR == 1 { first = $1 } { last = $1 } END { print last - first }')
	between "ms from first to last of the second requests" $((retry / 8)) \
		$((retry * 6 / 16 + slack)) "$spread"
	log_test "all pending hosts are asked again, not at one time"
}

# Somebody who answers, or is there already, changes nothing for the others.
pending_are_independent()
{
	RET=0
	three 4
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	want 10.0.0.9 10.0.0.3 10.0.0.10
	given_up 4 10.0.0.9 10.0.0.10
	expect "requests for the first" 4 "$(asked 2 10.0.0.9)"
	expect "requests for the last" 4 "$(asked 2 10.0.0.10)"
	expect "requests for one who answers" 1 "$(asked 2 10.0.0.3)"
	expect "requests for one who is known" 1 "$(asked 2 10.0.0.2)"
	expect "state of one who answers" valid "$(arp_table 1 10.0.0.3 3)"
	expect arp_failed 2 "$(get_spans 1 arp_failed)"
	log_test "only who does not answer is asked again"
}

held_packets_are_sent()
{
	RET=0
	three 10
	want 10.0.0.9 10.0.0.9 10.0.0.9 10.0.0.9 10.0.0.9
	expect "state" incomplete "$(arp_table 1 10.0.0.9 3)"
	# Only its answers count now.
	host 3 ip addr add 10.0.0.9/24 dev s0
	nap $((retry * 19 / 16 + slack))
	expect "state" valid "$(arp_table 1 10.0.0.9 3)"
	# Nobody listens on that port, which the host counts.
	strangers() { host 3 sed -n 's/^Udp: [0-9]* \([0-9]\+\) .*/\1/p' /proc/net/snmp; }
	expect "datagrams that came to who answered late" 5 "$(strangers)"
	expect "waiters" 0 "$(arp_table 1 10.0.0.9 6)"
	log_test "what was held is sent to who answers late"
}

tests_run
exit "$EXIT_STATUS"
