# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of all spans tests, on top of the kernel's net/lib.sh: hosts on segments,
# counters, drop reasons.

selftests=$(dirname "$(readlink -e "${BASH_SOURCE[0]}")")
for net_lib in "$selftests/../../../net/lib.sh" "$KERNEL_SOURCE/tools/testing/selftests/net/lib.sh"; do
	[ -e "$net_lib" ] && break
done
# shellcheck disable=SC1090
source "$net_lib"

# busywait MS COMMAND...: as in net/lib.sh, but with growing pauses: on an emulated
# machine the command takes longer than the pause.
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

# A script with some skipped tests has passed or failed. Its status is "skipped" until the
# first result.
EXIT_STATUS=$ksft_skip
ksft_exit_status_merge()
{
	__ksft_status_merge "$1" "$2" "$ksft_skip" "$ksft_xfail" "$ksft_pass" "$ksft_fail"
}

# These must not be inherited from the environment.
unset netns known no_reply announce ipv6

# The number of printed results.
test_results=0
eval "print_$(declare -f log_test_result)"
log_test_result()
{
	((++test_results))
	print_log_test_result "$@"
}

# A script runs the tests in its arguments, by default all.
tests=("$@")

# A test without a result fails. $unfinished is the running test: after an arithmetic error,
# for example, bash continues behind the call of tests_run.
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

# virtual_clock: whether time passes only while the kernel is idle (User Mode Linux with
# time-travel): deadlines are exact on a busy machine, too.
virtual_clock()
{
	[ "$(</sys/devices/system/clocksource/clocksource0/current_clocksource)" = time-travel-clock ]
}

# Marks the beginning of a script in the kernel log.
echo "selftests: spans: $(basename "$0")" >/dev/kmsg

# load_module [STATUS]: exits with STATUS (default: failure) if the module cannot be loaded.
load_module()
{
	modprobe spans 2>/dev/null || insmod "${SPANS_KO:-spans.ko}" && return
	echo "spans.ko cannot be loaded"
	exit "${1:-$ksft_fail}"
}

# Files of this library: /sys of a namespace (sys.NAMESPACE), the number of a port
# (port.NAMESPACE), the frames that host I received (capturedI).
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
	# Devices that a failed test has left in this namespace.
	ip -o link show type spans 2>/dev/null |
		sed 's/^[0-9]*: \([^:@]*\).*/\1/' |
		while read -r dev; do ip link del "$dev"; done
	if [ -n "$unfinished" ]; then
		echo "the test '$unfinished' did not end: this script has failed"
		exit "$ksft_fail"
	fi
}
trap cleanup EXIT

# By medium: the first bytes of link addresses in tests, the broadcast address, and the
# bytes of a link header between the addresses and the EtherType.
declare -A lladdr_begin=([spans]=02:00:00:00:00:00:00: [ethernet]=02:00:00:00:00:
	[ax25]=02:00:00:00:00:00: [arcnet]='')
declare -A lladdr_broadcast=([spans]=ff:ff:ff:ff:ff:ff:ff:ff [ethernet]=ff:ff:ff:ff:ff:ff
	[ax25]=a2:a6:a8:40:40:40:00 [arcnet]=00)
declare -A header_constant=([spans]=00000000aaaa03000000 [ethernet]='' [ax25]=03ff [arcnet]='')

# The medium of `hosts`, unless a test sets another one.
medium=spans

# lladdr I: the link address of host I. broadcast_addr: the broadcast address.
lladdr() { printf '%s%02x' "${lladdr_begin[$medium]}" "$1"; }
broadcast_addr() { echo "${lladdr_broadcast[$medium]}"; }

# setup_ns NAME...: as in net/lib.sh, with fewer processes, which are most of the run time
# on an emulated machine.
setup_ns()
{
	local name

	new_ns "$@" || return
	for name in "$@"; do
		[ -z "$ns_settings" ] || netns=${!name} write - $ns_settings
		ip -n "${!name}" link set lo up
	done
}

# FILE VALUE pairs: the settings that differ from the kernel's default.
ns_settings=
for setting in all default; do
	setting=net/ipv4/conf/$setting/rp_filter
	[ "$(</proc/sys/$setting)" = 0 ] || ns_settings+=" $setting 0"
done

# new_ns NAME...: empty namespaces.
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

# hosts N: N namespaces, each with a device s0 that is up, on one segment of $medium:
#
#   $NS1: 10.0.0.1, lladdr 1    $NS2: 10.0.0.2, lladdr 2  ...  $NSn: 10.0.0.n, lladdr n
#            | s0                        | s0                          | s0
#   ---------+------------- segment -----+------------------ ... ------+---------
#
# Without $announce they send no gratuitous ARP, so that the counters only have the frames
# of the test. ipv6=off disables IPv6 before the devices exist, `quiet` later. $known
# adds permanent neighbours. With $no_reply the other hosts have no route to host 1.
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
			[ -z "${no_reply:-}" ] || ((i == 1)) || echo "route replace unreachable 10.0.0.1/32"
		} | ip -n "${!ns}" -batch - || return
	done
}

# write I FILE VALUE...: writes files below /proc/sys in the namespace of host I.
write()
{
	[ $# = 1 ] || { ask_meter "$1" write "${@:2}" && [ "$meter_says" = ok ]; }
}

# permanent I N: input of ip -batch that gives host I permanent neighbours 1 to N.
permanent()
{
	local i

	for ((i = 1; i <= $2; i++)); do
		((i == $1)) || printf 'neigh replace 10.0.0.%d lladdr %s%02x dev s0 nud permanent\n' \
			"$i" "${lladdr_begin[$medium]}" "$i"
	done
}

# host I COMMAND...: runs a command on host I.
host()
{
	local ns=NS$1

	case $2 in
	ip) ip -n "${!ns}" "${@:3}" ;;
	ethtool | ping) enter "$@" ;;
	*) ip netns exec "${!ns}" "${@:2}" ;;
	esac
}

# enter I COMMAND...: the same with the caller's /sys, which costs less.
enter()
{
	local ns=NS$1

	nsenter --net="/run/netns/${!ns}" "${@:2}"
}

# start I COMMAND...: runs a command on host I in the background. $! is its own process.
start()
{
	local ns=NS$1

	shift
	ip netns exec "${!ns}" "$@" &
}

# sys I: prints the mount point of host I's /sys.
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

# has_died PROGRAM: ends the script, which cannot go on without this program.
has_died()
{
	[ -z "$ending" ] || return
	echo "$1 has died" >&2
	# A subshell has to end the script, too.
	((BASHPID == $$)) || kill $$
	exit "$ksft_fail"
}

# ask_meter I WORD...: sends a request about host I, or the namespace $netns, to meter.py and
# sets $meter_says to the reply, without a subshell. Requests must not overlap.
ask_meter()
{
	local ns=NS$1

	# Otherwise SIGPIPE would kill this shell, or subshell, when meter.py has died.
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

# accounted I DIRECTION: the sum of all counters of a device that account for packets.
accounted() { meter "$1" accounted "$2"; }

# rounds N: the number of repetitions of a test for races, fewer on slow kernels.
rounds()
{
	local part=1

	if ((${SPANS_SCALE:-1} > 1)); then part=3; fi
	if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then part=5; fi
	echo $((($1 + part - 1) / part))
}

# neighbours N: gives each of N hosts permanent neighbours, so that no ARP is sent.
neighbours()
{
	local i ns

	for ((i = 1; i <= $1; i++)); do
		ns=NS$i
		permanent "$i" "$1" | ip -n "${!ns}" -batch -
	done
}

# quiet N: no router solicitations and no multicast reports of hosts 1 to N.
quiet()
{
	local i

	for ((i = 1; i <= $1; i++)); do
		write "$i" net/ipv6/conf/all/disable_ipv6 1
	done
}

# pair: two hosts with permanent neighbours and without IPv6. Host 2 has no route back.
pair()
{
	known=yes no_reply=yes ipv6=off hosts 2
}

# send_udp CPU COUNT [BYTES [HOST]]: sends datagrams from host 1 to HOST (2). All are in
# the device or in its qdisc when this returns.
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

# received COUNT: waits until host 2 has received COUNT packets.
received()
{
	came() { ask_meter 2 queues rx packets && [ "$meter_says" = "$1" ]; }
	busywait 20000 came "$1"
	expect "packets received by host 2" "$1" "$(queues 2 rx packets)"
}

# expect WHAT WANTED FOUND
expect()
{
	[ "$2" = "$3" ]
	check_err $? "$1: expected '$2', found '$3'"
}

# eventually WHAT WANTED COMMAND...: the output of the command becomes WANTED and stays so
# for 50 ms, in which an excess packet would arrive. It tests whether it happens, not when.
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

# refused TEXT COMMAND...: the command must fail with TEXT in its output.
refused()
{
	local what=$1 said
	shift

	said=$("$@" 2>&1)
	check_fail $? "'$*' succeeded"
	[[ $said == *"$what"* ]]
	check_err $? "'$*': expected the message '$what', found '$said'"
}

# log_begins: disables the rate limit of network messages until the test ends.
# log: the lines of the kernel log since then. A full log loses the oldest lines.
message_cost=$(sysctl -n net.core.message_cost)
log_begins()
{
	sysctl -qw net.core.message_cost=0
	defer sysctl -qw net.core.message_cost="$message_cost"
	log_mark="spans test $SRANDOM"
	echo "$log_mark" >/dev/kmsg
}

log() { dmesg | sed "1,/$log_mark/d"; }

# trace EVENT: clears the trace and enables an event, at most until the test ends. A subshell
# must not call it: the deferred `untrace` would run at the subshell's end.
trace()
{
	echo >/sys/kernel/tracing/trace
	echo 1 >"/sys/kernel/tracing/events/$1/enable"
	defer untrace "$1"
}

untrace() { echo 0 >"/sys/kernel/tracing/events/$1/enable"; }

# dropped REASON COMMAND...: sets $reasons to the number of skb:kfree_skb events with this drop
# reason while the command runs and 300 ms after.
dropped()
{
	trace skb/kfree_skb
	"${@:2}" >/dev/null
	nap 300
	untrace skb/kfree_skb
	reasons=$(grep -c "reason: $1\$" /sys/kernel/tracing/trace)
}

# set_spans I FILE VALUE, get_spans I FILE: writes and reads a setting of host I in sysfs.
set_spans() { echo "$3" >"$(sys "$1")/class/net/s0/spans/$2"; }
get_spans() { echo "$(<"$(sys "$1")/class/net/s0/spans/$2")"; }

# stall I [RING]: stalls a TX ring of host I (-1: none), or prints the stalled ring.
# miss_irq I [RING]: the same for an RX ring; its doorbells schedule no poll.
stall() { fault stall "$@"; }
miss_irq() { fault miss_irq "$@"; }

fault()
{
	local switch

	switch=/sys/kernel/debug/spans-$(<"$(sys "$2")/class/net/s0/phys_port_id")/$1
	if [ $# = 2 ]; then cat "$switch"; else echo "$3" >"$switch"; fi
}

# arp_table I [ADDRESS [FIELDS]]: the ARP table of host I in debugfs, or its entry for an
# address, or fields of that. neigh I ADDRESS: the kernel's neighbour, by `ip neigh`.
arp_table()
{
	local ns=NS$1 port

	# `hosts` truncates the file, so that the number is read anew.
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

# arp_entry I ADDRESS, neigh_entry I ADDRESS: only state and link address.
arp_entry() { arp_table "$1" "${2:-}" "3 2"; }

neigh_entry()
{
	host "$1" ip -j neigh show "$2" dev s0 |
		jq -r '.[] | (.state[0] + " " + (.lladdr // "-"))'
}

# start_program PROGRAM TO FROM: starts a program that replies to each line until the script
# ends, and sets the variables TO and FROM to the descriptors of its pipes.
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

# meter.py replies when no other script of this collection runs any more.
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

# Without a module the script is skipped; a module that does not load is a failure.
[ -d /sys/module/spans ] || load_module "$([ -e "${SPANS_KO:-}" ] || echo "$ksft_skip")"

# The default qdisc may have an AQM (fq_codel), which drops packets that have waited long for a
# slow line. pfifo_fast only drops at its limit. The sysctl is global, and not visible in
# another network namespace.
qdisc_before=$(sysctl -n net.core.default_qdisc 2>/dev/null)
[ -z "$qdisc_before" ] || sysctl -qw net.core.default_qdisc=pfifo_fast

# start_station: starts station.py. station I COMMAND... runs one of its commands on host I;
# station_begin and station_end are its two halves, for commands that run in the background.
start_station() { start_program "$selftests/station.py" to_station from_station; }

station_begin()
{
	local ns=NS$1

	# See ask_meter.
	trap : PIPE
	{ echo "${!ns} ${*:2}" >&"$to_station"; } 2>/dev/null || has_died station.py
}

station_end()
{
	local status said

	read -r status said <&"$from_station" || has_died station.py
	echo -n "$said"
	[ "$status" = ok ]
}

station() { station_begin "$@" && station_end; }

# send_arp I COUNT KEY=VALUE...: sends raw ARP packets from host I.
send_arp()
{
	local said

	said=$(station "$1" arp "${@:2}")
	check_err $? "cannot send: $said"
}

# capture I arp|frames|kinds: starts a capture on host I until the test ends, see station.py.
# captured I: prints the captured frames.
capture()
{
	: >"$own_files/captured$1"
	station "$1" capture "$2" "$own_files/captured$1"
	check_err $? "cannot start the capture"
	defer station "$1" end_capture
}

captured()
{
	station "$1" sync
	cat "$own_files/captured$1"
}

# count_requests I ADDRESS: the number of captured ARP requests for an address on host I.
count_requests() { captured "$1" | awk -v address="$2" '$2 == 1 && $8 == address { n++ } END { print n + 0 }'; }

# frame DST SRC ETHERTYPE [PAYLOAD]: a frame of $medium, in hex.
frame() { echo "${1//:/}${2//:/}${header_constant[$medium]}$3${4:-}"; }

# now: the time in milliseconds.
now() { echo $((${EPOCHREALTIME/./} / 1000)); }

# nap MS: sleeps, without a process. nap_until MS: sleeps until this time of `now`.
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

# scaled MS: a time, longer on kernels on which computing takes longer.
scaled() { echo $(($1 * ${SPANS_SCALE:-1})); }

# send_frames I DST...: host I sends a frame to each address, numbered from 1, then a broadcast.
# expect_frames I NUMBER:KIND...: host I, with a capture of kinds, has received exactly these frames
# before the broadcast.
round=0
send_frames()
{
	local from to number frames=()

	from=$(lladdr "$1")
	((++round))
	for to in "${@:2}" "${lladdr_broadcast[$medium]}"; do
		printf -v number %04d%04d $round $((${#frames[@]} + 1))
		frames+=("${to//:/}${from//:/}${header_constant[$medium]}88b5$number")
	done
	last=${#frames[@]}
	station "$1" frames 1 "${frames[@]}"
	check_err $? "cannot send"
}

expect_frames()
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
		done <"$own_files/captured$1"
		[[ " ${numbers[*]}" == *" $last:"* ]]
	}
	busywait 60000 ended "$1"
	check_err $? "host $1 does not receive the broadcast"
	for i in "${!numbers[@]}"; do
		[[ ${numbers[i]} != "$last:"* ]] || unset "numbers[i]"
	done
	expect "frames received by host $1" "${*:2}" "${numbers[*]}"
}

# threaded I: enables threaded NAPI on host I, with the threads on CPU 0.
threaded()
{
	local pid

	host "$1" sh -c 'echo 1 >/sys/class/net/s0/threaded'
	for pid in $(pgrep '^napi/s0-'); do
		taskset -cp 0 "$pid" >/dev/null
	done
}

# keep_busy: starts a real-time task on CPU 0 that runs until go_on. The kernel leaves 5 % of
# the CPU to other tasks.
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
