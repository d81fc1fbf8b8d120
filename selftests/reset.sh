#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `ethtool --reset` purges rings and subqueues and ends a stall; each packet is accounted for.
# (For RX rings see backpressure.sh, for resets under traffic conservation.sh.)

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	components
	down
	hangs_with_qdisc
	hangs_at_byte_queue_limits
	hangs_without_qdisc
	staged
	on_the_line
	other_members
"

reset() { host "$1" ethtool --reset s0 "${2:-all}" >/dev/null; }

# ended COUNT: host 1 must send or drop COUNT packets, and host 2 must receive all but those
# dropped by the reset.
ended()
{
	all() { [ "$(accounted 1 tx)" = "$1" ]; }
	busywait 20000 all "$1"
	expect "packets sent or dropped" "$1" "$(accounted 1 tx)"
	received $(($1 - $(queues 1 tx drop_purge)))
	expect "tx dropped" "$(queues 1 tx drop_purge)" "$(stat 1 tx dropped)"
	expect "timeouts" 0 "$(queues 1 tx timeouts)"
}

# flags COMPONENT...: the components that were reset, and those that were not.
flags() { host 1 ethtool --reset s0 "$@" | sed -n 's/^Components.*reset: *//p' | xargs; }

components()
{
	RET=0
	pair
	expect "flags of all" "0xffff 0xffff0000" "$(flags all)"
	expect "flags of dedicated" 0xffff "$(flags dedicated)"
	expect "flags of dma" 0x4 "$(flags dma)"
	expect "flags of dma-shared" "0x0 0x40000" "$(flags dma-shared)"
	expect "flags of phy" "0x0 0x40" "$(flags phy)"
	expect "flags of dma and phy" "0x4 0x40" "$(flags dma phy)"
	stall 1 0
	flags dma-shared >/dev/null
	flags phy >/dev/null
	expect "stalled ring" 0 "$(stall 1)"
	flags dma >/dev/null
	expect "stalled ring after a reset of dma" -1 "$(stall 1)"
	log_test "components of ethtool --reset"
}

down()
{
	RET=0
	pair
	host 1 ip link set s0 down
	refused "Network is down" host 1 ethtool --reset s0 all
	log_test "reset of a device that is down is rejected"
}

hangs_with_qdisc()
{
	RET=0
	pair
	# More packets than slots, so that the queue is stopped, too.
	host 1 sh -c 'echo 100000000 | tee /sys/class/net/s0/queues/tx-*/byte_queue_limits/limit_min' \
		>/dev/null
	# The limits are applied by the first completion.
	send_udp 0 1
	received 1
	stall 1 0
	send_udp 0 400
	[ "$(queues 1 tx stop)" -ge 1 ]
	check_err $? "the queue was not stopped: this test tested less than it should"
	reset 1
	expect "stalled ring after the reset" -1 "$(stall 1)"
	# The ring and the subqueue; the other packets were in the qdisc.
	between "drop_purge" 256 300 "$(queues 1 tx drop_purge)"
	ended 401
	expect "stops and wakes" "$(queues 1 tx stop)" "$(queues 1 tx wake)"
	log_test "reset of a stalled, full ring with a qdisc"
}

hangs_at_byte_queue_limits()
{
	RET=0
	pair
	stall 1 0
	send_udp 0 50
	reset 1
	between "drop_purge" 1 49 "$(queues 1 tx drop_purge)"
	ended 50
	log_test "reset of a queue that is stopped by byte queue limits"
}

hangs_without_qdisc()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	stall 1 0
	send_udp 0 5
	reset 1 dedicated
	expect "drop_purge" 5 "$(queues 1 tx drop_purge)"
	send_udp 0 3
	ended 8
	log_test "reset of a stalled ring with few packets, without a qdisc"
}

staged()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	# The delay keeps the first packet, which is not staged, in the ring.
	set_spans 1 delay_usecs 1000000
	set_spans 1 stage_count 64
	set_spans 1 stage_usecs 1000000
	send_udp 0 10
	reset 1
	expect "drop_purge" 10 "$(queues 1 tx drop_purge)"
	set_spans 1 delay_usecs 0
	send_udp 0 10
	ended 20
	log_test "reset with staged packets"
}

on_the_line()
{
	RET=0
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	host 1 ip link set s0 mtu 65535
	host 2 ip link set s0 mtu 65535
	# Two minutes at this rate.
	set_spans 1 rate_mbit 1
	send_udp 0 250 60000
	reset 1
	between "drop_purge" 1 250 "$(queues 1 tx drop_purge)"
	# The reset has freed the line for these packets.
	send_udp 0 10
	ended 260
	log_test "reset with packets on a slow line"
}

other_members()
{
	local pid i

	RET=0
	hosts 3
	neighbours 3
	host 3 ping -q -c 20 -i 0.05 -W 5 10.0.0.2 >/dev/null &
	pid=$!
	for ((i = 0; i < 20; i++)); do reset 1; done
	wait $pid
	check_err $? "no reply"
	for i in 2 3; do
		expect "tx and rx dropped of host $i" 0 "$(($(stat $i tx dropped) + $(stat $i rx dropped)))"
		expect "sent by host $i" 20 "$(stat $i tx packets)"
	done
	log_test "a reset does not affect other members"
}

tests_run
exit "$EXIT_STATUS"
