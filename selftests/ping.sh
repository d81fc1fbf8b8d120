#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# IPv4 over 8-byte link addresses: ARP, packet sizes, TCP, between two and five hosts.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	two_hosts
	sizes
	after_down_and_up
	after_address_change
	five_hosts
	tcp
"

# ping FROM TO [OPTION...]
ping_host()
{
	local from=$1 to=$2
	shift 2
	host "$from" ping -q -W 5 "$@" "10.0.0.$to" >/dev/null
}

two_hosts()
{
	RET=0
	hosts 2
	ping_host 1 2 -c 5 -i 0.1
	check_err $? "no reply"
	expect "link address of host 2 at host 1" "$(lladdr 2)" \
		"$(host 1 ip -j neigh show 10.0.0.2 | jq -r '.[0].lladdr')"
	expect "link address of host 1 at host 2" "$(lladdr 1)" \
		"$(host 2 ip -j neigh show 10.0.0.1 | jq -r '.[0].lladdr')"
	log_test "ping between two hosts"
}

sizes()
{
	local size

	RET=0
	hosts 2
	# 28 bytes of IP and ICMP are part of the MTU: 9152 fills it.
	for size in 0 1 1472 9152; do
		ping_host 1 2 -c 2 -i 0.1 -M "do" -s $size
		check_err $? "no reply to $size bytes"
	done
	ping_host 1 2 -c 1 -M "do" -s 9153 2>/dev/null
	check_fail $? "a reply to a packet longer than the MTU"
	ping_host 1 2 -c 2 -i 0.1 -s 30000
	check_err $? "no reply to fragments"
	log_test "packet sizes up to the MTU"
}

after_down_and_up()
{
	RET=0
	hosts 2
	ping_host 1 2 -c 1
	check_err $? "no reply"
	host 2 ip link set s0 down
	ping_host 1 2 -c 1 -W 1
	check_fail $? "a reply from a device that is down"
	host 2 ip link set s0 up
	ping_host 1 2 -c 2 -i 0.1
	check_err $? "no reply after down and up"
	log_test "ping after down and up"
}

after_address_change()
{
	RET=0
	hosts 2
	ping_host 1 2 -c 1
	check_err $? "no reply"
	host 2 ip link set s0 address "$(lladdr 200)"
	host 1 ip neigh flush dev s0
	ping_host 1 2 -c 2 -i 0.1
	check_err $? "no reply from the new address"
	expect "link address of host 2 at host 1" "$(lladdr 200)" \
		"$(host 1 ip -j neigh show 10.0.0.2 | jq -r '.[0].lladdr')"
	# The old address has no member.
	host 1 ip neigh replace 10.0.0.2 lladdr "$(lladdr 2)" dev s0 nud permanent
	ping_host 1 2 -c 1 -W 1
	check_fail $? "a reply from the old address"
	log_test "ping after a change of the link address"
}

five_hosts()
{
	local from answered others

	RET=0
	hosts 5
	# One shell per host, as processes are most of the run time.
	# shellcheck disable=SC2016 # for the other shell
	for from in 1 2 3 4 5; do
		answered=$(enter $from sh -c 'for to in 1 2 3 4 5; do
			[ $to = $0 ] || ! ping -q -W 5 -c 1 10.0.0.$to >/dev/null || printf " $to"
		done' $from)
		check_err $? "cannot run ping on host $from"
		others=" 1 2 3 4 5"
		expect "hosts that reply to host $from" "${others/ $from/}" "$answered"
	done
	log_test "ping between all pairs of five hosts"
}

tcp()
{
	local sum got

	RET=0
	hosts 2
	sum=$(seq 200000 | sha256sum)
	host 2 socat -u TCP-LISTEN:5000,reuseaddr CREATE:/tmp/tcp.$$ &
	wait_local_port_listen "$NS2" 5000 tcp
	seq 200000 | host 1 socat -u - TCP:10.0.0.2:5000
	check_err $? "connection failed"
	wait $!
	got=$(sha256sum </tmp/tcp.$$)
	rm -f /tmp/tcp.$$
	expect "checksum of the data" "$sum" "$got"
	log_test "TCP stream"
}

tests_run
exit "$EXIT_STATUS"
