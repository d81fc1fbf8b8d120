#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# One transmit subqueue per CPU, and what is counted of each.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	own_queue_of_each_cpu
	more_cpus_than_queues
	more_queues_here_than_there
	fewer_rx_than_tx
	xps_can_be_changed
	queue_stats_add_up
	up_keeps_xps
"

cpus=$(getconf _NPROCESSORS_ONLN)

# xps: whether this kernel lets the user say which CPU sends on which queue.
xps() { [ -e /sys/class/net/lo/queues/tx-0/xps_cpus ]; }

# tx I QUEUE: packets that a transmit queue has sent.
tx()
{
	host "$1" ethtool -S s0 | sed -n "s/^ *tx_queue_$2_packets: //p"
}

rx()
{
	host "$1" ethtool -S s0 | sed -n "s/^ *rx_queue_$2_packets: //p"
}

# udp CPU COUNT: datagrams from host 1 to host 2, all from one CPU.
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

# Two devices that are on a segment become hosts 1 and 2, of which the second
# does not answer.
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

own_queue_of_each_cpu()
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
	log_test "CPUs share queues when there are fewer"
}

# send_on_last TX RX: host 1 sends on the last of eight queues only, host 2 has so
# many.
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

more_queues_here_than_there()
{
	local what="a sender with more queues than the receiver"

	RET=0
	xps || { log_test_skip "$what" "no XPS in this kernel"; return; }
	send_on_last 1 3
	udp 0 20
	received 20
	expect "packets on queue 7" 20 "$(tx 1 7)"
	# Number 7 there is number 1 of three here.
	expect "packets on receive queue 1" 20 "$(rx 2 1)"
	log_test "$what"
}

# A receive queue that a device does not have must not be named to the stack.
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
	((cpus > 1)) || { log_test_skip "xps_cpus is obeyed" "one CPU"; return; }
	setup
	host 1 sh -c 'echo 0 >/sys/class/net/s0/queues/tx-0/xps_cpus'
	host 1 sh -c 'echo 3 >/sys/class/net/s0/queues/tx-1/xps_cpus'
	udp 0 30
	received 30
	expect "packets on queue 0" 0 "$(tx 1 0)"
	expect "packets on queue 1" 30 "$(tx 1 1)"
	log_test "xps_cpus is obeyed"
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
	check_err $? "200 pings are not counted"
	[ "$(queues 1 tx doorbells)" -ge 1 ]
	check_err $? "no doorbell was counted"

	ipv6=off hosts 2
	host 1 "$selftests/frames.py" send s0 10 \
		"$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 0011223344)"
	expect "bytes of ten frames of 33 sent" 330 "$(stat 1 tx bytes)"
	expect "bytes of ten frames of 33 received" 330 "$(stat 2 rx bytes)"
	log_test "statistics of the queues add up to those of the device"
}

tests_run
exit "$EXIT_STATUS"
