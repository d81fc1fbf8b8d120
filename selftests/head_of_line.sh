#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Head-of-line blocking: the cost of one receiver to those whose frames are behind its own
# in a sender's ring. Host 2 is the slow one, host 1 sends to it and asks host 3.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	getting_on
	bursts
	masked
	masked_with_pauses
	two_masked
	masked_for_longer
	masked_tap
	thousands_of_rules
"

# poll_every I USECS: the polls of host I run every so often, once one has found work.
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

# The CPU on which host 1 sends, and so its ring.
sender=0

# burst ADDRESSES COUNT [TIMES [MS]]: as many datagrams in one go, every 20 ms or so, to each in
# turn. Not in step with what is asked, of which each would meet the same then.
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

# ask: host 1 asks host 3 forty times; $worst becomes the longest that an answer took in
# microseconds, $lost how many did not come.
ask()
{
	local said

	said=$(host 1 taskset -c $sender ping -q -c 40 -i 0.05 -W 8 10.0.0.3)
	lost=$(sed -n 's/^40 packets transmitted, \([0-9]*\) received.*/\1/p' <<<"$said")
	lost=$((40 - ${lost:-0}))
	worst=$(sed -n 's|^rtt .* = [^/]*/[^/]*/\([0-9]*\)\.\([0-9]*\)/.*|\1\2|p' <<<"$said")
	worst=${worst:-99999999}
}

# at_most WHAT VIRTUAL REAL: no answer was lost, and none took longer than this many
# microseconds of a virtual clock, or of a real one, on which computing takes time, too.
at_most()
{
	local bound

	bound=$(scaled "$3")
	if virtual_clock; then bound=$2; fi
	expect "$1: answers that did not come" 0 "$lost"
	[ "$worst" -le "$bound" ]
	check_err $? "$1: an answer took $worst us, at most $bound were expected"
}

# A receiver that is getting on holds its sender back, and loses nothing.
getting_on()
{
	RET=0
	setup
	poll_every 2 500
	# A real clock goes on while the receiver waits for a CPU.
	virtual_clock || set_spans 1 tx_wait_usecs 200000
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	burst 10.0.0.2 1000
	received 1001
	expect "lost at the receiver" 0 "$(queues 2 rx drop_full)"
	expect "lost at the sender" 0 "$(stat 1 tx dropped)"
	log_test "a sender waits for a receiver that is getting on"
}

# So does one that is fast, and has nothing to do between bursts that are more than its ring
# holds.
bursts()
{
	local i

	RET=0
	setup
	host 1 sh -c 'echo 100000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	for ((i = 1; i <= 20; i++)); do
		# They are brought all at once.
		stall 1 0
		burst 10.0.0.2 30
		stall 1 -1
		received $((30 * i))
	done
	expect "lost at the receiver" 0 "$(queues 2 rx drop_full)"
	log_test "bursts that are more than the ring of a fast receiver holds"
}

# One that is not costs a millisecond.
masked()
{
	local worst lost

	RET=0
	setup
	poll_every 2 1000000000
	burst 10.0.0.2 30 600 7 &
	nap 100
	ask
	at_most "behind a receiver that never polls" 1500 100000
	wait $!
	[ "$(queues 2 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 2 rx drop_full) frames found the ring full: this test tested little"
	expect "the watchdog's" 0 "$(queues 1 tx timeouts)"
	expect "all ends of frames for it" 18001 \
		$(($(queues 2 rx drop_full) + $(queues 2 rx packets) + 16))
	log_test "a receiver that never polls costs others a millisecond"
}

# It costs that once, whatever the time between frames for it.
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
	at_most "behind a receiver that never polls, after pauses" 300 100000
	wait $!
	expect "frames that found the ring full" 34 "$(queues 2 rx drop_full)"
	log_test "a receiver that never polls costs that once"
}

# Two of them a millisecond each, and not one for each frame.
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
	at_most "behind two receivers that never poll" 2500 100000
	wait $!
	[ "$(queues 4 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 4 rx drop_full) frames found the ring full: this test tested little"
	log_test "two receivers that never poll cost others two milliseconds"
}

# Or as much as the sender says.
masked_for_longer()
{
	local worst lost

	RET=0
	setup
	set_spans 1 tx_wait_usecs 20000
	poll_every 2 1000000000
	burst 10.0.0.2 17
	ask
	at_most "behind a receiver that never polls" 20500 200000
	# On a real clock the time may be over before the first question.
	! virtual_clock || [ "$worst" -ge 10000 ]
	check_err $? "an answer took $worst us at most: it did not wait"
	set_spans 1 tx_wait_usecs 0
	host 2 ip link set s0 down
	host 2 ip link set s0 up
	poll_every 2 1000000000
	burst 10.0.0.2 17
	ask
	at_most "without waiting" 300 100000
	log_test "the sender says how long it waits"
}

# Frames that no station owns reach promiscuous devices.
masked_tap()
{
	local worst lost

	RET=0
	setup
	host 1 ip neigh replace 10.0.0.9 lladdr "$(lladdr 9)" dev s0 nud permanent
	host 2 ip link set s0 promisc on
	# Long enough to be seen, were there any waiting.
	set_spans 1 tx_wait_usecs 500000
	poll_every 2 1000000000
	burst 10.0.0.9 30 600 7 &
	nap 100
	ask
	at_most "behind a tap that never polls" 300 100000
	wait $!
	[ "$(queues 2 rx drop_full)" -ge 4000 ]
	check_err $? "only $(queues 2 rx drop_full) frames found the ring full: this test tested little"
	log_test "a tap that never polls costs others nothing"
}

# A stack that takes long for each packet has its turn as others do, here on the CPU that
# polls the rings of its sender. Computing takes no time on a virtual clock.
thousands_of_rules()
{
	local what="a receiver with thousands of rules has its turn, as others do" worst lost i sender=1

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
	check_err $? "no rules"
	burst 10.0.0.2 200 150 &
	nap 100
	ask
	# On an idle machine 17 ms; without its turn 240 ms and more.
	at_most "beside a receiver with 12000 rules" 0 200000
	wait $!
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
