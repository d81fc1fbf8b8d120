#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# owner_cpus and mapping: each queue has an owner CPU, which polls it. Changes under traffic
# neither drop nor reorder packets.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	owners_in_turn
	many_queues
	without_privilege
	moves
	housekeeping
	remote_schedules
	migrations
	bad_owners
	mapping
	order_during_changes
"

cpus=$(getconf _NPROCESSORS_ONLN)

# owner_cpus is a list of CPUs that is assigned to the queues in turn.
owners_in_turn()
{
	local all=0 form

	RET=0
	((cpus == 1)) || all=0-$((cpus - 1))
	pair
	expect "owner_cpus" "$all" "$(get_spans 1 owner_cpus)"
	for form in 0 "0*3" "0,0*2,0"; do
		set_spans 1 owner_cpus "$form"
		check_err $? "owner_cpus '$form' was rejected"
		expect "owner_cpus" "$form" "$(get_spans 1 owner_cpus)"
	done
	set_spans 1 owner_cpus " 0, 0"
	check_err $? "owner_cpus with blanks was rejected"
	expect "owner_cpus written with blanks" "0,0" "$(get_spans 1 owner_cpus)"
	set_spans 1 owner_cpus ""
	check_err $? "empty owner_cpus was rejected"
	expect "empty owner_cpus" "" "$(get_spans 1 owner_cpus)"
	log_test "owner_cpus are assigned in turn"
}

# The text that is read can be written back, for any number of queues.
many_queues()
{
	local form longest

	RET=0
	setup_ns NS1
	ip -n "$NS1" link add s0 numtxqueues 4096 numrxqueues 4096 type spans
	check_err $? "cannot add a device with 4096 queues"
	form=$(get_spans 1 owner_cpus)
	[ -n "$form" ]
	check_err $? "cannot read owner_cpus of 4096 queues"
	set_spans 1 owner_cpus "$form"
	check_err $? "cannot write owner_cpus of 4096 queues"
	form="0*2048,$((cpus - 1))*2048"
	set_spans 1 owner_cpus "$form"
	check_err $? "'$form' was rejected"
	expect "owner_cpus of 4096 queues" "$form" "$(get_spans 1 owner_cpus)"
	# With a newline and a NUL this is a page.
	longest=$(printf '0,%.0s' {1..2047})
	set_spans 1 owner_cpus "$longest"
	check_err $? "a page less two bytes was rejected"
	expect "the longest owner_cpus" "${longest%,}" "$(get_spans 1 owner_cpus)"
	for longest in "${longest}0" "$longest$longest$longest"; do
		printf '%s' "$longest" 2>/dev/null >"$(sys 1)/class/net/s0/spans/owner_cpus"
		check_fail $? "${#longest} bytes were accepted"
	done
	log_test "owner_cpus of 4096 queues"
}

# polls COMMAND...: sets $polled to the CPUs that poll u0 and u1 while the command runs and
# 300 ms after.
polls()
{
	trace napi/napi_poll
	"$@"
	check_err $? "'$*' failed"
	nap 300
	untrace napi/napi_poll
	polled=$(sed -n 's/.*\[0*\([0-9]*\)\].* for device u[01] .*/\1/p' /sys/kernel/tracing/trace |
		sed 's/^$/0/' | sort -nu | xargs)
}

# Without privilege a device has no owner CPUs: queues are polled on the sending CPU. On Ethernet, as
# lockdep warns about clsact on an unknown link type.
without_privilege()
{
	local last=$((cpus - 1)) queue inside polled medium=ethernet

	RET=0
	defer rm -f /tmp/pid
	rm -f /tmp/pid
	modprobe -q -a sch_ingress cls_matchall act_skbedit
	# Without IPv6: its timers send on other CPUs.
	# shellcheck disable=SC2016 # it is for the other shell
	unshare -Urnm sh -c 'mount -t sysfs sysfs /sys &&
		echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 &&
		ip link add u0 address '"$(lladdr 1)"' type spans &&
		ip link add u1 link u0 address '"$(lladdr 2)"' type spans &&
		ip link set u0 up && ip link set u1 up && echo $$ >/tmp/pid
		exec sleep 1000' &
	defer kill_process $!
	busywait 20000 test -s /tmp/pid
	check_err $? "cannot add devices in a user namespace"
	inside="nsenter -m -n -t $(cat /tmp/pid) taskset -c $last"
	owners() { $inside cat /sys/class/net/u0/spans/owner_cpus; }
	own() { $inside sh -c "echo '$1' >/sys/class/net/u0/spans/owner_cpus"; }
	expect "owner_cpus of a device without privilege" "" "$(owners)"
	if ((cpus > 1)); then
		send() { $inside "$selftests/frames.py" send u0 20 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5)"; }
		polls send
		expect "CPUs that poll" $last "$polled"
		for ((queue = 0; queue < cpus; queue++)); do
			$inside tc qdisc replace dev u0 clsact
			$inside tc filter add dev u0 egress matchall action skbedit queue_mapping $queue
			check_err $? "cannot add the skbedit filter"
			polls send
			expect "CPUs that poll, all packets on queue $queue" $last "$polled"
			$inside tc qdisc del dev u0 clsact
		done
		own 0
		check_err $? "root cannot write owner_cpus"
		expect "owner_cpus" 0 "$(owners)"
		polls send
		[[ " $polled " == *" 0 "* ]]
		check_err $? "CPU 0 does not poll, but $polled do"
		own ""
		polls send
		expect "CPUs that poll, owner_cpus empty again" $last "$polled"
	fi
	log_test "a device of a user namespace is polled on the sending CPU"
}

# owner_cpus is kept in another namespace, as the settings of a NIC are.
moves()
{
	RET=0
	setup_ns NS1 NS2
	ip -n "$NS2" link add s0 type spans
	ip -n "$NS2" link set s0 netns "$NS1"
	set_spans 1 owner_cpus "0*7"
	ip -n "$NS1" link set s0 up
	ip -n "$NS1" link set s0 netns "$NS2"
	ip -n "$NS2" link set s0 netns "$NS1"
	ip -n "$NS1" link set s0 up
	expect "owner_cpus" "0*7" "$(get_spans 1 owner_cpus)"
	log_test "owner_cpus are kept when a device moves to another namespace"
}

# Isolated CPUs are no owner CPUs by default.
housekeeping()
{
	local others group=/tmp/cgroup what="isolated CPUs are no owner CPUs by default"

	RET=0
	((cpus > 1)) || { log_test_skip "$what" "one CPU"; return; }
	mkdir -p $group
	mount -t cgroup2 none $group 2>/dev/null || { log_test_skip "$what" "no cgroup2"; return; }
	defer rmdir $group
	defer umount -l $group
	if ! echo +cpuset 2>/dev/null >$group/cgroup.subtree_control; then
		log_test_skip "$what" "no cpusets"
		return
	fi
	mkdir $group/isolated
	defer rmdir $group/isolated
	echo 1 >$group/isolated/cpuset.cpus
	echo isolated >$group/isolated/cpuset.cpus.partition
	expect "partition" isolated "$(cat $group/isolated/cpuset.cpus.partition)"
	pair
	case $cpus in
	2) others=0 ;;
	3) others=0,2 ;;
	*) others=0,2-$((cpus - 1)) ;;
	esac
	expect "owner_cpus" $others "$(get_spans 1 owner_cpus)"
	set_spans 1 owner_cpus 1
	check_err $? "an isolated CPU cannot be written to owner_cpus"
	log_test "$what"
}

remote_schedules()
{
	RET=0
	((cpus > 1)) || { log_test_skip "remote schedules of polls" "one CPU"; return; }
	pair
	send_udp 0 20
	received 20
	expect "remote schedules on the owner CPU" 0 "$(queues 1 tx remote_schedules)"
	set_spans 1 owner_cpus "1 0"
	expect "owner_cpus" "1,0" "$(get_spans 1 owner_cpus)"
	send_udp 0 20
	received 40
	[ "$(queues 1 tx remote_schedules)" -ge 1 ]
	check_err $? "no poll was scheduled on the other CPU"
	log_test "remote schedules of polls"
}

# A poll migrates once if its CPU is no longer the owner when it runs. This happens if
# owner_cpus changes while that CPU has bottom halves off.
migrations()
{
	local try count sent=0 rung frame pid what="migration of polls after a change of owner_cpus"

	RET=0
	((cpus > 1)) || { log_test_skip "$what" "one CPU"; return; }
	[ -e "${SPANS_GEN:-}" ] || { log_test_skip "$what" "no module to send packets"; return; }
	pair
	host 1 tc qdisc replace dev s0 root noqueue
	# The poll stays scheduled for 5 ms a packet, or 20. On a busy machine the change may be too
	# late nevertheless; then nothing migrates.
	frame=$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5 00112233445566778899)
	# More than a ring and a subqueue hold would be lost, as there is no qdisc.
	for try in 20,5 50,5 100,5 200,5 400,5 400,5 400,20 400,20 400,20; do
		count=${try%,*}
		set_spans 1 owner_cpus "0 1"
		rung=$(queues 1 tx flush_idle)
		host 1 taskset -c 0 insmod "$SPANS_GEN" dev=s0 header=28 frame="$frame" k="$count" \
			n="$count" gap="${try#*,}000" 2>/dev/null &
		pid=$!
		rings() { [ "$(queues 1 tx flush_idle)" -gt "$1" ]; }
		busywait 60000 rings "$rung"
		check_err $? "spans_gen sends no packets"
		set_spans 1 owner_cpus "1 0"
		wait $pid
		received $((sent += count))
		[ "$(queues 1 tx migrations)" = 0 ] || break
	done
	expect "migrations" 1 "$(queues 1 tx migrations)"
	# Polls on the owner CPU, local or remote, do not migrate.
	send_udp 0 20
	send_udp 1 20
	received $((sent + 40))
	expect "migrations without a change of owner_cpus" 1 "$(queues 1 tx migrations)"
	log_test "$what"
}

bad_owners()
{
	local before bad

	RET=0
	pair
	before=$(get_spans 1 owner_cpus)
	for bad in "0 9999" "0 x" "-1" "0-" "0-9999" "0-4294967295" "1-0" "0*0" "0*" "*2" "0*x" "0-0*2" \
		"0*4294967296" "0;0"; do
		set_spans 1 owner_cpus "$bad" 2>/dev/null
		check_fail $? "owner_cpus '$bad' was accepted"
		expect "owner_cpus after '$bad'" "$before" "$(get_spans 1 owner_cpus)"
	done
	log_test "invalid owner_cpus are rejected"
}

mapping()
{
	local name wanted queues=3 cpu

	RET=0
	if [ ! -e /sys/class/net/lo/queues/tx-0/xps_cpus ]; then
		log_test_skip "mapping of CPUs to TX queues" "no XPS in this kernel"
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
	host 1 ethtool -L s0 combined 4 2>/dev/null
	check_fail $? "more channels than queues were accepted"
	log_test "mapping of CPUs to TX queues"
}

# Numbered packets of one CPU and class on one subqueue, during random changes of settings.
order_during_changes()
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
	# Until SIGTERM.
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
		# The list may be empty.
		4) for ((j = RANDOM % 4; j < 3; j++)); do echo $((RANDOM % cpus)); done |
			xargs >"$setting/owner_cpus" ;;
		5) echo $((RANDOM % 3 * 200)) >"$setting/rate_mbit" ;;
		6) echo $((RANDOM % 3 * 1000)) >"$setting/delay_usecs" ;;
		7) host 1 ethtool -L s0 combined $((1 + RANDOM % cpus)) 2>/dev/null ;;
		esac
		nap 5
	done
	kill $sender
	wait $sender
	wait $receiver
	check_err $? "packets were reordered: $(cat /tmp/order)"
	[ "$(cat /tmp/sent)" -ge $((changes * 10)) ]
	check_err $? "only $(cat /tmp/sent) packets were sent: this test tested little"
	expect "drops of qdiscs" 0 "$(host 1 tc -s -j qdisc show dev s0 | jq '[.[].drops] | add')"
	expect "packets received" "$(cat /tmp/sent)" "$(cat /tmp/order)"
	log_test "packet order during random changes of settings"
}

tests_run
exit "$EXIT_STATUS"
