#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A ring that hangs is found, reset and started again, and every packet accounted
# for.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	hangs_with_qdisc
	hangs_without_qdisc
	slow_is_not_hung
	goes_on
"
if_slow hangs_with_qdisc

resets() { [ "$(queues 1 tx watchdog)" -ge 1 ]; }

# One reset within 5 seconds, give or take a second and what a slow machine needs.
found_in_time()
{
	local began=$1 took

	busywait 30000 resets
	check_err $? "a ring that hangs was not found"
	took=$((SECONDS - began))
	((took >= 4))
	check_err $? "found after $took s already"
	((took <= 7)) || [ "${KSFT_MACHINE_SLOW:-no}" = yes ]
	check_err $? "found only after $took s"
}

hangs_with_qdisc()
{
	local began

	RET=0
	pair
	# More than the ring holds, so that the queue is stopped, too.
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	# They learn of that when something is completed.
	send_udp 0 1
	arrived() { [ "$(queues 2 rx packets)" = 1 ]; }
	busywait 5000 arrived
	stall 1 0
	began=$SECONDS
	send_udp 0 400
	expect "packets sent by a ring that hangs" 1 "$(stat 1 tx packets)"
	[ "$(queues 1 tx stops)" -ge 1 ]
	check_err $? "the queue was not stopped: this test tested less than it should"
	found_in_time "$began"
	expect "the ring that hangs" -1 "$(stall 1)"
	all() { [ "$(ends 1 tx)" = 401 ]; }
	busywait 20000 all
	expect "all ends" 401 "$(ends 1 tx)"
	expect "lost in the ring" 256 "$(queues 1 tx drop_watchdog)"
	expect "packets that arrived" 145 "$(queues 2 rx packets)"
	expect "stops and wakes" "$(queues 1 tx stops)" "$(queues 1 tx wakes)"
	log_test "a ring that hangs, with a qdisc"
}

hangs_without_qdisc()
{
	local began

	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	began=$SECONDS
	send_udp 0 5
	found_in_time "$began"
	all() { [ "$(ends 1 tx)" = 5 ]; }
	busywait 5000 all
	expect "lost in the ring" 5 "$(queues 1 tx drop_watchdog)"
	send_udp 0 3
	arrived() { [ "$(queues 2 rx packets)" = 3 ]; }
	busywait 5000 arrived
	check_err $? "nothing arrives after a reset"
	expect "resets" 1 "$(queues 1 tx watchdog)"
	log_test "a ring that hangs with few packets, without a qdisc"
}

slow_is_not_hung()
{
	local before

	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	set_spans 1 queue_len 65536
	# 74 bytes at 1 Mbit/s take 0.6 ms.
	set_spans 1 rate_mbit 1
	# More than 6 seconds of that, however long it takes to send them.
	before=$SECONDS
	while ((SECONDS - before < 7)); do
		send_udp 0 1000
	done
	expect "resets" 0 "$(queues 1 tx watchdog)"
	# The longest there is: seconds in which nothing is completed.
	set_spans 1 delay_usecs 1000000
	send_udp 0 10
	[ "$(host 1 ethtool -S s0 | awk '/ring_max/ { sum += $2 } END { print sum }')" -ge 2 ]
	check_err $? "nothing waited in the ring: this test tested nothing"
	set_spans 1 rate_mbit 0
	set_spans 1 delay_usecs 0
	all() { [ "$(ends 1 tx)" = "$(queues 2 rx packets)" ] && [ "$(ends 1 tx)" -ge 1010 ]; }
	busywait 60000 all
	check_err $? "not all arrived"
	expect "resets" 0 "$(queues 1 tx watchdog)"
	log_test "a ring that is slow does not hang"
}

goes_on()
{
	RET=0
	pair
	stall 1 0
	send_udp 0 10
	expect "packets sent by a ring that hangs" 0 "$(stat 1 tx packets)"
	stall 1 -1
	arrived() { [ "$(queues 2 rx packets)" = 10 ]; }
	busywait 3000 arrived
	check_err $? "a ring that does not hang any more does not go on"
	expect "resets" 0 "$(queues 1 tx watchdog)"
	for ring in -2 99 x ''; do
		(stall 1 "$ring") 2>/dev/null
		check_fail $? "ring '$ring' was told to hang"
	done
	# Another ring is not concerned.
	if (($(getconf _NPROCESSORS_ONLN) > 1)); then
		stall 1 1
		send_udp 0 10
		arrived() { [ "$(queues 2 rx packets)" = 20 ]; }
		busywait 3000 arrived
		check_err $? "ring 1 hangs, and ring 0 sends nothing"
	fi
	log_test "a ring goes on when it does not hang any more"
}

tests_run
exit "$EXIT_STATUS"
