#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a subqueue and its ring hold, when it leaves, and where it ends if it does
# not.

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

# Byte queue limits allow everything, after a first packet on queue 0.
no_bql()
{
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	send_udp 0 1
	all_end 1
}

# all_end COUNT: so many packets come to an end, and those that were sent arrive.
all_end()
{
	ended() { [ "$(ends 1 tx) $(ends 2 rx)" = "$1 $(queues 1 tx packets)" ]; }
	busywait 20000 ended "$1"
	expect "all ends of $1 packets" "$1" "$(ends 1 tx)"
	expect "what was sent arrived" "$(queues 1 tx packets)" "$(ends 2 rx)"
}

# What fits beside 16 in the ring: queue_len, and what CPUs may have staged. (A ring
# hangs only while packets are sent: in five seconds it would be reset.)
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
			# A limit that falls loses nothing that is there.
			set_spans 1 queue_len 1
			stall 1 -1
			all_end $((16 + holds + 9))
			expect "$len and stages of $count: no room" 9 "$(queues 1 tx drop_full)"
			expect "$len and stages of $count: queue_max" $holds "$(queues 1 tx queue_max)"
			expect "$len and stages of $count: sent" $((16 + holds)) "$(queues 1 tx packets)"
		done
	done
	log_test "how many packets a subqueue holds"
}

bytes()
{
	local bytes holds

	RET=0
	for bytes in 129 1 128 1280; do
		setup
		set_spans 1 queue_bytes $bytes
		# Frames of 128 bytes, of which one may exceed the limit.
		holds=$(((bytes + 127) / 128))
		stall 1 0
		send_udp 0 $((16 + holds + 9)) 72
		stall 1 -1
		all_end $((16 + holds + 9))
		expect "$bytes bytes: no room" 9 "$(queues 1 tx drop_full)"
	done
	log_test "how many bytes a subqueue holds"
}

# Without a limit in bytes it is 2048 for each packet that there is room for, where frames
# are shorter. They are not when these packets come, as no shorter ones could fill that.
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
		expect "$count frames of $frame bytes: room for another one" "$took" \
			$((1 - $(queues 1 tx drop_full)))
	done <<-END
		4 5119 1
		4 5120 0
		5 4095 1
		5 4096 0
	END
	log_test "how many bytes a subqueue holds by default"
}

slots()
{
	RET=0
	setup
	host 1 ethtool -G s0 tx 64
	stall 1 0
	send_udp 0 100
	# A ring that gets smaller keeps what it has.
	host 1 ethtool -G s0 tx 16
	stall 1 -1
	all_end 100
	expect "ring_max" 64 "$(queues 1 tx ring_max)"
	expect "queue_max" 36 "$(queues 1 tx queue_max)"
	expect "sent" 100 "$(queues 1 tx packets)"
	log_test "how many frames a ring holds"
}

# took COUNT BYTES: how long it takes until so many datagrams are sent, in us.
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

# takes WHAT WANTED FOUND: not less, and no more than it takes to look where time does
# not pass meanwhile. Elsewhere a machine that is busy may take much longer, but not for ever.
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
	# Those that wait do not keep a rate that was.
	set_spans 1 rate_mbit 1
	send_udp 0 100 944
	set_spans 1 rate_mbit 0
	all_end 200
	log_test "the rate of a line"
}

delay()
{
	RET=0
	setup
	set_spans 1 delay_usecs 100000
	set_spans 1 queue_len 1000
	takes "a lone packet" 100000 "$(took 1 18)"
	all_end 1
	# Frames keep their slots on the way: 16 at a time.
	takes "four rings" 400000 "$(took 65 18)"
	all_end 66
	log_test "the delay of a line"
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
	expect "lost with the carrier" 100 "$(queues 1 tx drop_no_carrier)"
	stall 1 -1
	# Who sends to it: it does not hear.
	host 2 ping -q -c 3 -i 0.1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "a device without a carrier answers"
	expect "what it did not hear" 3 "$(queues 1 rx drop_not_ready)"
	expect "what it heard" 0 "$(queues 1 rx packets)"
	# Neither does one that goes down and up meanwhile.
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	neighbours 2
	host 2 ping -q -c 2 -i 0.1 -W 1 10.0.0.1 >/dev/null
	check_fail $? "a device without a carrier answers after it was down"
	host 1 ip link set s0 carrier on
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer with the carrier back"
	log_test "a line that is cut"
}

# A queue that was stopped for a qdisc goes on when that is gone.
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
	check_err $? "the queue stays stopped for a qdisc that is gone"
	# It does not take a reset.
	expect "resets" 0 "$(queues 1 tx timeouts)"
	stall 1 -1
	log_test "a queue that was stopped goes on without its qdisc"
}

# Below mq, a qdisc gives several packets under the lock of one queue; a filter may
# have sent some of them to another one.
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
	# Only the first of both is to be stopped: nobody tells this qdisc when the other
	# one goes on.
	host 1 ethtool -G s0 tx 256
	set_spans 1 queue_len 1
	# Byte queue limits say how many packets a qdisc gives at a time.
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
	expect "lost" 0 "$(stat 1 tx dropped)"
	expect "on queue 1" 350 \
		"$(host 1 ethtool -S s0 | awk '/tx_queue_1_packets/ { print $2 }')"
	requeues=$(host 1 tc -s -j qdisc show dev s0 | jq '[.[] | select(.handle == "10:").requeues] | add')
	# Each that comes under the wrong lock is given back; a queue that is full gives
	# back one or two.
	[ "$requeues" -ge 20 ]
	check_err $? "only $requeues packets were given back"
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
