#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# TX and RX queues: one per CPU, XPS, and the statistics of each.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	one_queue_per_cpu
	more_cpus_than_queues
	more_queues_than_receiver
	fewer_rx_than_tx
	xps_can_be_changed
	queue_stats_add_up
	up_keeps_xps
"

cpus=$(getconf _NPROCESSORS_ONLN)

# xps: whether this kernel has XPS.
xps() { [ -e /sys/class/net/lo/queues/tx-0/xps_cpus ]; }

# tx I QUEUE, rx I QUEUE: packets of one queue.
tx()
{
	host "$1" ethtool -S s0 | sed -n "s/^ *tx_queue_$2_packets: //p"
}

rx()
{
	host "$1" ethtool -S s0 | sed -n "s/^ *rx_queue_$2_packets: //p"
}

# udp CPU COUNT: datagrams from one CPU of host 1 to host 2.
udp()
{
	host 1 taskset -c "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range($2):
    s.sendto(i.to_bytes(4, 'big'), ('10.0.0.2', 9))"
}

setup()
{
	hosts 2
	prepare
}

# prepare: configures two devices on a segment as hosts 1 and 2; host 2 has no route back.
prepare()
{
	local i

	for i in 1 2; do
		host $i ip addr replace 10.0.0.$i/24 dev s0
		host $i ip link set s0 up
	done
	quiet 2
	neighbours 2
	host 2 ip route replace unreachable 10.0.0.1/32
}

one_queue_per_cpu()
{
	local cpu other

	RET=0
	xps || { log_test_skip "each CPU sends on its own queue" "no XPS in this kernel"; return; }
	setup
	for ((cpu = 0; cpu < cpus; cpu++)); do
		expect "xps_cpus of queue $cpu" "$(printf '%x' $((1 << cpu)))" \
			"$(host 1 sed 's/^0*//' /sys/class/net/s0/queues/tx-$cpu/xps_cpus)"
		udp $cpu 50
		received $(((cpu + 1) * 50))
		expect "packets on queue $cpu" 50 "$(tx 1 $cpu)"
		expect "packets on receive queue $cpu" 50 "$(rx 2 $cpu)"
		for ((other = cpu + 1; other < cpus; other++)); do
			expect "packets on queue $other" 0 "$(tx 1 $other)"
		done
	done
	log_test "each CPU sends on its own queue"
}

more_cpus_than_queues()
{
	local cpu i

	RET=0
	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 numtxqueues 1 numrxqueues 1 address "$(lladdr 1)" type spans
	ip -n "$NS1" link add s0 link s0 netns "$NS2" address "$(lladdr 2)" type spans
	prepare
	for ((cpu = 0; cpu < cpus; cpu++)); do
		udp $cpu 20
	done
	received $((cpus * 20))
	expect "packets on the only queue" $((cpus * 20)) "$(tx 1 0)"
	log_test "CPUs share queues when there are fewer queues"
}

# send_on_last TX RX: host 1 sends only on the last of eight queues; host 2 has TX transmit and
# RX receive queues.
send_on_last()
{
	local i

	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 numtxqueues 8 numrxqueues 8 address "$(lladdr 1)" type spans
	ip -n "$NS1" link add s0 link s0 netns "$NS2" numtxqueues "$1" numrxqueues "$2" \
		address "$(lladdr 2)" type spans
	prepare
	for ((i = 0; i < cpus && i < 7; i++)); do
		host 1 sh -c "echo 0 >/sys/class/net/s0/queues/tx-$i/xps_cpus"
	done
	host 1 sh -c "echo $(printf '%x' $(((1 << cpus) - 1))) >/sys/class/net/s0/queues/tx-7/xps_cpus"
}

more_queues_than_receiver()
{
	local what="a sender with more queues than the receiver"

	RET=0
	xps || { log_test_skip "$what" "no XPS in this kernel"; return; }
	send_on_last 1 3
	udp 0 20
	received 20
	expect "packets on queue 7" 20 "$(tx 1 7)"
	# 7 modulo 3.
	expect "packets on receive queue 1" 20 "$(rx 2 1)"
	log_test "$what"
}

# The recorded RX queue of an skb must exist on the receiver.
fewer_rx_than_tx()
{
	local name what="a receiver with fewer receive queues than transmit queues"

	RET=0
	xps || { log_test_skip "$what" "no XPS in this kernel"; return; }
	send_on_last 8 3
	host 2 sh -c 'echo 1 | tee /sys/class/net/s0/queues/rx-*/rps_cpus' >/dev/null
	udp 0 20
	received 20
	expect "packets on receive queue 1" 20 "$(rx 2 1)"
	name=$(host 2 ethtool -S s0 | sed -n 's/^ *\(rx_queue_3_packets\).*/\1/p')
	expect "a fourth receive queue" "" "$name"
	log_test "$what"
}

xps_can_be_changed()
{
	RET=0
	((cpus > 1)) || { log_test_skip "xps_cpus can be changed" "one CPU"; return; }
	setup
	host 1 sh -c 'echo 0 >/sys/class/net/s0/queues/tx-0/xps_cpus'
	host 1 sh -c 'echo 3 >/sys/class/net/s0/queues/tx-1/xps_cpus'
	udp 0 30
	received 30
	expect "packets on queue 0" 0 "$(tx 1 0)"
	expect "packets on queue 1" 30 "$(tx 1 1)"
	log_test "xps_cpus can be changed"
}

up_keeps_xps()
{
	RET=0
	((cpus > 1)) || { log_test_skip "down and up keep xps_cpus" "one CPU"; return; }
	setup
	host 1 sh -c 'echo 3 >/sys/class/net/s0/queues/tx-1/xps_cpus'
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	expect "xps_cpus" 3 "$(host 1 sed 's/^0*//' /sys/class/net/s0/queues/tx-1/xps_cpus)"
	log_test "down and up keep xps_cpus"
}

queue_stats_add_up()
{
	local name

	RET=0
	ipv6=off known=yes hosts 2
	host 1 ping -q -f -c 200 10.0.0.2 >/dev/null
	for name in packets bytes; do
		expect "tx $name" "$(stat 1 tx $name)" "$(queues 1 tx $name)"
		expect "rx $name" "$(stat 2 rx $name)" "$(queues 2 rx $name)"
	done
	[ "$(stat 1 tx packets)" -ge 200 ]
	check_err $? "fewer than 200 packets are counted"
	[ "$(queues 1 tx doorbells)" -ge 1 ]
	check_err $? "no doorbell is counted"

	ipv6=off hosts 2
	host 1 "$selftests/frames.py" send s0 10 \
		"$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 0011223344)"
	expect "tx bytes of ten frames of 33 bytes" 330 "$(stat 1 tx bytes)"
	expect "rx bytes of ten frames of 33 bytes" 330 "$(stat 2 rx bytes)"
	log_test "queue statistics add up to the device statistics"
}

tests_run
exit "$EXIT_STATUS"
