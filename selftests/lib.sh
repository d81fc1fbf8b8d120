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

# busywait MS COMMAND...: as in net/lib.sh, but with pauses that grow: on an emulated
# machine looking takes longer than waiting.
busywait()
{
	local until=$((${EPOCHREALTIME/./} + $1 * 1000)) pause=10

	shift
	until "$@"; do
		((${EPOCHREALTIME/./} < until)) || return 1
		nap $pause
		((pause = pause < 500 ? pause * 2 : pause))
	done
}

# A script that could run some of its tests has passed or failed, whatever it skipped.
# Before the first result it has skipped everything.
EXIT_STATUS=$ksft_skip
ksft_exit_status_merge()
{
	__ksft_status_merge "$1" "$2" "$ksft_skip" "$ksft_xfail" "$ksft_pass" "$ksft_fail"
}

# Nothing of this is to come from the environment.
unset netns known deaf announce ipv6

# How many results were printed.
test_results=0
eval "print_$(declare -f log_test_result)"
log_test_result()
{
	((++test_results))
	print_log_test_result "$@"
}

# A script runs all of its tests, or those that are its arguments.
tests=("$@")

# A test fails that prints no result. unfinished is the test that runs: what bash gives up,
# for example at an arithmetic error, goes on behind the call of tests_run.
unfinished=
tests_run()
{
	local test results_before

	for test in "${tests[@]}"; do
		[[ " $(xargs <<<"$ALL_TESTS") " == *" $test "* ]] && continue
		echo "there is no test '$test' in $0; there are:" $ALL_TESTS
		exit "$ksft_fail"
	done
	# shellcheck disable=SC2068 # several words of one string
	for test in ${tests[@]:-$ALL_TESTS}; do
		unfinished=$test
		results_before=$test_results
		in_defer_scope $test
		((test_results == results_before)) || continue
		RET=0
		check_err 1 "no result"
		log_test "$test"
	done
	unfinished=
}

# virtual_clock: whether time passes only while the kernel waits (User Mode Linux with
# time-travel): deadlines are exact, however busy the machine is.
virtual_clock()
{
	[ "$(</sys/devices/system/clocksource/clocksource0/current_clocksource)" = time-travel-clock ]
}

# Where a test ended shows in the kernel log.
echo "selftests: spans: $(basename "$0")" >/dev/kmsg

# load_module [STATUS]: the script ends with this status, a failure, if it cannot be loaded.
load_module()
{
	modprobe spans 2>/dev/null || insmod "${SPANS_KO:-spans.ko}" && return
	echo "spans.ko cannot be loaded"
	exit "${1:-$ksft_fail}"
}

# What this file keeps: /sys of a namespace (sys.NAMESPACE), the number of a port
# (port.NAMESPACE), what hosts heard (heardI).
own_files=$(mktemp -d) || exit "$ksft_fail"

ending='' qdisc_before=''
cleanup()
{
	local dir dev

	ending=yes
	[ -z "$qdisc_before" ] || sysctl -qw net.core.default_qdisc="$qdisc_before"
	defer_scopes_cleanup
	cleanup_all_ns
	for dir in "$own_files"/sys.*; do
		[ ! -d "$dir/class" ] || umount -l "$dir"
	done
	rm -rf --one-file-system "$own_files"
	# Whatever a failed test left in this namespace.
	ip -o link show type spans 2>/dev/null |
		sed 's/^[0-9]*: \([^:@]*\).*/\1/' |
		while read -r dev; do ip link del "$dev"; done
	if [ -n "$unfinished" ]; then
		echo "the test '$unfinished' did not end: this script has failed"
		exit "$ksft_fail"
	fi
}
trap cleanup EXIT

# What is on a wire, by medium: how link addresses begin here, who is everybody, and what
# is in a link header between the addresses and the EtherType.
declare -A lladdr_begin=([spans]=02:00:00:00:00:00:00: [ethernet]=02:00:00:00:00:
	[ax25]=02:00:00:00:00:00: [arcnet]='')
declare -A lladdr_everybody=([spans]=ff:ff:ff:ff:ff:ff:ff:ff [ethernet]=ff:ff:ff:ff:ff:ff
	[ax25]=a2:a6:a8:40:40:40:00 [arcnet]=00)
declare -A header_constant=([spans]=00000000aaaa03000000 [ethernet]='' [ax25]=03ff [arcnet]='')

# What a test is about, unless it says something else.
medium=spans

# lladdr I: the link address of host I. everybody: that of all.
lladdr() { printf '%s%02x' "${lladdr_begin[$medium]}" "$1"; }
everybody() { echo "${lladdr_everybody[$medium]}"; }

# setup_ns NAME...: as in net/lib.sh, with fewer processes: these are most of what a
# test costs on an emulated machine.
setup_ns()
{
	local name

	new_ns "$@" || return
	for name in "$@"; do
		[ -z "$ns_settings" ] || netns=${!name} write - $ns_settings
		ip -n "${!name}" link set lo up
	done
}

# File, value: what is not so by itself.
ns_settings=
for setting in all default; do
	setting=net/ipv4/conf/$setting/rp_filter
	[ "$(</proc/sys/$setting)" = 0 ] || ns_settings+=" $setting 0"
done

# new_ns NAME...: namespaces with nothing in them.
new_ns()
{
	local name pid batch=

	for name in "$@"; do
		if [ -n "${!name:-}" ]; then
			if [ -e "/run/netns/${!name}" ]; then
				for pid in /proc/[0-9]*; do
					[ ! "$pid/ns/net" -ef "/run/netns/${!name}" ] || kill "${pid#/proc/}"
				done
				batch+="netns del ${!name}"$'\n'
			fi
			[ ! -d "$own_files/sys.${!name}/class" ] || umount -l "$own_files/sys.${!name}"
		else
			printf -v "$name" '%s-%s' "${name,,}" $((SRANDOM % 1000000))
		fi
		[[ " ${NS_LIST[*]} " == *" ${!name} "* ]] || NS_LIST+=("${!name}")
		batch+="netns add ${!name}"$'\n'
	done
	ip -batch - <<<"$batch"
}

# hosts N: N namespaces, $NS1 to $NSn, each with a device s0 on one segment, up,
# with the address 10.0.0.I and the link address of lladdr I, which is one of $medium.
# Unless $announce is set, they do not announce that, so that what is counted is what the
# test sends. If $ipv6 is "off", they have none from the start, where quiet is too late.
# If $known is set, it is neighbours N as well. If $deaf is, the first one gets no answers.
hosts()
{
	local i ns batch names=()

	for ((i = 1; i <= $1; i++)); do names+=("NS$i"); done
	new_ns "${names[@]}" || return
	batch="link add s0 address $(lladdr 1) type spans"$'\n'
	for ((i = 2; i <= $1; i++)); do
		ns=NS$i
		batch+="link add s0 link s0 netns ${!ns} address $(lladdr "$i") type spans"$'\n'
	done
	ip -n "$NS1" -batch - <<<"$batch" || return
	for ((i = 1; i <= $1; i++)); do
		ns=NS$i
		: >"$own_files/port.${!ns}"
		write "$i" $ns_settings || return
		[ -n "${announce:-}" ] || write "$i" net/ipv4/conf/s0/arp_notify 0 || return
		[ "${ipv6:-}" != off ] || write "$i" net/ipv6/conf/all/disable_ipv6 1 || return
		{
			echo "link set lo up"
			echo "addr add 10.0.0.$i/24 dev s0"
			echo "link set s0 up"
			[ -z "${known:-}" ] || permanent "$i" "$1"
			[ -z "${deaf:-}" ] || ((i == 1)) || echo "route replace unreachable 10.0.0.1/32"
		} | ip -n "${!ns}" -batch - || return
	done
}

# write I FILE VALUE...: files below /proc/sys as host I sees them.
write()
{
	[ $# = 1 ] || { ask_meter "$1" write "${@:2}" && [ "$meter_says" = ok ]; }
}

# permanent I N: what makes host I know N others, for ip -batch.
permanent()
{
	local i

	for ((i = 1; i <= $2; i++)); do
		((i == $1)) || printf 'neigh replace 10.0.0.%d lladdr %s%02x dev s0 nud permanent\n' \
			"$i" "${lladdr_begin[$medium]}" "$i"
	done
}

# host I COMMAND...: run something on host I.
host()
{
	local ns=NS$1

	case $2 in
	ip) ip -n "${!ns}" "${@:3}" ;;
	ethtool | ping) enter "$@" ;;
	*) ip netns exec "${!ns}" "${@:2}" ;;
	esac
}

# enter I COMMAND...: the same where /sys does not matter, which costs less.
enter()
{
	local ns=NS$1

	nsenter --net="/run/netns/${!ns}" "${@:2}"
}

# start I COMMAND...: run something on host I in the background. $! is the command
# itself, so that it can be killed.
start()
{
	local ns=NS$1

	shift
	ip netns exec "${!ns}" "$@" &
}

# sys I: where /sys is as host I sees it.
sys()
{
	local ns=NS$1 dir

	dir=$own_files/sys.${!ns}
	if [ ! -d "$dir/class" ]; then
		mkdir -p "$dir"
		nsenter --net="/run/netns/${!ns}" mount -t sysfs sys "$dir"
	fi
	echo "$dir"
}

# has_died PROGRAM: without this program, which answers the script, nothing can be tested.
has_died()
{
	[ -z "$ending" ] || return
	echo "$1 has died" >&2
	# A subshell ends the script, too.
	((BASHPID == $$)) || kill $$
	exit "$ksft_fail"
}

# ask_meter I WHAT...: asks meter.py about host I, or about the namespace $netns, without a
# subshell; meter tells the answer. One at a time asks.
ask_meter()
{
	local ns=NS$1

	# Or this shell, which may be a subshell, would be killed by a pipe that nobody reads.
	trap : PIPE
	if ! { echo "${netns:-${!ns}} ${*:2}" >&"$to_meter"; } 2>/dev/null ||
	   ! read -r meter_says <&"$from_meter"; then
		has_died meter.py
	fi
}

meter()
{
	ask_meter "$@"
	echo "$meter_says"
}

# stat I DIRECTION NAME: a counter of `ip -s -s link` on host I.
stat() { meter "$1" stat "$2" "$3"; }

# queues I DIRECTION NAME: a counter of `ethtool -S`, summed over the queues.
queues() { meter "$1" queues "$2" "$3"; }

# ends I DIRECTION: all that a device took in this direction, by its counters.
ends() { meter "$1" ends "$2"; }

# rounds N: how often to try something that may go wrong only sometimes, less where it
# takes long.
rounds()
{
	local part=1

	if ((${SPANS_SCALE:-1} > 1)); then part=3; fi
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then part=5; fi
	echo $((($1 + part - 1) / part))
}

# neighbours N: each of N hosts knows the link addresses of the others, so that
# nothing but what the test sends is on the segment.
neighbours()
{
	local i ns

	for ((i = 1; i <= $1; i++)); do
		ns=NS$i
		permanent "$i" "$1" | ip -n "${!ns}" -batch -
	done
}

# quiet: no router solicitations, no multicast reports of our own kernel.
quiet()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		write "$i" net/ipv6/conf/all/disable_ipv6 1
	done
}

# pair: two hosts that know each other and say nothing by themselves. The second one
# does not answer.
pair()
{
	known=yes deaf=yes ipv6=off hosts 2
}

# send_udp CPU COUNT [BYTES [HOST]]: datagrams from host 1 to another (2), which the
# device takes in or a qdisc holds.
send_udp()
{
	enter 1 python3 -I -S -c "
import os, socket
os.sched_setaffinity(0, {$1})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
for _ in range($2):
    s.sendto(bytes(${3:-18}), ('10.0.0.${4:-2}', 9))"
}

# received COUNT: so many packets come to host 2.
received()
{
	came() { ask_meter 2 queues rx packets && [ "$meter_says" = "$1" ]; }
	busywait 20000 came "$1"
	expect "packets that arrived" "$1" "$(queues 2 rx packets)"
}

# expect WHAT WANTED FOUND
expect()
{
	[ "$2" = "$3" ]
	check_err $? "$1: expected '$2', found '$3'"
}

# eventually WHAT WANTED COMMAND...: what the command prints becomes WANTED and stays so for
# a moment, in which one too many would come. However long the machine takes for it: this is
# about whether it happens, not when.
eventually()
{
	local wanted=$2 found

	eventually_said() { found=$("$@"); [ "$found" = "$wanted" ]; }
	if busywait 60000 eventually_said "${@:3}"; then
		nap 50
		eventually_said "${@:3}"
	fi
	expect "$1" "$wanted" "$found"
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

# log_begins: from now on, until the test ends, the network may log all lines that it has.
# log: the lines of the kernel log since then. The log forgets early lines, not late ones.
message_cost=$(sysctl -n net.core.message_cost)
log_begins()
{
	sysctl -qw net.core.message_cost=0
	defer sysctl -qw net.core.message_cost="$message_cost"
	log_mark="spans test $SRANDOM"
	echo "$log_mark" >/dev/kmsg
}

log() { dmesg | sed "1,/$log_mark/d"; }

# trace EVENT: from now on this event is in the trace, which is empty, at the longest until
# the test ends. A subshell must not call it: its end is not that of the test.
trace()
{
	echo >/sys/kernel/tracing/trace
	echo 1 >"/sys/kernel/tracing/events/$1/enable"
	defer untrace "$1"
}

untrace() { echo 0 >"/sys/kernel/tracing/events/$1/enable"; }

# dropped REASON COMMAND...: $reasons becomes how many packets the kernel says it dropped for
# this reason while the command ran and shortly after.
dropped()
{
	trace skb/kfree_skb
	"${@:2}" >/dev/null
	nap 300
	untrace skb/kfree_skb
	reasons=$(grep -c "reason: $1\$" /sys/kernel/tracing/trace)
}

# set_spans I FILE VALUE, get_spans I FILE: a setting of host I.
set_spans() { echo "$3" >"$(sys "$1")/class/net/s0/spans/$2"; }
get_spans() { echo "$(<"$(sys "$1")/class/net/s0/spans/$2")"; }

# stall I [RING]: has a transmit ring of host I hang, -1 for none, or tells which does.
# miss_irq I [RING]: the same for a receive ring whose doorbells schedule no poll.
stall() { fault stall "$@"; }
miss_irq() { fault miss_irq "$@"; }

fault()
{
	local switch

	switch=/sys/kernel/debug/spans-$(<"$(sys "$2")/class/net/s0/phys_port_id")/$1
	if [ $# = 2 ]; then cat "$switch"; else echo "$3" >"$switch"; fi
}

# The ARP of host I, by its front panels: arp_table I [ADDRESS [FIELDS]] is all of its
# table or what that says about an address, or some fields of that; neigh I ADDRESS is
# what `ip neigh` says about it.
arp_table()
{
	local ns=NS$1 port

	# hosts forgets what it was before.
	port=$own_files/port.${!ns}
	[ -s "$port" ] || echo "$(<"$(sys "$1")/class/net/s0/phys_port_id")" >"$port"
	read -r port <"$port"
	awk -v address="${2:-}" -v "fields=${3:-0}" 'NR > 1 && (address == "" || $1 == address) {
		n = split(fields, field)
		line = $field[1]
		for (i = 2; i <= n; i++) line = line " " $field[i]
		print line
	}' "/sys/kernel/debug/spans-$port/arp"
}

neigh() { host "$1" ip neigh show "$2" dev s0; }

# arp_entry I ADDRESS, neigh_entry I ADDRESS: state and link address only.
arp_entry() { arp_table "$1" "${2:-}" "3 2"; }

neigh_entry()
{
	host "$1" ip -j neigh show "$2" dev s0 |
		jq -r '.[] | (.state[0] + " " + (.lladdr // "-"))'
}

# start_program PROGRAM TO FROM: a program that answers lines for as long as the script
# runs; the variables TO and FROM become the descriptors of its pipes.
start_program()
{
	local pipes

	pipes=$(mktemp -d)
	mkfifo "$pipes/to" "$pipes/from"
	"$1" <"$pipes/to" >"$pipes/from" &
	defer kill_process $!
	eval "exec {$2}>'$pipes/to' {$3}<'$pipes/from'"
	rm -r "$pipes"
}

# meter.py is there when no other script of these runs any more.
start_program "$selftests/meter.py" to_meter from_meter
read -r meter_says <&"$from_meter"
case $meter_says in
ready) ;;
'') has_died meter.py ;;
*)
	echo "$meter_says"
	exit "$ksft_skip"
	;;
esac

# Without a module there is nothing to test; one that is there is to load.
[ -d /sys/module/spans ] || load_module "$([ -e "${SPANS_KO:-}" ] || echo "$ksft_skip")"

# What the kernel puts below a device by itself may have an AQM (fq_codel), which drops what
# waited long behind a slow line: no loss of the device. This one drops only what it has no
# room for. The setting is the machine's: it does not show in another network namespace.
qdisc_before=$(sysctl -n net.core.default_qdisc 2>/dev/null)
[ -z "$qdisc_before" ] || sysctl -qw net.core.default_qdisc=pfifo_fast

# start_station: from now on station I COMMAND... does what station.py says, on host I.
# order and answered are its two halves, for what takes its time.
start_station() { start_program "$selftests/station.py" to_station from_station; }

order()
{
	local ns=NS$1

	# See ask_meter.
	trap : PIPE
	{ echo "${!ns} ${*:2}" >&"$to_station"; } 2>/dev/null || has_died station.py
}

answered()
{
	local status said

	read -r status said <&"$from_station" || has_died station.py
	echo -n "$said"
	[ "$status" = ok ]
}

station() { order "$@" && answered; }

# send_arp I COUNT KEY=VALUE...: raw ARP from host I.
send_arp()
{
	local said

	said=$(station "$1" arp "${@:2}")
	check_err $? "cannot send: $said"
}

# hear I arp|frames|kinds: what comes to host I from now on is what heard I prints.
hear()
{
	: >"$own_files/heard$1"
	station "$1" hear "$2" "$own_files/heard$1"
	check_err $? "cannot hear"
	defer station "$1" deaf
}

heard()
{
	station "$1" sync
	cat "$own_files/heard$1"
}

# asked I ADDRESS: how many requests for an address came to host I.
asked() { heard "$1" | awk -v address="$2" '$2 == 1 && $8 == address { n++ } END { print n + 0 }'; }

# frame DST SRC PID [HEX]: a frame of $medium, in hex.
frame() { echo "${1//:/}${2//:/}${header_constant[$medium]}$3${4:-}"; }

# now: milliseconds.
now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# nap MS: sleep, without a process. nap_until MS: until now says so.
exec {never}<> <(:)
nap()
{
	local time

	printf -v time '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
	read -r -t "$time" -u "$never" time || :
}

nap_until()
{
	local left=$(($1 - ${EPOCHREALTIME/./} / 1000))

	((left <= 0)) || nap $left
}

# scaled MS: a time, longer where all but waiting takes longer.
scaled() { echo $(($1 * ${SPANS_SCALE:-1})); }

# sends I DST...: host I sends a frame to each, numbered from 1, and then one to all.
# hears_of I NUMBER:KIND...: what host I, which must hear kinds, heard of that when it has
# come to the last one.
round=0
sends()
{
	local from to number frames=()

	from=$(lladdr "$1")
	((++round))
	for to in "${@:2}" "${lladdr_everybody[$medium]}"; do
		printf -v number %04d%04d $round $((${#frames[@]} + 1))
		frames+=("${to//:/}${from//:/}${header_constant[$medium]}88b5$number")
	done
	last=${#frames[@]}
	station "$1" frames 1 "${frames[@]}"
	check_err $? "cannot send"
}

hears_of()
{
	local i numbers=()

	ended()
	{
		local kind frame mark

		station "$1" sync
		printf -v mark '88b5%04d' $round
		numbers=()
		while read -r kind frame; do
			[[ $frame != *"$mark"???? ]] || numbers+=("$((10#${frame: -4})):$kind")
		done <"$own_files/heard$1"
		[[ " ${numbers[*]}" == *" $last:"* ]]
	}
	busywait 60000 ended "$1"
	check_err $? "host $1 does not hear what all hear"
	for i in "${!numbers[@]}"; do
		[[ ${numbers[i]} != "$last:"* ]] || unset "numbers[i]"
	done
	expect "what host $1 hears" "${*:2}" "${numbers[*]}"
}

# threaded I: the polls of host I are threads on CPU 0.
threaded()
{
	local pid

	host "$1" sh -c 'echo 1 >/sys/class/net/s0/threaded'
	for pid in $(pgrep '^napi/s0-'); do
		taskset -cp 0 "$pid" >/dev/null
	done
}

# keep_busy: somebody works on CPU 0 at a real-time priority, until go_on. The kernel
# leaves 5 % of that CPU to others.
keep_busy()
{
	rm -f /tmp/busy
	taskset -c 0 chrt -f 50 sh -c 'touch /tmp/busy; while :; do :; done' &
	busy=$!
	defer kill_process $busy
	defer rm -f /tmp/busy
	busywait 20000 test -e /tmp/busy
}

go_on() { kill_process $busy; }

# between WHAT LEAST MOST FOUND
between()
{
	((${4:-0} >= $2 && ${4:-0} <= $3))
	check_err $? "$1: expected $2 to $3, found '$4'"
}
