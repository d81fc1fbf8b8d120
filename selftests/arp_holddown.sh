#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Who did not answer is left alone for arp_hold_ms: packets fail at once.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	given_up
	ping_is_told
	fails_at_once
	asked_anew
	no_hold_down
	comes_to_life
	announces_itself
	line_is_mended
"
start_station

retry=$(scaled 200)
hold=$(scaled 4000)
# Until a sender is told. The pauses differ by 3/16, a timer may be an eighth late, and
# the sender has to be woken.
least=$((3 * retry * 13 / 16))
most=$((3 * retry * 21 / 16 + $(scaled 100)))
# The same if it fails at once. A real clock goes on while the sender waits for a CPU; then
# what tells is that it is less than one try.
at_once=$((retry * 13 / 16 - 1))
if virtual_clock; then at_once=20; fi

# ask: a sender is told, after so many ms.
ask()
{
	local said

	read -r said after < <(station 1 ask 10.0.0.9 20; echo)
	expect "what a sender is told" EHOSTUNREACH "$said"
}

# silence [HOLD]: host 1 gave up 10.0.0.9, and host 2 hears all requests.
silence()
{
	hosts 2
	quiet 2
	set_spans 1 arp_retrans_ms "$retry"
	set_spans 1 arp_probes 3
	set_spans 1 arp_hold_ms "${1:-$hold}"
	hear 2 arp
	ask
	failed_at=$(now)
}

state() { arp_table 1 "$1" 3; }

given_up()
{
	RET=0
	silence
	between "ms until a sender is told" $least $most "$after"
	expect "requests" 3 "$(asked 2 10.0.0.9)"
	expect "state" failed "$(state 10.0.0.9)"
	[[ "$(neigh 1 10.0.0.9)" == *FAILED* ]]
	check_err $? "ip neigh should say FAILED, but says '$(neigh 1 10.0.0.9)'"
	expect arp_failed 1 "$(get_spans 1 arp_failed)"
	log_test "who does not answer is given up"
}

ping_is_told()
{
	local answer

	RET=0
	silence
	answer=$(host 1 ping -c 1 -W 5 10.0.0.9)
	[[ $answer == *"From 10.0.0.1 "*"Destination Host Unreachable"* ]]
	check_err $? "ping is not told, but says '$answer'"
	log_test "ping tells that a host is unreachable"
}

fails_at_once()
{
	local part

	RET=0
	silence
	for part in 2 50 95; do
		nap_until $((failed_at + hold * part / 100))
		ask
		(($(now) < failed_at + hold))
		check_err $? "asked too late: this test tests nothing"
		between "ms until a sender is told" 0 $at_once "$after"
		expect "state" failed "$(state 10.0.0.9)"
	done
	expect "requests" 3 "$(asked 2 10.0.0.9)"
	log_test "during the hold-down packets fail at once and nobody is asked"
}

asked_anew()
{
	RET=0
	silence
	nap_until $((failed_at + hold + 10))
	expect "requests of the first time" 3 "$(asked 2 10.0.0.9)"
	ask
	between "ms until a sender is told" $least $most "$after"
	expect "requests" 6 "$(asked 2 10.0.0.9)"
	expect arp_failed 2 "$(get_spans 1 arp_failed)"
	log_test "after the hold-down it starts anew"
}

no_hold_down()
{
	RET=0
	silence 0
	ask
	expect "requests" 6 "$(asked 2 10.0.0.9)"
	log_test "without a hold-down it starts anew at once"
}

# Host 2 is 10.0.0.9, too, from now on.
alive()
{
	host 2 sysctl -qw net.ipv4.conf.s0.arp_notify="$1"
	host 2 ip addr add 10.0.0.9/24 dev s0
}

reachable_at_once()
{
	host 1 ping -q -c 1 -W 1 10.0.0.9 >/dev/null
	check_err $? "no answer: $(arp_table 1 10.0.0.9)"
	(($(now) - failed_at < 60000))
	check_err $? "the hold-down was over before: this test tests nothing"
	expect "state" valid "$(state 10.0.0.9)"
	[[ "$(neigh 1 10.0.0.9)" == *"lladdr $(lladdr 2)"* ]]
	check_err $? "ip neigh says '$(neigh 1 10.0.0.9)'"
	expect "requests" 3 "$(asked 2 10.0.0.9)"
}

comes_to_life()
{
	RET=0
	silence 60000
	alive 0
	expect "state while it says nothing" failed "$(state 10.0.0.9)"
	send_arp 2 1 op=1 spa=10.0.0.9 tpa=10.0.0.1
	reachable_at_once
	log_test "a host that comes to life and asks for us is reachable"
}

announces_itself()
{
	RET=0
	silence 60000
	alive 1
	announced() { [ "$(state 10.0.0.9)" = valid ]; }
	busywait 3000 announced
	check_err $? "not heard: $(arp_table 1 10.0.0.9)"
	reachable_at_once
	log_test "a host that comes to life and tells all is reachable"
}

# Who was asked over a line that was cut could not answer. If the kernel forgets its
# neighbours with the line, there is nothing to end.
line_is_mended()
{
	RET=0
	silence 60000
	host 1 sysctl -qw net.ipv4.conf.s0.arp_evict_nocarrier=0
	alive 0
	host 1 ip link set s0 carrier off
	nap 100
	host 1 ip link set s0 carrier on
	nap 200
	host 1 ping -q -c 1 -W 5 10.0.0.9 >/dev/null
	check_err $? "no answer: $(arp_table 1 10.0.0.9)"
	(($(now) - failed_at < 60000))
	check_err $? "the hold-down was over before: this test tests nothing"
	log_test "a line that is mended ends it"
}

tests_run
exit "$EXIT_STATUS"
