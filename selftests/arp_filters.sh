#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The ARP table must not learn from packets that tc, nftables or arptables drop.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	tc_ingress
	nft_netdev
	nft_arp
	no_filter
	full_of_hooks
"
start_station

# setup: host 1 resolves host 2; later ARP in the name of host 2 is sent by host 3.
setup()
{
	hosts 3
	quiet 3
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply from host 2"
	to="dst=$(lladdr 1)"
	# The kernel does not override a neighbour within locktime.
	nap 1100
}

# spoof: host 3 sends a reply, a request and an announcement as 10.0.0.2, and a request as
# 10.0.0.9, which has no entry.
spoof()
{
	local before

	before=$(stat 1 rx packets)
	send_arp 3 1 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	send_arp 3 1 op=1 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	send_arp 3 1 op=1 spa=10.0.0.2 tpa=10.0.0.2 "$to"
	send_arp 3 1 op=1 spa=10.0.0.9 tpa=10.0.0.1 "$to"
	eventually "rx packets of host 1" $((before + 4)) stat 1 rx packets
	nap 100
}

untouched()
{
	spoof
	expect "entry of 10.0.0.2" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	expect "entry of 10.0.0.9" "" "$(arp_entry 1 10.0.0.9)"
	expect "neighbour 10.0.0.2" "REACHABLE $(lladdr 2)" "$(neigh_entry 1 10.0.0.2)"
	expect "neighbour 10.0.0.9" "" "$(neigh_entry 1 10.0.0.9)"
	expect arp_changed 0 "$(get_spans 1 arp_changed)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	host 1 ping -q -c 3 -W 5 -i 0.1 10.0.0.2 >/dev/null
	check_err $? "no reply from host 2 after the spoofed ARP"
}

# On Ethernet, as lockdep warns about clsact on an unknown link type (netdev_lock_pos()).
tc_ingress() { medium=ethernet tc_drops; }

tc_drops()
{
	RET=0
	setup
	host 1 tc qdisc add dev s0 clsact &&
		host 1 tc filter add dev s0 ingress protocol arp matchall action drop
	check_err $? "tc failed"
	untouched
	log_test "ARP dropped by tc is not learned"
}

# nft_drops FAMILY HOOK
nft_drops()
{
	host 1 nft -f - <<-END
		table $1 spans {
			chain in {
				type filter hook $2 priority 0
				${3}drop
			}
		}
	END
	check_err $? "nft failed"
}

nft_netdev()
{
	RET=0
	setup
	nft_drops netdev "ingress device s0" "meta protocol arp "
	untouched
	log_test "ARP dropped by nftables at ingress is not learned"
}

nft_arp()
{
	RET=0
	setup
	nft_drops arp input
	untouched
	log_test "ARP dropped by nftables or arptables is not learned"
}

# The spoofed ARP is learned if it is not dropped.
no_filter()
{
	RET=0
	setup
	spoof
	eventually "entry of 10.0.0.2" "valid $(lladdr 3)" arp_entry 1 10.0.0.2
	eventually "entry of 10.0.0.9" "valid $(lladdr 3)" arp_entry 1 10.0.0.9
	expect "neighbour 10.0.0.2" "REACHABLE $(lladdr 3)" "$(neigh_entry 1 10.0.0.2)"
	log_test "without a filter spoofed ARP is learned"
}

# A namespace with the maximum of ARP hooks: the module loads nevertheless and registers no hook
# there; the table only follows the kernel's neighbours.
full_of_hooks()
{
	local i

	RET=0
	new_ns NS1
	rmmod spans
	check_err $? "rmmod failed"
	# MAX_HOOK_COUNT of net/netfilter/core.c.
	{
		echo "table arp full {"
		for ((i = 0; i < 1024; i++)); do
			echo "chain c$i { type filter hook input priority 0; }"
		done
		echo "}"
	} | host 1 nft -f -
	check_err $? "nft failed"
	modprobe spans 2>/dev/null || insmod "$SPANS_KO"
	check_err $? "the module cannot be loaded"
	hosts 2
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	expect "entry of 10.0.0.2" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	log_test "load with a namespace that has the maximum of netfilter hooks"
}

tests_run
exit "$EXIT_STATUS"
