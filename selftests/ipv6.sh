#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IPv6 over 8-byte link addresses: the kernel's neighbour discovery works; autoconfiguration is
# not supported for an unknown link type.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	no_address_by_itself
	neighbour_discovery
	multicast
	duplicate_address
	unreachable
"

setup()
{
	local i

	hosts 2
	for i in 1 2; do
		host $i ip -6 addr add "fd00::$i/64" dev s0
		host $i ip -6 addr add "fe80::$i/64" dev s0
	done
	usable() { ! host 1 ip -6 addr show tentative | grep -q . &&
		! host 2 ip -6 addr show tentative | grep -q .; }
	busywait 20000 usable
	check_err $? "addresses stay tentative"
}

no_address_by_itself()
{
	RET=0
	hosts 2
	expect "addresses" "" "$(host 1 ip -6 addr show dev s0)"
	log_test "no autoconfigured link-local address"
}

neighbour_discovery()
{
	local to

	RET=0
	setup
	for to in fd00::2 fe80::2%s0; do
		host 1 ping -6 -q -c 2 -i 0.1 -W 5 $to >/dev/null
		check_err $? "no reply from $to"
		expect "$to" "$(lladdr 2)" \
			"$(host 1 ip -j -6 neigh show ${to%%%*} | jq -r '.[0].lladdr')"
	done
	log_test "neighbour discovery, global and link-local"
}

multicast()
{
	RET=0
	setup
	host 1 ping -6 -q -c 1 -W 5 ff02::1%s0 >/dev/null
	check_err $? "no reply to ff02::1"
	log_test "echo request to ff02::1"
}

duplicate_address()
{
	RET=0
	setup
	host 2 ip -6 addr add fd00::1/64 dev s0
	found() { host 2 ip -6 addr show dadfailed | grep -q fd00::1/64; }
	busywait 20000 found
	check_err $? "a duplicate address is not detected"
	log_test "duplicate address detection finds a duplicate"
}

unreachable()
{
	RET=0
	setup
	host 1 ping -6 -q -c 1 -W 8 fd00::9 >/dev/null
	check_fail $? "a reply from an address that no host has"
	expect "state" FAILED "$(host 1 ip -j -6 neigh show fd00::9 | jq -r '.[0].state[0]')"
	log_test "an address that no host has is unreachable"
}

tests_run
exit "$EXIT_STATUS"
