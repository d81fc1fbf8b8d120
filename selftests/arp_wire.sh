#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ARP frames byte for byte: 28 bytes of CLS header and 32 of ARP; output of tcpdump.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	request
	reply
	verification
	bug_06_nothing_stale
	bug_19_reply_length
	tcpdump_decodes
"

start_station

broadcast=ff:ff:ff:ff:ff:ff:ff:ff
zeroes=0000000000000000

# arp FROM TO OPERATION SPA THA TPA: a frame in hex.
arp() { frame "$2" "$1" 0806 "404008000804$3${1//:/}$4${5//:/}$6"; }

# expect_arp I FRAME: host I must receive this frame and no other ARP.
expect_arp()
{
	local i=$1

	arp_captured() { captured "$i" | grep -E '^.{52}0806'; }
	eventually "ARP received by host $1" "$2" arp_captured
	nap 100
	expect "ARP received by host $1, 100 ms later" "$2" "$(arp_captured)"
}

setup()
{
	hosts 2
	quiet 2
	capture 1 frames
	capture 2 frames
}

request()
{
	RET=0
	setup
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect_arp 2 "$(arp "$(lladdr 1)" $broadcast 0001 0a000001 $zeroes 0a000002)"
	log_test "bytes of an ARP request"
}

reply()
{
	RET=0
	setup
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	expect_arp 1 "$(arp "$(lladdr 2)" "$(lladdr 1)" 0002 0a000002 "$(lladdr 1)" 0a000001)"
	log_test "bytes of an ARP reply"
}

# A valid entry is verified by unicast.
verification()
{
	RET=0
	setup
	set_spans 1 arp_ticks 8
	set_spans 1 arp_tick_ms 500
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	captured 2 >/dev/null
	: >"$own_files/captured2"
	# The entry has to be used in the last quarter of its lifetime.
	host 1 ping -q -c 16 -i 0.25 10.0.0.2 >/dev/null
	expect_arp 2 "$(arp "$(lladdr 1)" "$(lladdr 2)" 0001 0a000001 $zeroes 0a000002)"
	log_test "bytes of a unicast request that verifies an entry"
}

# The ancestor sent 8 bytes of uninitialised memory.
bug_06_nothing_stale()
{
	local i

	RET=0
	setup
	for i in {1..20}; do
		host 1 ip neigh flush dev s0
		host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	done
	expect "different requests" 1 "$(captured 2 | grep -E "^${broadcast//:/}" | sort -u | wc -l)"
	expect "requests" 20 "$(captured 2 | grep -cxF \
		"$(arp "$(lladdr 1)" $broadcast 0001 0a000001 $zeroes 0a000002)")"
	log_test "requests contain no uninitialised bytes"
}

# The ancestor copied trailing bytes of the request into its reply.
bug_19_reply_length()
{
	local frame

	RET=0
	setup
	frame=$(arp "$(lladdr 2)" $broadcast 0001 0a000002 $zeroes 0a000001)
	station 2 frames 1 "${frame}deadbeefdeadbeef"
	expect_arp 2 "$(arp "$(lladdr 1)" "$(lladdr 2)" 0002 0a000001 "$(lladdr 2)" 0a000002)"
	log_test "replies have no trailing bytes"
}

tcpdump_decodes()
{
	RET=0
	command -v tcpdump >/dev/null || { log_test_skip "tcpdump" "not there"; return; }
	hosts 2
	quiet 2
	: >/tmp/tcpdump
	defer rm -f /tmp/tcpdump
	start 2 tcpdump -l -n -i s0 arp >/tmp/tcpdump 2>&1
	defer kill_process $!
	busywait 60000 grep -q "listening on" /tmp/tcpdump
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	read_both() { grep -q "Request who-has 10.0.0.2 tell 10.0.0.1" /tmp/tcpdump &&
		grep -q "Reply 10.0.0.2 is-at $(lladdr 2)" /tmp/tcpdump; }
	busywait 60000 read_both
	check_err $? "not in the output of tcpdump: $(cat /tmp/tcpdump)"
	log_test "tcpdump decodes ARP"
}

tests_run
exit "$EXIT_STATUS"
