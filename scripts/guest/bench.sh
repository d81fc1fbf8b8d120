#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [NAME=VALUE...]: in a guest whose clock counts instructions, what does a
# packet cost? Prints a line "result DEVICE STAGE K NS DOORBELLS N" for each
# measurement: N packets, K in each section with bottom halves off, took so many
# nanoseconds, which are instructions, the least of ROUNDS after one to warm up.
# scripts/bench.sh makes a table of it.
#
# All devices are without a qdisc, but for the last rows.

set -euo pipefail
shopt -s inherit_errexit

for setting in "$@"; do declare "$setting"; done
n=${N:-12800}
rounds=${ROUNDS:-3}
frames=$SPANS_TOP/selftests/frames.py

modprobe -a dummy ifb veth
insmod "$SPANS_KO" 2>/dev/null || :

# IPv4, UDP, 18 bytes for a socket; the header's checksum is wrong, so that the
# receiver's stack looks at it and drops it at once, whoever has brought it.
payload=4500002e0000400040110000c0000201c0000202
payload+=00090009001a0000$(printf '00%.0s' {1..18})

ip netns add peer
quiet='net.ipv6.conf.all.disable_ipv6=1'
sysctl -qw $quiet
ip netns exec peer sysctl -qw $quiet
ip link add d0 type dummy
ip link add i0 type ifb
ip link add v0 type veth peer name v1 netns peer
ip link add s0 address 02:00:00:00:00:00:00:01 type spans
ip link add s1 link s0 netns peer address 02:00:00:00:00:00:00:02 type spans
for dev in d0 i0 v0 s0; do
	ip link set $dev up
	ip link set $dev arp off 2>/dev/null || :
done
ip -n peer link set v1 up
ip -n peer link set s1 up
for dev in d0 i0 v0 s0; do tc qdisc replace dev $dev root noqueue; done

ether() { echo "$(ip -n "$1" -j link show "$2" | jq -r '.[0].address' | tr -d :)0200000000010800"; }

doorbells() { { ethtool -S "$1" 2>/dev/null || :; } | awk '/doorbells/ { sum += $2 } END { print sum + 0 }'; }

# measure NAME DEVICE HEADER FRAME STAGE K
measure()
{
	local name=$1 dev=$2 header=$3 frame=$4 stage=$5 k=$6 i ns best='' before after

	for ((i = 0; i <= rounds; i++)); do
		before=$(doorbells "$dev")
		insmod "$SPANS_GEN" dev="$dev" header="$header" frame="$frame" n="$n" k="$k" 2>/dev/null || :
		after=$(doorbells "$dev")
		ns=$(dmesg | sed -n 's/.*spans_gen: .* ns=\([0-9]*\)$/\1/p' | tail -n 1)
		# The first one is to warm up.
		if ((i > 0)) && { [ -z "$best" ] || ((ns < best)); }; then best=$ns; fi
	done
	echo "result $name $stage $k $best $((after - before)) $n"
}

v1=$(ether peer v1)$payload
d0=0200000000020200000000010800$payload
s1=$("$frames" cls 02:00:00:00:00:00:00:02 02:00:00:00:00:00:00:01 0800 "$payload")
nobody=$("$frames" cls 02:00:00:00:00:00:00:03 02:00:00:00:00:00:00:01 0800 "$payload")

for k in ${K:-1 4 16 64}; do
	measure dummy d0 14 "$d0" - "$k"
	measure ifb i0 14 "$d0" - "$k"
	measure veth v0 14 "$v1" - "$k"
	for stage in ${STAGES:-0 4 16 64}; do
		if [ -e /sys/class/net/s0/spans/stage_count ]; then
			echo "$stage" >/sys/class/net/s0/spans/stage_count
		fi
		measure spans-nobody s0 28 "$nobody" "$stage" "$k"
		measure spans s0 28 "$s1" "$stage" "$k"
	done
done
tc qdisc del dev s0 root
for k in ${K:-1 4 16 64}; do
	[ ! -e /sys/class/net/s0/spans/stage_count ] || echo 16 >/sys/class/net/s0/spans/stage_count
	measure spans-mq s0 28 "$s1" 16 "$k"
done
