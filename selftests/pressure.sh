#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# More than a ring holds: with a qdisc nothing is lost, without one what is lost
# is counted.
#
# The other side of the doorbell is kept from running by making it a thread and
# sending from the same CPU at a real-time priority.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	qdisc_loses_nothing
	order
	noqueue_counts
	down_with_packets_waiting
"

setup()
{
	local pid

	hosts 2
	quiet 2
	neighbours 2
	host 1 sh -c 'echo 1 >/sys/class/net/s0/threaded'
	for pid in $(pgrep '^napi/s0-'); do
		taskset -cp 0 "$pid" >/dev/null
	done
	# Byte queue limits would keep the ring from filling.
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	host 2 ip route replace unreachable 10.0.0.1/32
}

# burst COUNT [CODE]: datagrams in one go, the other side waiting, and what to do
# before it may run.
burst()
{
	host 1 taskset -c 0 chrt -f 50 python3 -c "
import fcntl, socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range($1):
    s.sendto(bytes(18), ('10.0.0.2', 9))
${2:-}"
}

qdisc_loses_nothing()
{
	RET=0
	setup
	burst 800
	arrived() { [ "$(stat 2 rx packets)" = 800 ]; }
	busywait 20000 arrived
	expect "packets that arrived" 800 "$(stat 2 rx packets)"
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	[ "$(queues 1 tx stops)" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "wakes" "$(queues 1 tx stops)" "$(queues 1 tx wakes)"
	log_test "a qdisc holds what the ring does not"
}

# What one CPU sends to one host arrives in order, through a ring that fills up
# again and again.
order()
{
	RET=0
	setup
	host 2 ip route del unreachable 10.0.0.1/32
	start 2 python3 -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
s.bind(('', 9))
s.settimeout(60)
open('/tmp/listening', 'w').close()
for wanted in range(2000):
    number = int.from_bytes(s.recv(9000)[:4], 'big')
    if number != wanted:
        sys.exit(f'{number} instead of {wanted}')" 2>/tmp/order
	defer rm -f /tmp/listening /tmp/order
	busywait 60000 test -e /tmp/listening
	host 1 taskset -c 0 chrt -f 50 python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for i in range(2000):
    if i % 500 == 499:
        time.sleep(0.2)  # let the other side have its turn
    s.sendto(i.to_bytes(4, 'big') + bytes(i * 37 % 400), ('10.0.0.2', 9))"
	wait $!
	check_err $? "packets were lost or overtook each other: $(cat /tmp/order)"
	[ "$(queues 1 tx stops)" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	log_test "order"
}

noqueue_counts()
{
	local lost arrived reasons

	RET=0
	setup
	host 1 tc qdisc replace dev s0 root noqueue
	check_err $? "cannot do without a qdisc"
	reasons=$(dropped FULL_RING burst 800)
	all() { [ $(($(stat 2 rx packets) + $(stat 1 tx dropped))) = 800 ]; }
	busywait 20000 all
	arrived=$(stat 2 rx packets)
	lost=$(stat 1 tx dropped)
	expect "arrived and lost" 800 $((arrived + lost))
	[ "$lost" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "drop_full" "$lost" "$(queues 1 tx drop_full)"
	expect "kernel's reasons" "$lost" "$reasons"
	expect "stops" 0 "$(queues 1 tx stops)"
	log_test "without a qdisc, what is lost is counted"
}

down_with_packets_waiting()
{
	RET=0
	setup
	# Without a qdisc there is nothing to wait for before the device is stopped.
	host 1 tc qdisc replace dev s0 root noqueue
	# SIOCSIFFLAGS without IFF_UP. While it waits for the poll to end, the poll is
	# allowed one more round.
	burst 200 "fcntl.ioctl(s, 0x8914, struct.pack('16sH', b's0', 0))"
	check_err $? "cannot go down"
	expect "sent, purged or dropped" 200 \
		$(($(stat 1 tx packets) + $(stat 1 tx dropped)))
	[ "$(queues 1 tx drop_purge)" -ge 1 ]
	check_err $? "no packet was waiting: this test tested nothing"
	host 1 ip link set s0 up
	host 1 ip route replace 10.0.0.0/24 dev s0
	neighbours 2
	burst 10
	arrived() { [ "$(stat 2 rx packets)" -ge 10 ]; }
	busywait 20000 arrived
	check_err $? "nothing arrives after down and up"
	log_test "down with packets waiting"
}

tests_run
exit "$EXIT_STATUS"
