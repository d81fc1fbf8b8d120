#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Gratuitous ARP: when addresses are announced, and announcements learned.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	address_is_added
	link_goes_up
	link_address_changes
	arp_notify_off
	neighbours_are_updated
	drop_gratuitous_arp
"

announce=yes
start_station

# announcement X LLADDR: the frame that announces 10.0.0.X (in hex) at LLADDR.
announcement()
{
	frame ff:ff:ff:ff:ff:ff:ff:ff "$2" 0806 \
		"404008000804""0001${2//:/}0a0000$1""00000000000000000a0000$1"
}

setup()
{
	hosts 2
	quiet 2
	capture 2 frames
}

# announced N FRAME: host 2 must receive the frame N times.
announced()
{
	local frame=$2

	announcements() { captured 2 | grep -cxF "$frame"; }
	eventually "announcements" "$1" announcements
	nap 100
	expect "announcements 100 ms later" "$1" "$(announcements)"
}

address_is_added()
{
	RET=0
	setup
	host 1 ip addr add 10.0.0.50/24 dev s0
	announced 1 "$(announcement 32 "$(lladdr 1)")"
	host 1 ip addr add 10.0.0.51/32 dev s0
	announced 1 "$(announcement 33 "$(lladdr 1)")"
	log_test "an added address is announced"
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
	log_test "addresses are announced when the device goes up"
}

link_address_changes()
{
	RET=0
	setup
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	announced 1 "$(announcement 01 02:00:00:00:00:00:00:41)"
	log_test "addresses are announced after a change of the link address"
}

arp_notify_off()
{
	RET=0
	setup
	expect "arp_notify" 1 "$(host 1 sysctl -n net.ipv4.conf.s0.arp_notify)"
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=0
	host 1 ip addr add 10.0.0.50/24 dev s0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	host 1 ip link set s0 down
	host 1 ip link set s0 up
	# The last frame ends the capture: no other frame may precede it.
	host 1 ip addr add 10.0.0.51/24 dev s0
	host 1 sysctl -qw net.ipv4.conf.s0.arp_notify=1
	host 1 ip addr add 10.0.0.52/24 dev s0
	announced 1 "$(announcement 34 02:00:00:00:00:00:00:41)"
	expect "frames received by host 2" 1 "$(captured 2 | wc -l)"
	log_test "no announcements with arp_notify=0"
}

neighbours_are_updated()
{
	RET=0
	hosts 2
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	expect "entry before" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	eventually "entry after the announcement" "valid 02:00:00:00:00:00:00:41" arp_entry 2 10.0.0.1
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	check_err $? "no reply from the new link address"
	log_test "an announced link address is learned"
}

# The stack drops announcements, so the table must not learn from them.
drop_gratuitous_arp()
{
	local before

	RET=0
	hosts 2
	quiet 2
	host 2 ping -q -c 1 -W 5 10.0.0.1 >/dev/null
	host 2 sysctl -qw net.ipv4.conf.s0.drop_gratuitous_arp=1
	before=$(queues 2 rx packets)
	host 1 ip link set s0 address 02:00:00:00:00:00:00:41
	eventually "rx packets of host 2" $((before + 1)) queues 2 rx packets
	nap 100
	expect "entry with drop_gratuitous_arp=1" "valid $(lladdr 1)" "$(arp_entry 2 10.0.0.1)"
	host 2 sysctl -qw net.ipv4.conf.s0.drop_gratuitous_arp=0
	host 1 ip link set s0 address 02:00:00:00:00:00:00:42
	eventually "entry with drop_gratuitous_arp=0" "valid 02:00:00:00:00:00:00:42" arp_entry 2 10.0.0.1
	log_test "no update by announcements with drop_gratuitous_arp=1"
}

tests_run
exit "$EXIT_STATUS"
