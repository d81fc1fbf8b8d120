#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two classes in a subqueue: who leaves first, and who has to go when it is full.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	prio_overtakes
	norm_is_not_starved
	prio_takes_the_place_of_norm
	prio_does_not_take_more_than_half
"

# A ring of 16 slots that does not move until all is sent.
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
    print(s.recv(9000)[:8].decode().strip(), flush=True)" >/tmp/heard
	defer kill_process $!
	defer rm -f /tmp/listening /tmp/heard
	busywait 60000 test -e /tmp/listening
}

# send CLASS COUNT ...: packets in one go from one CPU, numbered by class, into a
# ring that hangs; then it goes on.
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
	expect "the ring that hung" 0 "$(stall 1)"
	stall 1 -1
}

# heard COUNT: so many were heard, or will be soon.
heard()
{
	arrived() { [ "$(wc -l </tmp/heard)" -ge "$1" ]; }
	busywait 20000 arrived "$1"
	check_err $? "only $(wc -l </tmp/heard) of $1 were heard"
}

# in_order CLASS: those of one class came in order.
in_order()
{
	grep "^$1" /tmp/heard | tr -d "$1" | sort -nc
	check_err $? "packets of one class overtook each other"
}

prio_overtakes()
{
	RET=0
	setup
	send norm 60 prio 5
	heard 65
	# What was in the ring by then cannot be overtaken, nor what was taken out of the
	# subqueue to see that there is no slot.
	expect "where the last one of prio came" 22 "$(grep -n '^p4$' /tmp/heard | cut -d: -f1)"
	in_order n
	in_order p
	log_test "prio overtakes norm, and neither itself"
}

norm_is_not_starved()
{
	local waited

	RET=0
	setup
	send norm 30 prio 100
	heard 130
	# Between the first prio packet and the last, one of norm comes after each 16.
	waited=$(sed -n '/^p0$/,/^p99$/p' /tmp/heard | grep -c '^n')
	expect "norm between 100 of prio" 6 "$waited"
	in_order n
	in_order p
	log_test "norm is not starved"
}

prio_takes_the_place_of_norm()
{
	RET=0
	setup
	set_spans 1 queue_len 20
	send norm 50 prio 5
	# 16 in the ring, 20 in the subqueue.
	heard 36
	drained() { [ "$(ends 1 tx)" = 55 ]; }
	busywait 20000 drained
	expect "all ends of 55 packets" 55 "$(ends 1 tx)"
	expect "victims" 5 "$(queues 1 tx drop_prio_evict)"
	expect "no room" 14 "$(queues 1 tx drop_full)"
	expect "prio that was heard" 5 "$(grep -c '^p' /tmp/heard)"
	# The oldest in the subqueue went.
	grep -q '^n15$' /tmp/heard
	check_err $? "a packet in the ring was lost"
	in_order n
	log_test "in a full subqueue prio takes the place of the oldest of norm"
}

prio_does_not_take_more_than_half()
{
	RET=0
	setup
	set_spans 1 queue_len 20
	send norm 50 prio 30
	drained() { [ "$(ends 1 tx)" = 80 ]; }
	busywait 20000 drained
	expect "all ends of 80 packets" 80 "$(ends 1 tx)"
	expect "victims" 10 "$(queues 1 tx drop_prio_evict)"
	expect "no room" $((14 + 20)) "$(queues 1 tx drop_full)"
	heard 36
	expect "of norm" 26 "$(grep -c '^n' /tmp/heard)"
	log_test "prio evicts no more than half"
}

tests_run
exit "$EXIT_STATUS"
