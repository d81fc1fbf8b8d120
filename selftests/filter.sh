#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The receive filter of an Ethernet device: own and secondary addresses, broadcast, groups,
# allmulticast and promiscuous mode. Each filtered multicast frame is counted.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	kinds
	counters
	groups
	references
	ip_groups
	many_groups
	too_many
	all_groups
	everything
	more_addresses
	crowded
	another_address
	down_and_up
	receivers_mtu
"

medium=ethernet
ipv6=off
start_station

group=03:00:00:00:07:01
other_group=03:00:00:00:07:02
stranger=02:00:00:00:00:63

# setup N: hosts with a capture of kinds on each.
setup()
{
	local i

	hosts "$1"
	filtered_before=()
	# Frames of one CPU arrive in order.
	station 1 cpu 0
	for ((i = 1; i <= $1; i++)); do
		capture "$i" kinds
	done
}

# filtered I COUNT: checks how many frames were filtered since the last call.
filtered_before=()
filtered()
{
	local now

	now=$(queues "$1" rx filtered)
	expect "filtered at host $1" "$2" $((now - ${filtered_before[$1]:-0}))
	filtered_before[$1]=$now
}

# member I COMMAND WHAT...: station.py joins or leaves groups or modes.
member()
{
	local said

	said=$(station "$@")
	check_err $? "host $1 cannot $2 $3: $said"
}

# can I COMMAND...: the command must succeed.
can()
{
	host "$@"
	check_err $? "host $1 cannot: ${*:2}"
}

kinds()
{
	RET=0
	setup 3
	# The fifth frame is for 224.0.0.1, which each host with IPv4 has joined.
	send_frames 1 "$(lladdr 2)" "$(broadcast_addr)" $group "$(lladdr 3)" 01:00:5e:00:00:01 $stranger
	expect_frames 2 1:host 2:broadcast 5:multicast
	expect_frames 3 2:broadcast 4:host 5:multicast
	expect_frames 1 1:outgoing 2:outgoing 3:outgoing 4:outgoing 5:outgoing 6:outgoing
	filtered 1 0
	filtered 2 1
	filtered 3 1
	log_test "unicast, broadcast and multicast without settings"
}

# A filtered frame is in no other counter of the receiver; the sender counts it as sent.
counters()
{
	local all='.stats64 | [.rx.packets, .rx.bytes, .rx.multicast, .tx.packets, .tx.bytes,
		.rx.errors + .rx.dropped + .rx.missed_errors + .rx.length_errors + .rx.frame_errors +
		.tx.errors + .tx.dropped] | join(" ")'

	RET=0
	setup 2
	member 2 join $group
	send_frames 1 "$(lladdr 2)" $group $other_group $other_group "$(broadcast_addr)"
	expect_frames 2 1:host 2:multicast 5:broadcast
	filtered 2 2
	# 18 bytes each, and one more broadcast of `send_frames`.
	expect "sender: packets, bytes, multicast received, packets, bytes sent, dropped" "0 0 0 6 108 0" \
		"$(host 1 ip -j -s -s link show s0 | jq -r ".[0]$all")"
	expect "receiver: packets, bytes, multicast received, packets, bytes sent, dropped" "4 72 3 0 0 0" \
		"$(host 2 ip -j -s -s link show s0 | jq -r ".[0]$all")"
	expect "sent to groups" 5 "$(queues 1 tx multicast)"
	expect "received of groups" 3 "$(queues 2 rx multicast)"
	send_frames 1 $stranger
	expect_frames 2
	filtered 2 0
	expect "drop_no_target" 1 "$(queues 1 tx drop_no_target)"
	log_test "filtered frames are counted once"
}

groups()
{
	RET=0
	setup 3
	member 2 join $group
	send_frames 1 $group $other_group
	expect_frames 2 1:multicast
	expect_frames 3
	filtered 2 1
	filtered 3 2
	# The sender does not receive its own frame, though it has joined the group.
	send_frames 2 $group
	expect_frames 2 1:outgoing
	expect_frames 1
	member 2 leave $group
	send_frames 1 $group $other_group
	expect_frames 2
	filtered 2 2
	can 3 ip maddr add $group dev s0
	send_frames 1 $group $other_group
	expect_frames 3 1:multicast
	expect_frames 2
	can 3 ip maddr del $group dev s0
	send_frames 1 $group $other_group
	expect_frames 3
	log_test "groups by socket and by ip maddr"
}

references()
{
	RET=0
	setup 2
	member 2 join $group
	member 2 join $group
	member 2 leave $group
	send_frames 1 $group
	expect_frames 2 1:multicast
	can 2 ip maddr add $group dev s0
	member 2 leave $group
	send_frames 1 $group
	expect_frames 2 1:multicast
	filtered 2 0
	can 2 ip maddr del $group dev s0
	send_frames 1 $group
	expect_frames 2
	filtered 2 1
	log_test "a group is left when its last reference is dropped"
}

ip_groups()
{
	RET=0
	setup 3
	# Two groups with one link address.
	member 2 join 239.1.2.3
	member 2 join 239.129.2.3
	send_frames 1 01:00:5e:01:02:03 01:00:5e:01:02:04
	expect_frames 2 1:multicast
	expect_frames 3
	member 2 leave 239.1.2.3
	send_frames 1 01:00:5e:01:02:03
	expect_frames 2 1:multicast
	member 2 leave 239.129.2.3
	send_frames 1 01:00:5e:01:02:03
	expect_frames 2
	can 1 ip route add 224.0.0.0/4 dev s0
	member 2 join 239.1.2.3
	station 1 udp 239.1.2.3
	came() { captured 2 | grep -q "^multicast 01005e010203$(lladdr 1 | tr -d :)080045"; }
	busywait 60000 came
	check_err $? "host 2 does not receive a datagram to its group"
	captured 3 | grep -q 01005e010203
	check_fail $? "host 3 receives a datagram to a group that it has not joined"
	log_test "IPv4 groups"
}

# several COUNT FIRST_BYTES: COUNT addresses in descending order.
several() { seq "$1" -1 1 | awk -v first="$2" '{ printf "%s:%02x:%02x\n", first, $1 / 256, $1 % 256 }'; }

# Nearly the limit; IP has joined some more.
many_groups()
{
	local count groups

	RET=0
	count=$(rounds 250)
	setup 2
	mapfile -t groups < <(several "$count" 03:00:00:01)
	member 2 join "${groups[@]}"
	send_frames 1 "${groups[@]}" $group
	# shellcheck disable=SC2046 # several words
	expect_frames 2 $(seq -f %.0f:multicast "$count")
	filtered 2 1
	member 2 leave "${groups[@]:1}"
	send_frames 1 "${groups[@]}"
	expect_frames 2 1:multicast
	filtered 2 $((count - 1))
	log_test "filter with $count groups"
}

# Above the limit of groups or addresses, the filter passes all.
too_many()
{
	local groups others

	RET=0
	setup 2
	mapfile -t groups < <(several 257 03:00:00:01)
	mapfile -t others < <(several 65 02:00:00:01)
	member 2 join "${groups[@]}"
	send_frames 1 $group $stranger
	expect_frames 2 1:multicast
	filtered 2 0
	member 2 leave "${groups[@]:0:7}"
	send_frames 1 $group "${groups[7]}"
	expect_frames 2 2:multicast
	filtered 2 1
	fdb() { printf "fdb $1 %s dev s0 self\n" "${@:2}" | ip netns exec "$NS2" bridge -batch -; }
	fdb add "${others[@]:1}"
	send_frames 1 "${others[@]:1:2}" $stranger
	expect_frames 2 1:otherhost 2:otherhost
	fdb add "${others[0]}"
	send_frames 1 "${others[1]}" $stranger $group
	expect_frames 2 1:otherhost 2:otherhost 3:multicast
	fdb del "${others[@]}"
	send_frames 1 "${others[1]}" $stranger
	expect_frames 2
	log_test "more groups or addresses than a filter holds"
}

all_groups()
{
	RET=0
	setup 3
	can 2 ip link set s0 allmulticast on
	send_frames 1 $group "$(lladdr 3)" $other_group
	expect_frames 2 1:multicast 3:multicast
	expect_frames 3 2:host
	member 2 join allmulti
	can 2 ip link set s0 allmulticast off
	send_frames 1 $group "$(lladdr 3)"
	expect_frames 2 1:multicast
	filtered 2 0
	member 2 leave allmulti
	send_frames 1 $group "$(lladdr 3)"
	expect_frames 2
	filtered 2 1
	log_test "allmulticast"
}

everything()
{
	RET=0
	setup 3
	can 2 ip link set s0 promisc on
	send_frames 1 $group "$(lladdr 3)" $stranger "$(lladdr 2)"
	expect_frames 2 1:multicast 2:otherhost 3:otherhost 4:host
	expect_frames 3 2:host
	expect "drop_no_target" 0 "$(queues 1 tx drop_no_target)"
	member 2 join promisc
	can 2 ip link set s0 promisc off
	send_frames 1 $group "$(lladdr 3)"
	expect_frames 2 1:multicast 2:otherhost
	filtered 2 0
	member 2 leave promisc
	send_frames 1 $group "$(lladdr 3)" $stranger
	expect_frames 2
	filtered 2 1
	expect "drop_no_target" 1 "$(queues 1 tx drop_no_target)"
	log_test "promiscuous mode"
}

more_addresses()
{
	local first=02:00:00:00:01:01 second=02:00:00:00:01:02

	RET=0
	setup 3
	can 2 bridge fdb add $first dev s0 self
	can 2 bridge fdb add $second dev s0 self
	send_frames 1 $first $second "$(lladdr 2)" $stranger "$(lladdr 3)"
	expect_frames 2 1:otherhost 2:otherhost 3:host
	expect_frames 3 5:host
	expect "drop_no_target" 1 "$(queues 1 tx drop_no_target)"
	# Two members may have the same address; it may be the device address of one of them.
	can 3 bridge fdb add $first dev s0 self
	can 3 bridge fdb add "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del $second dev s0 self
	send_frames 1 $first $second "$(lladdr 2)"
	expect_frames 2 1:otherhost 3:host
	expect_frames 3 1:otherhost 3:otherhost
	expect "drop_no_target" 2 "$(queues 1 tx drop_no_target)"
	can 3 bridge fdb del $first dev s0 self
	can 3 bridge fdb del "$(lladdr 2)" dev s0 self
	can 2 ip link set s0 down
	can 2 ip link set s0 up
	send_frames 1 $first "$(lladdr 2)"
	expect_frames 2 1:otherhost 2:host
	expect_frames 3
	# A group address that was added by bridge fdb is a group, too.
	can 2 bridge fdb add 01:80:c2:00:00:0e dev s0 self
	send_frames 1 01:80:c2:00:00:0e 01:80:c2:00:00:0f
	expect_frames 2 1:multicast
	can 2 bridge fdb del 01:80:c2:00:00:0e dev s0 self
	# Deleting an address from the list does not delete the device address.
	can 2 bridge fdb add "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del $first dev s0 self
	send_frames 1 $first "$(lladdr 2)"
	expect_frames 2 2:host
	expect "drop_no_target" 3 "$(queues 1 tx drop_no_target)"
	log_test "secondary unicast addresses"
}

# More addresses than a segment's sorted table holds.
crowded()
{
	local i j mine=02:00:00:00:01:01

	got()
	{
		host 3 ethtool -S "$1" |
			awk '/rx_queue_[0-9]*_packets:/ { got += $2 } /rx_queue_[0-9]*_drop_otherhost:/ { not += $2 }
				END { print got + 0, not + 0 }'
	}
	RET=0
	setup 3
	can 2 bridge fdb add $mine dev s0 self
	for ((i = 1; i <= 36; i++)); do
		echo "link add c$i link s0 type spans"
	done | host 3 ip -batch -
	for ((i = 1; i <= 36; i++)); do
		for ((j = 1; j <= 60; j++)); do
			printf 'fdb add 02:00:00:01:%02x:%02x dev c%d self\n' "$i" "$j" "$i"
		done
	done | host 3 bridge -batch -
	check_err $? "cannot add addresses"
	for ((i = 1; i <= 36; i++)); do
		echo "link set c$i up"
	done | host 3 ip -batch -
	send_frames 1 $mine "$(lladdr 3)" $stranger 02:00:00:01:07:08
	expect_frames 2 1:otherhost
	expect_frames 3 2:host
	expect "drop_no_target" 1 "$(queues 1 tx drop_no_target)"
	expect "packets and drop_otherhost of c1: the broadcast" "1 0" "$(got c1)"
	expect "packets and drop_otherhost of c7: the broadcast and a unicast" "2 0" "$(got c7)"
	log_test "more addresses than the sorted table of a segment holds"
}

another_address()
{
	RET=0
	setup 2
	can 2 ip link set s0 address "$(lladdr 20)"
	send_frames 1 "$(lladdr 2)" "$(lladdr 20)"
	expect_frames 2 2:host
	can 2 bridge fdb add "$(lladdr 2)" dev s0 self
	send_frames 1 "$(lladdr 2)" "$(lladdr 20)"
	expect_frames 2 1:otherhost 2:host
	# A secondary address becomes the device address, and is secondary again after that.
	can 2 ip link set s0 address "$(lladdr 2)"
	send_frames 1 "$(lladdr 2)" "$(lladdr 20)"
	expect_frames 2 1:host
	can 2 ip link set s0 address "$(lladdr 20)"
	send_frames 1 "$(lladdr 2)" "$(lladdr 20)"
	expect_frames 2 1:otherhost 2:host
	expect "drop_no_target" 2 "$(queues 1 tx drop_no_target)"
	log_test "change of the device address"
}

# Settings made while up outlast down and up; settings made while down are applied at up.
down_and_up()
{
	RET=0
	# Three hosts, so that host 1 keeps its carrier.
	setup 3
	can 2 ip maddr add $group dev s0
	can 2 ip link set s0 down
	can 2 ip maddr add $other_group dev s0
	can 2 ip link set s0 up
	send_frames 1 $group $other_group 03:00:00:00:07:03
	expect_frames 2 1:multicast 2:multicast
	filtered 2 1
	can 2 ip link set s0 down
	can 2 ip maddr del $group dev s0
	can 2 ip link set s0 promisc on
	can 2 ip link set s0 up
	send_frames 1 $group $stranger
	expect_frames 2 1:multicast 2:otherhost
	can 2 ip link set s0 promisc off
	send_frames 1 $group $other_group $stranger
	expect_frames 2 2:multicast
	log_test "filter after down and up"
}

# A frame may be too long for one receiver and not for another one.
receivers_mtu()
{
	local to frames=()

	RET=0
	setup 3
	can 2 ip link set s0 mtu 1000
	for to in "$(lladdr 2)" "$(broadcast_addr)"; do
		frames+=("$(frame "$to" "$(lladdr 1)" 88b6 "$(printf '00%.0s' {1..1000})")"
			"$(frame "$to" "$(lladdr 1)" 88b6 "$(printf '00%.0s' {1..1001})")")
	done
	station 1 frames 2 "${frames[@]}"
	# The broadcast arrives after these frames.
	send_frames 1
	expect_frames 2
	expect_frames 3
	expect "host 2: error_long, packets" "4 5" "$(queues 2 rx error_long) $(queues 2 rx packets)"
	expect "host 2: length errors" 4 "$(stat 2 rx length_errors)"
	expect "host 3: error_long, packets" "0 5" "$(queues 3 rx error_long) $(queues 3 rx packets)"
	log_test "frames longer than a receiver's MTU"
}

tests_run
exit "$EXIT_STATUS"
