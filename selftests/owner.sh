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
	bad_owners
	mapping
	order_while_everything_changes
"
if_slow kicks order_while_everything_changes

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
	local i

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
	start 1 taskset -c 0 python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 6
i = 0
while time.monotonic() < end:
    s.sendto(i.to_bytes(4, 'big') + bytes(i * 37 % 1400), ('10.0.0.2', 9))
    i += 1
    if i % 100 == 0:
        time.sleep(0.001)
time.sleep(2)
s.sendto(b'end', ('10.0.0.2', 9))
print(i)" >/tmp/sent
	sender=$!
	defer rm -f /tmp/sent
	for ((i = 0; i < 1000; i++)); do
		kill -0 $sender 2>/dev/null || break
		case $((RANDOM % 8)) in
		0) set_spans 1 stage_count $((RANDOM % 65)) ;;
		1) set_spans 1 stage_usecs $((RANDOM % 3 * 500)) ;;
		2) set_spans 1 stage_bytes $((RANDOM % 3 * 3000)) ;;
		3) host 1 ethtool -G s0 tx $((16 << RANDOM % 6)) 2>/dev/null ;;
		4) set_spans 1 owner_cpus "$(for ((j = 0; j < cpus; j++)); do echo $((RANDOM % cpus)); done | xargs)" 2>/dev/null ;;
		5) set_spans 1 rate_mbit $((RANDOM % 3 * 200)) ;;
		6) set_spans 1 delay_usecs $((RANDOM % 3 * 1000)) ;;
		7) host 1 ethtool -L s0 combined $((1 + RANDOM % cpus)) 2>/dev/null ;;
		esac
	done
	wait $sender
	wait $receiver
	check_err $? "packets overtook each other: $(cat /tmp/order)"
	[ "$i" -ge "$(rounds 10)" ]
	check_err $? "only $i changes: this test tested nothing"
	expect "packets that were not lost" "$(cat /tmp/sent)" "$(cat /tmp/order)"
	log_test "order while everything changes"
}

tests_run
exit "$EXIT_STATUS"
