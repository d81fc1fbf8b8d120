#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A ring that hangs is found, reset and started again, and every packet accounted
# for.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	when
	hangs_with_qdisc
	hangs_without_qdisc
	slow_is_not_hung
	goes_on
	logged
	armed_with_work_only
	down_and_up
"

resets() { [ "$(queues 1 tx watchdog)" -ge 1 ]; }

# found_in_time BEGAN: one reset at the fifth look since then (now). The first one is a second
# after the doorbell that armed the watchdog, which is exact where time does not pass while this
# looks.
found_in_time()
{
	local took

	busywait 60000 resets
	check_err $? "a ring that hangs was not found"
	took=$(($(now) - $1))
	((took >= 4000))
	check_err $? "found after $took ms already"
	if virtual_clock; then
		((took < 6500))
		check_err $? "found only after $took ms"
	fi
	((took < 30000))
	check_err $? "found only after $took ms"
}

# The looks are a second apart, and a little more as they are timers without haste. One process
# does it all, so that little time passes but what it waits for.
when()
{
	local found what="five seconds"

	RET=0
	pair
	if ! virtual_clock; then
		log_test_skip "$what" "needs a virtual clock"
		return
	fi
	host 1 tc qdisc replace dev s0 root noqueue
	# The watchdog is not armed any more.
	nap 3000
	stall 1 0
	found=$(host 1 python3 -I -S -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = time.time()
s.sendto(bytes(18), ('10.0.0.2', 9))
with open('/sys/class/net/s0/statistics/tx_dropped') as dropped:
    while dropped.read() == '0\n' and time.time() - sent < 20:
        time.sleep(0.01)
        dropped.seek(0)
print(int((time.time() - sent) * 1000))")
	between "ms until the ring was reset" 5000 5300 "$found"
	expect "lost in the ring" 1 "$(queues 1 tx drop_watchdog)"
	log_test "$what"
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
	received 1
	stall 1 0
	began=$(now)
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
	expect "TX errors" 1 "$(stat 1 tx errors)"
	log_test "a ring that hangs, with a qdisc"
}

hangs_without_qdisc()
{
	local began

	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	began=$(now)
	send_udp 0 5
	found_in_time "$began"
	all() { [ "$(ends 1 tx)" = 5 ]; }
	busywait 60000 all
	expect "lost in the ring" 5 "$(queues 1 tx drop_watchdog)"
	send_udp 0 3
	received 3
	expect "resets" 1 "$(queues 1 tx watchdog)"
	log_test "a ring that hangs with few packets, without a qdisc"
}

slow_is_not_hung()
{
	local before sent=0

	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	set_spans 1 queue_len 65536
	# 9056 bytes at 1 Mbit/s take 72 ms: what is sent in each round lasts for seven seconds
	# more, even if the ring was empty.
	set_spans 1 rate_mbit 1
	before=$(now)
	while (($(now) - before < 7000)); do
		send_udp 0 100 9000
		((sent += 100))
		nap 1000
		[ "$(queues 1 tx packets)" -lt "$sent" ]
		check_err $? "nothing waits in the ring: this test tested less than it should"
	done
	expect "resets" 0 "$(queues 1 tx watchdog)"
	# The longest there is: seconds in which nothing is completed.
	set_spans 1 delay_usecs 1000000
	send_udp 0 10
	nap 7000
	expect "resets" 0 "$(queues 1 tx watchdog)"
	set_spans 1 rate_mbit 0
	set_spans 1 delay_usecs 0
	received $((sent + 10))
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
	received 10
	expect "resets" 0 "$(queues 1 tx watchdog)"
	for ring in -2 99 x ''; do
		(stall 1 "$ring") 2>/dev/null
		check_fail $? "ring '$ring' was told to hang"
	done
	# Another ring is not concerned.
	if (($(getconf _NPROCESSORS_ONLN) > 1)); then
		stall 1 1
		send_udp 0 10
		received 20
	fi
	log_test "a ring goes on when it does not hang any more"
}

# lines: of those since log_begins, all about a ring of host 1.
lines() { log | grep -c "s0: transmit queue 0 timed out [0-9]* ms: ring reset, [0-9]* frames dropped"; }

logged()
{
	local age

	RET=0
	pair
	log_begins
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 7
	busywait 60000 resets
	check_err $? "a ring that hangs was not found"
	eventually "lines about the ring" 1 lines
	expect "frames in the line" 7 "$(log | sed -n 's/.*ring reset, \([0-9]*\) frames.*/\1/p')"
	age=$(log | sed -n 's/.*timed out \([0-9]*\) ms.*/\1/p')
	if virtual_clock; then
		between "ms in the line" 5000 5300 "$age"
	fi
	between "ms in the line" 4000 30000 "$age"
	# Who does not want to know.
	host 1 ethtool -s s0 msglvl tx_err off
	stall 1 0
	send_udp 0 1
	twice() { [ "$(queues 1 tx watchdog)" = 2 ]; }
	busywait 60000 twice
	check_err $? "a ring that hangs was not found again"
	expect "lines without tx_err" 1 "$(lines)"
	expect "TX errors" 2 "$(stat 1 tx errors)"
	log_test "a ring that is reset is told in the log, with queue and age"
}

# looks MS: how often a watchdog looks in this time.
looks()
{
	trace timer/timer_expire_entry
	nap "$1"
	untrace timer/timer_expire_entry
	grep -c 'function=[^ ]*Watchdog' /sys/kernel/tracing/trace
}

armed_with_work_only()
{
	local found

	RET=0
	pair
	if [ ! -e /sys/kernel/tracing/events/timer/timer_expire_entry ]; then
		log_test_skip "the watchdog is armed only with work" "needs the tracing of timers"
		return
	fi
	send_udp 0 10
	received 10
	# Both had work.
	nap 3000
	expect "looks at idle devices" 0 "$(looks 5000)"
	stall 1 0
	send_udp 0 1
	found=$(looks 3500)
	between "looks in 3.5 seconds at a ring that hangs" 3 4 "$found"
	stall 1 -1
	received 11
	nap 3000
	expect "looks afterwards" 0 "$(looks 5000)"
	log_test "the watchdog is armed only while there is work"
}

# A device that goes down while it is watched is watched again, and one that is deleted lets go.
down_and_up()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	# Before a look, and after one.
	for ms in 0 1500; do
		nap $ms
		host 1 ip link set s0 down
		host 1 ip link set s0 up
		neighbours 2
		stall 1 0
		send_udp 0 5
	done
	busywait 60000 resets
	check_err $? "a ring that hangs was not found after down and up"
	expect "resets" 1 "$(queues 1 tx watchdog)"
	expect "lost in the ring" 5 "$(queues 1 tx drop_watchdog)"
	expect "dropped when it went down" 10 "$(queues 1 tx drop_purge)"
	stall 1 0
	send_udp 0 5
	host 1 ip link del s0
	check_err $? "cannot delete a device that is watched"
	nap 2000
	log_test "down, up and delete while a ring is watched"
}

tests_run
exit "$EXIT_STATUS"
