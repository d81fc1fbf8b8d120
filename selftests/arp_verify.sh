#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A link address that the user says with doubt (stale, delay, probe) is verified when the
# first packet is sent there.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	spans_right
	spans_wrong
	spans_missing
	ethernet_right
	ethernet_wrong
	ethernet_missing
	probes_by_itself
	unused
	reachable
"
start_station

setup()
{
	hosts 3
	quiet 3
}

# said STATE I [J]: the user of host 1 says of host I that it has the address of host J.
said()
{
	host 1 ip neigh replace "10.0.0.$2" lladdr "$(lladdr "${3:-$2}")" dev s0 nud "$1"
	check_err $? "ip neigh replace ... nud $1"
}

# verified I: host 1 has the right address of host I.
verified()
{
	eventually "the table about host $1" "valid $(lladdr "$1")" arp_entry 1 "10.0.0.$1"
	eventually "ip neigh about host $1" "REACHABLE $(lladdr "$1")" neigh_entry 1 "10.0.0.$1"
}

right()
{
	local state

	RET=0
	for state in stale delay probe; do
		setup
		said $state 2
		# Nothing waits for the answer.
		host 1 ping -q -c 2 -i 0.2 -W 5 10.0.0.2 >/dev/null
		check_err $? "$state: no answer"
		verified 2
		expect "$state: arp_changed" 0 "$(get_spans 1 arp_changed)"
	done
	log_test "$medium: a right address is verified"
}

wrong()
{
	local state lost

	RET=0
	for state in stale delay probe; do
		setup
		said $state 2 3
		lost=$(host 1 ping -c 10 -i 0.1 -W 1 10.0.0.2 | grep -oE '[0-9]+ received')
		verified 2
		# One packet, or those that were sent before the answer was there.
		between "$state: of ten packets received" 7 10 "${lost% *}"
	done
	log_test "$medium: a wrong address is corrected"
}

missing()
{
	local state

	RET=0
	for state in stale delay probe; do
		setup
		set_spans 1 arp_retrans_ms 200
		said $state 9 3
		host 1 ping -q -c 1 -W 1 10.0.0.9 >/dev/null
		eventually "$state: the table" "failed -" arp_entry 1 10.0.0.9
		eventually "$state: ip neigh" "FAILED -" neigh_entry 1 10.0.0.9
		expect "$state: arp_failed" 1 "$(get_spans 1 arp_failed)"
	done
	log_test "$medium: an address of a host that is not there is given up"
}

spans_right() { right; }
spans_wrong() { wrong; }
spans_missing() { missing; }
ethernet_right() { medium=ethernet right; }
ethernet_wrong() { medium=ethernet wrong; }
ethernet_missing() { medium=ethernet missing; }

# The kernel asks without a packet in delay and probe, and everybody.
probes_by_itself()
{
	local state

	RET=0
	for state in delay probe; do
		setup
		hear 3 arp
		said $state 2 3
		verified 2
		expect "$state: requests to all" 1 "$(heard 3 | grep -c " 1 ff:.* 10.0.0.2\$")"
		expect "$state: requests to the wrong host" 0 \
			"$(heard 3 | grep -c " 1 $(lladdr 3) .* 10.0.0.2\$")"
	done
	log_test "delay and probe have it verified at once"
}

unused()
{
	RET=0
	setup
	set_spans 1 arp_tick_ms 200
	hear 3 arp
	said stale 2 3
	nap 2000
	expect "the table" "unverified $(lladdr 3)" "$(arp_entry 1 10.0.0.2)"
	expect "ip neigh" "STALE $(lladdr 3)" "$(neigh_entry 1 10.0.0.2)"
	nap 2300
	expect "the table after 20 ticks" "" "$(arp_entry 1 10.0.0.2)"
	expect "requests" 0 "$(heard 3 | grep -c " 1 .* 10.0.0.2\$")"
	log_test "an address that is not used is not verified, and ends"
}

# Without doubt it is believed, as veth believes it for as long as it is reachable.
reachable()
{
	RET=0
	setup
	hear 3 arp
	said reachable 2 3
	host 1 ping -q -c 1 -W 1 10.0.0.2 >/dev/null && check_err 1 "an answer"
	expect "the table" "valid $(lladdr 3)" "$(arp_entry 1 10.0.0.2)"
	expect "requests" 0 "$(heard 3 | grep -c " 1 .* 10.0.0.2\$")"
	log_test "an address that is said without doubt is believed"
}

tests_run
exit "$EXIT_STATUS"
