#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# More than rings hold, as the other side of the doorbell or the receiver is slow:
# with a qdisc nothing is lost, without one what is lost is counted.
#
# Who is to be slow is kept from running: it is made a thread, and on its CPU
# somebody works at a real-time priority.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	qdisc_loses_nothing
	order
	noqueue_counts
	down_with_packets_waiting
	any_qdisc
	qdisc_comes_and_goes
	slow_receiver
	slow_receiver_and_others
	slow_receiver_without_a_qdisc
	slow_receiver_is_reset
"

cpus=$(getconf _NPROCESSORS_ONLN)

# Byte queue limits would keep the ring from filling.
no_bql()
{
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
}

setup()
{
	pair
	threaded 1
	no_bql
}

# burst COUNT: datagrams in one go, the other side waiting.
burst()
{
	host 1 taskset -c 0 chrt -f 50 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range($1):
    s.sendto(bytes(18), ('10.0.0.2', 9))"
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
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
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
	[ "$(queues 1 tx stop)" -ge 1 ]
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
	dropped FULL_RING burst 800
	all() { [ $(($(stat 2 rx packets) + $(stat 1 tx dropped))) = 800 ]; }
	busywait 20000 all
	arrived=$(stat 2 rx packets)
	lost=$(stat 1 tx dropped)
	expect "arrived and lost" 800 $((arrived + lost))
	[ "$lost" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "drop_full" "$lost" "$(queues 1 tx drop_full)"
	expect "kernel's reasons" "$lost" "$reasons"
	expect "stops" 0 "$(queues 1 tx stop)"
	log_test "without a qdisc, what is lost is counted"
}

down_with_packets_waiting()
{
	RET=0
	setup
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	burst 200
	host 1 ip link set s0 down
	check_err $? "cannot go down"
	expect "purged" 200 "$(queues 1 tx drop_purge)"
	host 1 ip link set s0 up
	host 1 ip route replace 10.0.0.0/24 dev s0
	neighbours 2
	burst 10
	arrived() { [ "$(stat 2 rx packets)" -ge 10 ]; }
	busywait 20000 arrived
	check_err $? "nothing arrives after down and up"
	log_test "down with packets waiting"
}

# Byte queue limits know of the frames that were sent with a qdisc, and C panics when others
# are said to be completed.
qdisc_comes_and_goes()
{
	local limits

	RET=0
	pair
	no_bql
	limits=$(sys 1)/class/net/s0/queues/tx-0/byte_queue_limits
	# They learn of that when something is completed.
	send_udp 0 1
	received 1
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 20
	expect "bytes in the ring, by BQL, without a qdisc" 0 "$(<"$limits/inflight")"
	host 1 tc qdisc replace dev s0 root pfifo
	send_udp 0 5
	# IPv4 and UDP with 18 bytes, and the link header.
	expect "bytes in the ring, by BQL, with a qdisc" $((5 * 74)) "$(<"$limits/inflight")"
	stall 1 -1
	received 26
	expect "bytes in the ring, by BQL, when it is empty" 0 "$(<"$limits/inflight")"
	stall 1 0
	send_udp 0 5
	host 1 tc qdisc replace dev s0 root noqueue
	send_udp 0 20
	expect "bytes in the ring, by BQL, after the qdisc" $((5 * 74)) "$(<"$limits/inflight")"
	stall 1 -1
	received 51
	expect "bytes in the ring, by BQL, in the end" 0 "$(<"$limits/inflight")"
	log_test "a qdisc comes and goes while frames are under way"
}

# A line that is slow, behind whatever qdisc: what that gave was sent, and it gave all.
any_qdisc()
{
	local name qdisc

	RET=0
	for name in fq pfifo_fast fq_codel mq tbf prio; do
		# The kernel has it for several queues only.
		[ $name != mq ] || ((cpus > 1)) || continue
		case $name in
		fq) qdisc="fq flow_limit 10000" ;;
		fq_codel) qdisc="fq_codel limit 10000 target 5s interval 10s" ;;
		tbf) qdisc="tbf rate 50mbit burst 20000 latency 3s" ;;
		*) qdisc=$name ;;
		esac
		pair
		# shellcheck disable=SC2086
		host 1 tc qdisc replace dev s0 root handle 1: $qdisc || { check_err 1 "no $name"; continue; }
		host 1 ethtool -G s0 tx 16
		set_spans 1 queue_len 1
		set_spans 1 rate_mbit 1
		no_bql
		send_udp 0 300 500 &
		send_udp $((cpus - 1)) 300 500
		wait $!
		ended() { [ "$(ends 1 tx) $(ends 2 rx)" = "600 600" ]; }
		busywait 20000 ended
		expect "$name: sent and received" "600 600" "$(queues 1 tx packets) $(queues 2 rx packets)"
		expect "$name: lost" 0 "$(stat 1 tx dropped)"
		[ "$(queues 1 tx stop)" -ge 1 ]
		check_err $? "$name: the ring never filled: this test tested nothing"
		expect "$name: wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	done
	log_test "whatever qdisc there is"
}

# N hosts, of which the second one has room for 16 frames, and hardly any time, until
# go_on.
setup_slow()
{
	local i

	hosts "$1"
	quiet "$1"
	neighbours "$1"
	for ((i = 2; i <= $1; i++)); do host "$i" ip route replace unreachable 10.0.0.1/32; done
	host 2 ethtool -G s0 rx 16
	threaded 2
	host 1 ethtool -G s0 tx 16
	no_bql
	set_spans 1 queue_len 1
	set_spans 1 stage_count 0
	# The longest there is. The scheduler may let others have their share later.
	set_spans 1 tx_wait_usecs 500000
	keep_busy
}

# reached COUNT: so many frames came to host 2, which received them or was not waited for.
reached()
{
	came_or_missed() { [ $(($(queues 2 rx packets) + $(queues 2 rx drop_full))) = "$1" ]; }
	busywait 20000 came_or_missed "$1"
	expect "received or missed" "$1" $(($(queues 2 rx packets) + $(queues 2 rx drop_full)))
}

# all_end COUNT: so many packets of host 1 come to an end.
all_end()
{
	ended() { [ "$(ends 1 tx)" = "$1" ]; }
	busywait 20000 ended "$1"
	expect "all ends of $1 packets" "$1" "$(ends 1 tx)"
}

slow_receiver()
{
	RET=0
	((cpus > 1)) || { log_test_skip "a slow receiver" "one CPU"; return; }
	setup_slow 2
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	send_udp 1 2000
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was never stopped: this test tested nothing"
	go_on
	all_end 2000
	reached 2000
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	expect "dropped by fq" 0 "$(host 1 tc -s -j qdisc show dev s0 | jq '.[0].drops')"
	log_test "a slow receiver holds the sender back, and what it misses is counted, with fq"
}

slow_receiver_and_others()
{
	RET=0
	((cpus > 1)) || { log_test_skip "a slow receiver and others" "one CPU"; return; }
	setup_slow 3
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	send_udp 1 500
	# What is for others waits behind that in the same ring; what is for many waits for
	# nobody, and the slow one may miss it.
	send_udp 1 20 18 3
	host 3 taskset -c 1 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range(2000):
    s.sendto(bytes(18), ('10.0.0.255', 9))"
	broadcast() { [ "$(queues 1 rx packets)" = 2000 ]; }
	busywait 20000 broadcast
	expect "broadcast that others heard" 2000 "$(queues 1 rx packets)"
	go_on
	all_end 520
	heard() { [ "$(ends 2 rx) $(queues 3 rx packets)" = "2500 20" ]; }
	busywait 20000 heard
	expect "came to both" "2500 20" "$(ends 2 rx) $(queues 3 rx packets)"
	expect "received or missed of broadcast" 2500 \
		$(($(queues 2 rx packets) + $(queues 2 rx drop_full)))
	[ "$(queues 2 rx drop_full)" -ge 1 ]
	check_err $? "the slow one missed nothing: this test tested nothing"
	log_test "a slow receiver and others"
}

slow_receiver_without_a_qdisc()
{
	local lost

	RET=0
	((cpus > 1)) || { log_test_skip "a slow receiver, without a qdisc" "one CPU"; return; }
	setup_slow 2
	host 1 tc qdisc replace dev s0 root noqueue
	send_udp 1 2000
	go_on
	all_end 2000
	lost=$(queues 1 tx drop_full)
	[ "$lost" -ge 1 ]
	check_err $? "nothing was lost: this test tested nothing"
	expect "tx dropped" "$lost" "$(stat 1 tx dropped)"
	reached $((2000 - lost))
	log_test "a slow receiver, without a qdisc"
}

slow_receiver_is_reset()
{
	local lost=0 sent=0

	RET=0
	((cpus > 1)) || { log_test_skip "a slow receiver is reset" "one CPU"; return; }
	setup_slow 2
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	# It has some time, and may have received all before the reset comes.
	while ((lost == 0 && sent < 10000)); do
		send_udp 1 1000
		((sent += 1000))
		host 2 ethtool --reset s0 all >/dev/null
		lost=$(queues 2 rx drop_purge)
	done
	between "lost in a ring of 16" 1 16 "$lost"
	go_on
	all_end $sent
	reached $((sent - lost))
	expect "rx dropped" "$lost" "$(stat 2 rx dropped)"
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	log_test "a slow receiver is reset"
}

tests_run
exit "$EXIT_STATUS"
