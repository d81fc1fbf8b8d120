#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A transmit ring that hangs is found, reset and started again, and every packet accounted
# for. A receive ring that missed an interrupt is polled.

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
	missed_irq
	missed_irq_by_threads
	deferred_is_not_missed
	polled_by_a_socket
	down_with_missed_irq
"

resets() { [ "$(queues 1 tx timeouts)" -ge 1 ]; }

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
	expect "lost in the ring" 1 "$(queues 1 tx drop_timeout)"
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
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was not stopped: this test tested less than it should"
	found_in_time "$began"
	expect "the ring that hangs" -1 "$(stall 1)"
	all() { [ "$(ends 1 tx)" = 401 ]; }
	busywait 20000 all
	expect "all ends" 401 "$(ends 1 tx)"
	expect "lost in the ring" 256 "$(queues 1 tx drop_timeout)"
	expect "packets that arrived" 145 "$(queues 2 rx packets)"
	expect "stops and wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
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
	expect "lost in the ring" 5 "$(queues 1 tx drop_timeout)"
	send_udp 0 3
	received 3
	expect "resets" 1 "$(queues 1 tx timeouts)"
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
	expect "resets" 0 "$(queues 1 tx timeouts)"
	# The longest there is: seconds in which nothing is completed.
	set_spans 1 delay_usecs 1000000
	send_udp 0 10
	nap 7000
	expect "resets" 0 "$(queues 1 tx timeouts)"
	set_spans 1 rate_mbit 0
	set_spans 1 delay_usecs 0
	received $((sent + 10))
	expect "resets" 0 "$(queues 1 tx timeouts)"
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
	expect "resets" 0 "$(queues 1 tx timeouts)"
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
	twice() { [ "$(queues 1 tx timeouts)" = 2 ]; }
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
	expect "resets" 1 "$(queues 1 tx timeouts)"
	expect "lost in the ring" 5 "$(queues 1 tx drop_timeout)"
	expect "dropped when it went down" 10 "$(queues 1 tx drop_purge)"
	stall 1 0
	send_udp 0 5
	host 1 ip link del s0
	check_err $? "cannot delete a device that is watched"
	nap 2000
	log_test "down, up and delete while a ring is watched"
}

# missed COUNT: the watchdog of host 2 polled a receive ring so often.
missed() { [ "$(queues 2 rx missed_irqs)" = "$1" ]; }

# miss COMES AFTER: five datagrams that host 2 does not notice, until it has received COMES,
# within two looks or three. The first one is AFTER that.
miss()
{
	local began took

	expect "before: ring that misses interrupts" 0 "$(miss_irq 2)"
	began=$(now)
	send_udp 0 5
	nap 300
	expect "packets of which the receiver does not know" $(($1 - 5)) "$(queues 2 rx packets)"
	received "$1"
	took=$(($(now) - began))
	if virtual_clock; then
		# With growing pauses between questions.
		between "ms until they were received" 1000 3300 "$took"
	fi
	expect "ring that misses interrupts" -1 "$(miss_irq 2)"
}

missed_irq()
{
	RET=0
	pair
	log_begins
	# No look is pending that packets before have armed.
	nap 3000
	miss_irq 2 0
	check_err $? "no switch"
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	lines() { log | grep -c "s0: receive queue 0 missed an interrupt: 5 frames polled"; }
	eventually "lines about the ring" 1 lines
	# It goes on by itself.
	send_udp 0 5
	received 10
	expect "missed interrupts afterwards" 1 "$(queues 2 rx missed_irqs)"
	nap 3000
	# An interrupt that was missed does not come later, another one does.
	miss_irq 2 0
	send_udp 0 5
	miss_irq 2 -1
	nap 300
	expect "packets before another interrupt" 10 "$(queues 2 rx packets)"
	send_udp 0 1
	received 16
	nap 3000
	expect "missed interrupts after another one" 1 "$(queues 2 rx missed_irqs)"
	host 2 ethtool -s s0 msglvl rx_err off
	miss_irq 2 0
	miss 21
	expect "missed interrupts" 2 "$(queues 2 rx missed_irqs)"
	expect "lines without rx_err" 1 "$(lines)"
	expect "errors" "0 0" "$(stat 2 rx errors) $(stat 2 tx errors)"
	for ring in -2 99 x ''; do
		(miss_irq 2 "$ring") 2>/dev/null
		check_fail $? "ring '$ring' was told to miss interrupts"
	done
	miss_irq 2 0
	host 2 ethtool --reset s0 all >/dev/null
	expect "ring that misses interrupts after a reset" -1 "$(miss_irq 2)"
	log_test "a ring that missed an interrupt is polled and counted"
}

missed_irq_by_threads()
{
	RET=0
	pair
	echo 1 >"$(sys 2)/class/net/s0/threaded"
	check_err $? "no threads"
	nap 3000
	miss_irq 2 0
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	log_test "the same for a thread"
}

# defer_irqs SECONDS: the interrupts of host 2 are masked, after the next poll, for so long.
defer_irqs()
{
	echo 1000 >"$(sys 2)/class/net/s0/napi_defer_hard_irqs" &&
		echo "${1}000000000" >"$(sys 2)/class/net/s0/gro_flush_timeout"
	check_err $? "cannot mask"
}

# The user wants that frames wait.
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
	expect "packets while masked" 1 "$(queues 2 rx packets)"
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	received 6
	defer_irqs 0
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	expect "lines" "" "$(log | grep 'missed an interrupt')"
	log_test "frames that wait as the user wants it are not missed"
}

# A socket that polls busily leaves its NAPI to the timer of the core, and what is more than its
# budget in the ring (busy_poll_stop(), net/core/dev.c).
polled_by_a_socket()
{
	local what="frames that a socket which polls has left are not missed" dir

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
	busywait 20000 test -e "$dir/bound" || check_err $? "no socket"
	defer_irqs 10
	send_udp 0 1
	busywait 20000 test -e "$dir/knows-its-napi"
	check_err $? "nothing was received"
	send_udp 0 20
	mkdir "$dir/go"
	busywait 20000 test -e "$dir/polled"
	check_err $? "nothing was received by polling"
	expect "packets until the socket has polled" 9 "$(queues 2 rx packets)"
	nap 4000
	expect "packets while the core's timer runs" 9 "$(queues 2 rx packets)"
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	received 21
	expect "missed interrupts" 0 "$(queues 2 rx missed_irqs)"
	log_test "$what"
}

# The ring of a device that goes down with frames that it does not know of is empty, and watched
# again.
down_with_missed_irq()
{
	RET=0
	pair
	# Before a look, and after one.
	for ms in 0 1500; do
		miss_irq 2 0
		send_udp 0 5
		nap $ms
		host 2 ip link set s0 down
		host 2 ip link set s0 up
		host 2 ip addr replace 10.0.0.2/24 dev s0
		host 2 ip route replace unreachable 10.0.0.1/32
	done
	expect "frames lost" 10 "$(queues 2 rx drop_purge)"
	expect "ring that misses interrupts" -1 "$(miss_irq 2)"
	neighbours 2
	nap 3000
	miss_irq 2 0
	miss 5
	expect "missed interrupts" 1 "$(queues 2 rx missed_irqs)"
	miss_irq 2 0
	send_udp 0 5
	host 2 ip link del s0
	check_err $? "cannot delete a device that is watched"
	nap 3000
	log_test "down, up and delete while a ring has missed an interrupt"
}

tests_run
exit "$EXIT_STATUS"
