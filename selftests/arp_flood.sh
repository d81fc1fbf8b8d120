#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests from more stations than the table holds.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	flood
	used_is_renewed
	who_goes_first
	answered_is_used
	full_of_permanent
	smaller_limit
	idle_makes_room
	many_hosts
"
start_station

# Each costs a kernel that looks for errors many times as much, in memory, too.
stations=100000 checked=no
if [ -e /proc/lockdep_stats ]; then stations=5000 checked=yes; fi
if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then stations=3000; fi

# The kernel has a limit of its own for all namespaces, 1024 (gc_thresh3).
limit=512

three()
{
	hosts 3
	quiet 3
	host 1 ip addr add 10.0.0.1/8 dev s0
	set_spans 1 arp_max_entries "${1:-$limit}"
}

# permanents COUNT: entries that must stay, all told.
permanents()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		echo "neigh add 10.1.0.$i lladdr $(lladdr $i) dev s0 nud permanent"
	done | ip -n "$NS1" -batch -
}

# spoof FIRST COUNT: so many stations, from this one on, ask for host 1.
spoof()
{
	station 3 flood "$1" "$2" 10.0.0.1
	check_err $? "cannot send"
}

# talk: host 1 sends to host 2, until talked.
talk()
{
	rm -f /tmp/came
	start 2 "$selftests/udp.py" hear /tmp/came
	defer kill_process $!
	busywait 60000 test -s /tmp/came
	start 1 "$selftests/udp.py" send 10.0.0.2 0.01 600 >/tmp/sent
	talker=$!
	arrives() { [ "$(</tmp/came)" -gt 0 ]; }
	busywait 60000 arrives
	check_err $? "nothing arrives: this test tests nothing"
}

talked()
{
	local sent errors

	kill $talker
	wait $talker
	read -r sent errors </tmp/sent
	all_came() { [ "$(</tmp/came)" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams to who is in use that arrived" "$sent" "$(</tmp/came)"
	expect "errors" 0 "$errors"
}

# grown: entries that are there, by the counters of what came and went by itself.
grown()
{
	echo $(($(get_spans 1 arp_learned) - $(get_spans 1 arp_evicted) - $(get_spans 1 arp_expired)))
}

unreclaimed() { awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo; }
available() { awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo; }

flood()
{
	local entries base highest=0 slab memory warm=$((stations / 5)) rounds=0

	RET=0
	three
	permanents 50
	talk
	expect arp_entries 51 "$(get_spans 1 arp_entries)"
	base=$((51 - $(grown)))
	spoof 0 $warm
	slab=$(unreclaimed)
	memory=$(available)
	order 3 flood $warm $((stations - warm)) 10.0.0.1
	until read -r -t 0 <&"$from_station"; do
		entries=$(get_spans 1 arp_entries)
		((entries > highest)) && highest=$entries
		((++rounds))
		nap 10
	done
	answered
	check_err $? "cannot send"
	judged() { (($(get_spans 1 arp_learned) + $(get_spans 1 arp_refused) >= stations)); }
	busywait 60000 judged
	between "looks at the table" 5 1000000 $rounds
	between "most entries" $((limit / 2)) $limit $highest
	between "lines of the table" $((limit / 2)) $limit "$(arp_table 1 | wc -l)"
	between "stations that were learned or refused" $stations $((stations + 2)) \
		$(($(get_spans 1 arp_learned) + $(get_spans 1 arp_refused)))
	expect "entries, by what came and went" "$(get_spans 1 arp_entries)" $((base + $(grown)))
	expect "permanent entries" 50 "$(arp_table 1 | grep -c permanent)"
	expect "permanent entries of ip neigh" 50 "$(host 1 ip neigh show nud permanent dev s0 | grep -c '^10\.1\.')"
	expect "state of who is in use" valid "$(arp_table 1 10.0.0.2 3)"
	talked
	# Less than 40 bytes each.
	if [ $checked = no ]; then
		between "kB of kernel memory that 80000 stations cost" -100000 3000 $(($(unreclaimed) - slab))
		# What each CPU keeps for itself is not available, either. A page for each would be
		# 320000.
		between "kB of memory that 80000 stations cost" -100000 16000 $((memory - $(available)))
	fi

	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "cannot resolve anybody new: $(arp_table 1 10.0.0.3)"
	log_test "$stations stations ask"
}

# Its life is much shorter than the flood.
used_is_renewed()
{
	local before until

	RET=0
	three
	set_spans 1 arp_tick_ms 100
	talk
	before=$(queues 2 rx packets)
	until=$(($(now) + 7000))
	while (($(now) < until)); do
		spoof 0 $((limit + 50))
		nap 400
	done
	talked
	((before < $(queues 2 rx packets)))
	check_err $? "nothing arrived"
	expect "state of who is in use" valid "$(arp_table 1 10.0.0.2 3)"
	between arp_entries 1 $limit "$(get_spans 1 arp_entries)"
	log_test "who is in use is renewed under a flood"
}

states() { arp_table 1 | awk '{ print $3 }' | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'; }
heard_only() { arp_table 1 | awk '$5 ~ /U/' | wc -l; }

# reach LAST: a packet to an address of host 2.
reach() { host 1 ping -q -c 1 -W "${2:-5}" "10.0.1.$1" >/dev/null; }

gone=/sys/kernel/tracing/events/spans/spans_arp_remove/enable
# why REASON: how many entries are said to be gone for this reason.
why() { grep -c "spans_arp_remove: dev=s0 ip=[0-9.]* why=$1\$" /sys/kernel/tracing/trace; }

who_goes_first()
{
	local i

	RET=0
	three 8
	if [ -e $gone ]; then
		echo >/sys/kernel/tracing/trace
		echo 1 >$gone
		defer eval "echo 0 >$gone"
	fi
	for ((i = 1; i <= 9; i++)); do
		host 2 ip addr add "10.0.1.$i/24" dev s0
	done
	set_spans 1 arp_probes 1
	set_spans 1 arp_retrans_ms 100
	set_spans 1 arp_hold_ms 600000
	reach 1 && reach 2 && reach 3
	check_err $? "no answer"
	reach 101 2
	reach 102 2
	spoof 0 3
	eventually "what is in the table" "2 failed, 6 valid" states
	expect "heard of, never used" 3 "$(heard_only)"

	reach 4 && reach 5 && reach 6
	check_err $? "no answer while others were heard of only"
	expect "in the place of who was heard of" "2 failed, 6 valid" "$(states)"
	expect "heard of, never used" 0 "$(heard_only)"
	expect arp_evicted 3 "$(get_spans 1 arp_evicted)"
	[ ! -e $gone ] || expect "traced" 3 "$(why "evicted for a packet")"

	reach 7 && reach 8
	check_err $? "no answer while others failed"
	expect "in the place of who failed" "8 valid" "$(states)"
	expect arp_evicted 5 "$(get_spans 1 arp_evicted)"
	[ ! -e $gone ] || expect "traced" 5 "$(why "evicted for a packet")"

	expect arp_refused 0 "$(get_spans 1 arp_refused)"
	spoof 100 20
	reach 9 0.5
	check_fail $? "there was room for another one"
	between arp_refused 20 100 "$(get_spans 1 arp_refused)"
	for ((i = 1; i <= 8; i++)); do
		expect "state of 10.0.1.$i" valid "$(arp_table 1 "10.0.1.$i" 3)"
	done

	set_spans 1 arp_max_entries 9
	reach 9
	check_err $? "no answer after the limit was raised"
	log_test "who goes first when the table is full"
}

# Who asked first, and is sent to, is no stranger any more.
answered_is_used()
{
	RET=0
	three 8
	send_arp 2 1 op=1 spa=10.0.0.2 tpa=10.0.0.1
	eventually "heard of, never used" 1 heard_only
	station 1 udp 10.0.0.2
	check_err $? "cannot send"
	eventually "heard of, never used" 0 heard_only
	expect "requests" 0 "$(get_spans 1 arp_requests)"
	spoof 0 50
	expect "state of who is in use" valid "$(arp_table 1 10.0.0.2 3)"
	log_test "who asked first and is sent to is in use"
}

full_of_permanent()
{
	RET=0
	three 16
	permanents 16
	refused "No buffer space available" \
		ip -n "$NS1" neigh add 10.1.0.99 lladdr "$(lladdr 99)" dev s0 nud permanent
	spoof 0 50
	# That one, and each stranger once.
	expect arp_refused 51 "$(get_spans 1 arp_refused)"
	expect "what is in the table" "16 permanent" "$(states)"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	ip -n "$NS1" neigh replace 10.1.0.7 lladdr "$(lladdr 77)" dev s0 nud permanent
	check_err $? "cannot change one while the table is full"
	ip -n "$NS1" neigh del 10.1.0.7 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "there is room, but nobody is found"
	log_test "a table full of permanent entries"
}

# Nobody who is used or permanent goes for a smaller limit; others make room.
smaller_limit()
{
	RET=0
	three 64
	permanents 4
	spoof 0 100
	eventually arp_entries 64 get_spans 1 arp_entries
	set_spans 1 arp_max_entries 16
	spoof 200 100
	between "arp_entries after the next ones" 4 64 "$(get_spans 1 arp_entries)"
	expect "permanent entries" 4 "$(arp_table 1 | grep -c permanent)"
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "nobody new is found"
	log_test "a limit that gets smaller"
}

# A packet finds room where a host was not used for five seconds.
idle_makes_room()
{
	local i refused unanswered=0

	RET=0
	three 20
	for i in {1..39}; do echo "addr add 10.2.0.$i/8 dev s0"; done | ip -n "$NS2" -batch -
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	answer() { host 1 ping -q -c 1 -W 1 "10.2.0.$1" >/dev/null; }
	for i in {1..20}; do answer "$i" || ((++unanswered)); done
	expect "hosts of 20 that did not answer" 0 $unanswered
	answer 21 && check_err 1 "an answer though there is no room"
	# ping tries again when there is no room.
	refused=$(get_spans 1 arp_refused)
	between arp_refused 1 10 "$refused"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	nap 5000
	# Strangers, which the stack would answer, have no host make room for them.
	spoof 0 100
	expect "arp_evicted after 100 strangers" 0 "$(get_spans 1 arp_evicted)"
	refused=$(get_spans 1 arp_refused)
	for i in {21..39}; do answer "$i" || ((++unanswered)); done
	expect "hosts of 19 that did not answer later" 0 $unanswered
	expect arp_evicted 19 "$(get_spans 1 arp_evicted)"
	expect arp_entries 20 "$(get_spans 1 arp_entries)"
	expect arp_refused "$refused" "$(get_spans 1 arp_refused)"
	log_test "a host that was not used for five seconds makes room for a packet"
}

# A new device has room for as many hosts as the kernel has for neighbours.
many_hosts()
{
	local i addresses=()

	RET=0
	hosts 2
	quiet 2
	host 1 ip addr add 10.0.0.1/8 dev s0
	for i in {1..700}; do addresses+=("10.2.$((i / 250)).$((i % 250 + 1))"); done
	printf 'addr add %s/8 dev s0\n' "${addresses[@]}" | ip -n "$NS2" -batch -
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	# One ICMP error for each, which a rate limit of the stack would not let through.
	host 2 sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0
	expect "hosts of 700 that answer" 700 "$(host 1 "$selftests/udp.py" ask "${addresses[@]}")"
	expect arp_entries 700 "$(get_spans 1 arp_entries)"
	expect arp_refused 0 "$(get_spans 1 arp_refused)"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	log_test "700 hosts, each sent to once, answer"
}

tests_run
exit "$EXIT_STATUS"
