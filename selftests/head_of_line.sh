#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Head-of-line blocking: the delay of frames to host 3 behind frames to a slow host 2.
#
#                              /--> host 2: slow, 16 RX slots
#   host 1 --- one TX ring ---<
#                              \--> host 3: the round-trip time is measured

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	progress
	bursts
	masked
	masked_with_pauses
	two_masked
	masked_for_longer
	masked_promiscuous_member
	thousands_of_rules
"

# poll_every I USECS: after the next poll host I only polls every USECS microseconds.
poll_every()
{
	echo 1000000 >"$(sys "$1")/class/net/s0/napi_defer_hard_irqs"
	echo $(($2 * 1000)) >"$(sys "$1")/class/net/s0/gro_flush_timeout"
	host 1 taskset -c 0 ping -q -c 1 -W 1 "10.0.0.$1" >/dev/null
}

# setup [HOSTS]
setup()
{
	hosts "${1:-3}"
	neighbours "${1:-3}"
	host 2 ip route replace unreachable 10.0.0.1/32
	host 2 ethtool -G s0 rx 16
}

cpus=$(getconf _NPROCESSORS_ONLN)

# The CPU on which host 1 sends, which selects its ring.
sender=0

# burst ADDRESSES COUNT [TIMES [MS]]: sends COUNT datagrams to each address in turn, TIMES
# times with a pause of MS (20). The period must not be that of `ask`.
burst()
{
	host 1 taskset -c $sender python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for again in reversed(range(${3:-1})):
    for _ in range($2):
        for address in '$1'.split():
            s.sendto(bytes(18), (address, 9))
    time.sleep(${4:-20} / 1000 if again else 0)"
}

# ask: 40 echo requests from host 1 to host 3; sets $worst and $median to round-trip times in
# microseconds and $lost to the number of missing replies.
ask()
{
	local said times

	# No process substitution, which changes $!.
	said=$(host 1 taskset -c $sender ping -c 40 -i 0.05 -W 8 10.0.0.3 |
		awk -F 'time=' 'NF > 1 { printf "%d\n", $2 * 1000 }' | sort -n)
	mapfile -t times <<<"$said"
	lost=$((40 - ${#times[@]}))
	[ -n "$said" ] || lost=40
	worst=${times[-1]:-99999999}
	median=${times[${#times[@]} / 2]:-99999999}
}

# at_most WHAT VIRTUAL REAL: checks $lost, and $worst against a limit in microseconds for a
# virtual and for a real clock, on which computing takes time, too.
at_most()
{
	local bound

	bound=$(scaled "$3")
	if virtual_clock; then bound=$2; fi
	expect "$1: missing replies" 0 "$lost"
	[ "$worst" -le "$bound" ]
	check_err $? "$1: a reply took $worst us, expected at most $bound"
}

# A slow receiver that makes progress causes backpressure, and misses no frame.
progress()
{
	RET=0
	setup
	poll_every 2 500
	# On a real clock the receiver also waits for its CPU.
	virtual_clock || set_spans 1 tx_wait_usecs 200000
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	burst 10.0.0.2 1000
	received 1001
	expect "drop_full of host 2" 0 "$(queues 2 rx drop_full)"
	expect "tx dropped of host 1" 0 "$(stat 1 tx dropped)"
	log_test "a sender waits for a slow receiver that makes progress"
}

# The same for a fast receiver that is idle between bursts of more frames than its RX ring holds.
bursts()
{
	local i

	RET=0
	setup
	host 1 sh -c 'echo 100000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	for ((i = 1; i <= 20; i++)); do
		# One poll forwards the whole burst.
		stall 1 0
		burst 10.0.0.2 30
		stall 1 -1
		received $((30 * i))
	done
	expect "drop_full of host 2" 0 "$(queues 2 rx drop_full)"
	log_test "bursts longer than the RX ring of a fast receiver"
}

# A receiver without progress costs its senders the TX wait, a millisecond.
masked()
{
	local worst lost

	RET=0
	setup
	poll_every 2 1000000000
	burst 10.0.0.2 30 600 7 &
	nap 100
	ask
	at_most "behind a receiver that never polls" 1500 500000
	wait $!
	[ "$(queues 2 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 2 rx drop_full) frames found the ring full: this test tested little"
	expect "timeouts of host 1" 0 "$(queues 1 tx timeouts)"
	expect "frames received or missed by host 2, or in its ring" 18001 \
		$(($(queues 2 rx drop_full) + $(queues 2 rx packets) + 16))
	log_test "a receiver that never polls delays others by a millisecond"
}

# The TX wait is spent once, whatever the time between frames to this receiver.
masked_with_pauses()
{
	local worst lost

	RET=0
	setup
	poll_every 2 1000000000
	burst 10.0.0.2 30
	nap 50
	burst 10.0.0.2 1 20 150 &
	ask
	at_most "behind a receiver that never polls, after pauses" 300 500000
	wait $!
	expect "drop_full of host 2" 34 "$(queues 2 rx drop_full)"
	log_test "a receiver that never polls delays others once"
}

# Two such receivers cost a millisecond each, not one for each frame.
two_masked()
{
	local worst lost

	RET=0
	setup 4
	host 4 ethtool -G s0 rx 16
	poll_every 2 1000000000
	poll_every 4 1000000000
	burst "10.0.0.2 10.0.0.4" 30 600 7 &
	nap 100
	ask
	at_most "behind two receivers that never poll" 2500 500000
	wait $!
	[ "$(queues 4 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 4 rx drop_full) frames found the ring full: this test tested little"
	log_test "two receivers that never poll delay others by two milliseconds"
}

# tx_wait_usecs of the sender.
masked_for_longer()
{
	local worst lost

	RET=0
	setup
	set_spans 1 tx_wait_usecs 20000
	poll_every 2 1000000000
	burst 10.0.0.2 17
	ask
	at_most "behind a receiver that never polls" 20500 500000
	# On a real clock the time may be over before the first request.
	! virtual_clock || [ "$worst" -ge 10000 ]
	check_err $? "the slowest reply took $worst us: the sender did not wait"
	set_spans 1 tx_wait_usecs 0
	host 2 ip link set s0 down
	host 2 ip link set s0 up
	poll_every 2 1000000000
	burst 10.0.0.2 17
	ask
	at_most "with tx_wait_usecs 0" 300 500000
	log_test "tx_wait_usecs bounds the delay of others"
}

# Frames to unknown addresses reach promiscuous members, without backpressure.
masked_promiscuous_member()
{
	local worst lost

	RET=0
	setup
	host 1 ip neigh replace 10.0.0.9 lladdr "$(lladdr 9)" dev s0 nud permanent
	host 2 ip link set s0 promisc on
	# A wait of this length would be noticed.
	set_spans 1 tx_wait_usecs 500000
	poll_every 2 1000000000
	burst 10.0.0.9 30 600 7 &
	nap 100
	ask
	at_most "behind a promiscuous member that never polls" 300 500000
	wait $!
	[ "$(queues 2 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 2 rx drop_full) frames found the ring full: this test tested little"
	log_test "a promiscuous member that never polls does not delay others"
}

# A receiver with long processing of each packet shares the CPU with the sender's TX poll.
# Computing takes no time on a virtual clock.
thousands_of_rules()
{
	local what="a receiver with thousands of routing rules does not delay others" worst median lost i sender=1

	RET=0
	((cpus > 1)) || { log_test_skip "$what" "one CPU"; return; }
	hosts 3
	neighbours 3
	host 2 ethtool -G s0 rx 16
	set_spans 1 owner_cpus "0 0"
	set_spans 2 owner_cpus "0 0"
	host 2 ip rule add pref 32000 lookup local
	host 2 ip rule del pref 0
	for ((i = 1; i <= 12000; i++)); do
		echo "rule add pref $i from 11.0.$((i >> 8)).$((i & 255)) lookup 100"
	done | ip -n "$NS2" -batch -
	check_err $? "cannot add routing rules"
	burst 10.0.0.2 200 150 &
	nap 100
	ask
	# On a busy machine 70 ms, and ten times as much without a limit of the receiver's poll. The
	# worst reply depends on the scheduler of the machine.
	expect "missing replies" 0 "$lost"
	between "median of the replies beside a receiver with 12000 rules, in us" 0 "$(scaled 250000)" "$median"
	wait $!
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
