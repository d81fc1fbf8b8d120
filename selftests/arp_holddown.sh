#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Hold-down of failed entries: for arp_hold_ms no requests are sent, and packets fail at once.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	fails_without_reply
	ping_reports_unreachable
	fails_at_once
	requested_after_hold_down
	no_hold_down
	request_ends_hold_down
	announcement_ends_hold_down
	carrier_ends_hold_down
"
start_station

retry=$(scaled 200)
hold=$(scaled 4000)
# The time until a sender gets an error. The pauses differ by 3/16, a timer may be an eighth
# late, and the sender has to be woken.
least=$((3 * retry * 13 / 16))
most=$((3 * retry * 21 / 16 + $(scaled 100)))
# The same during the hold-down. On a real clock, on which the sender waits for a CPU, it is
# only less than one probe.
at_once=$((retry * 13 / 16 - 1))
if virtual_clock; then at_once=20; fi

# ask: sends a datagram; sets $after to the time in ms until the error.
ask()
{
	local said

	read -r said after < <(station 1 ask 10.0.0.9 20; echo)
	expect "error of the sender" EHOSTUNREACH "$said"
}

# silence [HOLD]: 10.0.0.9, which no host has, fails on host 1. Host 2 captures all requests.
silence()
{
	hosts 2
	quiet 2
	set_spans 1 arp_retrans_ms "$retry"
	set_spans 1 arp_probes 3
	set_spans 1 arp_hold_ms "${1:-$hold}"
	capture 2 arp
	ask
	failed_at=$(now)
}

state() { arp_table 1 "$1" 3; }

fails_without_reply()
{
	RET=0
	silence
	between "ms until the sender gets an error" $least $most "$after"
	expect "requests" 3 "$(count_requests 2 10.0.0.9)"
	expect "state" failed "$(state 10.0.0.9)"
	[[ "$(neigh 1 10.0.0.9)" == *FAILED* ]]
	check_err $? "the neighbour is not FAILED: '$(neigh 1 10.0.0.9)'"
	expect arp_failed 1 "$(get_spans 1 arp_failed)"
	log_test "an entry without a reply fails after arp_probes requests"
}

ping_reports_unreachable()
{
	local answer

	RET=0
	silence
	answer=$(host 1 ping -c 1 -W 5 10.0.0.9)
	[[ $answer == *"From 10.0.0.1 "*"Destination Host Unreachable"* ]]
	check_err $? "expected Destination Host Unreachable, found '$answer'"
	log_test "ping reports Destination Host Unreachable"
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
		check_err $? "the hold-down was over: this test tested nothing"
		between "ms until the sender gets an error" 0 $at_once "$after"
		expect "state" failed "$(state 10.0.0.9)"
	done
	expect "requests" 3 "$(count_requests 2 10.0.0.9)"
	log_test "during the hold-down packets fail at once without requests"
}

requested_after_hold_down()
{
	RET=0
	silence
	nap_until $((failed_at + hold + 10))
	expect "requests before" 3 "$(count_requests 2 10.0.0.9)"
	ask
	between "ms until the sender gets an error" $least $most "$after"
	expect "requests" 6 "$(count_requests 2 10.0.0.9)"
	expect arp_failed 2 "$(get_spans 1 arp_failed)"
	log_test "requests are sent again after the hold-down"
}

no_hold_down()
{
	RET=0
	silence 0
	ask
	expect "requests" 6 "$(count_requests 2 10.0.0.9)"
	log_test "requests are sent again at once with arp_hold_ms 0"
}

# alive ARP_NOTIFY: gives host 2 the address 10.0.0.9.
alive()
{
	host 2 sysctl -qw net.ipv4.conf.s0.arp_notify="$1"
	host 2 ip addr add 10.0.0.9/24 dev s0
}

reachable_at_once()
{
	host 1 ping -q -c 1 -W 1 10.0.0.9 >/dev/null
	check_err $? "no reply: $(arp_table 1 10.0.0.9)"
	(($(now) - failed_at < 60000))
	check_err $? "the hold-down was over: this test tested nothing"
	expect "state" valid "$(state 10.0.0.9)"
	[[ "$(neigh 1 10.0.0.9)" == *"lladdr $(lladdr 2)"* ]]
	check_err $? "ip neigh shows '$(neigh 1 10.0.0.9)'"
	expect "requests" 3 "$(count_requests 2 10.0.0.9)"
}

request_ends_hold_down()
{
	RET=0
	silence 60000
	alive 0
	expect "state before any ARP of the host" failed "$(state 10.0.0.9)"
	send_arp 2 1 op=1 spa=10.0.0.9 tpa=10.0.0.1
	reachable_at_once
	log_test "a request of a failed host ends its hold-down"
}

announcement_ends_hold_down()
{
	RET=0
	silence 60000
	alive 1
	announced() { [ "$(state 10.0.0.9)" = valid ]; }
	busywait 3000 announced
	check_err $? "the announcement was not learned: $(arp_table 1 10.0.0.9)"
	reachable_at_once
	log_test "an announcement of a failed host ends its hold-down"
}

# Requests may have failed for want of a carrier. Only with arp_evict_nocarrier=0 do entries
# outlast the loss of the carrier.
carrier_ends_hold_down()
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
	check_err $? "no reply: $(arp_table 1 10.0.0.9)"
	(($(now) - failed_at < 60000))
	check_err $? "the hold-down was over: this test tested nothing"
	log_test "carrier off and on ends the hold-down"
}

tests_run
exit "$EXIT_STATUS"
