#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocation failures: each allocation of each `ip link` request, and random ones under traffic.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	every_allocation
	traffic_afterwards
	traffic_meanwhile
"

failslab=/sys/kernel/debug/failslab

if [ ! -e $failslab ] || [ ! -e /proc/self/fail-nth ]; then
	echo "this kernel cannot fail allocations on purpose"
	exit "$ksft_skip"
fi
echo 0 >$failslab/verbose
echo N >$failslab/ignore-gfp-wait
echo N >$failslab/cache-filter

every_allocation()
{
	RET=0
	"$selftests/faults.py"
	check_err $? "faults.py failed, see above"
	expect "devices left" "" "$(ip -o link show type spans)"
	rmmod spans
	check_err $? "cannot unload"
	load_module
	log_test "each allocation of ip link requests fails once"
}

traffic_afterwards()
{
	RET=0
	hosts 3
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no reply"
	log_test "traffic after failed requests"
}

# send_failing ADDRESS: 500 datagrams from host 1 while every fifth allocation of all tasks
# fails. One process sends them all, as no other one could start; it cannot see debugfs.
send_failing()
{
	exec 5>$failslab/probability
	host 1 python3 -c "
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
os.write(5, b'20')
for _ in range(500):
    try:
        s.sendto(bytes(18), ('$1', 9))
    except OSError:
        pass
os.write(5, b'0')"
	exec 5>&-
}

# Each dropped packet is counted.
traffic_meanwhile()
{
	local sent

	RET=0
	hosts 3
	quiet 3
	neighbours 3
	host 2 ip route replace unreachable 10.0.0.1/32
	host 3 ip route replace unreachable 10.0.0.1/32
	echo -1 >$failslab/times
	echo N >$failslab/task-filter

	send_failing 10.0.0.255
	sent=$(queues 1 tx packets)
	expect "broadcasts received or dropped" $((2 * sent)) $(($(accounted 2 rx) + $(accounted 3 rx)))
	[ "$(($(queues 2 rx drop_no_memory) + $(queues 3 rx drop_no_memory)))" -ge 1 ]
	check_err $? "no copy was dropped: this test tested nothing"

	send_failing 10.0.0.2
	expect "broadcasts and unicasts received or dropped" $((2 * sent + $(queues 1 tx packets) - sent)) \
		$(($(accounted 2 rx) + $(accounted 3 rx)))
	host 2 ip route del unreachable 10.0.0.1/32
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no reply without failures"
	log_test "random allocation failures under traffic"
}

tests_run
exit "$EXIT_STATUS"
