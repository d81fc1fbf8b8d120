#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Lifetime of ARP entries: arp_ticks ticks since the last confirmation.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	expires_after_20_ticks
	unsolicited_expires
	refreshed
	in_use
	unused
	flow_table
	shorter_ticks
	more_ticks
	fewer_ticks
"
start_station

# With 20 ticks of this length, a kernel timer is at most half a tick late.
tick=$(scaled 250)
# How long before its expiry an entry is tested. On a real clock the test takes time.
before=$((${SPANS_SCALE:-1} > 1 ? tick / 2 : tick))
if virtual_clock; then before=10; fi

# two [TICK]: two hosts, fast ticks on host 1; host 2 sends no ARP by itself.
two()
{
	hosts 2
	quiet 2
	set_spans 1 arp_tick_ms "${1:-$tick}"
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	expect "ARP table before" "" "$(arp_table 1)"
}

# meet: host 1 resolves host 2, between $early and $late. After that host 2 sends no ARP replies.
meet()
{
	early=$(now)
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	late=$(now)
	silent
}

# silent: host 2 ignores requests.
silent() { write 2 net/ipv4/conf/s0/arp_ignore 8; }

# confirm KEY=VALUE...: host 2 sends ARP, between $early and $late.
confirm()
{
	early=$(now)
	send_arp 2 1 spa=10.0.0.2 "$@"
	late=$(now)
}

# still_there TICKS: the entry of host 2 must exist until TICKS after its last confirmation.
still_there()
{
	nap_until $((early + ($1 - 1) * tick))
	[ -n "$(neigh 1 10.0.0.2)" ]
	check_err $? "the neighbour was removed before $1 ticks"
	nap_until $((early + $1 * tick - before))
	[ -n "$(arp_table 1 10.0.0.2)" ]
	check_err $? "the entry was removed before $1 ticks"
	(($(now) < early + $1 * tick))
	check_err $? "tested too late: this test tested nothing"
}

# gone TICKS: the entry must be removed at TICKS.
gone()
{
	nap_until $((late + $1 * tick + tick / 2))
	expect "entry after $1 ticks" "" "$(arp_table 1 10.0.0.2)"
	# The driver removes expired neighbours at most every 100 ms.
	nap 120
	expect "neighbour after $1 ticks" "" "$(neigh 1 10.0.0.2)"
}

# lives TICKS: the lifetime must be TICKS.
lives()
{
	still_there "$1"
	gone "$1"
}

expires_after_20_ticks()
{
	RET=0
	two
	meet
	lives 20
	expect arp_expired 1 "$(get_spans 1 arp_expired)"
	expect arp_entries 0 "$(get_spans 1 arp_entries)"
	log_test "an entry expires after 20 ticks"
}

unsolicited_expires()
{
	RET=0
	two
	confirm op=1 tpa=10.0.0.1
	expect arp_learned 1 "$(get_spans 1 arp_learned)"
	lives 20
	log_test "an unsolicited entry expires after 20 ticks"
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
		confirm $arp
		age=$(arp_table 1 10.0.0.2 8)
		between "age after $arp" 0 "$tick" "$age"
	done
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	lives 20
	expect arp_expired 1 "$(get_spans 1 arp_expired)"
	log_test "any ARP of a host confirms its entry"
}

in_use()
{
	local sent errors came

	RET=0
	two
	set_spans 1 arp_ticks 8
	rm -f /tmp/came
	start 2 "$selftests/udp.py" receive /tmp/came
	defer kill_process $!
	capture 2 arp
	busywait 20000 test -s /tmp/came
	read -r sent errors < <(host 1 "$selftests/udp.py" send 10.0.0.2 0.05 $((25 * tick / 1000)))
	early=$(now)
	late=$early
	between "datagrams" 50 100000 "$sent"
	all_came() { read -r came </tmp/came && [ "$came" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams received by host 2" "$sent" "$came"
	# One broadcast request, then one unicast request near the end of each lifetime.
	expect "broadcast requests" 1 "$(captured 2 | grep -c " 1 ff:")"
	expect "unicast requests" 3 \
		"$(captured 2 | grep -c " 1 $(lladdr 2) .* 10.0.0.2\$")"
	expect "sendto() errors" 0 "$errors"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	expect "state" valid "$(arp_table 1 10.0.0.2 3)"
	# Without replies it expires within one more lifetime.
	silent
	gone 8
	log_test "a used entry is verified and does not expire while its host replies"
}

# Flow tables of nftables and bpf_fib_lookup() use neighbours without notice, so each entry that
# was ever sent to is verified before it expires.
unused()
{
	RET=0
	two
	set_spans 1 arp_ticks 8
	capture 2 arp
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply"
	nap $((30 * tick))
	expect "broadcast requests" 1 "$(captured 2 | grep -c " 1 ff:")"
	expect "unicast requests" 4 \
		"$(captured 2 | grep -c " 1 $(lladdr 2) .* 10.0.0.2\$")"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	expect "state" valid "$(arp_table 1 10.0.0.2 3)"
	late=$(now)
	silent
	gone 8
	log_test "an unused entry does not expire while its host replies"
}

# A router with a flow table of nftables:
#
#   host 3 v1 --- veth --- v0 host 1 (router) s0 --- segment --- s0 host 2
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
	check_err $? "nft failed"
	rm -f /tmp/came
	start 2 "$selftests/udp.py" receive /tmp/came
	defer kill_process $!
	busywait 20000 test -s /tmp/came
	read -r sent errors < <(host 3 "$selftests/udp.py" send 10.0.0.2 0.05 $((25 * tick / 1000)))
	between "datagrams" 50 100000 "$sent"
	all_came() { read -r came </tmp/came && [ "$came" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams received by host 2" "$sent" "$came"
	forwarded=$(host 1 nft -j list chain ip spans forward |
		jq '[.. | .counter?.packets? // empty][0]')
	between "datagrams forwarded by the router's stack" 1 20 "$forwarded"
	expect "sendto() errors" 0 "$errors"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	log_test "an entry that only a flow table uses does not expire"
}

shorter_ticks()
{
	RET=0
	two 10000
	meet
	nap $((5 * tick))
	set_spans 1 arp_tick_ms "$tick"
	lives 20
	log_test "shorter arp_tick_ms applies to existing entries"
}

more_ticks()
{
	RET=0
	two
	meet
	nap $((5 * tick))
	set_spans 1 arp_ticks 40
	still_there 40
	# A timer of twice the length may be twice as late.
	late=$((late + tick))
	gone 40
	log_test "higher arp_ticks applies to existing entries"
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
	log_test "lower arp_ticks applies to existing entries"
}

tests_run
exit "$EXIT_STATUS"
