#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An entry is believed for arp_ticks ticks after it was heard of last.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	goes_at_20_ticks
	learned_goes_too
	refreshed
	in_use
	unused
	flow_table
	shorter_ticks
	more_ticks
	fewer_ticks
"
start_station

# Waiting for 20 ticks of this length, a timer of the kernel is at most half a tick late.
tick=$(scaled 250)
# So long before the moment the table is looked at. Where time is real, looking takes some.
before=$((${SPANS_SCALE:-1} > 1 ? tick / 2 : tick))
if virtual_clock; then before=10; fi

# two [TICK]: host 1 has fast ticks, host 2 says nothing by itself.
two()
{
	hosts 2
	quiet 2
	set_spans 1 arp_tick_ms "${1:-$tick}"
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	expect "the table before" "" "$(arp_table 1)"
}

# meet: host 1 hears of host 2, which does not answer ARP any more. After $early, and before
# $late, it did.
meet()
{
	early=$(now)
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	late=$(now)
	silent
}

# silent: host 2 answers no request.
silent() { write 2 net/ipv4/conf/s0/arp_ignore 8; }

# hears KEY=VALUE...: host 1 hears ARP of host 2.
hears()
{
	early=$(now)
	send_arp 2 1 spa=10.0.0.2 "$@"
	late=$(now)
}

# still_there TICKS: host 1 knows host 2 until that long after it was heard of...
still_there()
{
	nap_until $((early + ($1 - 1) * tick))
	[ -n "$(neigh 1 10.0.0.2)" ]
	check_err $? "ip neigh forgot before $1 ticks were over"
	nap_until $((early + $1 * tick - before))
	[ -n "$(arp_table 1 10.0.0.2)" ]
	check_err $? "the table forgot before $1 ticks were over"
	(($(now) < early + $1 * tick))
	check_err $? "seen too late: this test tests nothing"
}

# gone TICKS: ... and does not any more.
gone()
{
	nap_until $((late + $1 * tick + tick / 2))
	expect "the table after $1 ticks" "" "$(arp_table 1 10.0.0.2)"
	# The driver clears the kernel's table of it at most each 100 ms.
	nap 120
	expect "ip neigh after $1 ticks" "" "$(neigh 1 10.0.0.2)"
}

# lives TICKS: it does for so many ticks.
lives()
{
	still_there "$1"
	gone "$1"
}

goes_at_20_ticks()
{
	RET=0
	two
	meet
	lives 20
	expect arp_expired 1 "$(get_spans 1 arp_expired)"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	log_test "an entry is there for 20 ticks and no longer"
}

learned_goes_too()
{
	RET=0
	two
	hears op=1 tpa=10.0.0.1
	expect arp_learned 1 "$(get_spans 1 arp_learned)"
	lives 20
	log_test "an entry that nobody asked for goes, too"
}

refreshed()
{
	local arp age

	RET=0
	two
	meet
	for arp in "op=1 tpa=10.0.0.1" "op=2 tpa=10.0.0.1 dst=$(lladdr 1)" \
		   "op=1 tpa=10.0.0.77" "op=1 tpa=10.0.0.2" "op=2 tpa=10.0.0.2"; do
		nap_until $((late + 11 * tick))
		age=$(arp_table 1 10.0.0.2 8)
		between "age before $arp" $((11 * tick)) $((13 * tick)) "$age"
		# shellcheck disable=SC2086 # several words
		hears $arp
		age=$(arp_table 1 10.0.0.2 8)
		between "age after $arp" 0 "$tick" "$age"
	done
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	lives 20
	expect arp_expired 1 "$(get_spans 1 arp_expired)"
	log_test "any ARP of a host keeps its entry"
}

in_use()
{
	local sent errors came

	RET=0
	two
	set_spans 1 arp_ticks 8
	rm -f /tmp/came
	start 2 "$selftests/udp.py" hear /tmp/came
	defer kill_process $!
	hear 2 arp
	busywait 20000 test -s /tmp/came
	read -r sent errors < <(host 1 "$selftests/udp.py" send 10.0.0.2 0.05 $((25 * tick / 1000)))
	early=$(now)
	late=$early
	between "datagrams" 50 100000 "$sent"
	all_came() { read -r came </tmp/came && [ "$came" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams that arrived" "$sent" "$came"
	# It is asked once by broadcast, and once in each life just before it ends.
	expect "requests to all" 1 "$(heard 2 | grep -c " 1 ff:")"
	expect "requests to the host itself" 3 \
		"$(heard 2 | grep -c " 1 $(lladdr 2) .* 10.0.0.2\$")"
	expect "errors" 0 "$errors"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	expect "state" valid "$(arp_table 1 10.0.0.2 3)"
	# Only silence ends it, after one more life at most.
	silent
	gone 8
	log_test "an entry in use never goes, until its host is silent"
}

# Flow tables of nftables and bpf_fib_lookup() read a neighbour and do not tell: a host that
# was ever sent to is asked, by unicast, before its entry ends.
unused()
{
	RET=0
	two
	set_spans 1 arp_ticks 8
	hear 2 arp
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	nap $((30 * tick))
	expect "requests to all" 1 "$(heard 2 | grep -c " 1 ff:")"
	expect "requests to the host itself" 4 \
		"$(heard 2 | grep -c " 1 $(lladdr 2) .* 10.0.0.2\$")"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	expect "state" valid "$(arp_table 1 10.0.0.2 3)"
	late=$(now)
	silent
	gone 8
	log_test "an entry that is not used is there for as long as its host answers"
}

# A router with a flow table of nftables between a host behind it and host 2.
flow_table()
{
	local sent errors came forwarded

	RET=0
	two
	set_spans 1 arp_ticks 8
	new_ns NS3
	ip link add v0 netns "$NS1" type veth peer name v1 netns "$NS3"
	host 1 ip addr add 10.1.0.1/24 dev v0
	host 1 ip link set v0 up
	host 3 ip addr add 10.1.0.3/24 dev v1
	host 3 ip link set v1 up
	host 3 ip route add default via 10.1.0.1
	host 2 ip route add 10.1.0.0/24 via 10.0.0.1
	write 1 net/ipv4/ip_forward 1
	host 1 nft -f - <<-END
		table ip spans {
			flowtable offloaded {
				hook ingress priority 0
				devices = { s0, v0 }
			}
			chain forward {
				type filter hook forward priority 0
				counter
				ip protocol udp flow add @offloaded
			}
		}
	END
	check_err $? "nft"
	rm -f /tmp/came
	start 2 "$selftests/udp.py" hear /tmp/came
	defer kill_process $!
	busywait 20000 test -s /tmp/came
	read -r sent errors < <(host 3 "$selftests/udp.py" send 10.0.0.2 0.05 $((25 * tick / 1000)))
	between "datagrams" 50 100000 "$sent"
	all_came() { read -r came </tmp/came && [ "$came" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams that arrived" "$sent" "$came"
	forwarded=$(host 1 nft -j list chain ip spans forward |
		jq '[.. | .counter?.packets? // empty][0]')
	between "of which the router's stack saw" 1 20 "$forwarded"
	expect "errors" 0 "$errors"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	log_test "a stream by a flow table never stops"
}

shorter_ticks()
{
	RET=0
	two 10000
	meet
	nap $((5 * tick))
	set_spans 1 arp_tick_ms "$tick"
	lives 20
	log_test "ticks that get shorter under way"
}

more_ticks()
{
	RET=0
	two
	meet
	nap $((5 * tick))
	set_spans 1 arp_ticks 40
	still_there 40
	# A timer of twice the time may be twice as late.
	late=$((late + tick))
	gone 40
	log_test "more ticks under way"
}

fewer_ticks()
{
	RET=0
	two
	set_spans 1 arp_ticks 200
	meet
	nap $((3 * tick))
	set_spans 1 arp_ticks 10
	lives 10
	log_test "fewer ticks under way"
}

tests_run
exit "$EXIT_STATUS"
