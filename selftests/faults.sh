#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# No memory, at every step of everything that ip link does.

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
	check_err $? "see above"
	expect "devices left" "" "$(ip -o link show type spans)"
	rmmod spans
	check_err $? "cannot unload"
	load_module
	log_test "each allocation fails once"
}

traffic_afterwards()
{
	RET=0
	hosts 3
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.3 >/dev/null
	check_err $? "no answer"
	log_test "devices work afterwards"
}

# Allocations fail at random while packets go round: some are lost, each is
# counted, and nothing breaks. One process sends them all, as everything else on
# the machine would fail, too.
traffic_meanwhile()
{
	local i in=0 out=0

	RET=0
	quiet 3
	neighbours 3
	echo -1 >$failslab/times
	echo N >$failslab/task-filter
	# The namespace hides debugfs.
	exec 5>$failslab/probability
	host 1 python3 -c "
import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
os.write(5, b'20')
for _ in range(500):
    for host in (2, 3, 255):
        try:
            s.sendto(bytes(18), (f'10.0.0.{host}', 9))
        except OSError:
            pass
os.write(5, b'0')"
	exec 5>&-
	for i in 1 2 3; do
		out=$((out + $(queues $i tx packets)))
		in=$((in + $(queues $i rx packets) + $(queues $i rx 'drop_[a-z_]*')))
	done
	[ "$(($(queues 2 rx drop_no_memory) + $(queues 3 rx drop_no_memory)))" -ge 1 ]
	check_err $? "no copy was lost: this test tested nothing"
	# Broadcasts are heard by two, so there are more copies than frames.
	[ "$in" -gt "$out" ]
	check_err $? "$out frames were sent, but only $in arrived or were counted"
	host 1 ping -q -c 2 -i 0.1 -W 5 10.0.0.2 >/dev/null
	check_err $? "no answer when there is memory again"
	log_test "allocations fail at random under traffic"
}

tests_run
exit "$EXIT_STATUS"
