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
	shorter_ticks
	more_ticks
	fewer_ticks
"
if_slow goes_at_20_ticks in_use

# Fast ticks, with what a busy machine may add to 20 of them.
ticks_of()
{
	tick=$(scaled "$1")
	slack=$((tick + $(scaled 400)))
}
ticks_of 100

# two [TICK]: host 1 has fast ticks, host 2 says nothing by itself.
two()
{
	hosts 2
	quiet 2
	set_spans 1 arp_tick_ms "${1:-$tick}"
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
}

# meet: host 1 hears of host 2. After that, and before $late, it did.
meet()
{
	early=$(now)
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer"
	late=$(now)
}

# hears KEY=VALUE...: host 1 hears ARP of host 2.
hears()
{
	early=$(now)
	send_arp 2 1 spa=10.0.0.2 "$@"
	late=$(now)
}

# goes COMMAND LEAST MOST: the front panel forgets host 2 that many ms after it was
# heard of.
goes()
{
	local began

	while began=$(now) && [ -n "$("$1" 1 10.0.0.2)" ]; do
		if ((began - late > $3)); then
			check_err 1 "$1: still there after $((began - late)) ms, not $3"
			return
		fi
		sleep 0.02
	done
	(($(now) - early >= $2))
	check_err $? "$1: gone after $(($(now) - early)) ms, not $2"
}

goes_at_20_ticks()
{
	local which

	RET=0
	# Long enough that a tick too many or too few shows.
	ticks_of 300
	for which in arp_table neigh; do
		two
		meet
		[ -n "$($which 1 10.0.0.2)" ]
		check_err $? "$which: does not know who just answered"
		goes $which $((19 * tick)) $((20 * tick + slack))
		expect "the other front panel" "" "$(arp_table 1 10.0.0.2; sleep 0.1; neigh 1 10.0.0.2)"
		expect arp_expired 1 "$(get_spans 1 arp_expired)"
		expect arp_entries 0 "$(get_spans 1 arp_entries)"
	done
	ticks_of 100
	log_test "an entry is there at 19 ticks and gone at 20"
}

learned_goes_too()
{
	RET=0
	two
	hears op=1 tpa=10.0.0.1
	expect arp_learned 1 "$(get_spans 1 arp_learned)"
	goes arp_table $((19 * tick)) $((20 * tick + slack))
	expect "what ip neigh knows" "" "$(sleep 0.1; neigh 1 10.0.0.2)"
	log_test "an entry that nobody asked for goes, too"
}

refreshed()
{
	local arp age

	RET=0
	two
	# Where python takes its time to start.
	tick=$((tick * 2))
	set_spans 1 arp_tick_ms $tick
	meet
	for arp in "op=1 tpa=10.0.0.1" "op=2 tpa=10.0.0.1 dst=$(lladdr 1)" \
		   "op=1 tpa=10.0.0.77" "op=1 tpa=10.0.0.2" "op=2 tpa=10.0.0.2"; do
		nap $((11 * tick))
		age=$(arp_table 1 10.0.0.2 | awk '{ print $8 }')
		between "age before $arp" $((11 * tick - 20)) $((19 * tick)) "$age"
		# shellcheck disable=SC2086 # several words
		hears $arp
		age=$(arp_table 1 10.0.0.2 | awk '{ print $8 }')
		between "age after $arp" 0 $((5 * tick)) "$age"
	done
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	goes arp_table $((19 * tick)) $((20 * tick + slack))
	expect arp_expired 1 "$(get_spans 1 arp_expired)"
	tick=$((tick / 2))
	log_test "any ARP of a host keeps its entry"
}

in_use()
{
	local sent errors asked

	RET=0
	# The answer has a tick of time.
	ticks_of 500
	two
	set_spans 1 arp_ticks 8
	rm -f /tmp/heard
	start 2 "$selftests/udp.py" hear /tmp/heard
	defer kill_process $!
	hear_arp 2
	busywait 20000 test -s /tmp/heard >/dev/null
	read -r sent errors < <(host 1 "$selftests/udp.py" send 10.0.0.2 0.02 $((25 * tick / 1000)))
	between "datagrams" 50 100000 "$sent"
	all_came() { [ "$(cat /tmp/heard)" = "$sent" ]; }
	busywait 5000 all_came >/dev/null
	expect "datagrams that arrived" "$sent" "$(cat /tmp/heard)"
	expect "errors" 0 "$errors"
	expect arp_expired 0 "$(get_spans 1 arp_expired)"
	expect "state" valid "$(arp_table 1 10.0.0.2 | awk '{ print $3 }')"
	# It is asked once by broadcast, and once in each life just before it ends.
	asked=$(grep -c " 1 ff:" /tmp/arp2)
	expect "requests to all" 1 "$asked"
	asked=$(grep -c " 1 $(lladdr 2) .* 10.0.0.2\$" /tmp/arp2)
	between "requests to the host itself" 2 4 "$asked"
	# Nobody uses it any more: it goes.
	late=$(now)
	early=$((late - 8 * tick))
	goes arp_table 0 $((16 * tick + slack))
	ticks_of 100
	log_test "an entry in use never goes, one that is not does"
}

shorter_ticks()
{
	RET=0
	two 60000
	meet
	nap $((5 * tick))
	early=$(now)
	set_spans 1 arp_tick_ms "$tick"
	late=$(now)
	goes arp_table 0 $((20 * tick + slack))
	log_test "ticks that get shorter under way"
}

more_ticks()
{
	RET=0
	two
	meet
	nap $((5 * tick))
	set_spans 1 arp_ticks 40
	goes arp_table $((39 * tick)) $((40 * tick + slack))
	log_test "more ticks under way"
}

fewer_ticks()
{
	RET=0
	two
	set_spans 1 arp_ticks 10000
	meet
	nap $((3 * tick))
	set_spans 1 arp_ticks 10
	goes arp_table $((9 * tick)) $((10 * tick + slack))
	log_test "fewer ticks under way"
}

tests_run
exit "$EXIT_STATUS"
