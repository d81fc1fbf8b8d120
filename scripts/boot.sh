#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh KERNEL IMAGE MODULES RUN LOG APPEND: boot a guest on the build root, read only, and
# return when it is gone. scripts/vm.py decides the arguments and judges the result.
#
# Standard output is the guest's, LOG gets the kernel's messages, RUN/status the word of
# scripts/guest/init.sh. The environment has CPUS, MEM (MiB), TIMEOUT (seconds, 0 for none),
# CLOCK (real, virtual or icount), and INTERACTIVE when standard input is the guest's, too.
# Runs in the build root, in a mount namespace of its own.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=$1 image=$2 modules=$3 run=$4 log=$5 append=$6

mkdir -p /usr/lib/modules
mount --bind "$modules" /usr/lib/modules
# The root is shared by all guests and by the programs that run here.
mount -o remount,bind,ro /

# Whether /dev/kvm really runs a kernel. Some machines have the device, and a
# guest hangs in it: only a boot tells. The answer holds until the machine is booted.
kvm_works() {
	local boot answer
	boot=$(</proc/sys/kernel/random/boot_id)
	answer=$cache/kvm-$boot
	if [ ! -e "$answer" ]; then
		: >"$run/probe"
		if [ -w /dev/kvm ]; then
			{
				timeout --foreground 10 qemu-system-x86_64 -accel kvm -cpu host -m 512 -nodefaults \
					-display none -no-reboot -kernel "$image" -serial "file:$run/probe" \
					-append "console=ttyS0 panic=-1" </dev/null >/dev/null || :
			} 2>/dev/null
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
	if [ "$CLOCK" = icount ]; then
		# One nanosecond of the guest's clock is one instruction.
		accel=(-accel 'tcg,thread=single' -cpu 'max,la57=off' -icount 'shift=0,sleep=off')
		if [ -n "${PLUGIN:-}" ]; then accel+=(-plugin "$PLUGIN"); fi
	elif kvm_works; then
		accel=(-accel kvm -cpu host)
	elif [ "$CLOCK" = virtual ]; then
		# Nanoseconds of an instruction, as a power of two. What a debug kernel does
		# beside its work is to take no longer than the work.
		local shift=1
		if [ "$kernel" = debug ]; then shift=0; fi
		accel=(-accel 'tcg,thread=single' -cpu "$emulated" -icount "shift=$shift")
	fi
	# All but waiting takes longer. Nothing speculates there.
	if [[ ${accel[1]} != kvm ]]; then
		echo 'export SPANS_SCALE=3' >>"$run/settings"
		append+=" mitigations=off"
	fi
	# A file that is edited outside changes in a shell inside.
	if [ -n "${INTERACTIVE:-}" ]; then cache_mode=auto; fi
	rm -f "$socket"
	/usr/libexec/virtiofsd --socket-path="$socket" --shared-dir=/ --sandbox=none --readonly \
		--cache="$cache_mode" --log-level=error </dev/null >"$run/virtiofsd.log" 2>&1 &
	local i
	for ((i = 0; i < 600; i++)); do
		if [ -S "$socket" ]; then break; fi
		sleep 0.05
	done
	exec timeout --foreground --kill-after=10 "$TIMEOUT" qemu-system-x86_64 "${accel[@]}" -smp "$CPUS" -m "$MEM" \
		-nodefaults -display none -no-reboot \
		-object "memory-backend-memfd,id=mem,size=${MEM}M,share=on" -numa node,memdev=mem \
		-chardev "socket,id=fs,path=$socket" -device vhost-user-fs-pci,chardev=fs,tag=root \
		-serial "file:$log" -chardev stdio,id=out,signal=off -serial chardev:out \
		-serial "file:$run/status" \
		-kernel "$image" \
		-append "$append console=ttyS0 root=root rootfstype=virtiofs ro tsc=unstable"
}

boot_uml() {
	local input=null machine=(seccomp=on "ncpus=$CPUS")
	if [ -n "${INTERACTIVE:-}" ]; then input=fd:0; fi
	# Several CPUs need seccomp. A kernel with one can do with ptrace, which takes longer.
	if [ "$kernel" = uml-debug ]; then machine=(seccomp=auto); fi
	# Time passes when nothing runs, and then jumps to the next timer. Without inf-cpu the
	# alarms of the machine below move it, too, as the guest computes.
	if [ "$CLOCK" = virtual ]; then machine+=(time-travel=inf-cpu); fi
	HOME=$run exec timeout --foreground --kill-after=10 "$TIMEOUT" "$image" "${machine[@]}" "mem=${MEM}M" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro con=null con0=null,fd:2 \
		"con1=$input,fd:1" noreboot "$append" 2>"$log"
}

case $kernel in
uml | uml-debug) boot_uml ;;
*) boot_qemu ;;
esac
