#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Requests from more senders than the ARP table holds, and the order of eviction.
#
#   host 3: floods with forged senders -> host 1: the tested table <-> host 2: used entry

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	flood
	used_entry_is_kept
	eviction_order
	unsolicited_becomes_used
	full_of_permanent
	smaller_limit
	idle_entry_is_evicted
	many_hosts
"
start_station

# Debug kernels take many times the time and memory for each sender.
senders=100000 checked=no
if [ -e /proc/lockdep_stats ]; then senders=5000 checked=yes; fi
if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then senders=3000; fi

# Below the kernel's limit for all namespaces, 1024 (gc_thresh3).
limit=512

three()
{
	hosts 3
	quiet 3
	host 1 ip addr add 10.0.0.1/8 dev s0
	set_spans 1 arp_max_entries "${1:-$limit}"
}

# permanents COUNT: adds permanent entries.
permanents()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		echo "neigh add 10.1.0.$i lladdr $(lladdr $i) dev s0 nud permanent"
	done | ip -n "$NS1" -batch -
}

# spoof FIRST COUNT: requests for host 1 from COUNT forged senders, beginning with FIRST.
spoof()
{
	station 3 flood "$1" "$2" 10.0.0.1
	check_err $? "cannot send"
}

# start_stream: host 1 sends to host 2 until stop_stream, which checks that all datagrams arrived.
start_stream()
{
	rm -f /tmp/came
	start 2 "$selftests/udp.py" receive /tmp/came
	defer kill_process $!
	busywait 60000 test -s /tmp/came
	start 1 "$selftests/udp.py" send 10.0.0.2 0.01 600 >/tmp/sent
	stream_pid=$!
	arrives() { [ "$(</tmp/came)" -gt 0 ]; }
	busywait 60000 arrives
	check_err $? "host 2 receives no datagrams: this test tested nothing"
}

stop_stream()
{
	local sent errors

	kill $stream_pid
	wait $stream_pid
	read -r sent errors </tmp/sent
	all_came() { [ "$(</tmp/came)" = "$sent" ]; }
	busywait 60000 all_came
	expect "datagrams received by host 2" "$sent" "$(</tmp/came)"
	expect "sendto() errors" 0 "$errors"
}

# grown: the number of entries by the counters of learned, evicted and expired ones.
grown()
{
	echo $(($(get_spans 1 arp_learned) - $(get_spans 1 arp_evicted) - $(get_spans 1 arp_expired)))
}

unreclaimed() { awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo; }
available() { awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo; }

flood()
{
	local entries base highest=0 slab memory warm=$((senders / 5)) rounds=0

	RET=0
	three
	permanents 50
	start_stream
	expect arp_entries 51 "$(get_spans 1 arp_entries)"
	base=$((51 - $(grown)))
	spoof 0 $warm
	slab=$(unreclaimed)
	memory=$(available)
	station_begin 3 flood $warm $((senders - warm)) 10.0.0.1
	until read -r -t 0 <&"$from_station"; do
		entries=$(get_spans 1 arp_entries)
		((entries > highest)) && highest=$entries
		((++rounds))
		nap 10
	done
	station_end
	check_err $? "cannot send"
	judged() { (($(get_spans 1 arp_learned) + $(get_spans 1 arp_refused) >= senders)); }
	busywait 60000 judged
	between "reads of arp_entries during the flood" 5 1000000 $rounds
	between "highest arp_entries" $((limit / 2)) $limit $highest
	between "entries in debugfs" $((limit / 2)) $limit "$(arp_table 1 | wc -l)"
	between "arp_learned + arp_refused" $senders $((senders + 2)) \
		$(($(get_spans 1 arp_learned) + $(get_spans 1 arp_refused)))
	expect "arp_entries by the counters" "$(get_spans 1 arp_entries)" $((base + $(grown)))
	expect "permanent entries" 50 "$(arp_table 1 | grep -c permanent)"
	expect "permanent neighbours" 50 "$(host 1 ip neigh show nud permanent dev s0 | grep -c '^10\.1\.')"
	expect "state of the used entry" valid "$(arp_table 1 10.0.0.2 3)"
	stop_stream
	# Less than 40 bytes for each sender.
	if [ $checked = no ]; then
		between "growth of SUnreclaim in kB by 80000 senders" -100000 3000 $(($(unreclaimed) - slab))
		# Per-CPU caches are not available memory, either. A page for each sender would be 320000.
		between "loss of MemAvailable in kB by 80000 senders" -100000 16000 $((memory - $(available)))
	fi

	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "cannot resolve a new host: $(arp_table 1 10.0.0.3)"
	log_test "flood of requests from $senders senders"
}

# The lifetime of the used entry is much shorter than the flood.
used_entry_is_kept()
{
	local before until

	RET=0
	three
	set_spans 1 arp_tick_ms 100
	start_stream
	before=$(queues 2 rx packets)
	until=$(($(now) + 7000))
	while (($(now) < until)); do
		spoof 0 $((limit + 50))
		nap 400
	done
	stop_stream
	((before < $(queues 2 rx packets)))
	check_err $? "host 2 received no packets"
	expect "state of the used entry" valid "$(arp_table 1 10.0.0.2 3)"
	between arp_entries 1 $limit "$(get_spans 1 arp_entries)"
	log_test "a used entry is verified and kept during a flood"
}

states() { arp_table 1 | awk '{ print $3 }' | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = ", " }'; }
unsolicited() { arp_table 1 | awk '$5 ~ /U/' | wc -l; }

# reach LAST [SECONDS]: pings the address 10.0.1.LAST, most of which host 2 has.
reach() { host 1 ping -q -c 1 -W "${2:-5}" "10.0.1.$1" >/dev/null; }

gone=/sys/kernel/tracing/events/spans/spans_arp_remove/enable
# why REASON: the number of spans_arp_remove events with this reason.
why() { grep -c "spans_arp_remove: dev=s0 ip=[0-9.]* why=$1\$" /sys/kernel/tracing/trace; }

eviction_order()
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
	check_err $? "no reply"
	reach 101 2
	reach 102 2
	spoof 0 3
	eventually "states of the entries" "2 failed, 6 valid" states
	expect "unsolicited entries" 3 "$(unsolicited)"

	reach 4 && reach 5 && reach 6
	check_err $? "no reply though unsolicited entries could be evicted"
	expect "states after the eviction of unsolicited entries" "2 failed, 6 valid" "$(states)"
	expect "unsolicited entries" 0 "$(unsolicited)"
	expect arp_evicted 3 "$(get_spans 1 arp_evicted)"
	[ ! -e $gone ] || expect "spans_arp_remove events" 3 "$(why "evicted for a packet")"

	reach 7 && reach 8
	check_err $? "no reply though failed entries could be evicted"
	expect "states after the eviction of failed entries" "8 valid" "$(states)"
	expect arp_evicted 5 "$(get_spans 1 arp_evicted)"
	[ ! -e $gone ] || expect "spans_arp_remove events" 5 "$(why "evicted for a packet")"

	expect arp_refused 0 "$(get_spans 1 arp_refused)"
	spoof 100 20
	reach 9 0.5
	check_fail $? "a reply though all entries are in use"
	between arp_refused 20 100 "$(get_spans 1 arp_refused)"
	for ((i = 1; i <= 8; i++)); do
		expect "state of 10.0.1.$i" valid "$(arp_table 1 "10.0.1.$i" 3)"
	done

	set_spans 1 arp_max_entries 9
	reach 9
	check_err $? "no reply after the limit was raised"
	log_test "eviction order of a full table"
}

# An unsolicited entry that is sent to is a used one.
unsolicited_becomes_used()
{
	RET=0
	three 8
	send_arp 2 1 op=1 spa=10.0.0.2 tpa=10.0.0.1
	eventually "unsolicited entries" 1 unsolicited
	station 1 udp 10.0.0.2
	check_err $? "cannot send"
	eventually "unsolicited entries" 0 unsolicited
	expect "requests" 0 "$(get_spans 1 arp_requests)"
	spoof 0 50
	expect "state of the used entry" valid "$(arp_table 1 10.0.0.2 3)"
	log_test "an unsolicited entry becomes a used one when it is sent to"
}

full_of_permanent()
{
	RET=0
	three 16
	permanents 16
	refused "No buffer space available" \
		ip -n "$NS1" neigh add 10.1.0.99 lladdr "$(lladdr 99)" dev s0 nud permanent
	spoof 0 50
	# That neighbour, and each forged sender once.
	expect arp_refused 51 "$(get_spans 1 arp_refused)"
	expect "states of the entries" "16 permanent" "$(states)"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	ip -n "$NS1" neigh replace 10.1.0.7 lladdr "$(lladdr 77)" dev s0 nud permanent
	check_err $? "cannot change an entry of a full table"
	ip -n "$NS1" neigh del 10.1.0.7 dev s0
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no reply after an entry was deleted"
	log_test "permanent entries are not evicted"
}

# A lower limit evicts neither used nor permanent entries; new entries need room.
smaller_limit()
{
	RET=0
	three 64
	permanents 4
	spoof 0 100
	eventually arp_entries 64 get_spans 1 arp_entries
	set_spans 1 arp_max_entries 16
	spoof 200 100
	between "arp_entries after 100 more requests" 4 64 "$(get_spans 1 arp_entries)"
	expect "permanent entries" 4 "$(arp_table 1 | grep -c permanent)"
	host 1 ping -q -c 1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no reply from a new host"
	log_test "a lower arp_max_entries"
}

# A packet evicts an entry that was not used for five seconds.
idle_entry_is_evicted()
{
	local i refused unanswered=0

	RET=0
	three 20
	for i in {1..39}; do echo "addr add 10.2.0.$i/8 dev s0"; done | ip -n "$NS2" -batch -
	host 2 ip neigh replace 10.0.0.1 lladdr "$(lladdr 1)" dev s0 nud permanent
	answer() { host 1 ping -q -c 1 -W 1 "10.2.0.$1" >/dev/null; }
	for i in {1..20}; do answer "$i" || ((++unanswered)); done
	expect "hosts of 20 without a reply" 0 $unanswered
	answer 21 && check_err 1 "a reply though the table is full"
	# ping sends again when the table is full.
	refused=$(get_spans 1 arp_refused)
	between arp_refused 1 10 "$refused"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	nap 5000
	# Received requests evict no used entry.
	spoof 0 100
	expect "arp_evicted after 100 requests" 0 "$(get_spans 1 arp_evicted)"
	refused=$(get_spans 1 arp_refused)
	for i in {21..39}; do answer "$i" || ((++unanswered)); done
	expect "hosts of 39 without a reply" 0 $unanswered
	expect arp_evicted 19 "$(get_spans 1 arp_evicted)"
	expect arp_entries 20 "$(get_spans 1 arp_entries)"
	expect arp_refused "$refused" "$(get_spans 1 arp_refused)"
	log_test "an entry that was not used for five seconds is evicted for a packet"
}

# The default arp_max_entries is the kernel's gc_thresh3.
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
	# Each host sends an ICMP error, which is rate limited by default.
	host 2 sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0
	expect "replies of 700 hosts" 700 "$(host 1 "$selftests/udp.py" ask "${addresses[@]}")"
	expect arp_entries 700 "$(get_spans 1 arp_entries)"
	expect arp_refused 0 "$(get_spans 1 arp_refused)"
	expect arp_evicted 0 "$(get_spans 1 arp_evicted)"
	log_test "a new device resolves 700 hosts"
}

tests_run
exit "$EXIT_STATUS"
