#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [NAME=VALUE...]: measures the cost of packets in a guest with an instruction counting
# clock. Prints a line "result DEVICE STAGE K NS DOORBELLS N" for each measurement: the time in
# nanoseconds, which are instructions, of N packets, K in each section with bottom halves off;
# the minimum of ROUNDS after a warm-up. Then the cost of ARP table operations, see
# rust/logic/examples/arp_cost.rs. scripts/bench.sh prints the tables.
#
# Devices have no qdisc, except in the rows spans-mq. A measurement fails unless all packets
# were received or dropped as expected and in time.

set -euo pipefail
shopt -s inherit_errexit

for setting in "$@"; do declare "${setting//,/ }"; done
n=${N:-12800}
rounds=${ROUNDS:-3}
frames=$SPANS_TOP/selftests/frames.py

die() { echo "bench: $*"; exit 1; }

modprobe -a dummy ifb veth
insmod "$SPANS_KO" 2>/dev/null || :

# IPv4, UDP, 18 bytes for a socket; the wrong header checksum makes the receiver's stack drop
# the packet at once.
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

address() { ip -n "$1" -j link show "$2" | jq -r '.[0].address'; }

ether() { echo "$(address "$1" "$2" | tr -d :)0200000000010800"; }

# counters DEVICE PATTERN: the sum of the matching counters of ethtool -S.
counters() { { ethtool -S "$1" 2>/dev/null || :; } | awk -v "p=$2" '$1 ~ p { sum += $2 } END { print sum + 0 }'; }

# arrivals ROW DEVICE: the packets that were received or dropped as expected so far.
arrivals()
{
	case $1 in
	spans-nobody) counters "$2" drop_no_target ;;
	dummy) cat "/sys/class/net/$2/statistics/tx_packets" ;;
	ifb) cat "/sys/class/net/$2/statistics/rx_dropped" ;;
	*) ip netns exec peer nstat -asz -j | jq '.kernel.IpInHdrErrors' ;;
	esac
}

wanted()
{
	[ -z "${ROWS:-}" ] || [[ " $ROWS " == *" $1 "* ]]
}

# measure NAME DEVICE HEADER FRAME STAGE K
measure()
{
	local name=$1 dev=$2 header=$3 frame=$4 stage=$5 k=$6 i ns best='' before after came said

	wanted "$name" || return 0
	for ((i = 0; i <= rounds; i++)); do
		before=$(counters "$dev" doorbells)
		came=$(arrivals "$name" "$dev")
		dmesg -C
		insmod "$SPANS_GEN" dev="$dev" header="$header" frame="$frame" n="$n" k="$k" 2>/dev/null || :
		said=$(dmesg | grep -o 'spans_gen: .*') || die "$name: the generator did not run"
		after=$(counters "$dev" doorbells)
		came=$(($(arrivals "$name" "$dev") - came))
		[[ $said =~ n=$n\ k=$k\ late=0\ ns=([0-9]+)$ ]] || die "$name: $said"
		((came == n)) || die "$name: only $came of $n packets arrived"
		ns=${BASH_REMATCH[1]}
		# The first round is the warm-up.
		if ((i > 0)) && { [ -z "$best" ] || ((ns < best)); }; then best=$ns; fi
	done
	echo "result $name $stage $k $best $((after - before)) $n"
}

# pktgen ROW DEVICE LLADDR: the same by the kernel's pktgen, which sends one packet in each
# section, and only Ethernet frames. The receiver has no IP address and drops the packets.
pktgen()
{
	local name=pktgen-$1 dev=$2 dst=$3 i us best=''

	wanted "$name" || return 0
	echo "add_device $dev" >/proc/net/pktgen/kpktgend_0
	printf '%s\n' "count $n" "pkt_size 60" "delay 0" "flag !SHARED" "flag NO_TIMESTAMP" \
		"dst 192.0.2.2" "src_min 192.0.2.1" "src_max 192.0.2.1" "dst_mac $dst" "xmit_mode queue_xmit" |
		while read -r line; do echo "$line" >"/proc/net/pktgen/$dev"; done
	for ((i = 0; i <= rounds; i++)); do
		echo start >/proc/net/pktgen/pgctrl
		us=$(sed -n 's/^Result: OK: \([0-9]*\)(.*, '"$n"' (.*/\1/p' "/proc/net/pktgen/$dev")
		[ -n "$us" ] || die "$name: $(tail -n 2 "/proc/net/pktgen/$dev")"
		if ((i > 0)) && { [ -z "$best" ] || ((us < best)); }; then best=$us; fi
	done
	echo rem_device_all >/proc/net/pktgen/kpktgend_0
	echo "result $name - 1 ${best}000 0 $n"
}

v1=$(ether peer v1)$payload
d0=0200000000020200000000010800$payload
s1=$("$frames" cls 02:00:00:00:00:00:00:02 02:00:00:00:00:00:00:01 0800 "$payload")
nobody=$("$frames" cls 02:00:00:00:00:00:00:03 02:00:00:00:00:00:00:01 0800 "$payload")

# stage COUNT: sets stage_count, if the module has it.
stage() { [ ! -e /sys/class/net/s0/spans/stage_count ] || echo "$1" >/sys/class/net/s0/spans/stage_count; }

stages='-'
if [ -e /sys/class/net/s0/spans/stage_count ]; then stages=${STAGES:-0 4 16 64}; fi
for k in ${K:-1 4 16 64}; do
	measure dummy d0 14 "$d0" - "$k"
	measure ifb i0 14 "$d0" - "$k"
	measure veth v0 14 "$v1" - "$k"
	for count in $stages; do
		stage "$count"
		measure spans-nobody s0 28 "$nobody" "$count" "$k"
		measure spans s0 28 "$s1" "$count" "$k"
	done
done
tc qdisc del dev s0 root
for k in ${K:-1 4 16 64}; do
	stage 16
	measure spans-mq s0 28 "$s1" "${stages//[0-9 ]*/16}" "$k"
done

# pktgen must not be loaded at the address of spans_gen in a profile.
if [ -z "${PROFILE:-}" ] && modprobe pktgen; then
	pktgen dummy d0 02:00:00:00:00:02
	pktgen ifb i0 02:00:00:00:00:02
	pktgen veth v0 "$(address peer v1)"
	# An Ethernet medium, if spans has one.
	if ip link add e0 address 02:00:00:00:00:01 type spans 2>/dev/null &&
		ip link add e1 link e0 netns peer address 02:00:00:00:00:02 type spans 2>/dev/null &&
		[ "$(cat /sys/class/net/e0/type)" = 1 ]; then
		ip link set e0 up
		ip -n peer link set e1 up
		tc qdisc replace dev e0 root noqueue
		pktgen spans-nobody e0 02:00:00:00:00:03
		pktgen spans e0 02:00:00:00:00:02
	fi
fi

if wanted arp; then "$ARP_COST"; fi

# Addresses in the output of scripts/profile.c are those of this boot.
if [ -n "${PROFILE:-}" ]; then
	echo "symbols $(awk '$2 ~ /^[tTwW]$/' /proc/kallsyms | gzip | base64 -w 0)"
fi
