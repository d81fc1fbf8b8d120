#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# CPUs go and come back while packets wait on them, and while they own queues.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	cpu_goes_with_packets_staged
	cpu_goes_that_owns
"

cpus=$(getconf _NPROCESSORS_ONLN)
cpu1=/sys/devices/system/cpu/cpu1/online

# A CPU goes away while packets wait on it for company.
cpu_goes_with_packets_staged()
{
	local sent

	RET=0
	if ((cpus < 2)) || [ ! -e $cpu1 ]; then
		log_test_skip "a CPU goes with packets staged" "no CPU can go"
		return
	fi
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	set_spans 1 stage_usecs 1000000
	# A slow machine may take longer than that to get on: it has another try.
	for sent in 5 10 15 20 25; do
		send_udp 1 5
		[ "$(queues 1 tx packets)" = $((sent - 5)) ] && break
		received "$sent"
	done
	echo 0 >$cpu1
	check_err $? "the CPU does not go"
	defer eval "echo 1 >$cpu1"
	received "$sent"
	[ "$(queues 1 tx flush_time)" -ge 1 ]
	check_err $? "they did not wait: this test tested nothing"
	# And again with it gone: who sends is elsewhere, and so is the owner.
	set_spans 1 stage_usecs 0
	send_udp 0 5
	received $((sent + 5))
	echo 1 >$cpu1
	send_udp 1 5
	received $((sent + 10))
	log_test "a CPU goes with packets staged"
}

cpu_goes_that_owns()
{
	local i

	RET=0
	if ((cpus < 2)) || [ ! -e $cpu1 ]; then
		log_test_skip "a CPU goes that owns a queue" "no CPU can go"
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
		check_err $? "the CPU does not go"
		sleep 0.3
		echo 1 >$cpu1
		sleep 0.2
	done
	wait $sender
	received 3000
	# What is read can be written. Until the CPU comes, others poll.
	echo 0 >$cpu1
	set_spans 1 owner_cpus "$(get_spans 1 owner_cpus)"
	check_err $? "a CPU that is offline cannot be written as the owner that it is"
	send_udp 0 20
	received 3020
	echo 1 >$cpu1
	log_test "a CPU goes that owns a queue"
}

tests_run
exit "$EXIT_STATUS"
