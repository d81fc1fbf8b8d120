#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A promiscuous station, a tap, hears what is between others, in order, and they do not
# notice, however slow it is.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	third_station
	both_directions
	switched_by_sockets
	tcpdump_switches
	two_taps
	two_owners
	tap_speaks
	to_nobody
	tap_moves
	slow_tap
	taps_come_and_go
	tcp
	verified_whole
"

ipv6=off
start_station
cpus=$(getconf _NPROCESSORS_ONLN)
media='ethernet arcnet' all_media='ethernet spans ax25 arcnet'
if ((${SPANS_SCALE:-1} > 1)); then media=ethernet all_media='ethernet spans'; fi

# setup N: hosts that know each other, of which is heard who hears what.
setup()
{
	local i

	# Who is still heard would stay.
	[ -z "${NS1:-}" ] || station 1 deaf
	hosts "$1"
	neighbours "$1"
	# There is an order of what one CPU sends.
	station 1 cpu 0
	for ((i = 1; i <= $1; i++)); do
		hear "$i" kinds
	done
}

# tap I on|off
tap()
{
	host "$1" ip link set s0 promisc "$2"
	check_err $? "cannot turn the tap $2"
}

# all COUNT KIND: numbers from 1.
all() { seq -s " " -f "%.0f:$2" "$1"; }

third_station()
{
	local medium to i

	RET=0
	for medium in $all_media; do
		setup 3
		sends 1 "$(lladdr 2)"
		hears_of 2 1:host
		hears_of 3
		tap 3 on
		to=()
		for ((i = 0; i < 50; i++)); do
			to+=("$(lladdr 2)")
		done
		sends 1 "${to[@]}"
		hears_of 3 "$(all 50 otherhost)"
		hears_of 2 "$(all 50 host)"
		sends 1 "$(lladdr 2)" "$(everybody)" "$(lladdr 3)" "$(lladdr 2)"
		hears_of 3 1:otherhost 2:broadcast 3:host 4:otherhost
		hears_of 2 1:host 2:broadcast 4:host
		hears_of 1 1:outgoing 2:outgoing 3:outgoing 4:outgoing
		tap 3 off
		sends 1 "${to[@]}"
		hears_of 3
	done
	log_test "what others say to each other"
}

both_directions()
{
	local medium kinds

	RET=0
	for medium in $media; do
		setup 3
		tap 3 on
		host 1 ping -q -c 5 -i 0.1 -W 5 10.0.0.2 >/dev/null
		check_err $? "$medium: no answer"
		# By who sent it.
		came() {
			kinds="$(heard 3 | grep -c "^otherhost $(frame "$(lladdr 2)" "$(lladdr 1)" 080045)")"
			kinds+=" $(grep -c "^otherhost $(frame "$(lladdr 1)" "$(lladdr 2)" 080045)" "$own_files/heard3")"
			[ "$kinds" = "5 5" ]
		}
		busywait 60000 came
		expect "$medium: questions and answers" "5 5" "$kinds"
		# Nobody but the tap hears what is not his.
		expect "$medium: received by host 1 and host 2" "5 5" \
			"$(queues 1 rx packets) $(queues 2 rx packets)"
		expect "$medium: received by the tap" 10 "$(queues 3 rx packets)"
	done
	log_test "both directions"
}

switched_by_sockets()
{
	local medium=ethernet

	RET=0
	setup 3
	station 3 join promisc
	check_err $? "cannot switch it on"
	station 3 join promisc
	tap 3 on
	sends 1 "$(lladdr 2)"
	hears_of 3 1:otherhost
	station 3 leave promisc
	tap 3 off
	sends 1 "$(lladdr 2)"
	hears_of 3 1:otherhost
	station 3 leave promisc
	sends 1 "$(lladdr 2)"
	hears_of 3
	log_test "the last one turns it off"
}

tcpdump_switches()
{
	local medium pid

	RET=0
	command -v tcpdump >/dev/null || { log_test_skip "tcpdump turns it on and off" "not there"; return; }
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
		check_err $? "$medium: tcpdump says: $(cat /tmp/tcpdump)"
		kill_process $pid
		sends 1 "$(lladdr 2)"
		hears_of 3
		hears_of 2 1:host
	done
	log_test "tcpdump turns it on and off"
}

two_taps()
{
	local medium=ethernet

	RET=0
	setup 5
	tap 3 on
	tap 4 on
	sends 1 "$(lladdr 2)" "$(lladdr 3)" "$(lladdr 5)" "$(everybody)"
	hears_of 2 1:host 4:broadcast
	hears_of 3 1:otherhost 2:host 3:otherhost 4:broadcast
	hears_of 4 1:otherhost 2:otherhost 3:otherhost 4:broadcast
	hears_of 5 3:host 4:broadcast
	expect "sent" 5 "$(queues 1 tx packets)"
	tap 3 off
	sends 1 "$(lladdr 2)" "$(lladdr 3)"
	hears_of 3 2:host
	hears_of 4 1:otherhost 2:otherhost
	# One is a tap for the other.
	tap 3 on
	sends 3 "$(lladdr 4)" "$(lladdr 2)"
	hears_of 4 1:host 2:otherhost
	hears_of 3 1:outgoing 2:outgoing
	log_test "two taps"
}

# An address that two have, of whom one is a tap, too.
two_owners()
{
	local medium=ethernet

	RET=0
	setup 4
	host 3 bridge fdb add "$(lladdr 2)" dev s0 self
	check_err $? "cannot share an address"
	tap 3 on
	tap 4 on
	sends 1 "$(lladdr 2)" "$(lladdr 3)" "$(lladdr 4)"
	hears_of 2 1:host
	hears_of 3 1:otherhost 2:host 3:otherhost
	hears_of 4 1:otherhost 2:otherhost 3:host
	sends 2 "$(lladdr 2)"
	hears_of 3 1:otherhost
	hears_of 4 1:otherhost
	log_test "an address that two have"
}

tap_speaks()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		tap 3 on
		host 3 ping -q -c 5 -i 0.1 -W 5 10.0.0.1 >/dev/null
		check_err $? "$medium: the tap gets no answer"
		host 1 ping -q -c 5 -i 0.1 -W 5 10.0.0.3 >/dev/null
		check_err $? "$medium: the tap does not answer"
		came() { [ "$(queues 3 rx packets)" -ge 10 ]; }
		busywait 60000 came
		expect "$medium: received by the tap" 10 "$(queues 3 rx packets)"
		expect "$medium: heard as others'" 0 "$(heard 3 | grep -c otherhost)"
		expect "$medium: received by who has nothing to do with it" 0 "$(queues 2 rx packets)"
	done
	log_test "a tap speaks for itself"
}

# What nobody but taps hears was heard.
to_nobody()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		tap 3 on
		sends 1 "$(lladdr 99)"
		hears_of 3 1:otherhost
		expect "$medium: with a tap, to nobody" 0 "$(queues 1 tx drop_no_target)"
		host 3 ip link set s0 down
		sends 1 "$(lladdr 99)"
		hears_of 2
		expect "$medium: with a tap that is down, to nobody" 1 "$(queues 1 tx drop_no_target)"
		host 3 ip link set s0 up
		sends 1 "$(lladdr 99)"
		hears_of 3 1:otherhost
		expect "$medium: with a tap that is up, to nobody" 1 "$(queues 1 tx drop_no_target)"
	done
	log_test "what is for nobody"
}

tap_moves()
{
	local medium

	RET=0
	for medium in $media; do
		setup 3
		tap 3 on
		new_ns NS4
		host 4 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
		host 3 ip link set s0 netns "$NS4"
		host 4 ip link set s0 up
		hear 4 kinds
		sends 1 "$(lladdr 2)" "$(lladdr 3)"
		hears_of 4 1:otherhost 2:host
		hears_of 2 1:host
		tap 4 off
		sends 1 "$(lladdr 2)"
		hears_of 4
		host 4 ip link del s0
		sends 1 "$(lladdr 2)" "$(lladdr 3)"
		hears_of 2 1:host
		expect "$medium: to nobody" 1 "$(queues 1 tx drop_no_target)"
	done
	log_test "a tap moves to another namespace"
}

# What is for host 2, which hears it while the tap has no time.
slow_tap()
{
	local medium frame

	RET=0
	((cpus > 1)) || { log_test_skip "a slow tap" "one CPU"; return; }
	for medium in $media; do
		hosts 3
		neighbours 3
		host 2 ip route replace unreachable 10.0.0.1/32
		host 3 ethtool -G s0 rx 16
		host 1 tc qdisc replace dev s0 root fq flow_limit 10000
		check_err $? "no fq"
		tap 3 on
		threaded 3
		keep_busy
		send_udp 1 1000
		received 1000
		expect "$medium: lost" "0 0" "$(stat 1 tx dropped) $(queues 2 rx drop_full)"
		[ "$(queues 3 rx drop_full)" -ge 1 ]
		check_err $? "$medium: the tap missed nothing: this test tested nothing"
		go_on
		ended() { [ "$(ends 3 rx)" = 1000 ]; }
		busywait 20000 ended
		expect "$medium: received or missed by the tap" 1000 \
			$(($(queues 3 rx packets) + $(queues 3 rx drop_full)))
		expect "$medium: missed, by ip link" "$(queues 3 rx drop_full)" \
			"$(stat 3 rx missed_errors)"
		# It hears again.
		send_udp 1 5
		received 1005
		ended() { [ "$(ends 3 rx)" = 1005 ]; }
		busywait 20000 ended
		expect "$medium: received or missed by the tap, in the end" 1005 "$(ends 3 rx)"
	done
	log_test "a slow tap misses what others hear"
}

taps_come_and_go()
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
		check_err $? "cannot switch"
	done
	wait $!
	set_spans 1 rate_mbit 0
	received $(($(rounds 9) * 1000))
	expect "tx dropped" 0 "$(stat 1 tx dropped)"
	log_test "taps come and go under traffic"
}

# What is large, and waits to be cut or summed, is the owner's and the tap's.
tcp()
{
	local medium sum got

	RET=0
	for medium in ethernet spans; do
		setup 3
		tap 3 on
		sum=$(seq 200000 | sha256sum)
		host 2 socat -u TCP-LISTEN:5000,reuseaddr CREATE:/tmp/tcp.$$ &
		wait_local_port_listen "$NS2" 5000 tcp
		seq 200000 | host 1 socat -u - TCP:10.0.0.2:5000
		check_err $? "$medium: connection failed"
		wait $!
		got=$(sha256sum </tmp/tcp.$$)
		rm -f /tmp/tcp.$$
		expect "$medium: checksum of the data" "$sum" "$got"
		ended() { [ "$(ends 3 rx)" = $(($(ends 1 rx) + $(ends 2 rx))) ]; }
		busywait 60000 ended
		expect "$medium: frames to the tap" $(($(ends 1 rx) + $(ends 2 rx))) "$(ends 3 rx)"
	done
	log_test "TCP with a tap"
}

# What was merged by hardware has no checksum that fits the whole. Host 2 has it cut, where
# the kernel writes one into the header; the tap hears the frame as it was sent.
verified_whole()
{
	local medium whole payload i

	RET=0
	if [ ! -e "${SPANS_GEN:-}" ]; then
		log_test_skip "a merged frame that is cut for its owner" "no spans_gen"
		return
	fi
	payload=$(for ((i = 0; i < 300; i++)); do printf %02x $((i % 251)); done)
	for medium in $media; do
		setup 3
		tap 3 on
		host 2 ethtool -K s0 rx-gro-hw off
		check_err $? "$medium: rx-gro-hw is on"
		whole=$(frame "$(lladdr 2)" "$(lladdr 1)" 0800)
		# 10.0.0.1 to 10.0.0.2, ports 1000 and 2000, checksum abcd.
		whole+=4500015400014000400625a10a0000010a000002
		whole+=03e807d0000000010000000150100400abcd0000$payload
		host 1 insmod "$SPANS_GEN" dev=s0 n=1 frame="$whole" gso=100 \
			header=$(((${#whole} - 680) / 2)) 2>/dev/null
		came() { [ "$(heard "$1" | grep -c 03e807d0)" = "$2" ]; }
		busywait 60000 came 2 3
		check_err $? "$medium: host 2 heard $(heard 2)"
		busywait 60000 came 3 1
		expect "$medium: heard by the tap" "otherhost $whole" "$(heard 3 | grep 03e807d0)"
	done
	log_test "a merged frame that is cut for its owner"
}

tests_run
exit "$EXIT_STATUS"
