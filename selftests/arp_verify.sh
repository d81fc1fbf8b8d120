#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Unverified entries: a link address that the user sets with nud stale, delay or probe is
# verified by the first packet.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	spans_right
	spans_wrong
	spans_missing
	ethernet_right
	ethernet_wrong
	ethernet_missing
	delay_and_probe
	unused
	reachable
"
start_station

setup()
{
	hosts 3
	quiet 3
}

# set_neigh STATE I [J]: sets the neighbour of host I on host 1, with the link address of host J.
set_neigh()
{
	host 1 ip neigh replace "10.0.0.$2" lladdr "$(lladdr "${3:-$2}")" dev s0 nud "$1"
	check_err $? "ip neigh replace ... nud $1 failed"
}

# verified I: host 1 must have the right link address of host I.
verified()
{
	eventually "entry of host $1" "valid $(lladdr "$1")" arp_entry 1 "10.0.0.$1"
	eventually "neighbour of host $1" "REACHABLE $(lladdr "$1")" neigh_entry 1 "10.0.0.$1"
}

right()
{
	local state

	RET=0
	for state in stale delay probe; do
		setup
		set_neigh $state 2
		# Packets are sent before the reply.
		host 1 ping -q -c 2 -i 0.2 -W 5 10.0.0.2 >/dev/null
		check_err $? "$state: no reply"
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
		set_neigh $state 2 3
		lost=$(host 1 ping -c 10 -i 0.1 -W 1 10.0.0.2 | grep -oE '[0-9]+ received')
		verified 2
		# Packets before the reply are lost.
		between "$state: replies to ten packets" 7 10 "${lost% *}"
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
		set_neigh $state 9 3
		host 1 ping -q -c 1 -W 1 10.0.0.9 >/dev/null
		eventually "$state: entry" "failed -" arp_entry 1 10.0.0.9
		eventually "$state: neighbour" "FAILED -" neigh_entry 1 10.0.0.9
		expect "$state: arp_failed" 1 "$(get_spans 1 arp_failed)"
	done
	log_test "$medium: an address that no host has fails"
}

spans_right() { right; }
spans_wrong() { wrong; }
spans_missing() { missing; }
ethernet_right() { medium=ethernet right; }
ethernet_wrong() { medium=ethernet wrong; }
ethernet_missing() { medium=ethernet missing; }

# In delay and probe the kernel sends broadcast requests by itself.
delay_and_probe()
{
	local state

	RET=0
	for state in delay probe; do
		setup
		capture 3 arp
		set_neigh $state 2 3
		verified 2
		expect "$state: broadcast requests" 1 "$(captured 3 | grep -c " 1 ff:.* 10.0.0.2\$")"
		expect "$state: unicast requests to the wrong host" 0 \
			"$(captured 3 | grep -c " 1 $(lladdr 3) .* 10.0.0.2\$")"
	done
	log_test "nud delay and probe are verified without a packet"
}

unused()
{
	RET=0
	setup
	set_spans 1 arp_tick_ms 200
	capture 3 arp
	set_neigh stale 2 3
	nap 2000
	expect "entry" "unverified $(lladdr 3)" "$(arp_entry 1 10.0.0.2)"
	expect "neighbour" "STALE $(lladdr 3)" "$(neigh_entry 1 10.0.0.2)"
	nap 2300
	expect "entry after 20 ticks" "" "$(arp_entry 1 10.0.0.2)"
	expect "requests" 0 "$(captured 3 | grep -c " 1 .* 10.0.0.2\$")"
	log_test "an unused unverified entry expires without a request"
}

# nud reachable counts as a confirmation, as on other devices.
reachable()
{
	RET=0
	setup
	capture 3 arp
	set_neigh reachable 2 3
	host 1 ping -q -c 1 -W 1 10.0.0.2 >/dev/null && check_err 1 "a reply through the wrong address"
	expect "entry" "valid $(lladdr 3)" "$(arp_entry 1 10.0.0.2)"
	expect "requests" 0 "$(captured 3 | grep -c " 1 .* 10.0.0.2\$")"
	log_test "nud reachable is not verified"
}

tests_run
exit "$EXIT_STATUS"
