#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rmmod in all states of devices, under traffic and with open files.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	unused
	devices_everywhere
	under_traffic
	while_devices_come_and_go
	packet_socket
	open_debugfs_files
	removed_under_an_open_file
	stuck_in_a_page_fault
	open_attributes
	traced
"

# unload: rmmod must succeed.
unload()
{
	rmmod spans
	check_err $? "cannot unload"
	[ ! -d /sys/module/spans ]
	check_err $? "/sys/module/spans still exists"
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
	log_test "unload with devices in several namespaces, up and down"
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
		# Each host receives echo requests or replies, and the broadcast.
		for host in 1 2 3; do
			busywait 20000 flows $host
			check_err $? "host $host receives no packets"
		done
		unload
		kill "${pids[@]}"
		wait "${pids[@]}" 2>/dev/null
		load_module
	done
	log_test "unload under traffic"
}

while_devices_come_and_go()
{
	local pid

	RET=0
	come_and_go() { [ -d /sys/module/spans ] && [ "$(wc -l </tmp/times)" -ge 5 ]; }
	defer rm -f /tmp/times
	(
		while :; do
			# A round that fails because of rmmod is not counted.
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
		check_err $? "no devices were created: this test tested nothing"
		rmmod spans
		check_err $? "cannot unload"
		modprobe spans 2>/dev/null || insmod "$SPANS_KO" 2>/dev/null
	done
	{ kill $pid; wait $pid; } 2>/dev/null
	[ -d /sys/module/spans ] || load_module
	log_test "unload while devices are created and deleted"
}

packet_socket()
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
	log_test "unload with a packet socket and neighbours"
}

# debugfs_files: those of host 1.
debugfs_files()
{
	echo "/sys/kernel/debug/spans-$(<"$(sys 1)/class/net/s0/phys_port_id")"/{arp,stall}
}

# read_from FD: reads a line; prints the error, if any.
read_from() { head -n 1 <&"$1" 2>&1 >/dev/null; }

open_debugfs_files()
{
	local file fd

	RET=0
	hosts 2
	for file in $(debugfs_files); do
		exec {fd}<"$file"
		expect "error of a read" "" "$(read_from $fd)"
		refused "in use" rmmod spans
		ip -n "$NS1" link show s0 >/dev/null
		check_err $? "the device was deleted, though rmmod failed"
		exec {fd}<&-
	done
	unload
	load_module
	log_test "an open debugfs file holds the module"
}

removed_under_an_open_file()
{
	local file fd fds read how

	RET=0
	for how in "ip link set s0 down" "ip link del s0" "namespace"; do
		hosts 2
		fds=()
		for file in $(debugfs_files); do
			exec {fd}<"$file"
			fds+=("$fd")
		done
		# The text of a file that was read once stays with its reader.
		exec {read}<"$file"
		expect "error of a read" "" "$(read_from "$read")"
		if [ "$how" = namespace ]; then
			ip netns del "$NS1"
		else
			# shellcheck disable=SC2086 # several words
			host 1 $how
		fi
		# A namespace is deleted asynchronously. A read before that would store the whole text.
		removed() { [ ! -e "$file" ]; }
		busywait 20000 removed
		check_err $? "$how: a debugfs file still exists"
		for fd in "${fds[@]}"; do
			gone "$fd"
			check_err $? "$how: a removed debugfs file can still be read"
		done
		read_from "$read" >/dev/null
		refused "in use" rmmod spans
		for fd in "$read" "${fds[@]}"; do exec {fd}<&-; done
		unload
		load_module
	done
	log_test "devices and namespaces are deleted with open debugfs files"
}

# gone FD: whether reading fails with EIO, as of a removed file.
gone() { [[ $(read_from "$1") == *"Input/output error"* ]]; }

stuck_in_a_page_fault()
{
	local what="a reader stuck in a page fault does not block ip link" pid file

	RET=0
	hosts 2
	for file in $(debugfs_files) "$(sys 1)/class/net/s0/spans/stage_count"; do
		# The reader truncates this later than the next test of its contents.
		: >"$own_files/stuck"
		"$selftests/stuck_reader.py" "$file" >"$own_files/stuck" 2>&1 &
		pid=$!
		is_stuck() { [ -s "$own_files/stuck" ] || ! kill -0 $pid 2>/dev/null; }
		busywait 20000 is_stuck
		if [ "$(<"$own_files/stuck")" != stuck ]; then
			wait $pid
			(($? != 4)) || { log_test_skip "$what" "no userfaultfd"; return; }
			check_err 1 "$(<"$own_files/stuck")"
			break
		fi
		timeout 20 ip -n "$NS1" link set s0 down
		check_err $? "$file: the device cannot go down"
		timeout 20 ip -n "$NS1" link set s0 up
		check_err $? "$file: the device cannot go up"
		kill -KILL $pid
		wait $pid 2>/dev/null
	done
	unload
	load_module
	log_test "$what"
}

open_attributes()
{
	local file fd fds=()

	RET=0
	hosts 2
	for file in "$(sys 1)"/class/net/s0/{spans/*,statistics/rx_packets,queues/*/*,carrier} \
		/sys/kernel/tracing/events/spans/{enable,*/enable,*/format}; do
		[ -r "$file" ] || continue
		exec {fd}<"$file"
		fds+=("$fd")
		head -n 1 <&"$fd" >/dev/null 2>&1
	done
	((${#fds[@]} > 20))
	check_err $? "only ${#fds[@]} open files: this test tested little"
	unload
	for fd in "${fds[@]}"; do head -n 1 <&"$fd" >/dev/null 2>&1; done
	for fd in "${fds[@]}"; do exec {fd}<&-; done
	load_module
	log_test "open sysfs and tracefs files do not hold the module"
}

traced()
{
	local pipe reader

	RET=0
	hosts 2
	echo 1 >/sys/kernel/tracing/events/spans/enable
	cat /sys/kernel/tracing/trace_pipe >/dev/null 2>&1 &
	reader=$!
	defer kill_process $reader
	exec {pipe}<>/sys/kernel/tracing/set_event
	host 1 ping -q -c 3 -i 0.01 10.0.0.2 >/dev/null
	unload
	exec {pipe}<&-
	load_module
	log_test "unload with tracepoints enabled and a reader of the trace"
}

tests_run
exit "$EXIT_STATUS"
