#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Capacity of a subqueue and its TX ring, rate and delay, loss of the carrier.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	packets
	bytes
	bytes_by_default
	slots
	rate
	delay
	carrier
	stopped_without_a_qdisc
	mapped_elsewhere
"

cpus=$(wc -w <<<"$(echo /sys/devices/system/cpu/cpu[0-9]*)")

setup()
{
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	host 1 ethtool -G s0 tx 16
	set_spans 1 stage_count 0
}

# no_bql: raises the byte queue limits, which are applied by the first completion.
no_bql()
{
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	send_udp 0 1
	all_end 1
}

# all_end COUNT: COUNT packets must be sent or dropped, and those sent must arrive.
all_end()
{
	ended() { [ "$(accounted 1 tx) $(accounted 2 rx)" = "$1 $(queues 1 tx packets)" ]; }
	busywait 20000 ended "$1"
	expect "sent or dropped of $1 packets" "$1" "$(accounted 1 tx)"
	expect "sent packets that arrived" "$(queues 1 tx packets)" "$(accounted 2 rx)"
}

# The capacity is 16 slots of the ring, queue_len, and the stages of all CPUs. (The ring is
# stalled only while packets are sent: after five seconds it would be reset.)
packets()
{
	local len count holds

	RET=0
	for len in 1 300; do
		for count in 0 4; do
			setup
			set_spans 1 queue_len $len
			set_spans 1 stage_count $count
			holds=$((len + cpus * count))
			stall 1 0
			send_udp 0 $((16 + holds + 9))
			# A lower limit drops no queued packets.
			set_spans 1 queue_len 1
			stall 1 -1
			all_end $((16 + holds + 9))
			expect "queue_len $len, stage_count $count: drop_full" 9 "$(queues 1 tx drop_full)"
			expect "queue_len $len, stage_count $count: queue_max" $holds "$(queues 1 tx queue_max)"
			expect "queue_len $len, stage_count $count: sent" $((16 + holds)) "$(queues 1 tx packets)"
		done
	done
	log_test "queue_len limits the packets of a subqueue"
}

bytes()
{
	local bytes holds

	RET=0
	for bytes in 129 1 128 1280; do
		setup
		set_spans 1 queue_bytes $bytes
		# Frames of 128 bytes; the last one may exceed the limit.
		holds=$(((bytes + 127) / 128))
		stall 1 0
		send_udp 0 $((16 + holds + 9)) 72
		stall 1 -1
		all_end $((16 + holds + 9))
		expect "queue_bytes $bytes: drop_full" 9 "$(queues 1 tx drop_full)"
	done
	log_test "queue_bytes limits the bytes of a subqueue"
}

# queue_bytes=0 means 2048 bytes for each packet of queue_len, or the frame length if that is
# more. The MTU is lowered after the packets are queued, as shorter ones could not fill the limit.
bytes_by_default()
{
	local count frame took

	RET=0
	while read -r count frame took; do
		setup
		set_spans 1 queue_len 10
		stall 1 0
		send_udp 0 16
		send_udp 0 "$count" $((frame - 56))
		expect "frames of $frame bytes: in the subqueue" "$count" "$(queues 1 tx queue_max)"
		host 1 ip link set s0 mtu 1500
		send_udp 0 1
		stall 1 -1
		all_end $((16 + count + 1))
		expect "$count frames of $frame bytes: further packets that fit" "$took" \
			$((1 - $(queues 1 tx drop_full)))
	done <<-END
		4 5119 1
		4 5120 0
		5 4095 1
		5 4096 0
	END
	log_test "default limit of the bytes of a subqueue"
}

slots()
{
	RET=0
	setup
	host 1 ethtool -G s0 tx 64
	stall 1 0
	send_udp 0 100
	# A smaller ring keeps its frames.
	host 1 ethtool -G s0 tx 16
	stall 1 -1
	all_end 100
	expect "ring_max" 64 "$(queues 1 tx ring_max)"
	expect "queue_max" 36 "$(queues 1 tx queue_max)"
	expect "sent" 100 "$(queues 1 tx packets)"
	log_test "number of slots of a TX ring"
}

# took COUNT BYTES: the time in us until COUNT datagrams are completed.
took()
{
	host 1 python3 -I -S -c "
import os, socket, time
os.sched_setaffinity(0, {0})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
began = time.monotonic()
for _ in range($1):
    s.sendto(bytes($2), ('10.0.0.2', 9))
while int(open('/sys/class/net/s0/statistics/tx_packets').read()) < $1:
    if time.monotonic() - began > 60:
        break
    time.sleep(0.001)
print(int((time.monotonic() - began) * 1e6))"
}

# takes WHAT WANTED FOUND: checks a time. On a virtual clock it may exceed WANTED by the
# polling interval; on a real one a busy machine may take much longer.
takes()
{
	(($3 >= $2 * 98 / 100))
	check_err $? "$1: took $3 us instead of $2"
	if virtual_clock; then
		(($3 <= $2 + 30000))
	else
		(($3 <= $2 * 10 + 5000000))
	fi
	check_err $? "$1: took $3 us instead of $2"
}

rate()
{
	RET=0
	setup
	set_spans 1 rate_mbit 2
	set_spans 1 queue_len 1000
	# 100 frames of 1000 bytes.
	takes "2 Mbit/s" 400000 "$(took 100 944)"
	# Waiting frames do not keep the old rate.
	set_spans 1 rate_mbit 1
	send_udp 0 100 944
	set_spans 1 rate_mbit 0
	all_end 200
	log_test "rate_mbit"
}

delay()
{
	RET=0
	setup
	set_spans 1 delay_usecs 100000
	set_spans 1 queue_len 1000
	takes "a lone packet" 100000 "$(took 1 18)"
	all_end 1
	# Frames keep their slots during the delay: 16 at a time.
	takes "four rings" 400000 "$(took 65 18)"
	all_end 66
	log_test "delay_usecs"
}

carrier()
{
	RET=0
	setup
	host 2 ip route del unreachable 10.0.0.1/32
	# Another device, so that host 2 keeps its carrier.
	host 2 ip link add s1 link s0 type spans
	host 2 ip link set s1 up
	set_spans 1 queue_len 1000
	stall 1 0
	send_udp 0 100
	host 1 ip link set s0 carrier off
	check_err $? "carrier off"
	expect "drop_no_carrier" 100 "$(queues 1 tx drop_no_carrier)"
	stall 1 -1
	# Host 1 does not receive frames without a carrier.
	host 2 ping -q -c 3 -i 0.1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "a reply from a device without a carrier"
	expect "drop_not_ready of host 1" 3 "$(queues 1 rx drop_not_ready)"
	expect "packets received by host 1" 0 "$(queues 1 rx packets)"
	# Nor after down and up.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	neighbours 2
	host 2 ping -q -c 2 -i 0.1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "a reply from a device without a carrier after it was down"
	host 1 ip link set s0 carrier on
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply with the carrier back"
	log_test "a device that is forced off neither sends nor receives"
}

# A stopped queue is woken when its qdisc is replaced by noqueue.
stopped_without_a_qdisc()
{
	RET=0
	setup
	host 1 tc qdisc replace dev s0 root pfifo limit 1000
	set_spans 1 queue_len 1
	# Byte queue limits would stop it sooner.
	no_bql
	stall 1 0
	send_udp 0 100
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was not stopped"
	host 1 tc qdisc replace dev s0 root noqueue
	woken() { [ "$(queues 1 tx wake)" = "$(queues 1 tx stop)" ]; }
	busywait 20000 woken
	check_err $? "the queue stays stopped after its qdisc was removed"

	expect "resets" 0 "$(queues 1 tx timeouts)"
	stall 1 -1
	log_test "a stopped queue is woken when its qdisc is removed"
}

# A qdisc below mq dequeues several packets under the xmit lock of one queue; a filter may have
# mapped some of them to another queue.
mapped_elsewhere()
{
	local requeues what="packets that a filter maps elsewhere"

	RET=0
	((cpus > 1)) || { log_test_skip "$what" "one CPU"; return; }
	modprobe -qa act_skbedit cls_u32 sch_prio || { log_test_skip "$what" "no skbedit"; return; }
	setup
	host 1 tc qdisc replace dev s0 root handle 1: mq
	host 1 tc qdisc add dev s0 parent 1:1 handle 10: prio
	host 1 tc filter add dev s0 parent 10: protocol ip u32 match ip dport 8 0xffff \
		action skbedit queue_mapping 1
	check_err $? "no filter"
	# Only the first queue may be stopped: this qdisc is not scheduled when the other queue is
	# woken.
	host 1 ethtool -G s0 tx 256
	set_spans 1 queue_len 1
	# The bulk dequeue of a qdisc is bounded by byte queue limits.
	no_bql
	stall 1 0
	host 1 taskset -c 0 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for i in range(700):
    s.sendto(bytes(18), ('10.0.0.2', 8 + i % 2))"
	stall 1 -1
	all_end 701
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	expect "packets on queue 1" 350 \
		"$(host 1 ethtool -S s0 | awk '/tx_queue_1_packets/ { print $2 }')"
	requeues=$(host 1 tc -s -j qdisc show dev s0 | jq '[.[] | select(.handle == "10:").requeues] | add')
	# Each packet under the wrong lock is requeued; a full queue requeues one or two.
	[ "$requeues" -ge 20 ]
	check_err $? "only $requeues packets were requeued"
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
