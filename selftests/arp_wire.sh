#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ARP on the wire, byte for byte: 28 bytes of CLS header, 32 of ARP, nothing else. And
# what others make of it.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	request
	reply
	verification
	bug_06_nothing_stale
	bug_19_answers_are_as_long_as_they_should_be
	tcpdump_reads_it
"

start_station

everybody=ff:ff:ff:ff:ff:ff:ff:ff
zeroes=0000000000000000

# arp FROM TO OPERATION SPA THA TPA: a frame in hex.
arp() { frame "$2" "$1" 0806 "404008000804$3${1//:/}$4${5//:/}$6"; }

# hears I FRAME: host I hears it, and hears no other ARP.
hears()
{
	local i=$1

	arp_heard() { heard "$i" | grep -E '^.{52}0806'; }
	eventually "ARP that host $1 heard" "$2" arp_heard
	nap 100
	expect "ARP that host $1 heard, a moment later" "$2" "$(arp_heard)"
}

setup()
{
	hosts 2
	quiet 2
	hear 1 frames
	hear 2 frames
}

request()
{
	RET=0
	setup
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	hears 2 "$(arp "$(lladdr 1)" $everybody 0001 0a000001 $zeroes 0a000002)"
	log_test "a request"
}

reply()
{
	RET=0
	setup
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	hears 1 "$(arp "$(lladdr 2)" "$(lladdr 1)" 0002 0a000002 "$(lladdr 1)" 0a000001)"
	log_test "a reply"
}

# The request before the end of an entry goes to who had the address.
verification()
{
	RET=0
	setup
	set_spans 1 arp_ticks 8
	set_spans 1 arp_tick_ms 500
	host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	heard 2 >/dev/null
	: >"$own_files/heard2"
	# It is used in the last quarter before that.
	host 1 ping -q -c 16 -i 0.25 10.0.0.2 >/dev/null
	hears 2 "$(arp "$(lladdr 1)" "$(lladdr 2)" 0001 0a000001 $zeroes 0a000002)"
	log_test "a request to who is known"
}

# The ancestor sent 8 bytes of whatever was in its buffer.
bug_06_nothing_stale()
{
	local i

	RET=0
	setup
	for i in {1..20}; do
		host 1 ip neigh flush dev s0
		host 1 ping -q -c 1 -W 5 10.0.0.2 >/dev/null
	done
	expect "different requests" 1 "$(heard 2 | grep -E "^${everybody//:/}" | sort -u | wc -l)"
	expect "requests" 20 "$(heard 2 | grep -cxF \
		"$(arp "$(lladdr 1)" $everybody 0001 0a000001 $zeroes 0a000002)")"
	log_test "requests hold nothing stale"
}

# The ancestor sent back whatever followed a request.
bug_19_answers_are_as_long_as_they_should_be()
{
	local frame

	RET=0
	setup
	frame=$(arp "$(lladdr 2)" $everybody 0001 0a000002 $zeroes 0a000001)
	station 2 frames 1 "${frame}deadbeefdeadbeef"
	hears 2 "$(arp "$(lladdr 1)" "$(lladdr 2)" 0002 0a000001 "$(lladdr 2)" 0a000002)"
	log_test "answers are as long as they should be"
}

tcpdump_reads_it()
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
	check_err $? "tcpdump says: $(cat /tmp/tcpdump)"
	log_test "tcpdump reads it"
}

tests_run
exit "$EXIT_STATUS"
