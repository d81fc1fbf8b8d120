#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Promiscuous members: host 3 receives the unicast frames between hosts 1 and 2, in order and
# without effect on them, however slow it is.
#
#   host 1 --- unicast ---> host 2
#               |
#             mirror ---> host 3, promiscuous

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	third_member
	both_directions
	switched_by_sockets
	tcpdump_switches
	two_promiscuous_members
	shared_address
	promiscuous_member_sends
	unknown_address
	promiscuous_member_moves
	slow_promiscuous_member
	changes_under_traffic
	tcp
	merged_frame
"

ipv6=off
start_station
cpus=$(getconf _NPROCESSORS_ONLN)
media='ethernet arcnet' all_media='ethernet spans ax25 arcnet'
if ((${SPANS_SCALE:-1} > 1)); then media=ethernet all_media='ethernet spans'; fi

# setup N: hosts with permanent neighbours and a capture of kinds on each.
setup()
{
	local i

	# Captures keep a namespace alive.
	[ -z "${NS1:-}" ] || station 1 end_capture
	hosts "$1"
	neighbours "$1"
	# Frames of one CPU arrive in order.
	station 1 cpu 0
	for ((i = 1; i <= $1; i++)); do
		capture "$i" kinds
	done
}

# promisc I on|off
promisc()
{
	host "$1" ip link set s0 promisc "$2"
	check_err $? "cannot turn promiscuous mode $2"
}

# all COUNT KIND: the frames 1 to COUNT.
all() { seq -s " " -f "%.0f:$2" "$1"; }

third_member()
{
	local medium to i

	RET=0
	for medium in $all_media; do
		setup 3
		send_frames 1 "$(lladdr 2)"
		expect_frames 2 1:host
		expect_frames 3
		promisc 3 on
		to=()
		for ((i = 0; i < 50; i++)); do
			to+=("$(lladdr 2)")
		done
		send_frames 1 "${to[@]}"
		expect_frames 3 "$(all 50 otherhost)"
		expect_frames 2 "$(all 50 host)"
		send_frames 1 "$(lladdr 2)" "$(broadcast_addr)" "$(lladdr 3)" "$(lladdr 2)"
		expect_frames 3 1:otherhost 2:broadcast 3:host 4:otherhost
		expect_frames 2 1:host 2:broadcast 4:host
		expect_frames 1 1:outgoing 2:outgoing 3:outgoing 4:outgoing
		promisc 3 off
		send_frames 1 "${to[@]}"
		expect_frames 3
	done
	log_test "a promiscuous member receives unicast frames of others"
}

both_directions()
{
	local medium kinds

	RET=0
	for medium in $media; do
		setup 3
		promisc 3 on
		host 1 ping -q -c 5 -i 0.1 -W 5 10.0.0.2 >/dev/null
		check_err $? "$medium: no reply"
		# By sender.
		came() {
			kinds="$(captured 3 | grep -c "^otherhost $(frame "$(lladdr 2)" "$(lladdr 1)" 080045)")"
			kinds+=" $(grep -c "^otherhost $(frame "$(lladdr 1)" "$(lladdr 2)" 080045)" "$own_files/captured3")"
			[ "$kinds" = "5 5" ]
		}
		busywait 60000 came
		expect "$medium: mirrored echo requests and replies" "5 5" "$kinds"
		# Mirrors only reach host 3.
		expect "$medium: received by host 1 and host 2" "5 5" \
			"$(queues 1 rx packets) $(queues 2 rx packets)"
		expect "$medium: received by host 3" 10 "$(queues 3 rx packets)"
	done
	log_test "a promiscuous member receives both directions"
}

switched_by_sockets()
{
	local medium=ethernet

	RET=0
	setup 3
	station 3 join promisc
	check_err $? "cannot join PACKET_MR_PROMISC"
	station 3 join promisc
	promisc 3 on
	send_frames 1 "$(lladdr 2)"
	expect_frames 3 1:otherhost
	station 3 leave promisc
	promisc 3 off
	send_frames 1 "$(lladdr 2)"
	expect_frames 3 1:otherhost
	station 3 leave promisc
	send_frames 1 "$(lladdr 2)"
	expect_frames 3
	log_test "promiscuous mode lasts until its last reference is dropped"
}

tcpdump_switches()
{
	local medium pid

	RET=0
	command -v tcpdump >/dev/null || { log_test_skip "tcpdump turns promiscuous mode on and off" "not there"; return; }
	defer rm -f /tmp/tcpdump
	for medium in ethernet spans; do
		setup 3
		: >/tmp/tcpdump
		start 3 tcpdump -l -n -i s0 icmp >/tmp/tcpdump 2>&1
		pid=$!
		defer kill_process $pid
		busywait 20000 grep -q "listening on" /tmp/tcpdump
		host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
		read_both() { grep -q "10.0.0.1 > 10.0.0.2: ICMP echo request" /tmp/tcpdump &&
			grep -q "10.0.0.2 > 10.0.0.1: ICMP echo reply" /tmp/tcpdump; }
		busywait 60000 read_both
		check_err $? "$medium: not in the output of tcpdump: $(cat /tmp/tcpdump)"
		kill_process $pid
		send_frames 1 "$(lladdr 2)"
		expect_frames 3
		expect_frames 2 1:host
	done
	log_test "tcpdump turns promiscuous mode on and off"
}

two_promiscuous_members()
{
	local medium=ethernet

	RET=0
	setup 5
	promisc 3 on
	promisc 4 on
	send_frames 1 "$(lladdr 2)" "$(lladdr 3)" "$(lladdr 5)" "$(broadcast_addr)"
	expect_frames 2 1:host 4:broadcast
	expect_frames 3 1:otherhost 2:host 3:otherhost 4:broadcast
	expect_frames 4 1:otherhost 2:otherhost 3:otherhost 4:broadcast
	expect_frames 5 3:host 4:broadcast
	expect "packets sent by host 1" 5 "$(queues 1 tx packets)"
	promisc 3 off
	send_frames 1 "$(lladdr 2)" "$(lladdr 3)"
	expect_frames 3 2:host
	expect_frames 4 1:otherhost 2:otherhost
	# A promiscuous member receives the frames of another one.
	promisc 3 on
	send_frames 3 "$(lladdr 4)" "$(lladdr 2)"
	expect_frames 4 1:host 2:otherhost
	expect_frames 3 1:outgoing 2:outgoing
	log_test "two promiscuous members"
}

# Hosts 2 and 3 have one address; host 3 is promiscuous, too.
shared_address()
{
	local medium=ethernet

	RET=0
	setup 4
	host 3 bridge fdb add "$(lladdr 2)" dev s0 self
	check_err $? "cannot share an address"
	promisc 3 on
	promisc 4 on
	send_frames 1 "$(lladdr 2)" "$(lladdr 3)" "$(lladdr 4)"
	expect_frames 2 1:host
	expect_frames 3 1:otherhost 2:host 3:otherhost
	expect_frames 4 1:otherhost 2:otherhost 3:host
	send_frames 2 "$(lladdr 2)"
	expect_frames 3 1:otherhost
	expect_frames 4 1:otherhost
	log_test "two members with one address, one of them promiscuous"
}

promiscuous_member_sends()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		promisc 3 on
		host 3 ping -q -c 5 -i 0.1 -W 5 10.0.0.1 >/dev/null
		check_err $? "$medium: host 3 receives no reply"
		host 1 ping -q -c 5 -i 0.1 -W 5 10.0.0.3 >/dev/null
		check_err $? "$medium: no reply from host 3"
		came() { [ "$(queues 3 rx packets)" -ge 10 ]; }
		busywait 60000 came
		expect "$medium: received by host 3" 10 "$(queues 3 rx packets)"
		expect "$medium: packets of host 3 of kind otherhost" 0 "$(captured 3 | grep -c otherhost)"
		expect "$medium: received by host 2" 0 "$(queues 2 rx packets)"
	done
	log_test "a promiscuous member sends and receives its own frames"
}

# A frame that only a promiscuous member receives is not counted as drop_no_target.
unknown_address()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		promisc 3 on
		send_frames 1 "$(lladdr 99)"
		expect_frames 3 1:otherhost
		expect "$medium: drop_no_target with host 3 promiscuous" 0 "$(queues 1 tx drop_no_target)"
		host 3 ip link set s0 down
		send_frames 1 "$(lladdr 99)"
		expect_frames 2
		expect "$medium: drop_no_target with host 3 down" 1 "$(queues 1 tx drop_no_target)"
		host 3 ip link set s0 up
		send_frames 1 "$(lladdr 99)"
		expect_frames 3 1:otherhost
		expect "$medium: drop_no_target with host 3 up again" 1 "$(queues 1 tx drop_no_target)"
	done
	log_test "frames to unknown addresses reach promiscuous members"
}

promiscuous_member_moves()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		promisc 3 on
		new_ns NS4
		host 4 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		host 3 ip link set s0 netns "$NS4"
		host 4 ip link set s0 up
		capture 4 kinds
		send_frames 1 "$(lladdr 2)" "$(lladdr 3)"
		expect_frames 4 1:otherhost 2:host
		expect_frames 2 1:host
		promisc 4 off
		send_frames 1 "$(lladdr 2)"
		expect_frames 4
		host 4 ip link del s0
		send_frames 1 "$(lladdr 2)" "$(lladdr 3)"
		expect_frames 2 1:host
		expect "$medium: drop_no_target" 1 "$(queues 1 tx drop_no_target)"
	done
	log_test "a promiscuous member moves to another namespace"
}

# Host 2 receives all frames while host 3, promiscuous, cannot poll.
slow_promiscuous_member()
{
	local medium frame

	RET=0
	((cpus > 1)) || { log_test_skip "a slow promiscuous member does not slow others" "one CPU"; return; }
	for medium in $media; do
		hosts 3
		neighbours 3
		host 2 ip route replace unreachable 10.0.0.1/32
		host 3 ethtool -G s0 rx 16
		host 1 tc qdisc replace dev s0 root fq flow_limit 10000
		check_err $? "no fq"
		promisc 3 on
		threaded 3
		keep_busy
		send_udp 1 1000
		received 1000
		expect "$medium: tx dropped of host 1, drop_full of host 2" "0 0" "$(stat 1 tx dropped) $(queues 2 rx drop_full)"
		[ "$(queues 3 rx drop_full)" -ge 1 ]
		check_err $? "$medium: host 3 missed nothing: this test tested nothing"
		go_on
		ended() { [ "$(accounted 3 rx)" = 1000 ]; }
		busywait 20000 ended
		expect "$medium: received or missed by host 3" 1000 \
			$(($(queues 3 rx packets) + $(queues 3 rx drop_full)))
		expect "$medium: rx missed_errors of host 3" "$(queues 3 rx drop_full)" \
			"$(stat 3 rx missed_errors)"
		# Host 3 polls again.
		send_udp 1 5
		received 1005
		ended() { [ "$(accounted 3 rx)" = 1005 ]; }
		busywait 20000 ended
		expect "$medium: received or missed by host 3 in the end" 1005 "$(accounted 3 rx)"
	done
	log_test "a slow promiscuous member does not slow others"
}

changes_under_traffic()
{
	local medium=ethernet i

	RET=0
	hosts 3
	neighbours 3
	host 2 ip route replace unreachable 10.0.0.1/32
	host 1 tc qdisc replace dev s0 root fq flow_limit 100000
	set_spans 1 rate_mbit 20
	send_udp 0 $(($(rounds 9) * 1000)) 200 &
	for ((i = 0; i < $(rounds 9); i++)); do
		host 3 ip -batch - <<-END
			link set s0 promisc on
			link set s0 down
			link set s0 up
			link set s0 promisc off
			link set s0 promisc on
			link set s0 promisc off
			link set s0 address $(lladdr $((30 + i)))
		END
		check_err $? "ip link set on host 3 failed"
	done
	wait $!
	set_spans 1 rate_mbit 0
	received $(($(rounds 9) * 1000))
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	log_test "promiscuous mode, link state and address change under traffic"
}

# GSO packets and deferred checksums reach both the receiver and the promiscuous member.
tcp()
{
	local medium sum got

	RET=0
	for medium in ethernet spans; do
		setup 3
		promisc 3 on
		sum=$(seq 200000 | sha256sum)
		host 2 socat -u TCP-LISTEN:5000,reuseaddr CREATE:/tmp/tcp.$$ &
		wait_local_port_listen "$NS2" 5000 tcp
		seq 200000 | host 1 socat -u - TCP:10.0.0.2:5000
		check_err $? "$medium: connection failed"
		wait $!
		got=$(sha256sum </tmp/tcp.$$)
		rm -f /tmp/tcp.$$
		expect "$medium: checksum of the data" "$sum" "$got"
		ended() { [ "$(accounted 3 rx)" = $(($(accounted 1 rx) + $(accounted 2 rx))) ]; }
		busywait 60000 ended
		expect "$medium: frames at host 3" $(($(accounted 1 rx) + $(accounted 2 rx))) "$(accounted 3 rx)"
	done
	log_test "TCP with a promiscuous member"
}

# A packet that hardware has merged has no valid checksum for the whole. For host 2 it is
# segmented, which writes checksums into headers; host 3 receives the frame as it was sent.
merged_frame()
{
	local medium whole payload i

	RET=0
	if [ ! -e "${SPANS_GEN:-}" ]; then
		log_test_skip "a merged frame is segmented for its receiver only" "no spans_gen"
		return
	fi
	payload=$(for ((i = 0; i < 300; i++)); do printf %02x $((i % 251)); done)
	for medium in $media; do
		setup 3
		promisc 3 on
		host 2 ethtool -K s0 rx-gro-hw off
		check_err $? "$medium: cannot turn rx-gro-hw off"
		whole=$(frame "$(lladdr 2)" "$(lladdr 1)" 0800)
		# 10.0.0.1 to 10.0.0.2, ports 1000 and 2000, checksum abcd.
		whole+=4500015400014000400625a10a0000010a000002
		whole+=03e807d0000000010000000150100400abcd0000$payload
		host 1 insmod "$SPANS_GEN" dev=s0 n=1 frame="$whole" gso=100 \
			header=$(((${#whole} - 680) / 2)) 2>/dev/null
		came() { [ "$(captured "$1" | grep -c 03e807d0)" = "$2" ]; }
		busywait 60000 came 2 3
		check_err $? "$medium: host 2 received $(captured 2)"
		busywait 60000 came 3 1
		expect "$medium: frame at host 3" "otherhost $whole" "$(captured 3 | grep 03e807d0)"
	done
	log_test "a merged frame is segmented for its receiver only"
}

tests_run
exit "$EXIT_STATUS"
