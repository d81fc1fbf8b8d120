#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What a station on an Ethernet hears: what is for it, for all, for its groups, and what
# it asked for besides. What it does not hear of a group is counted, to the frame.

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

# setup N: hosts of which is heard who hears what.
setup()
{
	local i

	hosts "$1"
	filtered_before=()
	# There is an order of what one CPU sends.
	station 1 cpu 0
	for ((i = 1; i <= $1; i++)); do
		hear "$i" kinds
	done
}

# filtered I COUNT: so many frames were kept out since this was looked at last.
filtered_before=()
filtered()
{
	local now

	now=$(queues "$1" rx filtered)
	expect "filtered at host $1" "$2" $((now - ${filtered_before[$1]:-0}))
	filtered_before[$1]=$now
}

# member I COMMAND WHAT...: station.py joins or leaves.
member()
{
	local said

	said=$(station "$@")
	check_err $? "host $1 cannot $2 $3: $said"
}

# can I COMMAND...
can()
{
	host "$@"
	check_err $? "host $1 cannot: ${*:2}"
}

kinds()
{
	RET=0
	setup 3
	# The fifth is for the group of all hosts with IPv4, which are we.
	sends 1 "$(lladdr 2)" "$(everybody)" $group "$(lladdr 3)" 01:00:5e:00:00:01 $stranger
	hears_of 2 1:host 2:broadcast 5:multicast
	hears_of 3 2:broadcast 4:host 5:multicast
	hears_of 1 1:outgoing 2:outgoing 3:outgoing 4:outgoing 5:outgoing 6:outgoing
	filtered 1 0
	filtered 2 1
	filtered 3 1
	log_test "what is for me, for all, for others"
}

# What is filtered is in no other counter; he who sent it has sent it.
counters()
{
	local all='.stats64 | [.rx.packets, .rx.bytes, .rx.multicast, .tx.packets, .tx.bytes,
		.rx.errors + .rx.dropped + .rx.missed_errors + .rx.length_errors + .rx.frame_errors +
		.tx.errors + .tx.dropped] | join(" ")'

	RET=0
	setup 2
	member 2 join $group
	sends 1 "$(lladdr 2)" $group $other_group $other_group "$(everybody)"
	hears_of 2 1:host 2:multicast 5:broadcast
	filtered 2 2
	# 18 bytes each, and all hear one more.
	expect "sender: received, multicast, sent, lost" "0 0 0 6 108 0" \
		"$(host 1 ip -j -s -s link show s0 | jq -r ".[0]$all")"
	expect "receiver: received, multicast, sent, lost" "4 72 3 0 0 0" \
		"$(host 2 ip -j -s -s link show s0 | jq -r ".[0]$all")"
	expect "sent to groups" 5 "$(queues 1 tx multicast)"
	expect "received of groups" 3 "$(queues 2 rx multicast)"
	sends 1 $stranger
	hears_of 2
	filtered 2 0
	expect "to nobody" 1 "$(queues 1 tx drop_no_target)"
	log_test "what is filtered is counted once"
}

groups()
{
	RET=0
	setup 3
	member 2 join $group
	sends 1 $group $other_group
	hears_of 2 1:multicast
	hears_of 3
	filtered 2 1
	filtered 3 2
	# He who sends does not hear himself, member or not.
	sends 2 $group
	hears_of 2 1:outgoing
	hears_of 1
	member 2 leave $group
	sends 1 $group $other_group
	hears_of 2
	filtered 2 2
	can 3 ip maddr add $group dev s0
	sends 1 $group $other_group
	hears_of 3 1:multicast
	hears_of 2
	can 3 ip maddr del $group dev s0
	sends 1 $group $other_group
	hears_of 3
	log_test "groups are joined and left"
}

references()
{
	RET=0
	setup 2
	member 2 join $group
	member 2 join $group
	member 2 leave $group
	sends 1 $group
	hears_of 2 1:multicast
	can 2 ip maddr add $group dev s0
	member 2 leave $group
	sends 1 $group
	hears_of 2 1:multicast
	filtered 2 0
	can 2 ip maddr del $group dev s0
	sends 1 $group
	hears_of 2
	filtered 2 1
	log_test "a group is left when its last member leaves"
}

ip_groups()
{
	RET=0
	setup 3
	# Two groups with one link address.
	member 2 join 239.1.2.3
	member 2 join 239.129.2.3
	sends 1 01:00:5e:01:02:03 01:00:5e:01:02:04
	hears_of 2 1:multicast
	hears_of 3
	member 2 leave 239.1.2.3
	sends 1 01:00:5e:01:02:03
	hears_of 2 1:multicast
	member 2 leave 239.129.2.3
	sends 1 01:00:5e:01:02:03
	hears_of 2
	can 1 ip route add 224.0.0.0/4 dev s0
	member 2 join 239.1.2.3
	station 1 udp 239.1.2.3
	came() { heard 2 | grep -q "^multicast 01005e010203$(lladdr 1 | tr -d :)080045"; }
	busywait 60000 came
	check_err $? "a datagram to a group does not come"
	heard 3 | grep -q 01005e010203
	check_fail $? "a datagram to a group comes to one who is no member"
	log_test "groups of IP"
}

# several COUNT FIRST_BYTES: as many addresses, the last one first.
several() { seq "$1" -1 1 | awk -v first="$2" '{ printf "%s:%02x:%02x\n", first, $1 / 256, $1 % 256 }'; }

# Nearly as many as there is room for, which IP needs some of.
many_groups()
{
	local count groups

	RET=0
	count=$(rounds 250)
	setup 2
	mapfile -t groups < <(several "$count" 03:00:00:01)
	member 2 join "${groups[@]}"
	sends 1 "${groups[@]}" $group
	# shellcheck disable=SC2046 # several words
	hears_of 2 $(seq -f %.0f:multicast "$count")
	filtered 2 1
	member 2 leave "${groups[@]:1}"
	sends 1 "${groups[@]}"
	hears_of 2 1:multicast
	filtered 2 $((count - 1))
	log_test "$count groups"
}

# Who wants to hear more than there is room for hears all.
too_many()
{
	local groups others

	RET=0
	setup 2
	mapfile -t groups < <(several 257 03:00:00:01)
	mapfile -t others < <(several 65 02:00:00:01)
	member 2 join "${groups[@]}"
	sends 1 $group $stranger
	hears_of 2 1:multicast
	filtered 2 0
	member 2 leave "${groups[@]:0:7}"
	sends 1 $group "${groups[7]}"
	hears_of 2 2:multicast
	filtered 2 1
	fdb() { printf "fdb $1 %s dev s0 self\n" "${@:2}" | ip netns exec "$NS2" bridge -batch -; }
	fdb add "${others[@]:1}"
	sends 1 "${others[@]:1:2}" $stranger
	hears_of 2 1:otherhost 2:otherhost
	fdb add "${others[0]}"
	sends 1 "${others[1]}" $stranger $group
	hears_of 2 1:otherhost 2:otherhost 3:multicast
	fdb del "${others[@]}"
	sends 1 "${others[1]}" $stranger
	hears_of 2
	log_test "more than there is room for"
}

all_groups()
{
	RET=0
	setup 3
	can 2 ip link set s0 allmulticast on
	sends 1 $group "$(lladdr 3)" $other_group
	hears_of 2 1:multicast 3:multicast
	hears_of 3 2:host
	member 2 join allmulti
	can 2 ip link set s0 allmulticast off
	sends 1 $group "$(lladdr 3)"
	hears_of 2 1:multicast
	filtered 2 0
	member 2 leave allmulti
	sends 1 $group "$(lladdr 3)"
	hears_of 2
	filtered 2 1
	log_test "all groups"
}

everything()
{
	RET=0
	setup 3
	can 2 ip link set s0 promisc on
	sends 1 $group "$(lladdr 3)" $stranger "$(lladdr 2)"
	hears_of 2 1:multicast 2:otherhost 3:otherhost 4:host
	hears_of 3 2:host
	expect "to nobody" 0 "$(queues 1 tx drop_no_target)"
	member 2 join promisc
	can 2 ip link set s0 promisc off
	sends 1 $group "$(lladdr 3)"
	hears_of 2 1:multicast 2:otherhost
	filtered 2 0
	member 2 leave promisc
	sends 1 $group "$(lladdr 3)" $stranger
	hears_of 2
	filtered 2 1
	expect "to nobody" 1 "$(queues 1 tx drop_no_target)"
	log_test "everything"
}

more_addresses()
{
	local first=02:00:00:00:01:01 second=02:00:00:00:01:02

	RET=0
	setup 3
	can 2 bridge fdb add $first dev s0 self
	can 2 bridge fdb add $second dev s0 self
	sends 1 $first $second "$(lladdr 2)" $stranger "$(lladdr 3)"
	hears_of 2 1:otherhost 2:otherhost 3:host
	hears_of 3 5:host
	expect "to nobody" 1 "$(queues 1 tx drop_no_target)"
	# Two may have one; it may be that of another station.
	can 3 bridge fdb add $first dev s0 self
	can 3 bridge fdb add "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del $second dev s0 self
	sends 1 $first $second "$(lladdr 2)"
	hears_of 2 1:otherhost 3:host
	hears_of 3 1:otherhost 3:otherhost
	expect "to nobody" 2 "$(queues 1 tx drop_no_target)"
	can 3 bridge fdb del $first dev s0 self
	can 3 bridge fdb del "$(lladdr 2)" dev s0 self
	can 2 ip link set s0 down
	can 2 ip link set s0 up
	sends 1 $first "$(lladdr 2)"
	hears_of 2 1:otherhost 2:host
	hears_of 3
	# A group is one, also where it was added as an address.
	can 2 bridge fdb add 01:80:c2:00:00:0e dev s0 self
	sends 1 01:80:c2:00:00:0e 01:80:c2:00:00:0f
	hears_of 2 1:multicast
	can 2 bridge fdb del 01:80:c2:00:00:0e dev s0 self
	# An address that goes does not take away one's own.
	can 2 bridge fdb add "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del "$(lladdr 2)" dev s0 self
	can 2 bridge fdb del $first dev s0 self
	sends 1 $first "$(lladdr 2)"
	hears_of 2 2:host
	expect "to nobody" 3 "$(queues 1 tx drop_no_target)"
	log_test "more addresses"
}

# crowded: there may be more addresses than a segment keeps in order.
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
	sends 1 $mine "$(lladdr 3)" $stranger 02:00:00:01:07:08
	hears_of 2 1:otherhost
	hears_of 3 2:host
	expect "to nobody" 1 "$(queues 1 tx drop_no_target)"
	expect "frames that c1 got, and refused: what is for all" "1 0" "$(got c1)"
	expect "frames that c7 got, and refused: one for it, too" "2 0" "$(got c7)"
	log_test "more addresses than a segment keeps in order"
}

another_address()
{
	RET=0
	setup 2
	can 2 ip link set s0 address "$(lladdr 20)"
	sends 1 "$(lladdr 2)" "$(lladdr 20)"
	hears_of 2 2:host
	can 2 bridge fdb add "$(lladdr 2)" dev s0 self
	sends 1 "$(lladdr 2)" "$(lladdr 20)"
	hears_of 2 1:otherhost 2:host
	# What was one of more becomes one's own, and stays one of more after that.
	can 2 ip link set s0 address "$(lladdr 2)"
	sends 1 "$(lladdr 2)" "$(lladdr 20)"
	hears_of 2 1:host
	can 2 ip link set s0 address "$(lladdr 20)"
	sends 1 "$(lladdr 2)" "$(lladdr 20)"
	hears_of 2 1:otherhost 2:host
	expect "to nobody" 2 "$(queues 1 tx drop_no_target)"
	log_test "another address"
}

# What was asked for while up holds after down and up, and so does what was while down.
down_and_up()
{
	RET=0
	# Of three, so that the first one keeps its carrier.
	setup 3
	can 2 ip maddr add $group dev s0
	can 2 ip link set s0 down
	can 2 ip maddr add $other_group dev s0
	can 2 ip link set s0 up
	sends 1 $group $other_group 03:00:00:00:07:03
	hears_of 2 1:multicast 2:multicast
	filtered 2 1
	can 2 ip link set s0 down
	can 2 ip maddr del $group dev s0
	can 2 ip link set s0 promisc on
	can 2 ip link set s0 up
	sends 1 $group $stranger
	hears_of 2 1:multicast 2:otherhost
	can 2 ip link set s0 promisc off
	sends 1 $group $other_group $stranger
	hears_of 2 2:multicast
	log_test "down and up"
}

# What is too long for one is not for others.
receivers_mtu()
{
	local to frames=()

	RET=0
	setup 3
	can 2 ip link set s0 mtu 1000
	for to in "$(lladdr 2)" "$(everybody)"; do
		frames+=("$(frame "$to" "$(lladdr 1)" 88b6 "$(printf '00%.0s' {1..1000})")"
			"$(frame "$to" "$(lladdr 1)" 88b6 "$(printf '00%.0s' {1..1001})")")
	done
	station 1 frames 2 "${frames[@]}"
	# Behind that, so that it is over when this is heard.
	sends 1
	hears_of 2
	hears_of 3
	expect "host 2: error_long, packets" "4 5" "$(queues 2 rx error_long) $(queues 2 rx packets)"
	expect "host 2: length errors" 4 "$(stat 2 rx length_errors)"
	expect "host 3: error_long, packets" "0 5" "$(queues 3 rx error_long) $(queues 3 rx packets)"
	log_test "frames longer than a receiver's MTU"
}

tests_run
exit "$EXIT_STATUS"
