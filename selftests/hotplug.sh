#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# CPU hotplug with staged packets, and of an owner CPU.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	offline_with_staged_packets
	offline_owner
"

cpus=$(getconf _NPROCESSORS_ONLN)
cpu1=/sys/devices/system/cpu/cpu1/online

# A CPU goes offline with staged packets.
offline_with_staged_packets()
{
	local sent

	RET=0
	if ((cpus < 2)) || [ ! -e $cpu1 ]; then
		log_test_skip "CPU offline with staged packets" "CPU 1 cannot go offline"
		return
	fi
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	set_spans 1 stage_usecs 1000000
	# On a slow machine stage_usecs may be over before the CPU goes offline: try again.
	for sent in 5 10 15 20 25; do
		send_udp 1 5
		[ "$(queues 1 tx packets)" = $((sent - 5)) ] && break
		received "$sent"
	done
	echo 0 >$cpu1
	check_err $? "CPU 1 does not go offline"
	defer eval "echo 1 >$cpu1"
	received "$sent"
	[ "$(queues 1 tx flush_time)" -ge 1 ]
	check_err $? "no packet was staged: this test tested nothing"
	# With the CPU offline, packets of another CPU and another owner.
	set_spans 1 stage_usecs 0
	send_udp 0 5
	received $((sent + 5))
	echo 1 >$cpu1
	send_udp 1 5
	received $((sent + 10))
	log_test "CPU offline with staged packets"
}

offline_owner()
{
	local i

	RET=0
	if ((cpus < 2)) || [ ! -e $cpu1 ]; then
		log_test_skip "offline owner CPU" "CPU 1 cannot go offline"
		return
	fi
	pair
	set_spans 1 owner_cpus "1 1"
	start 1 taskset -c 0 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(3000):
    s.sendto(bytes(18), ('10.0.0.2', 9))"
	sender=$!
	for i in 1 2 3; do
		echo 0 >$cpu1
		check_err $? "CPU 1 does not go offline"
		sleep 0.3
		echo 1 >$cpu1
		sleep 0.2
	done
	wait $sender
	received 3000
	# An offline CPU can be written back; until it is online, other CPUs poll.
	echo 0 >$cpu1
	set_spans 1 owner_cpus "$(get_spans 1 owner_cpus)"
	check_err $? "an offline owner CPU cannot be written back to owner_cpus"
	send_udp 0 20
	received 3020
	echo 1 >$cpu1
	log_test "offline owner CPU"
}

tests_run
exit "$EXIT_STATUS"
