#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The line: TCP fills it, queues share it, and frames in flight are no longer charged to their
# sockets. veth with netem is measured for comparison, if the kernel has them.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	filled
	filled_with_long_frames
	headers
	shared
	rate_change
	in_flight
	dropped_in_flight
"

# kbit/s
rate=100000
delay=5000

# timed WHAT: whether times can be tested. A real clock would measure the machine.
timed() { virtual_clock || { log_test_skip "$1" "the clock is real"; return 1; }; }

# on_the_wire HEADER PAYLOAD: converts kbit/s of TCP payload (IPv4, timestamps) to the line rate.
on_the_wire() { echo $(($2 * (mtu + $1) / (mtu - 52))); }

# features on|off: TSO and GSO of host 1.
features()
{
	enter 1 ethtool -K s0 tso "$1" gso "$1" >/dev/null
	check_err $? "no tso $1"
}

# over_spans SLOTS FLOWS: the rate on the line.
over_spans()
{
	local i

	ipv6=off hosts 2
	for i in 1 2; do
		host "$i" ip link set s0 mtu "$mtu"
		host "$i" ethtool -G s0 tx "$1"
		set_spans "$i" rate_mbit $((rate / 1000))
		set_spans "$i" delay_usecs "$delay"
	done
	features "$tso"
	on_the_wire 28 "$("$selftests/goodput.py" "$NS1" "$NS2" 10.0.0.2 "$2")"
}

# over_veth FLOWS: the same for veth and netem; nothing on a kernel without netem.
over_veth()
{
	local i

	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 mtu "$mtu" type veth peer name s0 mtu "$mtu" netns "$NS2" || return
	for i in 1 2; do
		host "$i" ip addr add "10.0.0.$i/24" dev s0
		host "$i" ip link set s0 up
		host "$i" tc qdisc add dev s0 root netem rate "${rate}kbit" delay "${delay}us" limit 10000 ||
			return
	done
	features "$tso"
	on_the_wire 14 "$("$selftests/goodput.py" "$NS1" "$NS2" 10.0.0.2 "$1")"
}

# fills [SLOTS DELAY]...: TCP must fill a line of this delay with so many slots.
fills()
{
	local what="TCP fills a line, MTU $mtu" tso flows slots delay found

	timed "$what" || return
	for tso in on off; do
		for flows in 1 4; do
			RET=0
			found="veth $(modprobe -qa veth sch_netem && over_veth $flows 2>/dev/null)"
			while read -r slots delay; do
				[ -n "$slots" ] || continue
				between "$slots slots, $delay us, kbit/s ($found)" \
					$((rate * 97 / 100)) $((rate * 102 / 100)) \
					"$(over_spans "$slots" $flows)"
			done <<<"$1"
			log_test "$what, tso $tso, flows: $flows"
		done
	done
}

# With 1800 us 14.7 of 16 slots are in flight.
filled() { mtu=1500 fills $'16 1800\n64 5000\n1024 5000'; }
filled_with_long_frames() { mtu=9180 fills $'16 5000\n1024 5000'; }

# send CODE: runs Python code on host 1 with a socket `s`.
send()
{
	host 1 python3 -I -S -c "
import array, fcntl, select, socket, struct, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
s.connect(('10.0.0.2', 9))
def file(name):
    return int(open('/sys/class/net/s0/' + name).read())
began = time.monotonic()
def until(done):
    while not done() and time.monotonic() < began + 10:
        time.sleep(0.001)
    return int((time.monotonic() - began) * 1000)
$1"
}

# A GSO packet of 40 segments takes the line for the bytes of 40 frames with their headers.
headers()
{
	local took what="a GSO packet takes the line for all headers of its segments"

	RET=0
	timed "$what" || return
	pair
	set_spans 1 rate_mbit 1
	# UDP_SEGMENT. 28 bytes of link header, 28 of IP and UDP.
	took=$(send "
s.setsockopt(17, 103, 500)
s.send(bytes(40 * 500))
print(until(lambda: file('statistics/tx_packets') == 1))")
	between "ms for 40 UDP segments at 1 Mbit/s" 177 180 "$took"
	expect "packets sent" 1 "$(queues 1 tx packets)"
	log_test "$what"
}

# queue_bytes I: the bytes that queue I has sent.
queue_bytes() { host 1 ethtool -S s0 | awk "/tx_queue_$1_bytes/ { print \$2 }"; }

# Two queues share the line by bytes, with frames of equal and of different length.
shared()
{
	# Lockdep has no key for the ingress qdisc of an unknown link type.
	local what="two queues share a line" medium=ethernet i size began first second pids

	RET=0
	modprobe -qa act_skbedit cls_u32 sch_ingress ||
		{ log_test_skip "$what" "no skbedit"; return; }
	for size in 1400 200; do
		new_ns NS1 NS2
		ip -n "$NS1" link add s0 numtxqueues 2 numrxqueues 2 address "$(lladdr 1)" type spans
		ip -n "$NS1" link add s0 link s0 netns "$NS2" address "$(lladdr 2)" type spans
		for i in 1 2; do
			write "$i" net/ipv6/conf/all/disable_ipv6 1
			host "$i" ip link set lo up
			host "$i" ip addr add "10.0.0.$i/24" dev s0
			host "$i" ip link set s0 up
		done
		neighbours 2
		host 2 ip route replace unreachable 10.0.0.1/32
		set_spans 1 rate_mbit 10
		host 1 tc qdisc add dev s0 clsact
		host 1 tc filter add dev s0 egress protocol ip u32 match ip dport 8 0xffff \
			action skbedit queue_mapping 1
		check_err $? "no filter"
		host 1 tc filter add dev s0 egress protocol ip u32 match ip dport 9 0xffff \
			action skbedit queue_mapping 0
		pids=()
		for i in 8 9; do
			start 1 python3 -I -S -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(bytes($i == 8 and $size or 1400), ('10.0.0.2', $i))"
			pids+=($!)
		done
		nap 500
		began=${EPOCHREALTIME/./} first=$(queue_bytes 0) second=$(queue_bytes 1)
		nap 2000
		first=$(($(queue_bytes 0) - first)) second=$(($(queue_bytes 1) - second))
		began=$((${EPOCHREALTIME/./} - began))
		kill "${pids[@]}"
		wait "${pids[@]}" 2>/dev/null
		# 1.25 bytes in a microsecond. On a real clock late polls may have saved up time.
		if virtual_clock; then
			between "frames of $size bytes: bytes in $began us" $((began * 122 / 100)) $((began * 126 / 100)) \
				$((first + second))
			between "frames of $size bytes: bytes of queue 1 per 1000 of queue 0" 950 1050 \
				$((second * 1000 / first))
		else
			between "frames of $size bytes: bytes in $began us" 1 $((began * 190 / 100)) $((first + second))
		fi
	done
	log_test "$what"
}

# Waiting packets, at 456 ms each, are sent at a new higher rate.
rate_change()
{
	local rate took what="a change of rate_mbit applies to waiting frames"

	RET=0
	timed "$what" || return
	pair
	for rate in 0 1000; do
		set_spans 1 rate_mbit 1
		# UDP_SEGMENT.
		took=$(send "
arrived = file('statistics/tx_packets')
s.setsockopt(17, 103, 1400)
for _ in range(4):
    s.send(bytes(40 * 1400))
until(lambda: time.monotonic() > began + 0.05)
sent = file('statistics/tx_packets') - arrived
with open('/sys/class/net/s0/spans/rate_mbit', 'w') as settings:
    settings.write('$rate')
print(sent, until(lambda: file('statistics/tx_packets') == arrived + 4))")
		expect "packets sent before the change to $rate Mbit/s" 0 "${took% *}"
		between "ms until all packets were sent" 50 150 "${took#* }"
	done
	received 8
	log_test "$what"
}

# With a delay of a second, sockets and BQL are uncharged, and timestamps are sent, when a frame
# leaves, not when it arrives.
in_flight()
{
	local i took what="frames in flight are not charged to sockets or BQL"

	RET=0
	timed "$what" || return
	pair
	set_spans 1 delay_usecs 1000000
	for i in 0 100; do
		set_spans 1 rate_mbit $i
		took=$(send "
arrived = file('statistics/tx_packets')
for _ in range(10):
    s.send(bytes(1000))
def owned():
    queued = array.array('i', [0])
    fcntl.ioctl(s, 0x5411, queued)  # SIOCOUTQ
    return queued[0] + file('queues/tx-0/byte_queue_limits/inflight')
print(until(lambda: owned() == 0), file('statistics/tx_packets') - arrived)")
		between "ms until 10 frames are uncharged at $i Mbit/s" 0 500 "${took% *}"
		expect "frames completed by then" 0 "${took#* }"
		took=$(send "
s.setsockopt(socket.SOL_SOCKET, 37, 2 | 16 | 1 << 11)  # SO_TIMESTAMPING: TX_SOFTWARE, OPT_TSONLY
s.send(bytes(1000))
def told():
    poll = select.poll()
    poll.register(s, 0)
    return poll.poll(0)
took = until(told)
s.recvmsg(1000, 1000, 0x2000)  # MSG_ERRQUEUE
until(lambda: time.monotonic() > began + 2)
print(took, bool(told()))")
		between "ms until the TX timestamp" 0 500 "${took% *}"
		expect "a second TX timestamp" False "${took#* }"
	done
	received 22
	log_test "$what"
}

# Frames in flight are dropped and counted once by each event that drops frames.
dropped_in_flight()
{
	local how counter before rate what="frames in flight are dropped once"

	RET=0
	timed "$what" || return
	pair
	host 2 ip route del unreachable 10.0.0.1/32
	# Another device, so that host 2 keeps its carrier.
	host 2 ip link add s1 link s0 type spans
	host 2 ip link set s1 up
	for rate in 0 100; do
		set_spans 1 rate_mbit $rate
		while read -r counter how; do
			before=$(queues 1 tx "$counter")
			set_spans 1 delay_usecs 1000000
			send "
for _ in range(10):
    s.send(bytes(1000))
until(lambda: file('queues/tx-0/byte_queue_limits/inflight') == 0)"
			# shellcheck disable=SC2086 # several words
			host 1 $how >/dev/null
			check_err $? "$how"
			set_spans 1 delay_usecs 0
			expect "$how at $rate Mbit/s: $counter" 10 $(($(queues 1 tx "$counter") - before))
			host 1 ip link set s0 carrier on
			host 1 ip link set s0 up
			neighbours 2
			host 1 ping -q -c 20 -i 0.01 -s 1000 -W 5 10.0.0.2 >/dev/null
			check_err $? "$how at $rate Mbit/s: no reply afterwards"
			expect "bytes charged to BQL afterwards" 0 \
				"$(<"$(sys 1)/class/net/s0/queues/tx-0/byte_queue_limits/inflight")"
		done <<-END
			drop_no_carrier ip link set s0 carrier off
			drop_purge ethtool --reset s0 dma
			drop_purge ip link set s0 down
		END
	done
	log_test "$what"
}

tests_run
exit "$EXIT_STATUS"
