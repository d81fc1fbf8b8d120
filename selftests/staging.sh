#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Staging: the number of doorbells for packets of one section with bottom halves off, and the
# end of staging without further packets.
#
# The test module spans_gen sends a given number of packets in one such section.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	lone_packets
	exact
	bytes
	remote_owner
	stage_timer
	settings
	ethtool_coalesce
"

setup()
{
	pair
	host 1 tc qdisc replace dev s0 root noqueue
}

# flushes I: the sum of the counters of all reasons for a doorbell.
flushes()
{
	host "$1" ethtool -S s0 | awk '/tx_queue_[0-9]*_flush_/ { sum += $2 } END { print sum + 0 }'
}

# delta COMMAND...: the number of doorbells of host 1 during the command.
delta()
{
	local before

	before=$(queues 1 tx doorbells)
	"$@"
	echo $(($(queues 1 tx doorbells) - before))
}

datagrams()
{
	enter 1 python3 -I -S -c "
import os, socket
os.sched_setaffinity(0, {0})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range($1):
    s.sendto(bytes(${2:-18}), ('10.0.0.2', 9))"
}

# section K N [PARAMETER...]: sends N packets, K in each section with bottom halves off.
section()
{
	local frame

	frame=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00112233445566778899)
	# The module fails with EAGAIN on success, so that it does not stay loaded.
	host 1 taskset -c 0 insmod "$SPANS_GEN" dev=s0 header=28 frame="$frame" k="$1" n="$2" "${@:3}" 2>/dev/null
	return 0
}

lone_packets()
{
	RET=0
	setup
	expect "doorbells for 20 lone packets" 20 "$(delta datagrams 20)"
	expect "flush_idle" 20 "$(queues 1 tx flush_idle)"
	set_spans 1 stage_count 0
	expect "doorbells for 20 packets without staging" 20 "$(delta datagrams 20)"
	expect "flush_count" 20 "$(queues 1 tx flush_count)"
	expect "packets that arrived" 40 "$(queues 2 rx packets)"
	expect "sum of flush counters" "$(queues 1 tx doorbells)" "$(flushes 1)"
	log_test "a lone packet is not staged"
}

exact()
{
	local count k wanted

	RET=0
	if [ ! -e "${SPANS_GEN:-}" ]; then
		log_test_skip "number of doorbells by stage_count" "no packet generator"
		return
	fi
	setup
	for count in 0 1 4 16 64; do
		set_spans 1 stage_count $count
		for k in 1 4 17 64; do
			wanted=$k
			if ((count > 1)); then wanted=$(((k + count - 1) / count)); fi
			expect "doorbells for 10 times $k packets, stage $count" \
				$((10 * wanted)) "$(delta section $k $((10 * k)))"
		done
	done
	arrived() { [ "$(queues 2 rx packets)" = $((5 * 10 * (1 + 4 + 17 + 64))) ]; }
	busywait 60000 arrived
	check_err $? "packets were lost: $(queues 2 rx packets) received"
	expect "sum of flush counters" "$(queues 1 tx doorbells)" "$(flushes 1)"
	log_test "number of doorbells by stage_count"
}

bytes()
{
	RET=0
	setup
	# The stage timer is too long to matter.
	set_spans 1 stage_usecs 1000000
	set_spans 1 stage_count 256
	set_spans 1 stage_bytes 1000
	# With 56 bytes of headers the fourteenth packet exceeds 1000 bytes.
	expect "doorbells" 1 "$(delta datagrams 14)"
	expect "flush_bytes" 1 "$(queues 1 tx flush_bytes)"
	set_spans 1 stage_bytes 0
	expect "doorbells for full frames" 3 "$(delta datagrams 3 9152)"
	expect "flush_bytes" 4 "$(queues 1 tx flush_bytes)"
	expect "packets that arrived" 17 "$(queues 2 rx packets)"
	log_test "stage_bytes limits a stage"
}

stage_timer()
{
	local try

	RET=0
	setup
	set_spans 1 stage_usecs 1000000
	datagrams 5
	arrived() { [ "$(queues 2 rx packets)" = 5 ]; }
	busywait 20000 arrived
	check_err $? "staged packets were not sent"
	expect "doorbells" 1 "$(queues 1 tx doorbells)"
	expect "flush_time" 1 "$(queues 1 tx flush_time)"
	# A new stage_usecs is applied to staged packets, if it is written before the old one, a
	# second, is over.
	for ((try = 1; try <= 5; try++)); do
		set_spans 1 stage_usecs 1000000
		datagrams 1
		set_spans 1 stage_usecs 0
		arrived() { [ "$(queues 2 rx packets)" = $((5 + try)) ]; }
		busywait 20000 arrived
		check_err $? "a staged packet was not sent after a change of stage_usecs"
		[ "$(queues 1 tx flush_forced)" = 1 ] && break
	done
	expect "flush_forced" 1 "$(queues 1 tx flush_forced)"
	log_test "stage_usecs limits the time in a stage"
}

# No packet is left in a stage when the poll is scheduled on another CPU, nor in a ring
# with more frames than the budget of a poll.
remote_owner()
{
	local sent

	RET=0
	if [ ! -e "${SPANS_GEN:-}" ]; then
		log_test_skip "no packet is left in a stage or a ring" "no module to send packets"
		return
	fi
	setup
	set_spans 1 stage_bytes 1048576
	section 64 128
	arrived() { [ "$(accounted 2 rx)" = "$1" ]; }
	busywait 20000 arrived 128
	expect "received, polled on the sending CPU" 128 "$(accounted 2 rx)"
	if (($(getconf _NPROCESSORS_ONLN) > 1)); then
		set_spans 1 owner_cpus "1 0"
		# Only if the other CPU has finished the first packet before the second one is sent, the
		# second one is staged until the end of the softirq round.
		for ((sent = 130; sent <= 328; sent += 2)); do
			section 2 2 gap=5000
			busywait 20000 arrived $sent
			expect "received, polled on another CPU" $sent "$(accounted 2 rx)"
			[ "$(queues 1 tx flush_rollup)" = 0 ] || break
		done
		[ "$(queues 1 tx flush_rollup)" -ge 1 ]
		check_err $? "no flush by a rollup: this test tested little"
	fi
	log_test "no packet is left in a stage or a ring"
}

# Default, accepted and rejected values of each file.
settings()
{
	local said

	RET=0
	setup
	said=$(host 1 python3 - <<-'END'
		import errno
		def read(name):
		    return open(f"/sys/class/net/s0/spans/{name}").read()
		def write(name, value):
		    try:
		        with open(f"/sys/class/net/s0/spans/{name}", "w", buffering=1) as f:
		            f.write(value)
		    except OSError as e:
		        return e.errno
		numbers = {
		    "stage_count": (16, 0, 256), "stage_bytes": (0, 0, 1 << 20),
		    "stage_usecs": (0, 0, 1000000), "queue_len": (256, 1, 65536),
		    "queue_bytes": (0, 0, 1 << 31), "rate_mbit": (0, 0, 1000000),
		    "delay_usecs": (0, 0, 1000000),
		    "tx_wait_usecs": (1000, 0, 500000),
		    "arp_tick_ms": (60000, 10, 86400000), "arp_ticks": (20, 1, 10000),
		    "arp_retrans_ms": (3000, 10, 86400000), "arp_probes": (5, 1, 100),
		    "arp_hold_ms": (20000, 0, 86400000),
		    # Its default is in link.sh.
		    "arp_max_entries": (int(read("arp_max_entries")), 1, 1 << 17),
		}
		tries = [(name, str(first), [str(low), str(high), str(high // 2 + 1)],
		          [str(low - 1), str(high + 1), str(high + (1 << 32))])
		         for name, (first, low, high) in numbers.items()]
		tries.append(("mapping", "modulo", ["default", "mask", "modulo"], ["Modulo", "default2"]))
		for name, first, good, bad in tries:
		    if read(name) != first + "\n":
		        print(name, "is", read(name), "at first")
		    for value in good:
		        if write(name, value + "\n") or read(name) != value + "\n":
		            print(name, "is", read(name), "after", value)
		    for value in bad + [" ", "x", "1x", "1 1", "\xff"]:
		        if write(name, value) != errno.EINVAL or read(name) != good[-1] + "\n":
		            print(name, "is", read(name), "after", value)
	END
	)
	expect "errors" "" "$said"
	log_test "settings out of range are rejected and change nothing"
}

ethtool_coalesce()
{
	RET=0
	setup
	host 1 ethtool -C s0 tx-aggr-max-frames 5 tx-aggr-max-bytes 700 tx-aggr-time-usecs 30
	check_err $? "ethtool -C"
	expect "stage_count" 5 "$(get_spans 1 stage_count)"
	expect "stage_bytes" 700 "$(get_spans 1 stage_bytes)"
	expect "stage_usecs" 30 "$(get_spans 1 stage_usecs)"
	set_spans 1 stage_count 7
	[[ $(host 1 ethtool -c s0) =~ tx-aggr-max-frames:[[:space:]]*7 ]]
	check_err $? "ethtool -c does not show the value that was written in sysfs"
	refused "at most 256 frames" host 1 ethtool -C s0 tx-aggr-max-frames 257 tx-aggr-max-bytes 1
	expect "stage_bytes after an error" 700 "$(get_spans 1 stage_bytes)"
	log_test "ethtool -C and sysfs change the same settings"
}

tests_run
exit "$EXIT_STATUS"
