#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# NAPI settings of the core: napi_defer_hard_irqs and gro_flush_timeout, threaded NAPI, busy
# polling by sockets.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	fewer_polls
	no_lost_wakeup
	staging_rate_and_delay
	threads_under_traffic
	down_and_up
	unload_under_traffic
"

cpus=$(getconf _NPROCESSORS_ONLN)

# times N: as rounds. Races with the end of a poll need two CPUs: with one, a third is enough.
times() { rounds $((cpus > 1 ? $1 : ($1 + 2) / 3)); }

# napi FILE VALUE: writes a setting of both hosts.
napi()
{
	echo "$2" >"$(sys 1)/class/net/s0/$1" && echo "$2" >"$(sys 2)/class/net/s0/$1"
	check_err $? "cannot write $2 to $1"
}

# masked COUNT NS: the interrupts of both hosts stay masked until the timer, of NS, has
# scheduled COUNT polls without work.
masked()
{
	napi napi_defer_hard_irqs "$1"
	napi gro_flush_timeout "$2"
}

# datagrams CPU COUNT: from host 1 to host 2, each with its own doorbell. The socket's send
# buffer keeps any from being dropped.
datagrams()
{
	host 1 taskset -c "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range($2):
    s.sendto(bytes(18), ('10.0.0.2', 9))"
}

# polls COMMAND...: sets $polled to the number of polls of both devices during the command.
polls()
{
	local filter=/sys/kernel/tracing/events/napi/napi_poll/filter

	echo 'dev_name == "s0"' >$filter
	defer eval "echo 0 >$filter"
	trace napi/napi_poll
	"$@" >/dev/null
	untrace napi/napi_poll
	echo 0 >$filter
	polled=$(grep -c napi_poll: /sys/kernel/tracing/trace)
}

# ping_pong COUNT [BUSY]: COUNT requests of host 1 and replies of host 2, one packet at a time, so
# that no later packet would make up for a lost wakeup. Requests are sent after random times,
# some while another CPU ends a poll. With BUSY the sockets busy poll.
ping_pong()
{
	local talker="
import os, random, socket, struct, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 5, 0))
if ${2:-0}:
    s.setsockopt(socket.SOL_SOCKET, 46, ${2:-0})  # SO_BUSY_POLL
    s.setsockopt(socket.SOL_SOCKET, 69, 1)  # SO_PREFER_BUSY_POLL
"

	start 2 python3 -c "$talker
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 0))
s.bind(('', 7))
open('/tmp/listening', 'w').close()
while True:
    s.sendto(*s.recvfrom(64))" $((cpus > 1))
	defer kill_process $!
	busywait 20000 test -e /tmp/listening
	rm -f /tmp/listening
	host 1 python3 -c "$talker
for i in range($1):
    s.sendto(b'%d' % i, ('10.0.0.2', 7))
    if s.recv(64) != b'%d' % i:
        sys.exit(1)
    until = time.perf_counter() + random.uniform(0, 2e-4)
    while time.perf_counter() < until:
        pass" 0
	check_err $? "busy poll ${2:-0}: one of $1 requests got no reply"
}

fewer_polls()
{
	local before after again

	RET=0
	pair
	polls datagrams 0 1000
	before=$polled
	received 1000
	masked 10 10000000
	polls datagrams 0 1000
	after=$polled
	received 2000
	masked 0 0
	# An interrupt that is masked stays so until the timer has scheduled ten polls without work.
	nap 500
	polls datagrams 0 1000
	again=$polled
	received 3000
	echo "polls: $before, masked $after, then $again"
	between "polls before" 900 4000 "$before"
	between "polls while masked" 2 $((before / 2)) "$after"
	between "polls afterwards" 900 4000 "$again"
	log_test "napi_defer_hard_irqs: fewer polls while interrupts are masked"
}

no_lost_wakeup()
{
	local count busy

	RET=0
	pair
	host 2 ip route del unreachable 10.0.0.1/32
	# The TX poll is on CPU 1, the RX poll on CPU 0.
	((cpus < 2)) || set_spans 1 owner_cpus "1 0"
	# Short times, so that most packets are sent near the end of one.
	for count in 1 2 10; do
		masked $count 50000
		for busy in 0 50; do
			in_defer_scope ping_pong "$(times 3000)" $busy
		done
	done
	masked 100 1000000
	in_defer_scope ping_pong 50
	host 1 ping -q -c 20 -i 0.002 -w 30 10.0.0.2 >/dev/null
	check_err $? "ping gets no replies"
	log_test "no lost wakeup while the interrupt is unmasked"
}

staging_rate_and_delay()
{
	local usecs came=0

	RET=0
	pair
	masked 100 1000000
	for usecs in 0 200 5000; do
		host 1 ethtool -C s0 tx-aggr-max-frames 16 tx-aggr-time-usecs $usecs
		check_err $? "ethtool -C"
		datagrams 0 500
		received $((came += 500))
		in_defer_scope both_cpus 500
		received $((came += 1000))
	done
	set_spans 1 delay_usecs 300
	datagrams 0 300
	received $((came += 300))
	set_spans 1 delay_usecs 0
	set_spans 1 rate_mbit 10
	datagrams 0 300
	received $((came += 300))
	masked 0 0
	datagrams 0 300
	received $((came + 300))
	log_test "masked interrupts with staged packets, rate and delay"
}

# both_cpus COUNT: datagrams from two CPUs (if there are two) at the same time.
both_cpus()
{
	datagrams 0 "$1" &
	datagrams $((cpus > 1)) "$1"
	wait $!
}

threads_under_traffic()
{
	local i pid came=0 threads

	RET=0
	pair
	for ((i = 0; i < $(times 6); i++)); do
		both_cpus 3000 &
		pid=$!
		while [ -d /proc/$pid ] && kill -0 $pid 2>/dev/null; do
			napi threaded 1
			nap 20
			masked $((i % 2 * 10)) $((i % 2 * 100000))
			napi threaded 0
			nap 20
		done
		wait $pid
		received $((came += 6000))
	done
	masked 0 0
	napi threaded 1
	threads=$(pgrep -c '^napi/s0-')
	# Of the queues and the rollups.
	expect "threads" $((2 * 2 * cpus)) "$threads"
	both_cpus 1000
	received $((came += 2000))
	polls datagrams 0 100
	expect "polls outside NAPI threads" 0 \
		"$(grep napi_poll: /sys/kernel/tracing/trace | grep -vc 'napi/s0-\|<\.\.\.>')"
	received $((came + 100))
	host 2 ip route del unreachable 10.0.0.1/32
	in_defer_scope ping_pong "$(times 1000)"
	in_defer_scope ping_pong "$(times 1000)" 50
	log_test "threaded NAPI is enabled and disabled under traffic"
}

down_and_up()
{
	local threaded i

	RET=0
	hosts 2
	neighbours 2
	# So long that only down and up unmask.
	for threaded in 0 1; do
		napi threaded $threaded
		for i in 1 2; do
			masked 1000000 500000000
			host 1 ping -q -c 1 -W 10 10.0.0.2 >/dev/null
			check_err $? "ping gets no reply, masked, threaded $threaded"
			host $i ip link set s0 down
			host $((3 - i)) ip link set s0 down
			masked 0 0
			host 1 ip link set s0 up
			host 2 ip link set s0 up
			host $i ip addr replace 10.0.0.$i/24 dev s0
			neighbours 2
			host 1 ping -q -c 3 -i 0.01 -w 10 10.0.0.2 >/dev/null
			check_err $? "ping gets no reply after down and up, threaded $threaded"
		done
	done
	log_test "down and up unmask interrupts"
}

# flow: waits until both hosts receive packets.
flow()
{
	local i

	comes() { [ "$(queues "$1" rx packets)" -ge "$2" ]; }
	for i in 1 2; do
		busywait 20000 comes $i $(($(queues $i rx packets) + 100))
		check_err $? "host $i receives no packets"
	done
}

unload_under_traffic()
{
	local i pids

	RET=0
	for ((i = 0; i < $(rounds 4); i++)); do
		hosts 2
		neighbours 2
		napi threaded $((i & 1))
		masked 100 $((i & 2 ? 1000000 : 20000))
		start 1 "$selftests/flood.py" ping 10.0.0.2
		pids=($!)
		start 2 "$selftests/flood.py" udp 10.0.0.1
		pids+=($!)
		flow
		host 2 ip link set s0 down
		host 2 ip link set s0 up
		neighbours 2
		napi threaded $((~i & 1))
		flow
		rmmod spans
		check_err $? "cannot unload"
		kill "${pids[@]}"
		wait "${pids[@]}" 2>/dev/null
		load_module
	done
	expect "threads left" 0 "$(pgrep -c '^napi/s0-')"
	log_test "unload with NAPI threads and masked interrupts"
}

tests_run

exit "$EXIT_STATUS"
