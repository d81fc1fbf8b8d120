#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `ethtool --reset` empties rings and subqueues, ends what makes a ring hang, and all
# goes on; every packet is accounted for. (For receive rings see backpressure.sh, for
# resets under traffic conservation.sh.)

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	components
	down
	hangs_with_qdisc
	hangs_at_byte_queue_limits
	hangs_without_qdisc
	staged
	under_way
	others
"

reset() { host "$1" ethtool --reset s0 "${2:-all}" >/dev/null; }

# ended COUNT: so many packets of host 1 come to an end, of which host 2 got all that
# were not dropped by the reset.
ended()
{
	all() { [ "$(ends 1 tx)" = "$1" ]; }
	busywait 20000 all "$1"
	expect "all ends" "$1" "$(ends 1 tx)"
	received $(($1 - $(queues 1 tx drop_purge)))
	expect "dropped" "$(queues 1 tx drop_purge)" "$(stat 1 tx dropped)"
	expect "watchdog" 0 "$(queues 1 tx timeouts)"
}

# flags COMPONENT: what was reset, and what was not.
flags() { host 1 ethtool --reset s0 "$@" | sed -n 's/^Components.*reset: *//p' | xargs; }

components()
{
	RET=0
	pair
	expect "all" "0xffff 0xffff0000" "$(flags all)"
	expect "what is ours alone" 0xffff "$(flags dedicated)"
	expect "rings" 0x4 "$(flags dma)"
	expect "what is shared" "0x0 0x40000" "$(flags dma-shared)"
	expect "what there is not" "0x0 0x40" "$(flags phy)"
	expect "rings, of some" "0x4 0x40" "$(flags dma phy)"
	stall 1 0
	flags dma-shared >/dev/null
	flags phy >/dev/null
	expect "the ring that hangs" 0 "$(stall 1)"
	flags dma >/dev/null
	expect "the ring that hangs, after its reset" -1 "$(stall 1)"
	log_test "components"
}

down()
{
	RET=0
	pair
	host 1 ip link set s0 down
	refused "Network is down" host 1 ethtool --reset s0 all
	log_test "a device that is down"
}

hangs_with_qdisc()
{
	RET=0
	pair
	# More than the ring holds, so that the queue is stopped, too.
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	# They learn of that when something is completed.
	send_udp 0 1
	received 1
	stall 1 0
	send_udp 0 400
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was not stopped: this test tested less than it should"
	reset 1
	expect "the ring that hangs" -1 "$(stall 1)"
	# The ring and a little more; the others were in the qdisc.
	between "lost" 256 300 "$(queues 1 tx drop_purge)"
	ended 401
	expect "stops and wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	log_test "a ring that hangs and is full, with a qdisc"
}

hangs_at_byte_queue_limits()
{
	RET=0
	pair
	stall 1 0
	send_udp 0 50
	reset 1
	between "lost" 1 49 "$(queues 1 tx drop_purge)"
	ended 50
	log_test "a queue that byte queue limits have stopped"
}

hangs_without_qdisc()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	reset 1 dedicated
	expect "lost" 5 "$(queues 1 tx drop_purge)"
	send_udp 0 3
	ended 8
	log_test "a ring that hangs with few packets, without a qdisc"
}

staged()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	# The first one is alone, and does not wait.
	set_spans 1 delay_usecs 1000000
	set_spans 1 stage_count 64
	set_spans 1 stage_usecs 1000000
	send_udp 0 10
	reset 1
	expect "lost" 10 "$(queues 1 tx drop_purge)"
	set_spans 1 delay_usecs 0
	send_udp 0 10
	ended 20
	log_test "packets that are staged"
}

under_way()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	host 1 ip link set s0 mtu 65535
	host 2 ip link set s0 mtu 65535
	# Two minutes of it.
	set_spans 1 rate_mbit 1
	send_udp 0 250 60000
	reset 1
	between "lost" 1 250 "$(queues 1 tx drop_purge)"
	# These are not waited for as long as that.
	send_udp 0 10
	ended 260
	log_test "packets on a slow line"
}

others()
{
	local pid i

	RET=0
	hosts 3
	neighbours 3
	host 3 ping -q -c 20 -i 0.05 -W 5 10.0.0.2 >/dev/null &
	pid=$!
	for ((i = 0; i < 20; i++)); do reset 1; done
	wait $pid
	check_err $? "no answer"
	for i in 2 3; do
		expect "lost by host $i" 0 "$(($(stat $i tx dropped) + $(stat $i rx dropped)))"
		expect "sent by host $i" 20 "$(stat $i tx packets)"
	done
	log_test "others on the segment"
}

tests_run
exit "$EXIT_STATUS"
