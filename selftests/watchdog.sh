#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The watchdog: a stalled TX ring is reset and restarted, and each packet is accounted for. An
# RX ring that missed an interrupt is polled.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	timeout_is_five_seconds
	hangs_with_qdisc
	hangs_without_qdisc
	slow_is_not_hung
	stall_ends
	logged
	armed_only_when_pending
	down_and_up
	missed_irq
	missed_irq_by_threads
	deferred_is_not_missed
	polled_by_a_socket
	down_with_missed_irq
"

resets() { [ "$(queues 1 tx timeouts)" -ge 1 ]; }

# found_in_time BEGAN: a reset by the fifth check since BEGAN. The first check is a second after
# the doorbell that armed the watchdog; on a virtual clock the times are exact.
found_in_time()
{
	local took

	busywait 60000 resets
	check_err $? "a stalled ring was not reset"
	took=$(($(now) - $1))
	((took >= 4000))
	check_err $? "reset after only $took ms"
	if virtual_clock; then
		((took < 6500))
		check_err $? "reset after $took ms"
	fi
	((took < 30000))
	check_err $? "reset after $took ms"
}

# Checks are a second and some slack of the timer apart. One process sends and polls, so that
# little time passes outside of its sleeps.
timeout_is_five_seconds()
{
	local found what="a stalled ring is reset after five seconds"

	RET=0
	pair
	if ! virtual_clock; then
		log_test_skip "$what" "needs a virtual clock"
		return
	fi
	host 1 tc qdisc replace dev s0 root noqueue
	# Until the watchdog is no longer armed.
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
	expect "drop_timeout" 1 "$(queues 1 tx drop_timeout)"
	log_test "$what"
}

hangs_with_qdisc()
{
	local began

	RET=0
	pair
	# More packets than slots, so that the queue is stopped, too.
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	# The limits are applied by the first completion.
	send_udp 0 1
	received 1
	stall 1 0
	began=$(now)
	send_udp 0 400
	expect "packets sent by a stalled ring" 1 "$(stat 1 tx packets)"
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was not stopped: this test tested less than it should"
	found_in_time "$began"
	expect "stalled ring after the reset" -1 "$(stall 1)"
	all() { [ "$(accounted 1 tx)" = 401 ]; }
	busywait 20000 all
	expect "packets sent or dropped" 401 "$(accounted 1 tx)"
	expect "drop_timeout" 256 "$(queues 1 tx drop_timeout)"
	expect "packets received by host 2" 145 "$(queues 2 rx packets)"
	expect "stops and wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	expect "TX errors" 1 "$(stat 1 tx errors)"
	log_test "reset of a stalled, full ring with a qdisc"
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
	all() { [ "$(accounted 1 tx)" = 5 ]; }
	busywait 60000 all
	expect "drop_timeout" 5 "$(queues 1 tx drop_timeout)"
	send_udp 0 3
	received 3
	expect "timeouts" 1 "$(queues 1 tx timeouts)"
	log_test "reset of a stalled ring with few packets, without a qdisc"
}

slow_is_not_hung()
{
	local before sent=0

	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	set_spans 1 queue_len 65536
	# 9056 bytes at 1 Mbit/s take 72 ms: the packets of each round take seven seconds.
	set_spans 1 rate_mbit 1
	before=$(now)
	while (($(now) - before < 7000)); do
		send_udp 0 100 9000
		((sent += 100))
		nap 1000
		[ "$(queues 1 tx packets)" -lt "$sent" ]
		check_err $? "the ring is empty: this test tested less than it should"
	done
	expect "timeouts" 0 "$(queues 1 tx timeouts)"
	# The maximum: seconds without a completion.
	set_spans 1 delay_usecs 1000000
	send_udp 0 10
	nap 7000
	expect "timeouts" 0 "$(queues 1 tx timeouts)"
	set_spans 1 rate_mbit 0
	set_spans 1 delay_usecs 0
	received $((sent + 10))
	expect "timeouts" 0 "$(queues 1 tx timeouts)"
	log_test "a slow ring is not reset"
}

stall_ends()
{
	RET=0
	pair
	stall 1 0
	send_udp 0 10
	expect "packets sent by a stalled ring" 0 "$(stat 1 tx packets)"
	stall 1 -1
	received 10
	expect "timeouts" 0 "$(queues 1 tx timeouts)"
	for ring in -2 99 x ''; do
		(stall 1 "$ring") 2>/dev/null
		check_fail $? "stall of ring '$ring' was accepted"
	done
	# A stall of ring 1 does not affect ring 0.
	if (($(getconf _NPROCESSORS_ONLN) > 1)); then
		stall 1 1
		send_udp 0 10
		received 20
	fi
	log_test "a ring goes on when its stall ends in time"
}

# lines: the number of log lines about a reset since log_begins.
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
	check_err $? "a stalled ring was not reset"
	eventually "log lines about the ring" 1 lines
	expect "frames in the log line" 7 "$(log | sed -n 's/.*ring reset, \([0-9]*\) frames.*/\1/p')"
	age=$(log | sed -n 's/.*timed out \([0-9]*\) ms.*/\1/p')
	if virtual_clock; then
		between "ms in the log line" 5000 5300 "$age"
	fi
	between "ms in the log line" 4000 30000 "$age"
	# msglvl without tx_err.
	host 1 ethtool -s s0 msglvl tx_err off
	stall 1 0
	send_udp 0 1
	twice() { [ "$(queues 1 tx timeouts)" = 2 ]; }
	busywait 60000 twice
	check_err $? "a stalled ring was not reset the second time"
	expect "log lines without tx_err" 1 "$(lines)"
	expect "TX errors" 2 "$(stat 1 tx errors)"
	log_test "a reset is logged with queue, age and frames"
}

# checks MS: the number of watchdog checks in this time.
checks()
{
	trace timer/timer_expire_entry
	nap "$1"
	untrace timer/timer_expire_entry
	grep -c 'function=[^ ]*Watchdog' /sys/kernel/tracing/trace
}

armed_only_when_pending()
{
	local found

	RET=0
	pair
	if [ ! -e /sys/kernel/tracing/events/timer/timer_expire_entry ]; then
		log_test_skip "the watchdog is armed only while frames are pending" "needs timer tracepoints"
		return
	fi
	send_udp 0 10
	received 10
	# Until both watchdogs are no longer armed.
	nap 3000
	expect "checks of idle devices" 0 "$(checks 5000)"
	stall 1 0
	send_udp 0 1
	found=$(checks 3500)
	between "checks of a stalled ring in 3.5 seconds" 3 4 "$found"
	stall 1 -1
	received 11
	nap 3000
	expect "checks afterwards" 0 "$(checks 5000)"
	log_test "the watchdog is armed only while frames are pending"
}

# Down and up, and delete, while the watchdog is armed.
down_and_up()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	# Before and after a check.
	for ms in 0 1500; do
		nap $ms
		host 1 ip link set s0 down
		host 1 ip link set s0 up
		neighbours 2
		stall 1 0
		send_udp 0 5
	done
	busywait 60000 resets
	check_err $? "a stalled ring was not reset after down and up"
	expect "timeouts" 1 "$(queues 1 tx timeouts)"
	expect "drop_timeout" 5 "$(queues 1 tx drop_timeout)"
	expect "drop_purge" 10 "$(queues 1 tx drop_purge)"
	stall 1 0
	send_udp 0 5
	host 1 ip link del s0
	check_err $? "cannot delete a device with an armed watchdog"
	nap 2000
	log_test "down, up and delete while the watchdog is armed"
}

# missed COUNT: whether missed_irqs of host 2 is COUNT.
missed() { [ "$(queues 2 rx missed_irqs)" = "$1" ]; }

# miss TOTAL: sends five datagrams; their doorbell schedules no poll. Host 2 must have received
# TOTAL packets after two or three checks of the watchdog.
miss()
{
	local began took

	expect "ring that misses interrupts, before" 0 "$(miss_irq 2)"
	began=$(now)
	send_udp 0 5
	nap 300
	expect "packets received before the check" $(($1 - 5)) "$(queues 2 rx packets)"
	received "$1"
	took=$(($(now) - began))
	if virtual_clock; then
		# busywait has growing pauses.
		between "ms until the packets were received" 1000 3300 "$took"
	fi
	expect "ring that misses interrupts" -1 "$(miss_irq 2)"
}

missed_irq()
{
	RET=0
	pair
	log_begins
	# Until the watchdog is no longer armed.
	nap 3000
	miss_irq 2 0
	check_err $? "cannot write miss_irq"
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	lines() { log | grep -c "s0: receive queue 0 missed an interrupt: 5 frames polled"; }
	eventually "log lines about the ring" 1 lines
	# Later doorbells schedule the poll again.
	send_udp 0 5
	received 10
	expect "missed interrupts afterwards" 1 "$(queues 2 rx missed_irqs)"
	nap 3000
	# A missed interrupt is not made up for; the next doorbell schedules the poll.
	miss_irq 2 0
	send_udp 0 5
	miss_irq 2 -1
	nap 300
	expect "packets received before another interrupt" 10 "$(queues 2 rx packets)"
	send_udp 0 1
	received 16
	nap 3000
	expect "missed interrupts after another one" 1 "$(queues 2 rx missed_irqs)"
	host 2 ethtool -s s0 msglvl rx_err off
	miss_irq 2 0
	miss 21
	expect "missed interrupts" 2 "$(queues 2 rx missed_irqs)"
	expect "log lines without rx_err" 1 "$(lines)"
	expect "errors" "0 0" "$(stat 2 rx errors) $(stat 2 tx errors)"
	for ring in -2 99 x ''; do
		(miss_irq 2 "$ring") 2>/dev/null
		check_fail $? "miss_irq of ring '$ring' was accepted"
	done
	miss_irq 2 0
	host 2 ethtool --reset s0 all >/dev/null
	expect "ring that misses interrupts after a reset" -1 "$(miss_irq 2)"
	log_test "an RX ring that missed an interrupt is polled and counted"
}

missed_irq_by_threads()
{
	RET=0
	pair
	echo 1 >"$(sys 2)/class/net/s0/threaded"
	check_err $? "cannot enable threaded NAPI"
	nap 3000
	miss_irq 2 0
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	log_test "an RX ring that missed an interrupt is polled, threaded NAPI"
}

# defer_irqs SECONDS: masks the interrupts of host 2 for so long after each poll.
defer_irqs()
{
	echo 1000 >"$(sys 2)/class/net/s0/napi_defer_hard_irqs" &&
		echo "${1}000000000" >"$(sys 2)/class/net/s0/gro_flush_timeout"
	check_err $? "cannot write napi_defer_hard_irqs or gro_flush_timeout"
}

# napi_defer_hard_irqs delays polls on purpose.
deferred_is_not_missed()
{
	RET=0
	pair
	log_begins
	defer_irqs 10
	send_udp 0 1
	received 1
	send_udp 0 5
	nap 7000
	expect "packets received while masked" 1 "$(queues 2 rx packets)"
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	received 6
	defer_irqs 0
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	expect "log lines" "" "$(log | grep 'missed an interrupt')"
	log_test "deferred interrupts are not missed interrupts"
}

# A socket's busy poll leaves its NAPI to a timer of the core, and frames above its budget in the
# ring (busy_poll_stop(), net/core/dev.c).
polled_by_a_socket()
{
	local what="frames left by a busy poll are not missed interrupts" dir

	RET=0
	pair
	host 2 ip route del unreachable 10.0.0.1/32
	dir=$(mktemp -d)
	defer rm -r "$dir"
	start 2 python3 -I -S -c "
import os, socket, time
def step(name):
    os.mkdir('$dir/' + name)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 46, 50)  # SO_BUSY_POLL
s.setsockopt(socket.SOL_SOCKET, 69, 1)  # SO_PREFER_BUSY_POLL
s.setsockopt(socket.SOL_SOCKET, 70, 8)  # SO_BUSY_POLL_BUDGET
s.bind(('', 9))
step('bound')
s.recv(64)
step('knows-its-napi')
while not os.path.exists('$dir/go'):
    time.sleep(0.01)
s.recv(64)
step('polled')
time.sleep(3600)"
	defer kill_process $!
	busywait 20000 test -e "$dir/bound" || check_err $? "the receiver has no socket"
	defer_irqs 10
	send_udp 0 1
	busywait 20000 test -e "$dir/knows-its-napi"
	check_err $? "the receiver got no packet"
	send_udp 0 20
	mkdir "$dir/go"
	busywait 20000 test -e "$dir/polled"
	check_err $? "the receiver got no packet by busy polling"
	expect "packets received by the busy poll" 9 "$(queues 2 rx packets)"
	nap 4000
	expect "packets received while the core's timer runs" 9 "$(queues 2 rx packets)"
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	received 21
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	log_test "$what"
}

# Down purges an RX ring with missed frames; after up its watchdog works again.
down_with_missed_irq()
{
	RET=0
	pair
	# Before and after a check.
	for ms in 0 1500; do
		miss_irq 2 0
		send_udp 0 5
		nap $ms
		host 2 ip link set s0 down
		host 2 ip link set s0 up
		host 2 ip addr replace 10.0.0.2/24 dev s0
		host 2 ip route replace unreachable 10.0.0.1/32
	done
	expect "drop_purge" 10 "$(queues 2 rx drop_purge)"
	expect "ring that misses interrupts" -1 "$(miss_irq 2)"
	neighbours 2
	nap 3000
	miss_irq 2 0
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	miss_irq 2 0
	send_udp 0 5
	host 2 ip link del s0
	check_err $? "cannot delete a device with an armed watchdog"
	nap 3000
	log_test "down, up and delete while an RX ring has missed an interrupt"
}

tests_run
exit "$EXIT_STATUS"
