#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Full rings, as the TX poll or the receiver is slow: with a qdisc no packet is lost, without
# one each dropped packet is counted.
#
# A slow host has threaded NAPI, and a real-time task runs on the CPU of the threads:
#
#   host 1 --- TX ring ---> segment --- RX ring (16) ---> NAPI thread of host 2, CPU 0

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

# no_bql: raises the byte queue limits, which would stop the queue before the ring is full.
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

# burst COUNT: datagrams from CPU 0 at a real-time priority, so that the TX poll has to wait.
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
	expect "packets received by host 2" 800 "$(stat 2 rx packets)"
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	log_test "a full ring stops the queue, the qdisc loses nothing"
}

# Packets of one CPU arrive in order, through a ring that fills repeatedly.
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
        time.sleep(0.2)  # let the TX poll run
    s.sendto(i.to_bytes(4, 'big') + bytes(i * 37 % 400), ('10.0.0.2', 9))"
	wait $!
	check_err $? "packets were lost or reordered: $(cat /tmp/order)"
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	log_test "packet order with a full ring"
}

noqueue_counts()
{
	local lost arrived reasons

	RET=0
	setup
	host 1 tc qdisc replace dev s0 root noqueue
	check_err $? "cannot set noqueue"
	dropped FULL_RING burst 800
	all() { [ $(($(stat 2 rx packets) + $(stat 1 tx dropped))) = 800 ]; }
	busywait 20000 all
	arrived=$(stat 2 rx packets)
	lost=$(stat 1 tx dropped)
	expect "received or dropped" 800 $((arrived + lost))
	[ "$lost" -ge 1 ]
	check_err $? "the ring never filled: this test tested nothing"
	expect "drop_full" "$lost" "$(queues 1 tx drop_full)"
	expect "drop reason FULL_RING" "$lost" "$reasons"
	expect "stops" 0 "$(queues 1 tx stop)"
	log_test "without a qdisc, dropped packets are counted"
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
	expect "drop_purge" 200 "$(queues 1 tx drop_purge)"
	host 1 ip link set s0 up
	host 1 ip route replace 10.0.0.0/24 dev s0
	neighbours 2
	burst 10
	arrived() { [ "$(stat 2 rx packets)" -ge 10 ]; }
	busywait 20000 arrived
	check_err $? "no packet arrives after down and up"
	log_test "down with queued packets"
}

# BQL only counts frames that were sent with a qdisc; dql_completed() of more bytes than that is
# a BUG().
qdisc_comes_and_goes()
{
	local limits

	RET=0
	pair
	no_bql
	limits=$(sys 1)/class/net/s0/queues/tx-0/byte_queue_limits
	# The limits are applied by the first completion.
	send_udp 0 1
	received 1
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 20
	expect "BQL inflight bytes without a qdisc" 0 "$(<"$limits/inflight")"
	host 1 tc qdisc replace dev s0 root pfifo
	send_udp 0 5
	# 18 bytes with IPv4, UDP and link headers.
	expect "BQL inflight bytes with a qdisc" $((5 * 74)) "$(<"$limits/inflight")"
	stall 1 -1
	received 26
	expect "BQL inflight bytes when it is empty" 0 "$(<"$limits/inflight")"
	stall 1 0
	send_udp 0 5
	host 1 tc qdisc replace dev s0 root noqueue
	send_udp 0 20
	expect "BQL inflight bytes after the qdisc" $((5 * 74)) "$(<"$limits/inflight")"
	stall 1 -1
	received 51
	expect "BQL inflight bytes in the end" 0 "$(<"$limits/inflight")"
	log_test "a qdisc is added and removed while frames are in the ring"
}

# A slow line behind each qdisc: all packets are sent.
any_qdisc()
{
	local name qdisc

	RET=0
	for name in fq pfifo_fast fq_codel mq tbf prio; do
		# mq needs several queues.
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
		ended() { [ "$(accounted 1 tx) $(accounted 2 rx)" = "600 600" ]; }
		busywait 20000 ended
		expect "$name: sent and received" "600 600" "$(queues 1 tx packets) $(queues 2 rx packets)"
		expect "$name: tx dropped" 0 "$(stat 1 tx dropped)"
		[ "$(queues 1 tx stop)" -ge 1 ]
		check_err $? "$name: the ring never filled: this test tested nothing"
		expect "$name: wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	done
	log_test "backpressure with fq, pfifo_fast, fq_codel, mq, tbf and prio"
}

# setup_slow N: hosts; host 2 has 16 RX slots and hardly any CPU time until go_on.
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
	# The maximum, as the scheduler may run the NAPI thread late.
	set_spans 1 tx_wait_usecs 500000
	keep_busy
}

# reached COUNT: host 2 must receive or miss COUNT frames.
reached()
{
	came_or_missed() { [ $(($(queues 2 rx packets) + $(queues 2 rx drop_full))) = "$1" ]; }
	busywait 20000 came_or_missed "$1"
	expect "received or missed" "$1" $(($(queues 2 rx packets) + $(queues 2 rx drop_full)))
}

# all_end COUNT: host 1 must send or drop COUNT packets.
all_end()
{
	ended() { [ "$(accounted 1 tx)" = "$1" ]; }
	busywait 20000 ended "$1"
	expect "sent or dropped of $1 packets" "$1" "$(accounted 1 tx)"
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
	expect "drops of fq" 0 "$(host 1 tc -s -j qdisc show dev s0 | jq '.[0].drops')"
	log_test "backpressure of a slow receiver with fq, missed frames are counted"
}

slow_receiver_and_others()
{
	RET=0
	((cpus > 1)) || { log_test_skip "broadcast and frames for other receivers with a slow receiver" "one CPU"; return; }
	setup_slow 3
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	send_udp 1 500
	# Frames for host 3 wait behind those in the same ring. Broadcast causes no backpressure, and
	# host 2 may miss it.
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
	expect "broadcasts received by host 1" 2000 "$(queues 1 rx packets)"
	go_on
	all_end 520
	both_done() { [ "$(accounted 2 rx) $(queues 3 rx packets)" = "2500 20" ]; }
	busywait 20000 both_done
	expect "received or missed by host 2, received by host 3" "2500 20" "$(accounted 2 rx) $(queues 3 rx packets)"
	expect "packets and drop_full of host 2" 2500 \
		$(($(queues 2 rx packets) + $(queues 2 rx drop_full)))
	[ "$(queues 2 rx drop_full)" -ge 1 ]
	check_err $? "host 2 missed nothing: this test tested nothing"
	log_test "broadcast and frames for other receivers with a slow receiver"
}

slow_receiver_without_a_qdisc()
{
	local lost

	RET=0
	((cpus > 1)) || { log_test_skip "a slow receiver without a qdisc" "one CPU"; return; }
	setup_slow 2
	host 1 tc qdisc replace dev s0 root noqueue
	send_udp 1 2000
	go_on
	all_end 2000
	lost=$(queues 1 tx drop_full)
	[ "$lost" -ge 1 ]
	check_err $? "nothing was dropped: this test tested nothing"
	expect "tx dropped" "$lost" "$(stat 1 tx dropped)"
	reached $((2000 - lost))
	log_test "a slow receiver without a qdisc"
}

slow_receiver_is_reset()
{
	local lost=0 sent=0

	RET=0
	((cpus > 1)) || { log_test_skip "reset of a slow receiver" "one CPU"; return; }
	setup_slow 2
	host 1 tc qdisc replace dev s0 root fq flow_limit 10000
	# Host 2 may have received all packets before the reset.
	while ((lost == 0 && sent < 10000)); do
		send_udp 1 1000
		((sent += 1000))
		host 2 ethtool --reset s0 all >/dev/null
		lost=$(queues 2 rx drop_purge)
	done
	between "drop_purge of a ring of 16" 1 16 "$lost"
	go_on
	all_end $sent
	reached $((sent - lost))
	expect "rx dropped" "$lost" "$(stat 2 rx dropped)"
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	log_test "reset of a slow receiver"
}

tests_run
exit "$EXIT_STATUS"
