#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm.sh TIER [SCRIPT [ARGUMENT...]]: run a script, or a shell, in a freshly
# booted test kernel with spans.ko at hand, and exit with its status.
# Runs in the build root, which is also the guest's file system, read only.
#
# The script finds its own folder and this checkout under their usual names, a
# writable /tmp, $SPANS_KO and $SPANS_GEN; modprobe knows spans, too. What it prints
# appears here; what the kernel prints goes to a log. A run in which the kernel
# warned, panicked or hung has failed, whatever the script said:
#   98  the kernel complained
#   99  the guest died or did not end within TIMEOUT (default 600) seconds
#
# With CLOCK=virtual the clock of an emulated machine counts its instructions, and time that
# it waits: nothing is late because this machine is slow or busy. But its CPUs take turns:
# what only happens when two are at it at once is to be looked for without.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=$1
shift
if [ $# -gt 0 ]; then
	[ -f "$1" ] || die "there is no script '$1'"
	[ -x "$1" ] || die "$1 is not executable"
fi

"$top/scripts/build.sh" "$tier" >&2
kernel=$("$top/scripts/kernel.sh" "$tier")

cpus=${CPUS:-2}
mem=${MEM:-1024}
if [ "$tier" = debug ] && [ -z "${MEM:-}" ]; then mem=2048; fi
timeout=${TIMEOUT:-600}
if [ $# = 0 ]; then timeout=0; fi

run=$(mktemp -d /run/guest.XXXXXX)
: >"$run/status"
mkdir -p "$out/log"
log=$out/log/$tier-$(date +%H%M%S)-$$.console
: >"$log"

# --- what the guest finds -----------------------------------------------------

mkdir -p /usr/lib/modules
mount --bind "$out/$tier/modules" /usr/lib/modules
{
	printf 'export SPANS_KO=%q\n' "$out/$tier/spans.ko"
	printf 'export SPANS_TIER=%q\n' "$tier"
	printf 'export SPANS_TOP=%q\n' "$top"
	printf 'export SPANS_GEN=%q\n' "$out/$tier/test_modules/spans_gen.ko"
	# kselftest's word for kernels on which tests take their time
	if [ "$tier" = debug ]; then echo 'export KSFT_MACHINE_SLOW=yes'; fi
	printf 'export KERNEL_SOURCE=%q\n' "$(readlink -f "$kernel/build/source")"
	if [ -n "${BUDGET:-}" ]; then printf 'export SPANS_TIME_OVER=%q\n' "$out/time-over"; fi
	printf 'folder=%q\n' "$PWD"
	printf 'term=%q\n' "${TERM:-dumb}"
	printf 'arguments=(%s)\n' "${*@Q}"
} >"$run/settings"
# The root is shared by all guests and by what runs here: nobody may write it.
mount -o remount,bind,ro /

# --- the two ways to boot ---------------------------------------------------------

# A kernel that panics ends at once; what it would only warn about ends it, too.
append="panic=-1 panic_on_warn=1 oops=panic hung_task_panic=1 softlockup_panic=1 kasan.fault=panic"
# The leak detector slows a debug kernel down four times: only who asks gets it, and the
# allocator's own checks, a third of all instructions, most of which KASAN makes, too.
if [ -z "${KMEMLEAK:-}" ]; then
	append+=" kmemleak=off"
	if [ "$tier" = debug ]; then append+=" slab_debug=-"; fi
fi
append+=" loglevel=7 printk.time=1 init=$top/scripts/guest/init.sh guest.run=$run"

# Whether /dev/kvm really runs a kernel. Some machines have the device, and a
# guest hangs in it: only a boot tells.
kvm_works() {
	local boot answer
	boot=$(</proc/sys/kernel/random/boot_id)
	answer=$cache/kvm-$boot
	if [ ! -e "$answer" ]; then
		: >"$run/probe"
		if [ -w /dev/kvm ]; then
			timeout --foreground 10 qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults \
				-display none -no-reboot -kernel "$kernel/image" -serial "file:$run/probe" \
				-append "console=ttyS0 panic=-1" </dev/null >/dev/null 2>&1 || :
		fi
		# It panics for want of a root file system, which proves that it ran.
		if grep -q 'Kernel panic' "$run/probe"; then echo yes; else echo no; fi >"$answer"
	fi
	grep -q yes "$answer"
}

boot_qemu() {
	# Emulated page tables have one level less without la57, and a kernel that believes
	# string instructions fast, which are emulated byte by byte, takes longer.
	local emulated='max,la57=off,erms=off,fsrm=off,fsrs=off,fzrm=off'
	local accel=(-accel 'tcg,thread=multi' -cpu "$emulated") socket=$run/virtiofs cache_mode=always
	if [ -n "${ICOUNT:-}" ]; then
		# One nanosecond of the guest's clock is one instruction.
		accel=(-accel 'tcg,thread=single' -cpu 'max,la57=off' -icount 'shift=0,sleep=off')
		cpus=1
		if [ -n "${PLUGIN:-}" ]; then accel+=(-plugin "$PLUGIN"); fi
	elif kvm_works; then
		accel=(-accel kvm -cpu host)
	elif [ "${CLOCK:-}" = virtual ]; then
		# Nanoseconds of an instruction, as a power of two. What a debug kernel does
		# beside its work is to take no longer than the work.
		local shift=1
		if [ "$tier" = debug ]; then shift=0; fi
		accel=(-accel 'tcg,thread=single' -cpu "$emulated" -icount "shift=$shift")
	fi
	# All but waiting takes longer. Nothing speculates there.
	if [[ ${accel[1]} != kvm ]]; then
		echo 'export SPANS_SCALE=3' >>"$run/settings"
		append+=" mitigations=off"
	fi
	# In a shell, what is edited outside shall be seen inside.
	if [ $# = 0 ]; then cache_mode=auto; fi
	rm -f "$socket"
	/usr/libexec/virtiofsd --socket-path="$socket" --shared-dir=/ --sandbox=none --readonly \
		--cache="$cache_mode" --log-level=error >"$run/virtiofsd.log" 2>&1 &
	local i
	for ((i = 0; i < 100; i++)); do
		if [ -S "$socket" ]; then break; fi
		sleep 0.05
	done
	timeout --foreground "$timeout" qemu-system-x86_64 "${accel[@]}" -smp "$cpus" -m "$mem" \
		-nodefaults -display none -no-reboot \
		-object "memory-backend-memfd,id=mem,size=${mem}M,share=on" -numa node,memdev=mem \
		-chardev "socket,id=fs,path=$socket" -device vhost-user-fs-pci,chardev=fs,tag=root \
		-serial "file:$log" -chardev stdio,id=out,signal=off -serial chardev:out \
		-serial "file:$run/status" \
		-kernel "$kernel/image" \
		-append "$append console=ttyS0 root=root rootfstype=virtiofs ro tsc=unstable"
}

boot_uml() {
	local input=null
	if [ $# = 0 ]; then input=fd:0; fi
	HOME=$run timeout --foreground "$timeout" "$kernel/image" seccomp=on "ncpus=$cpus" "mem=${mem}M" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro con=null con0=null,fd:2 \
		"con1=$input,fd:1" noreboot "$append"
}

# --- run, and judge -----------------------------------------------------------------

terminal=
if [ $# = 0 ] && [ -t 0 ]; then
	terminal=$(stty -g)
	stty raw -echo
fi
# An emulated machine may fail to boot, once in a hundred times. Nothing of ours has
# run by then: it gets another try.
for attempt in 1 2 3; do
	began=$SECONDS
	case $tier in
	uml) boot_uml "$@" 2>"$log" || : ;;
	*) boot_qemu "$@" || : ;;
	esac
	if grep -q 'spans: guest ready' "$log" || ((SECONDS - began > 120)); then break; fi
	cp "$log" "$log.failed-boot-$attempt"
	say "vm: the kernel did not boot, see $log.failed-boot-$attempt"
done
if [ -n "$terminal" ]; then stty "$terminal"; fi

status=$(sed -n 's/^status \([0-9]*\).*/\1/p' "$run/status" 2>/dev/null | tail -n 1)
# Messages before this line are the kernel's own affair.
complaints=$(sed '1,/spans: guest ready/d' "$log" | "$top/scripts/guest/complaints.sh" || :)

if [ -n "$complaints" ]; then
	say "vm: the kernel complained, in $log:"
	head -n 40 <<<"$complaints" >&2
fi
if [ -z "$status" ]; then
	say "vm: the guest died or took longer than $timeout s; the end of $log:"
	tail -n 15 "$log" >&2
	exit 99
fi
if [ "$status" != 0 ]; then
	say "vm: the script exited with status $status (console: $log)"
elif [ -z "$complaints" ]; then
	rm -f "$log"
fi
if [ -n "$complaints" ]; then exit 98; fi
exit "$status"
