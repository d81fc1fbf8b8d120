#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# GRO must not modify packets that share data with other receivers (broadcast), nor merge
# packets that are charged to different sockets.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	merged_for_one
"

merged_for_one()
{
	local i merged

	RET=0
	hosts 4
	quiet 4
	for i in 2 3 4; do
		start $i "$selftests/gro.py" receive s0 >/tmp/stream$i
		defer kill_process $!
		busywait 60000 grep -q ready /tmp/stream$i
	done
	# Hosts 2 and 4 hold packets for GRO until more packets arrive.
	for i in 2 3 4; do
		host $i ethtool -K s0 gro on
	done
	for i in 2 4; do
		host $i sh -c 'echo 200000000 >/sys/class/net/s0/gro_flush_timeout'
		host $i sh -c 'echo 100 >/sys/class/net/s0/napi_defer_hard_irqs'
	done
	# From one CPU: packets of different queues have no order.
	host 1 taskset -c 0 "$selftests/gro.py" send s0
	check_err $? "cannot send"
	for i in 2 3 4; do
		busywait 20000 grep -q packets /tmp/stream$i
		[[ $(sed 1d /tmp/stream$i) =~ ^([0-9]+)\ packets$ ]]
		check_err $? "host $i: output of gro.py: $(sed 1d /tmp/stream$i)"
		merged=$((20 - ${BASH_REMATCH[1]:-20}))
		if ((i == 3)); then
			expect "packets merged by host 3" 0 $merged
		else
			[ $merged -ge 1 ]
			check_err $? "host $i merged nothing: this test tested nothing"
		fi
	done
	log_test "GRO of broadcast packets at some receivers"
}

tests_run
exit "$EXIT_STATUS"
