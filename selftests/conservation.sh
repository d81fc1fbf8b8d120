#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# While everything is changed at random, to the packet: what the stack gave to a
# device was sent or dropped for a reason, and what was sent to its only peer was
# received there or dropped for a reason.
#
# What the stack gave is not the driver's own word: a filter counts it at egress.
# There is no qdisc, whose drops nobody would know after it is replaced; what the
# core drops itself, as the device is down, is in the device's statistics.
#
# CHANGES (how many) and SEED can be set.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	conservation
"

# Counted, not timed, so that as much is tested on a machine that is busy. Where processes
# cost most there are fewer.
many=600
if virtual_clock; then many=300; fi
if ((${SPANS_SCALE:-1} > 1)); then many=100; fi
many=${CHANGES:-$many}
seed=${SEED:-$((RANDOM * 32768 + RANDOM))}
cpus=$(getconf _NPROCESSORS_ONLN)
cpu1=/sys/devices/system/cpu/cpu1/online

# Lockdep warns when clsact is put on a device of a type that it does not know
# (netdev_lock_pos()). It knows Ethernet.
if [ -e /proc/lockdep_stats ]; then medium=ethernet; fi

# given I: packets that the stack had for the device of host I.
given() { host "$1" tc -s filter show dev s0 egress | sed -n 's/.*(rule hit \([0-9]*\)).*/\1/p'; }

# left I: all that were sent or dropped.
left() { echo $(($(stat "$1" tx packets) + $(stat "$1" tx dropped))); }

# traffic I CPU CLASS: datagrams of all sizes until killed, some to everybody.
traffic()
{
	# Whoever changes things comes first.
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
            pass  # no carrier, no buffers, no route: not the device's affair
    time.sleep(random.random() / 20)"
	pids+=($!)
}

# Something else each time.
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
		check_err $? "cannot count"
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
		# Traffic goes on meanwhile. Where time stands still while anything runs, it would
		# not otherwise.
		nap $((RANDOM % 30))
	done
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null

	# Let the line carry what is on it, and the watchdog find what hangs.
	for i in 1 2; do
		set_spans $i rate_mbit 0
		set_spans $i delay_usecs 0
		stall $i -1
	done
	# What is received late is answered (the port is closed) while counters are read one
	# after the other. If two readings are the same, all counters had these values at one
	# moment, between them. All that was given had ended by then if nothing was on its way.
	readings()
	{
		echo "$(given 1) $(given 2) $(left 1) $(left 2)" \
			"$(queues 1 tx packets) $(queues 2 tx packets) $(ends 2 rx) $(ends 1 rx)"
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
	check_err $? "not all that was given has ended: $found"
	for i in 1 2; do
		expect "host $i: sent or dropped" "${given[i]}" "${left[i]}"
		expect "host $i: what it sent was received or dropped" "${sent[i]}" "${ended[i]}"
		[ "${given[i]}" -ge "$((many * 2))" ]
		check_err $? "only ${given[i]} packets: this test tested little"
	done
	log_test "conservation: ${given[1]} + ${given[2]} packets, $changes changes, SEED=$seed"
}

tests_run
exit "$EXIT_STATUS"
