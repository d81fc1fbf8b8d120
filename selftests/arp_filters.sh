#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Filters come first: ARP that tc, nftables or arptables drop teaches nothing.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	tc_ingress
	nft_netdev
	nft_arp
	nothing
	full_of_hooks
"
start_station

# Host 1 knows host 2, and what it hears of that from now on comes from host 3.
setup()
{
	hosts 3
	quiet 3
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer from host 2"
	to="dst=$(lladdr 1)"
	# What the kernel does not override within locktime is not the point here.
	nap 1100
}

# spoof: host 3 says in an answer, a request and an announcement that it is host 2, and asks
# in the name of host 9, of which host 1 knows nothing.
spoof()
{
	local before

	before=$(stat 1 rx packets)
	send_arp 3 1 op=2 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	send_arp 3 1 op=1 spa=10.0.0.2 tpa=10.0.0.1 "$to"
	send_arp 3 1 op=1 spa=10.0.0.2 tpa=10.0.0.2 "$to"
	send_arp 3 1 op=1 spa=10.0.0.9 tpa=10.0.0.1 "$to"
	eventually "frames that host 1 was given" $((before + 4)) stat 1 rx packets
	nap 100
}

untouched()
{
	spoof
	expect "the table about host 2" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	expect "the table about host 9" "" "$(arp_entry 1 10.0.0.9)"
	expect "ip neigh about host 2" "REACHABLE $(lladdr 2)" "$(neigh_entry 1 10.0.0.2)"
	expect "ip neigh about host 9" "" "$(neigh_entry 1 10.0.0.9)"
	expect arp_changed 0 "$(get_spans 1 arp_changed)"
	expect arp_learned 0 "$(get_spans 1 arp_learned)"
	host 1 ping -q -c 3 -W 5 -i 0.1 10.0.0.2 >/dev/null
	check_err $? "host 2 is not reached any more"
}

# On Ethernet: lockdep warns of the queue for ingress of a link type that it does not know
# (netdev_lock_pos()).
tc_ingress() { medium=ethernet tc_drops; }

tc_drops()
{
	RET=0
	setup
	host 1 tc qdisc add dev s0 clsact &&
		host 1 tc filter add dev s0 ingress protocol arp matchall action drop
	check_err $? "tc"
	untouched
	log_test "what a filter of tc drops teaches nothing"
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
	check_err $? "nft"
}

nft_netdev()
{
	RET=0
	setup
	nft_drops netdev "ingress device s0" "meta protocol arp "
	untouched
	log_test "what nftables drops at ingress teaches nothing"
}

nft_arp()
{
	RET=0
	setup
	nft_drops arp input
	untouched
	log_test "what nftables or arptables drop of ARP teaches nothing"
}

# That this is seen where nothing is dropped.
nothing()
{
	RET=0
	setup
	spoof
	eventually "the table about host 2" "valid $(lladdr 3)" arp_entry 1 10.0.0.2
	eventually "the table about host 9" "valid $(lladdr 3)" arp_entry 1 10.0.0.9
	expect "ip neigh about host 2" "REACHABLE $(lladdr 3)" "$(neigh_entry 1 10.0.0.2)"
	log_test "without a filter all of it is believed"
}

# A namespace in which there are as many hooks as there can be is that user's own affair: the
# module is loaded, and works in all others, and there without the table's own ears.
full_of_hooks()
{
	local i

	RET=0
	new_ns NS1
	rmmod spans
	check_err $? "rmmod"
	# MAX_HOOK_COUNT of net/netfilter/core.c.
	{
		echo "table arp full {"
		for ((i = 0; i < 1024; i++)); do
			echo "chain c$i { type filter hook input priority 0; }"
		done
		echo "}"
	} | host 1 nft -f -
	check_err $? "nft"
	modprobe spans 2>/dev/null || insmod "$SPANS_KO"
	check_err $? "the module is not loaded"
	hosts 2
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	expect "the table" "valid $(lladdr 2)" "$(arp_entry 1 10.0.0.2)"
	log_test "a namespace that is full of hooks does not keep the module out"
}

tests_run
exit "$EXIT_STATUS"
