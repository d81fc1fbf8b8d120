#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Packets that wait for company: how many share a doorbell, and that none waits for
# company that does not come.
#
# What matters is what one CPU sends with bottom halves off. A test module sends
# just so many packets in one such section; where it cannot be had, the kernel's
# own segmentation does: a UDP socket sends one buffer in pieces.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	lone_packets
	exact
	bytes
	waiting
	settings
	same_by_ethtool
"

setup()
{
	hosts 2
	quiet 2
	neighbours 2
	host 2 ip route replace unreachable 10.0.0.1/32
	host 1 tc qdisc replace dev s0 root noqueue
}

# set I FILE VALUE
set_spans() { echo "$3" | host "$1" tee "/sys/class/net/s0/spans/$2" >/dev/null; }
get_spans() { host "$1" cat "/sys/class/net/s0/spans/$2"; }

# flushes I: the sum of all reasons to ring.
flushes()
{
	host "$1" ethtool -S s0 | awk '/tx_queue_[0-9]*_flush_/ { sum += $2 } END { print sum + 0 }'
}

# delta COMMAND...: how many doorbells host 1 rang meanwhile.
delta()
{
	local before

	before=$(queues 1 tx doorbells)
	"$@"
	echo $(($(queues 1 tx doorbells) - before))
}

datagrams()
{
	host 1 taskset -c 0 python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range($1):
    s.sendto(bytes(${2:-18}), ('10.0.0.2', 9))"
}

# section K N: N packets, K in each section with bottom halves off.
section()
{
	local frame

	frame=$("$selftests/frames.py" cls "$(lladdr 2)" "$(lladdr 1)" 88b5 00112233445566778899)
	# It says "try again" when all went well, so that it does not stay loaded.
	host 1 taskset -c 0 insmod "$SPANS_GEN" dev=s0 header=28 frame="$frame" k="$1" n="$2" 2>/dev/null
	return 0
}

lone_packets()
{
	RET=0
	setup
	expect "doorbells for 20 lone packets" 20 "$(delta datagrams 20)"
	expect "sent because the device was idle" 20 "$(queues 1 tx flush_idle)"
	set_spans 1 stage_count 0
	expect "doorbells for 20 packets without staging" 20 "$(delta datagrams 20)"
	expect "because none may wait" 20 "$(queues 1 tx flush_count)"
	expect "packets that arrived" 40 "$(queues 2 rx packets)"
	expect "reasons" "$(queues 1 tx doorbells)" "$(flushes 1)"
	log_test "a lone packet does not wait"
}

exact()
{
	local count k wanted

	RET=0
	if [ ! -e "${SPANS_GEN:-}" ]; then
		log_test_skip "doorbells are as many as the rule says" "no packet generator"
		return
	fi
	setup
	for count in 0 1 4 16 64; do
		set_spans 1 stage_count $count
		for k in 1 3 4 16 17 64; do
			wanted=$k
			if ((count > 1)); then wanted=$(((k + count - 1) / count)); fi
			expect "doorbells for 10 times $k packets, stage $count" \
				$((10 * wanted)) "$(delta section $k $((10 * k)))"
		done
	done
	arrived() { [ "$(queues 2 rx packets)" = $((5 * 10 * (1 + 3 + 4 + 16 + 17 + 64))) ]; }
	busywait 5000 arrived
	check_err $? "not all arrived: $(queues 2 rx packets)"
	expect "reasons" "$(queues 1 tx doorbells)" "$(flushes 1)"
	log_test "doorbells are as many as the rule says"
}

bytes()
{
	RET=0
	setup
	# Nobody waits for the time: only the bytes end the wait.
	set_spans 1 stage_usecs 1000000
	set_spans 1 stage_count 256
	set_spans 1 stage_bytes 1000
	# 18 bytes and 56 of headers: the fourteenth is the one.
	expect "doorbells" 1 "$(delta datagrams 14)"
	expect "because of bytes" 1 "$(queues 1 tx flush_bytes)"
	set_spans 1 stage_bytes 0
	expect "doorbells for full frames" 3 "$(delta datagrams 3 9152)"
	expect "because of bytes" 4 "$(queues 1 tx flush_bytes)"
	expect "packets that arrived" 17 "$(queues 2 rx packets)"
	log_test "full frames do not wait"
}

waiting()
{
	RET=0
	setup
	set_spans 1 stage_usecs 300000
	datagrams 5
	arrived() { [ "$(queues 2 rx packets)" = 5 ]; }
	busywait 20000 arrived
	check_err $? "packets that waited for company never left"
	expect "doorbells" 1 "$(queues 1 tx doorbells)"
	expect "because of the time" 1 "$(queues 1 tx flush_time)"
	# What waits does not wait any longer than the new setting says.
	set_spans 1 stage_usecs 1000000
	datagrams 1
	set_spans 1 stage_usecs 0
	arrived() { [ "$(queues 2 rx packets)" = 6 ]; }
	busywait 20000 arrived
	check_err $? "what waited was forgotten"
	expect "because of a new setting" 1 "$(queues 1 tx flush_forced)"
	log_test "company is waited for as long as the user says"
}

# Each file: what it is at first, what it takes, what it refuses.
settings()
{
	local file first good bad value

	RET=0
	setup
	while read -r file first good bad; do
		expect "$file at first" "$first" "$(get_spans 1 "$file")"
		for value in ${good//,/ }; do
			set_spans 1 "$file" "$value"
			expect "$file" "$value" "$(get_spans 1 "$file")"
		done
		for value in ${bad//,/ } "" " " "x" "1x" "-1"; do
			set_spans 1 "$file" "$value" 2>/dev/null
			check_fail $? "$file took '$value'"
			expect "$file after '$value'" "${good##*,}" "$(get_spans 1 "$file")"
		done
	done <<-'END'
		stage_count 16 0,1,256,8 257,4294967296
		stage_bytes 0 1,1048576,0 1048577
		stage_usecs 0 1,1000000,0 1000001
		queue_len 256 1,65536,256 0,65537
		queue_bytes 0 1,2147483648,0 2147483649
		rate_mbit 0 1,1000000,0 1000001
		delay_usecs 0 1,1000000,0 1000001
		mapping modulo default,mask,modulo Modulo,default2
	END
	log_test "settings out of range are refused and change nothing"
}

same_by_ethtool()
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
	check_err $? "ethtool -c does not show what sysfs has set"
	refused "at most 256 frames" host 1 ethtool -C s0 tx-aggr-max-frames 257 tx-aggr-max-bytes 1
	expect "stage_bytes after a refusal" 700 "$(get_spans 1 stage_bytes)"
	log_test "ethtool and sysfs set the same"
}

tests_run
exit "$EXIT_STATUS"
