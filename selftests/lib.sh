# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of spans share, on top of the kernel's net/lib.sh: hosts on
# segments, counters, drop reasons.

selftests=$(dirname "$(readlink -e "${BASH_SOURCE[0]}")")
for net_lib in "$selftests/../../../net/lib.sh" "$KERNEL_SOURCE/tools/testing/selftests/net/lib.sh"; do
	[ -e "$net_lib" ] && break
done
# shellcheck disable=SC1090
source "$net_lib"

# Where a test ended shows in the kernel log.
echo "selftests: spans: $(basename "$0")" >/dev/kmsg

load_module()
{
	modprobe spans 2>/dev/null || insmod "${SPANS_KO:-spans.ko}" ||
		{ echo "spans.ko cannot be loaded"; exit "$ksft_skip"; }
}

[ -d /sys/module/spans ] || load_module

cleanup()
{
	defer_scopes_cleanup
	cleanup_all_ns
	# Whatever a failed test left in this namespace.
	ip -o link show type spans 2>/dev/null |
		sed 's/^[0-9]*: \([^:@]*\).*/\1/' |
		while read -r dev; do ip link del "$dev"; done
}
trap cleanup EXIT

# lladdr I: the link address of host I.
lladdr() { printf '02:00:00:00:00:00:00:%02x' "$1"; }

# hosts N: N namespaces, $NS1 to $NSn, each with a device s0 on one segment, up,
# with the address 10.0.0.I and the link address of lladdr I. Unless $announce is set,
# they do not announce that, so that what is counted is what the test sends.
hosts()
{
	local i ns

	for ((i = 1; i <= $1; i++)); do
		setup_ns "NS$i"
		ns=NS$i
		if ((i == 1)); then
			ip -n "${!ns}" link add s0 address "$(lladdr 1)" type spans
		else
			ip -n "$NS1" link add s0 link s0 netns "${!ns}" \
				address "$(lladdr "$i")" type spans
		fi || return
		[ -n "${announce:-}" ] || host "$i" sysctl -qw net.ipv4.conf.s0.arp_notify=0
		ip -n "${!ns}" addr add "10.0.0.$i/24" dev s0
		ip -n "${!ns}" link set s0 up
	done
}

# host I COMMAND...: run something on host I.
host()
{
	local ns=NS$1

	shift
	ip netns exec "${!ns}" "$@"
}

# start I COMMAND...: run something on host I in the background. $! is the command
# itself, so that it can be killed.
start()
{
	local ns=NS$1

	shift
	ip netns exec "${!ns}" "$@" &
}

# stat I DIRECTION NAME: a counter of `ip -s -s link` on host I.
stat()
{
	host "$1" ip -j -s -s link show s0 | jq ".[0].stats64.$2.$3"
}

# queues I DIRECTION NAME: a counter of `ethtool -S`, summed over the queues.
queues()
{
	host "$1" ethtool -S s0 |
		awk -v "name=^ *$2_queue_[0-9]*_$3:" '$0 ~ name { sum += $2 } END { print sum + 0 }'
}

# ends I DIRECTION: all that a device took in this direction, by its counters.
ends()
{
	host "$1" ethtool -S s0 |
		awk -v "name=^ *$2_queue_[0-9]*_(packets|drop_.*|error_.*):" \
			'$0 ~ name { sum += $2 } END { print sum + 0 }'
}

# rounds N: how often to try something that may go wrong only sometimes.
rounds()
{
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then echo $((($1 + 2) / 3)); else echo "$1"; fi
}

# some FIRST...: all of them, or the first one where each takes long.
some()
{
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then echo "$1"; else echo "$*"; fi
}

# neighbours N: each of N hosts knows the link addresses of the others, so that
# nothing but what the test sends is on the segment.
neighbours()
{
	local i j ns

	for ((i = 1; i <= $1; i++)); do
		ns=NS$i
		for ((j = 1; j <= $1; j++)); do
			((i == j)) || echo "neigh replace 10.0.0.$j lladdr $(lladdr "$j") dev s0 nud permanent"
		done | ip -n "${!ns}" -batch -
	done
}

# quiet: no router solicitations, no multicast reports of our own kernel.
quiet()
{
	local i ns

	for ((i = 1; i <= $1; i++)); do
		ns=NS$i
		ip netns exec "${!ns}" sysctl -qw net.ipv6.conf.all.disable_ipv6=1
	done
}

# pair: two hosts that know each other and say nothing by themselves. The second one
# does not answer.
pair()
{
	hosts 2
	quiet 2
	neighbours 2
	host 2 ip route replace unreachable 10.0.0.1/32
}

# send_udp CPU COUNT [BYTES [HOST]]: datagrams from host 1 to another (2), which the
# device takes in or a qdisc holds.
send_udp()
{
	host 1 taskset -c "$1" python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range($2):
    s.sendto(bytes(${3:-18}), ('10.0.0.${4:-2}', 9))"
}

# received COUNT: so many packets come to host 2.
received()
{
	came() { [ "$(queues 2 rx packets)" = "$1" ]; }
	busywait 20000 came "$1"
	expect "packets that arrived" "$1" "$(queues 2 rx packets)"
}

# expect WHAT WANTED FOUND
expect()
{
	[ "$2" = "$3" ]
	check_err $? "$1: expected '$2', found '$3'"
}

# refused WHAT COMMAND...: the command must fail, and say WHAT.
refused()
{
	local what=$1 said
	shift

	said=$("$@" 2>&1)
	check_fail $? "'$*' succeeded"
	[[ $said == *"$what"* ]]
	check_err $? "'$*' should say '$what', but said '$said'"
}

# dropped REASON COMMAND...: how many packets the kernel says it dropped for this
# reason while the command ran and shortly after.
dropped()
{
	local reason=$1 events=/sys/kernel/tracing/events/skb/kfree_skb
	shift

	echo >/sys/kernel/tracing/trace
	echo 1 >$events/enable
	"$@" >/dev/null
	sleep 0.3
	echo 0 >$events/enable
	grep -c "reason: $reason\$" /sys/kernel/tracing/trace
}

# set_spans I FILE VALUE, get_spans I FILE: a setting of host I.
set_spans() { echo "$3" | host "$1" tee "/sys/class/net/s0/spans/$2" >/dev/null; }
get_spans() { host "$1" cat "/sys/class/net/s0/spans/$2"; }

# stall I [RING]: has a transmit ring of host I hang, -1 for none, or tells which does.
stall()
{
	local switch

	switch=/sys/kernel/debug/spans-$(host "$1" cat /sys/class/net/s0/phys_port_id)/stall
	if [ $# = 1 ]; then cat "$switch"; else echo "$2" >"$switch"; fi
}

# The ARP of host I, by its front panels: arp_table I [ADDRESS] is all of its table or
# what that says about an address, neigh I ADDRESS what `ip neigh` says about it.
arp_table()
{
	awk -v address="${2:-}" 'NR > 1 && (address == "" || $1 == address)' \
		"/sys/kernel/debug/spans-$(host "$1" cat /sys/class/net/s0/phys_port_id)/arp"
}

neigh() { host "$1" ip neigh show "$2" dev s0; }

# arp_entry I ADDRESS, neigh_entry I ADDRESS: state and link address only.
arp_entry() { arp_table "$@" | awk '{ print $3, $2 }'; }

neigh_entry()
{
	host "$1" ip -j neigh show "$2" dev s0 |
		jq -r '.[] | (.state[0] + " " + (.lladdr // "-"))'
}

# send_arp I COUNT KEY=VALUE...: raw ARP from host I, see arp.py.
send_arp() { host "$1" "$selftests/arp.py" send s0 "${@:2}"; }

# hear_arp I: the ARP that comes to host I from now on goes to /tmp/arpI.
hear_arp()
{
	start "$1" "$selftests/arp.py" hear s0 >"/tmp/arp$1"
	defer kill_process $!
	busywait 60000 grep -q ready "/tmp/arp$1" >/dev/null
	check_err $? "nobody listens"
}

# asked I ADDRESS: how many requests for an address came to host I.
asked() { awk -v address="$2" '$2 == 1 && $8 == address { n++ } END { print n + 0 }' "/tmp/arp$1"; }

# now: milliseconds.
now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# nap MS: sleep.
nap() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

# scaled MS: a time, longer where all takes longer.
scaled()
{
	case ${SPANS_TIER:-} in
	debug) echo $(($1 * 4)) ;;
	stock) echo $(($1 * 2)) ;;
	*) echo "$1" ;;
	esac
}

# if_slow TEST...: where all takes long, only these are run. Such a kernel is to find
# what others do not notice; the rest is for those.
if_slow()
{
	# shellcheck disable=SC2034 # for tests_run
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then ALL_TESTS=$*; fi
}

# between WHAT LEAST MOST FOUND
between()
{
	((${4:-0} >= $2 && ${4:-0} <= $3))
	check_err $? "$1: expected $2 to $3, found '$4'"
}
