#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each queue has an owner, the CPU of its polls. Owners and queues change under
# traffic, and nothing is lost or overtaken.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	owners_at_first
	kicks
	chases
	bad_owners
	mapping
	order_while_everything_changes
"

cpus=$(getconf _NPROCESSORS_ONLN)

owners_at_first()
{
	RET=0
	pair
	expect "owners" "$(seq -s ' ' 0 $((cpus - 1)))" "$(get_spans 1 owner_cpus)"
	setup_ns NS1
	ip -n "$NS1" link add s0 numtxqueues 5 type spans
	expect "owners of five queues, in turn" \
		"$(for ((i = 0; i < 5; i++)); do echo $((i % cpus)); done | xargs)" \
		"$(get_spans 1 owner_cpus)"
	log_test "owners in turn"
}

kicks()
{
	RET=0
	((cpus > 1)) || { log_test_skip "doorbells for another CPU" "one CPU"; return; }
	pair
	send_udp 0 20
	received 20
	expect "kicks at home" 0 "$(queues 1 tx kicks)"
	set_spans 1 owner_cpus "1 0"
	expect "owners" "1 0" "$(get_spans 1 owner_cpus)"
	send_udp 0 20
	received 40
	[ "$(queues 1 tx kicks)" -ge 1 ]
	check_err $? "no doorbell went to the other CPU"
	log_test "doorbells for another CPU"
}

# A poll that was scheduled on a CPU which is not its owner any more when it comes to run
# moves once. So it is when the owner changes while its CPU has bottom halves off.
chases()
{
	local count sent=0 rung frame pid what="polls that find the owner elsewhere"

	RET=0
	((cpus > 1)) || { log_test_skip "$what" "one CPU"; return; }
	[ -e "${SPANS_GEN:-}" ] || { log_test_skip "$what" "no module to send packets"; return; }
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	# A poll that is scheduled stays so for 5 ms a packet. On a busy machine the change may
	# come too late all the same, and all is at home then.
	frame=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00112233445566778899)
	for count in 20 50 100 200 200 200; do
		set_spans 1 owner_cpus "0 1"
		rung=$(queues 1 tx flush_idle)
		host 1 taskset -c 0 insmod "$SPANS_GEN" dev=s0 header=28 frame="$frame" k="$count" \
			n="$count" gap=5000 2>/dev/null &
		pid=$!
		rings() { [ "$(queues 1 tx flush_idle)" -gt "$1" ]; }
		busywait 60000 rings "$rung"
		check_err $? "the module sends nothing"
		set_spans 1 owner_cpus "1 0"
		wait $pid
		received $((sent += count))
		[ "$(queues 1 tx chases)" = 0 ] || break
	done
	expect "chases" 1 "$(queues 1 tx chases)"
	# At home again, or by a doorbell for another CPU, there are none.
	send_udp 0 20
	send_udp 1 20
	received $((sent + 40))
	expect "chases without a change" 1 "$(queues 1 tx chases)"
	log_test "$what"
}

bad_owners()
{
	local before bad

	RET=0
	pair
	before=$(get_spans 1 owner_cpus)
	for bad in "" "0" "0 1 0" "0 4096" "0 x" "-1 0" "0 7"; do
		[ "$bad" = "0" ] && ((cpus == 1)) && continue
		set_spans 1 owner_cpus "$bad" 2>/dev/null
		check_fail $? "owners '$bad' were accepted"
		expect "owners after '$bad'" "$before" "$(get_spans 1 owner_cpus)"
	done
	log_test "owners that cannot be"
}

mapping()
{
	local name wanted queues=3 cpu

	RET=0
	if ! host 1 test -e /sys/class/net/s0/queues/tx-0/xps_cpus; then
		log_test_skip "mappings" "no XPS in this kernel"
		return
	fi
	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 numtxqueues $queues address "$(lladdr 1)" type spans
	for name in modulo mask default; do
		set_spans 1 mapping $name
		for ((cpu = 0; cpu < cpus; cpu++)); do
			case $name in
			modulo) wanted=$((cpu % queues)) ;;
			mask) wanted=$((cpu & 1)) ;;
			default) wanted=0 ;;
			esac
			((0x$(host 1 sed 's/,//g' /sys/class/net/s0/queues/tx-$wanted/xps_cpus) >> cpu & 1))
			check_err $? "$name: CPU $cpu does not send on queue $wanted"
		done
	done
	set_spans 1 mapping modulo
	host 1 ethtool -L s0 combined 1
	check_err $? "ethtool -L"
	expect "owners of one queue" 0 "$(get_spans 1 owner_cpus)"
	host 1 ethtool -L s0 combined 4 2>/dev/null
	check_fail $? "more channels than queues"
	log_test "mappings"
}

# Numbered packets of one CPU and class, on the one subqueue that is used, while
# everything is changed that can be.
order_while_everything_changes()
{
	local i changes setting

	RET=0
	pair
	set_spans 1 mapping default
	host 2 ip route del unreachable 10.0.0.1/32
	start 2 python3 -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
s.bind(('', 9))
s.settimeout(60)
open('/tmp/listening', 'w').close()
last, count = -1, 0
while True:
    data = s.recv(9000)
    if data == b'end':
        break
    number = int.from_bytes(data[:4], 'big')
    if number <= last:
        sys.exit(f'{number} behind {last}')
    last, count = number, count + 1
print(count)" >/tmp/order 2>&1
	receiver=$!
	defer rm -f /tmp/listening /tmp/order
	busywait 60000 test -e /tmp/listening
	# Until it is told to end.
	start 1 taskset -c 0 python3 -c "
import signal, socket, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
i = 0
while not ended:
    s.sendto(i.to_bytes(4, 'big') + bytes(i * 37 % 1400), ('10.0.0.2', 9))
    i += 1
    if i % 50 == 0:
        time.sleep(0.005)
time.sleep(2)
s.sendto(b'end', ('10.0.0.2', 9))
print(i)" >/tmp/sent
	sender=$!
	defer rm -f /tmp/sent
	flows() { [ "$(queues 2 rx packets)" -ge 100 ]; }
	busywait 60000 flows
	changes=$(rounds 200)
	setting=$(sys 1)/class/net/s0/spans
	for ((i = 0; i < changes; i++)); do
		case $((RANDOM % 8)) in
		0) echo $((RANDOM % 65)) >"$setting/stage_count" ;;
		1) echo $((RANDOM % 3 * 500)) >"$setting/stage_usecs" ;;
		2) echo $((RANDOM % 3 * 3000)) >"$setting/stage_bytes" ;;
		3) host 1 ethtool -G s0 tx $((16 << RANDOM % 6)) 2>/dev/null ;;
		4) for ((j = 0; j < cpus; j++)); do echo $((RANDOM % cpus)); done |
			xargs >"$setting/owner_cpus" 2>/dev/null ;;
		5) echo $((RANDOM % 3 * 200)) >"$setting/rate_mbit" ;;
		6) echo $((RANDOM % 3 * 1000)) >"$setting/delay_usecs" ;;
		7) host 1 ethtool -L s0 combined $((1 + RANDOM % cpus)) 2>/dev/null ;;
		esac
		nap 5
	done
	kill $sender
	wait $sender
	wait $receiver
	check_err $? "packets overtook each other: $(cat /tmp/order)"
	[ "$(cat /tmp/sent)" -ge $((changes * 10)) ]
	check_err $? "only $(cat /tmp/sent) packets meanwhile: this test tested little"
	expect "dropped by qdiscs" 0 "$(host 1 tc -s -j qdisc show dev s0 | jq '[.[].drops] | add')"
	expect "packets that were not lost" "$(cat /tmp/sent)" "$(cat /tmp/order)"
	log_test "order while everything changes"
}

tests_run
exit "$EXIT_STATUS"
