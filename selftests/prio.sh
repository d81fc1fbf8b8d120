#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The classes prio and norm of a subqueue: order of sending, and eviction when it is full.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	prio_overtakes
	norm_is_not_starved
	prio_evicts_norm
	prio_evicts_at_most_half
"

# setup: a TX ring of 16 slots, and a receiver that writes the numbers to /tmp/received.
setup()
{
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	host 1 ethtool -G s0 tx 16 2>/dev/null
	set_spans 1 stage_count 0
	host 2 ip route del unreachable 10.0.0.1/32
	start 2 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
s.bind(('', 9))
open('/tmp/listening', 'w').close()
while True:
    print(s.recv(9000)[:8].decode().strip(), flush=True)" >/tmp/received
	defer kill_process $!
	defer rm -f /tmp/listening /tmp/received
	busywait 60000 test -e /tmp/listening
}

# send CLASS COUNT ...: packets of one CPU, numbered by class, into a stalled ring, which
# is released after that.
send()
{
	stall 1 0
	host 1 taskset -c 0 chrt -f 50 python3 -c "
import socket, sys
sockets = {}
for name, priority in (('norm', 0), ('prio', 6)):
    sockets[name] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sockets[name].setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, priority)
    sockets[name].setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
    sockets[name].connect(('10.0.0.2', 9))
numbers = {'norm': 0, 'prio': 0}
words = sys.argv[1:]
for name, count in zip(words[::2], words[1::2]):
    for _ in range(int(count)):
        sockets[name].send(f'{name[0]}{numbers[name]}'.encode().ljust(69))
        numbers[name] += 1" "$@"
	expect "stalled ring" 0 "$(stall 1)"
	stall 1 -1
}

# delivered COUNT: waits until COUNT packets were received.
delivered()
{
	arrived() { [ "$(wc -l </tmp/received)" -ge "$1" ]; }
	busywait 20000 arrived "$1"
	check_err $? "only $(wc -l </tmp/received) of $1 packets were received"
}

# in_order CLASS: packets of one class must have arrived in order.
in_order()
{
	grep "^$1" /tmp/received | tr -d "$1" | sort -nc
	check_err $? "packets of class $1 were reordered"
}

prio_overtakes()
{
	RET=0
	setup
	send norm 60 prio 5
	delivered 65
	# Packets in the ring cannot be overtaken, nor the one that was dequeued before the ring
	# was found full.
	expect "position of the last prio packet" 22 "$(grep -n '^p4$' /tmp/received | cut -d: -f1)"
	in_order n
	in_order p
	log_test "prio packets overtake norm, each class stays in order"
}

norm_is_not_starved()
{
	local waited

	RET=0
	setup
	send norm 30 prio 100
	delivered 130
	# After each 16 prio packets comes one of norm.
	waited=$(sed -n '/^p0$/,/^p99$/p' /tmp/received | grep -c '^n')
	expect "norm packets among 100 of prio" 6 "$waited"
	in_order n
	in_order p
	log_test "norm is not starved"
}

prio_evicts_norm()
{
	RET=0
	setup
	set_spans 1 queue_len 20
	send norm 50 prio 5
	# 16 in the ring, 20 in the subqueue.
	delivered 36
	drained() { [ "$(accounted 1 tx)" = 55 ]; }
	busywait 20000 drained
	expect "sent or dropped of 55 packets" 55 "$(accounted 1 tx)"
	expect "drop_prio_evict" 5 "$(queues 1 tx drop_prio_evict)"
	expect "drop_full" 14 "$(queues 1 tx drop_full)"
	expect "prio packets received" 5 "$(grep -c '^p' /tmp/received)"
	# The oldest packets of the subqueue were evicted, not those in the ring.
	grep -q '^n15$' /tmp/received
	check_err $? "a packet in the ring was dropped"
	in_order n
	log_test "in a full subqueue prio evicts the oldest norm packets"
}

prio_evicts_at_most_half()
{
	RET=0
	setup
	set_spans 1 queue_len 20
	send norm 50 prio 30
	drained() { [ "$(accounted 1 tx)" = 80 ]; }
	busywait 20000 drained
	expect "sent or dropped of 80 packets" 80 "$(accounted 1 tx)"
	expect "drop_prio_evict" 10 "$(queues 1 tx drop_prio_evict)"
	expect "drop_full" $((14 + 20)) "$(queues 1 tx drop_full)"
	delivered 36
	expect "norm packets received" 26 "$(grep -c '^n' /tmp/received)"
	log_test "prio evicts at most half of a subqueue"
}

tests_run
exit "$EXIT_STATUS"
