#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rmmod, whatever the devices are doing.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	unused
	devices_everywhere
	under_traffic
	while_devices_come_and_go
	what_is_open
"

# The module must go, and everything of it.
unload()
{
	rmmod spans
	check_err $? "cannot unload"
	[ ! -d /sys/module/spans ]
	check_err $? "the module is still there"
}

unused()
{
	local i

	RET=0
	for i in 1 2 3; do
		unload
		load_module
	done
	log_test "load and unload"
}

devices_everywhere()
{
	local left

	RET=0
	hosts 3
	ip -n "$NS2" link add s1 type spans
	ip -n "$NS3" link set s0 down
	ip link add s0 type spans
	unload
	left=$( (ip -o link; host 1 ip -o link; host 2 ip -o link; host 3 ip -o link) | grep -c ' s[0-9]')
	expect "devices left" 0 "$left"
	load_module
	log_test "devices in several namespaces, up and down"
}

under_traffic()
{
	local i host pids

	RET=0
	flows() { [ "$(queues "$1" rx packets)" -ge 300 ]; }
	for ((i = 0; i < $(rounds 5); i++)); do
		hosts 3
		start 1 "$selftests/flood.py" ping 10.0.0.2
		pids=($!)
		start 2 "$selftests/flood.py" ping 10.0.0.3
		pids+=($!)
		start 3 "$selftests/flood.py" udp 10.0.0.255
		pids+=($!)
		# Each hears an answer, or a question, and the broadcast.
		for host in 1 2 3; do
			busywait 20000 flows $host
			check_err $? "nothing comes to host $host"
		done
		unload
		kill "${pids[@]}"
		wait "${pids[@]}" 2>/dev/null
		load_module
	done
	log_test "under traffic"
}

while_devices_come_and_go()
{
	local pid

	RET=0
	come_and_go() { [ -d /sys/module/spans ] && [ "$(wc -l </tmp/times)" -ge 5 ]; }
	defer rm -f /tmp/times
	(
		while :; do
			# Rounds that rmmod cuts fail, and do not count.
			ip -force -batch - <<-END && echo >>/tmp/times
				link add s0 type spans
				link set s0 up
				link add s1 link s0 type spans
				link set s1 up
				link del s0
				link del s1
			END
			sleep 0.001
		done >/dev/null 2>&1
	) &
	pid=$!
	for _ in 1 2 3 4 5; do
		: >/tmp/times
		busywait 20000 come_and_go
		check_err $? "they do not come and go: this test tested nothing"
		rmmod spans
		check_err $? "cannot unload"
		modprobe spans 2>/dev/null || insmod "$SPANS_KO" 2>/dev/null
	done
	{ kill $pid; wait $pid; } 2>/dev/null
	[ -d /sys/module/spans ] || load_module
	log_test "while devices come and go"
}

what_is_open()
{
	RET=0
	hosts 2
	start 1 python3 -c '
import socket, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(("s0", 3))
open("/tmp/bound", "w").close()
time.sleep(600)'
	defer kill_process $!
	busywait 20000 test -e /tmp/bound
	host 1 ping -q -c 1 10.0.0.2 >/dev/null
	unload
	load_module
	log_test "with a packet socket and neighbours"
}

tests_run
exit "$EXIT_STATUS"
