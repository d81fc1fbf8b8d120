#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Offloads: a TCP stream arrives unchanged wherever it is segmented and its checksums are
# computed, and a receiver sees frames as its features say.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	spans_1500
	spans_9000
	ethernet_1500
	ethernet_9000
"
# The first stream is longer ($more).
bytes=$((64 << 20)) more=$((1 << 30))
# A debug kernel takes ten times as long.
if [ -e /sys/kernel/debug/kmemleak ]; then bytes=$((2 << 20)) more=$((64 << 20)); fi
if ((${SPANS_SCALE:-1} > 1)); then
	ALL_TESTS="spans_1500 ethernet_9000" bytes=$((2 << 20)) more=$((64 << 20))
fi
if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then bytes=$((1 << 20)) more=$((4 << 20)); fi

# No other traffic, nor before both hosts are up.
# shellcheck disable=SC2034 # for lib.sh
ipv6=off

# features I WORD...: ethtool -K.
features()
{
	local i=$1

	shift
	host "$i" ethtool -K s0 "$@" >/dev/null
	check_err $? "host $i: ethtool -K $* failed"
}

# feature I NAME: on or off.
feature() { host "$1" ethtool -k s0 | sed -n "s/^[[:space:]]*$2: \([a-z]*\).*/\1/p"; }

# stream [BYTES]: sets seen[frames], ... to the output of stream.py.
stream()
{
	local bytes=${1:-$bytes} said name value

	said=$("$selftests/stream.py" "$NS1" "$NS2" 10.0.0.2 "$bytes" "$header" 2>&1)
	check_err $? "$said"
	seen=()
	while read -r name value; do seen[$name]=$value; done <<<"$said"
	expect "bytes" "$bytes" "${seen[bytes]:-$said}"
	between "captured frames" 10 1000 "${seen[frames]}"
}

# in_frames: the receiver saw no packet longer than the MTU.
in_frames()
{
	between "longest frame" 1000 $((mtu + header)) "${seen[longest]}"
}

whole()
{
	[ "${seen[longest]:-0}" -gt $((mtu + header)) ]
	check_err $? "no GSO packet at the receiver: the longest frame has ${seen[longest]:-0} bytes"
}

checked()
{
	expect "frames with a wrong checksum" 0 "${seen[wrong]}"
	expect "frames without a checksum" 0 "${seen[unfilled]}"
}

# streams MTU
streams()
{
	local mtu=$1 header what
	local -A seen

	if [ "$medium" = ethernet ]; then header=14; else header=28; fi
	what="$medium, MTU $mtu:"
	hosts 2
	host 1 ip link set s0 mtu "$mtu"
	host 2 ip link set s0 mtu "$mtu"

	RET=0
	for name in tcp-segmentation-offload generic-segmentation-offload tx-checksum-ip-generic \
		scatter-gather rx-checksumming rx-gro-hw; do
		expect "$name of a new device" on "$(feature 2 $name)"
	done
	expect "generic-receive-offload of a new device" off "$(feature 2 generic-receive-offload)"
	stream "$more"
	more=$bytes
	whole
	log_test "$what default features"

	RET=0
	host 1 ip link set s0 gso_max_size $((2 * mtu + 200))
	check_err $? "no gso_max_size"
	stream
	whole
	between "longest frame with gso_max_size" $((mtu + header + 1)) $((2 * mtu + 200)) "${seen[longest]}"
	host 1 ip link set s0 gso_max_size 65536 gso_max_segs 3
	check_err $? "no gso_max_segs"
	stream
	between "longest frame with gso_max_segs 3" $((2 * mtu)) $((3 * mtu + header)) "${seen[longest]}"
	host 1 ip link set s0 gso_max_segs 65535
	check_err $? "cannot reset gso_max_segs"
	log_test "$what gso_max_size and gso_max_segs"

	RET=0
	features 1 tso off gso off
	stream
	in_frames
	features 1 tso on gso on
	log_test "$what sender without TSO and GSO"

	RET=0
	features 1 tx-checksum-ip-generic off
	stream
	in_frames
	checked
	features 1 tx-checksum-ip-generic on tso on gso on
	log_test "$what sender without checksum offload"

	RET=0
	features 2 rx-gro-hw off
	stream
	in_frames
	log_test "$what receiver without rx-gro-hw"

	RET=0
	features 2 rx-gro-hw on rx off
	# rx-gro-hw depends on rx.
	expect "rx-gro-hw without rx" off "$(feature 2 rx-gro-hw)"
	stream
	in_frames
	checked
	log_test "$what receiver without rx checksum offload"

	RET=0
	features 2 gro on
	stream
	log_test "$what receiver with GRO, without rx checksum offload"

	RET=0
	features 2 rx on rx-gro-hw off
	stream
	log_test "$what receiver with GRO, without rx-gro-hw"

	RET=0
	features 2 rx-gro-hw on
	stream
	whole
	log_test "$what receiver with GRO and rx-gro-hw"

	RET=0
	expect "rx and tx errors" "0 0" "$(stat 2 rx errors) $(stat 1 tx errors)"
	expect "tx dropped, rx missed_errors" "0 0" "$(stat 1 tx dropped) $(stat 2 rx missed_errors)"
	log_test "$what no errors and no drops"
}

spans_1500() { medium=spans streams 1500; }
spans_9000() { medium=spans streams 9000; }
ethernet_1500() { medium=ethernet streams 1500; }
ethernet_9000() { medium=ethernet streams 9000; }

tests_run
exit "$EXIT_STATUS"
