#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `ip neigh` and the ARP table agree, in both directions. SEED=N repeats a run,
# OPERATIONS=N sets its length.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	commands
	errors
	monitor
	proxy
	ntable
	full
	never_resolved
	extern_learn
	random
"

perm='02:00:00:00:00:00:00:77'

commands()
{
	RET=0
	hosts 2
	host 1 ip neigh add 10.0.0.7 lladdr $perm dev s0
	expect "entry after add" "permanent $perm" "$(arp_entry 1 10.0.0.7)"
	host 1 ip neigh change 10.0.0.7 lladdr 02:00:00:00:00:00:00:78 dev s0
	expect "entry after change" "permanent 02:00:00:00:00:00:00:78" "$(arp_entry 1 10.0.0.7)"
	host 1 ip neigh replace 10.0.0.7 lladdr $perm dev s0 nud reachable
	expect "entry after replace, nud reachable" "valid $perm" "$(arp_entry 1 10.0.0.7)"
	host 1 ip neigh replace 10.0.0.7 lladdr $perm dev s0 nud noarp
	expect "entry after replace, nud noarp" "permanent $perm" "$(arp_entry 1 10.0.0.7)"
	expect "ip neigh get" "10.0.0.7" "$(host 1 ip -j neigh get 10.0.0.7 dev s0 | jq -r '.[0].dst')"
	host 1 ip neigh del 10.0.0.7 dev s0
	expect "entry after del" "" "$(arp_entry 1 10.0.0.7)"
	host 1 ip neigh add 10.0.0.8 lladdr $perm dev s0 nud stale
	host 1 ip neigh add 10.0.0.9 lladdr $perm dev s0 nud permanent
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect "entries before flush" 3 "$(get_spans 1 arp_entries)"
	host 1 ip neigh flush dev s0
	expect "permanent entry after flush" "permanent $perm" "$(arp_entry 1 10.0.0.9)"
	expect "entries after flush" 1 "$(get_spans 1 arp_entries)"
	host 1 ip -s neigh show dev s0 | grep -q "used"
	check_err $? "ip -s neigh shows no times"
	log_test "ip neigh add, change, replace, get, del, flush"
}

errors()
{
	RET=0
	hosts 2
	host 1 ip neigh add 10.0.0.7 lladdr $perm dev s0
	refused "File exists" host 1 ip neigh add 10.0.0.7 lladdr $perm dev s0
	refused "No such file" host 1 ip neigh del 10.0.0.8 dev s0
	refused "Invalid link" host 1 ip neigh add 10.0.0.8 lladdr 02:00:00:00:00:01 dev s0
	expect "entries" 1 "$(get_spans 1 arp_entries)"
	expect "entry" "permanent $perm" "$(arp_entry 1 10.0.0.7)"
	log_test "rejected ip neigh requests change no entry"
}

monitor()
{
	RET=0
	hosts 2
	: >/tmp/monitor
	start 1 ip monitor neigh >/tmp/monitor
	defer kill_process $!
	defer rm -f /tmp/monitor
	# Until the monitor shows a change that was made after its start.
	listens()
	{
		host 1 ip neigh replace 10.0.0.99 lladdr $perm dev s0
		host 1 ip neigh del 10.0.0.99 dev s0
		grep -q "10.0.0.99" /tmp/monitor
	}
	busywait 60000 listens
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	host 1 ip neigh del 10.0.0.2 dev s0
	seen() { grep -q "10.0.0.2.*lladdr $(lladdr 2) REACHABLE" /tmp/monitor &&
		grep -q "eleted 10.0.0.2" /tmp/monitor; }
	busywait 60000 seen
	check_err $? "not in ip monitor neigh: $(cat /tmp/monitor)"
	log_test "ip monitor neigh"
}

proxy()
{
	RET=0
	hosts 2
	host 2 sysctl -qw net.ipv4.ip_forward=1
	host 2 ip link add lo2 type dummy
	host 2 ip addr add 10.0.0.130/32 dev lo2
	host 2 ip link set lo2 up
	host 2 ip route add 10.0.0.128/26 dev lo2
	host 2 ip neigh add proxy 10.0.0.140 dev s0
	# Otherwise the kernel delays replies of a proxy.
	host 2 sysctl -qw net.ipv4.neigh.s0.proxy_delay=0
	host 1 ping -q -c 1 -W 1 10.0.0.140 >/dev/null
	expect "entry of a proxied address" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.140)"
	host 1 ping -q -c 1 -W 1 10.0.0.141 >/dev/null
	expect "entry of an address that is not proxied" "incomplete -" "$(arp_entry 1 10.0.0.141)"
	log_test "proxy entries"
}

ntable()
{
	RET=0
	hosts 1
	host 1 ip ntable show dev s0 name arp_cache | grep -q "mcast_probes 1048576"
	check_err $? "mcast_probes is not 1048576: the kernel would fail a neighbour before the table"
	host 1 ip ntable change name arp_cache dev s0 queue 3
	check_err $? "ip ntable change failed"
	log_test "ip ntable show and change"
}

full()
{
	local i

	RET=0
	hosts 2
	quiet 2
	refused "Invalid argument" set_spans 1 arp_max_entries 0
	set_spans 1 arp_max_entries 4
	for i in 1 2 3 4; do
		host 1 ip neigh add "10.0.1.$i" lladdr $perm dev s0
		check_err $? "cannot add 10.0.1.$i"
	done
	expect "arp_refused" 0 "$(get_spans 1 arp_refused)"
	refused "No buffer space" host 1 ip neigh add 10.0.1.5 lladdr $perm dev s0
	expect "arp_refused" 1 "$(get_spans 1 arp_refused)"
	refused "No buffer space" host 1 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_IP, 11, 1)  # IP_RECVERR
s.sendto(b'', ('10.0.0.2', 9))"
	expect "arp_refused" 2 "$(get_spans 1 arp_refused)"
	expect "entries" 4 "$(get_spans 1 arp_entries)"
	set_spans 1 arp_max_entries 2000
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply after the limit was raised"
	expect "entries" 5 "$(get_spans 1 arp_entries)"
	expect "entry" "permanent $perm" "$(arp_entry 1 10.0.1.3)"
	log_test "arp_max_entries: a full table, and a higher limit"
}

# Multicast, broadcast and own addresses are never resolved and have no entries.
never_resolved()
{
	local ip

	RET=0
	hosts 2
	quiet 2
	set_spans 1 arp_max_entries 1
	for ip in 224.0.0.9 10.0.0.255 10.0.0.1; do
		host 1 ip neigh replace $ip lladdr $perm dev s0 nud permanent
		check_err $? "cannot add the neighbour $ip"
	done
	expect "entries" 0 "$(get_spans 1 arp_entries)"
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply: other neighbours have taken the entry"
	expect "entries" 1 "$(get_spans 1 arp_entries)"
	log_test "neighbours that are never resolved have no entries"
}

extern_learn()
{
	RET=0
	hosts 1
	quiet 1
	set_spans 1 arp_tick_ms 20
	host 1 ip neigh add 10.0.0.7 lladdr $perm dev s0 nud reachable extern_learn
	host 1 ip neigh add 10.0.0.8 lladdr $perm dev s0 nud reachable
	nap 1000
	expect "arp_expired" 2 "$(get_spans 1 arp_expired)"
	expect "neighbour without extern_learn" "" "$(neigh 1 10.0.0.8)"
	neigh 1 10.0.0.7 | grep -q "lladdr $perm extern_learn REACHABLE"
	check_err $? "the neighbour with extern_learn was removed: '$(neigh 1 10.0.0.7)'"
	log_test "extern_learn neighbours outlast their entries"
}

random()
{
	local said

	RET=0
	hosts 5
	set_spans 1 arp_retrans_ms 20
	set_spans 1 arp_hold_ms 50
	# ip netns exec mounts /sys anew, without debugfs.
	# shellcheck disable=SC2016 # the other shell's variables
	said=$(host 1 sh -c 'mount -t debugfs none /sys/kernel/debug && exec "$0" "$@"' \
		"$selftests/neigh_control.py" "${OPERATIONS:-$(rounds 400)}" \
		"/sys/kernel/debug/spans-$(host 1 cat /sys/class/net/s0/phys_port_id)/arp" \
		${SEED:+"$SEED"} 2>&1)
	check_err $? "$said"
	log_test "random operations: $said"
}

tests_run
exit "$EXIT_STATUS"
