#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Gratuitous ARP: who says when that an address is its own.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	address_is_added
	link_goes_up
	link_address_changes
	quiet_if_told_so
	others_learn
	dropped_if_told_so
"

announce=yes
start_station

# An announcement of 10.0.0.X by link address Y, in hex: from, as it is on the wire.
announcement()
{
	frame ff:ff:ff:ff:ff:ff:ff:ff "$2" 0806 \
		"404008000804""0001${2//:/}0a0000$1""00000000000000000a0000$1"
}

setup()
{
	hosts 2
	quiet 2
	hear 2 frames
}

# announced N FRAME: host 2 hears it so often.
announced()
{
	local frame=$2

	announcements() { heard 2 | grep -cxF "$frame"; }
	eventually "announcements" "$1" announcements
	nap 100
	expect "announcements, a moment later" "$1" "$(announcements)"
}

address_is_added()
{
	RET=0
	setup
	host 1 ip addr add 10.0.0.50/24 dev s0
	announced 1 "$(announcement 32 "$(lladdr 1)")"
	host 1 ip addr add 10.0.0.51/32 dev s0
	announced 1 "$(announcement 33 "$(lladdr 1)")"
	log_test "an address is added"
}

link_goes_up()
{
	RET=0
	setup
	host 1 ip link set s0 down
	announced 0 "$(announcement 01 "$(lladdr 1)")"
	host 1 ip addr add 10.0.0.50/24 dev s0
	announced 0 "$(announcement 32 "$(lladdr 1)")"
	host 1 ip link set s0 up
	announced 1 "$(announcement 01 "$(lladdr 1)")"
	announced 1 "$(announcement 32 "$(lladdr 1)")"
	log_test "the link goes up"
}

link_address_changes()
{
	RET=0
	setup
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	announced 1 "$(announcement 01 02:00:00:00:00:00:00:41)"
	log_test "the link address changes"
}

quiet_if_told_so()
{
	RET=0
	setup
	expect "arp_notify" 1 "$(host 1 sysctl -n net.ipv4.conf.s0.arp_notify)"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=0
	host 1 ip addr add 10.0.0.50/24 dev s0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	# What is heard after that was said after that.
	host 1 ip addr add 10.0.0.51/24 dev s0
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=1
	host 1 ip addr add 10.0.0.52/24 dev s0
	announced 1 "$(announcement 34 02:00:00:00:00:00:00:41)"
	expect "all that was heard" 1 "$(heard 2 | wc -l)"
	log_test "arp_notify=0"
}

others_learn()
{
	RET=0
	hosts 2
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	expect "before" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	eventually "after" "valid 02:00:00:00:00:00:00:41" arp_entry 2 10.0.0.1
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "no answer from the new address"
	log_test "others learn a new link address"
}

# By the stack, and so not learned either.
dropped_if_told_so()
{
	local before

	RET=0
	hosts 2
	quiet 2
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	host 2 sysctl -qw net.ipv4.conf.s0.drop_gratuitous_arp=1
	before=$(queues 2 rx packets)
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	eventually "announcements that arrived" $((before + 1)) queues 2 rx packets
	nap 100
	expect "with drop_gratuitous_arp" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	host 2 sysctl -qw net.ipv4.conf.s0.drop_gratuitous_arp=0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:42
	eventually "without" "valid 02:00:00:00:00:00:00:42" arp_entry 2 10.0.0.1
	log_test "drop_gratuitous_arp=1"
}

tests_run
exit "$EXIT_STATUS"
