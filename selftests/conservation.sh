#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Conservation of packets during random changes: each packet that the stack passed to a device
# was sent or counted as dropped, and each sent packet was received by the only other member or
# counted as dropped there.
#
# The first number is that of a tc filter at egress. There is no qdisc, as its drops would
# be lost when it is replaced; drops of the core, as the device is down, are in the statistics.
#
# CHANGES (their number) and SEED can be set.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	conservation
"

# A number of changes, not a time, so that a busy machine tests as much. Emulated kernels have
# fewer, as processes cost more there.
many=600
if virtual_clock; then many=300; fi
if ((${SPANS_SCALE:-1} > 1)); then many=100; fi
many=${CHANGES:-$many}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
cpus=$(getconf _NPROCESSORS_ONLN)
cpu1=/sys/devices/system/cpu/cpu1/online

# Lockdep warns about clsact on a device of an unknown link type (netdev_lock_pos()); Ethernet is
# known.
if [ -e /proc/lockdep_stats ]; then medium=ethernet; fi

# given I: packets that the stack of host I passed to its device.
given() { host "$1" tc -s filter show dev s0 egress | sed -n 's/.*(rule hit \([0-9]*\)).*/\1/p'; }

# left I: packets of host I that were sent or dropped.
left() { echo $(($(stat "$1" tx packets) + $(stat "$1" tx dropped))); }

# traffic I CPU PRIORITY: datagrams of several sizes until killed, some of them broadcast.
traffic()
{
	# At a lower priority than the changes.
	start "$1" nice -n 19 taskset -c "$2" python3 -c "
import random, socket, time
random.seed($seed + $1 * 10 + $2)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, $3)
peer = '10.0.0.$((3 - $1))'
while True:
    for _ in range(random.choice((1, 1, 5, 40, 300))):
        to = '10.0.0.255' if random.random() < 0.05 else peer
        try:
            s.sendto(bytes(random.choice((1, 18, 200, 1400, 9000))), (to, 9))
        except OSError:
            pass  # no carrier, no buffers, no route: never passed to the device
    time.sleep(random.random() / 20)"
	pids+=($!)
}

# change: a random change of a random host.
change()
{
	local i=$((1 + RANDOM % 2)) j owners mappings=(modulo mask default)

	case $((RANDOM % 17)) in
	0) set_spans $i stage_count $((RANDOM % 65)) ;;
	1) set_spans $i stage_usecs $((RANDOM % 3 * 700)) ;;
	2) set_spans $i stage_bytes $((RANDOM % 3 * 3000)) ;;
	3) set_spans $i queue_len $((1 + RANDOM % 300)) ;;
	4) set_spans $i queue_bytes $((RANDOM % 3 * 20000)) ;;
	5) set_spans $i rate_mbit $((RANDOM % 3 * 100)) ;;
	6) set_spans $i delay_usecs $((RANDOM % 3 * 1000)) ;;
	7) set_spans $i mapping "${mappings[RANDOM % 3]}" ;;
	8)
		owners=
		for ((j = 0; j < cpus; j++)); do owners+=" $((RANDOM % cpus))"; done
		set_spans $i owner_cpus "${owners# }"
		;;
	9) host $i ethtool -G s0 tx $((16 << RANDOM % 6)) rx $((16 << RANDOM % 6)) ;;
	10) host $i ethtool -L s0 combined $((1 + RANDOM % cpus)) ;;
	11) host $i ethtool -C s0 tx-aggr-max-frames $((RANDOM % 65)) ;;
	12) host $i ip link set s0 mtu $((1500 + RANDOM % 2 * 7680)) ;;
	13) host $i ip link set s0 carrier off; host $i ip link set s0 carrier on ;;
	14) ((RANDOM % 8)) || stall $i $((RANDOM % cpus)) ;;
	15)
		if ((RANDOM % 4 == 0)); then
			host $i ip link set s0 down
			host $i ip link set s0 up
			neighbours 2
		elif [ -e $cpu1 ] && ((RANDOM % 4 == 0)); then
			echo 0 >$cpu1
			echo 1 >$cpu1
		fi
		;;
	16) host $i ethtool --reset s0 all >/dev/null ;;
	esac
	changes=$((changes + 1))
} 2>/dev/null

prepare()
{
	local i

	hosts 2
	quiet 2
	for i in 1 2; do
		host $i tc qdisc replace dev s0 root noqueue
		host $i tc qdisc add dev s0 clsact
		host $i tc filter add dev s0 egress matchall classid 1:1
		check_err $? "cannot add the counting filter"
	done
	neighbours 2
}

conservation()
{
	local pids=() changes=0 cpu i found given left sent ended

	RET=0
	RANDOM=$((seed % 32768))
	prepare
	for ((cpu = 0; cpu < cpus && cpu < 4; cpu++)); do
		traffic 1 $cpu $((cpu % 2 * 6))
		traffic 2 $cpu $((6 - cpu % 2 * 6))
	done
	while ((changes < many)); do
		change
		# On a virtual clock the senders only go on during this pause.
		nap $((RANDOM % 30))
	done
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null

	# No rate, delay or stall may hold packets back any longer.
	for i in 1 2; do
		set_spans $i rate_mbit 0
		set_spans $i delay_usecs 0
		stall $i -1
	done
	# Late packets are still answered (the port is closed) while the counters are read one after
	# the other. Two equal readings are consistent: all counters had these values between them.
	readings()
	{
		echo "$(given 1) $(given 2) $(left 1) $(left 2)" \
			"$(queues 1 tx packets) $(queues 2 tx packets) $(accounted 2 rx) $(accounted 1 rx)"
	}
	at_rest()
	{
		local before=$found

		found=$(readings)
		[ "$found" = "$before" ] || return
		read -r "given[1]" "given[2]" "left[1]" "left[2]" "sent[1]" "sent[2]" \
			"ended[1]" "ended[2]" <<<"$found"
		[ "${given[*]} ${sent[*]}" = "${left[*]} ${ended[*]}" ]
	}
	given=() left=() sent=() ended=()
	busywait 60000 at_rest
	check_err $? "packets are unaccounted for: $found"
	for i in 1 2; do
		expect "host $i: packets sent or dropped" "${given[i]}" "${left[i]}"
		expect "host $i: sent packets that were received or dropped" "${sent[i]}" "${ended[i]}"
		[ "${given[i]}" -ge "$((many * 2))" ]
		check_err $? "only ${given[i]} packets: this test tested little"
	done
	log_test "conservation of packets: ${given[1]} + ${given[2]} packets, $changes changes, SEED=$seed"
}

tests_run
exit "$EXIT_STATUS"
