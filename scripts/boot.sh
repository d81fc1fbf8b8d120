#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# boot.sh KERNEL IMAGE MODULES RUN LOG APPEND: boots a guest on the build root, read only, and
# returns when it has ended. Called by scripts/vm.py.
#
# Standard output is the guest's, LOG gets the kernel's messages, RUN/status the status from
# scripts/guest/init.sh. The environment has CPUS, MEM (MiB), TIMEOUT (seconds, 0: none), CLOCK
# (real, virtual or icount), and INTERACTIVE if standard input is the guest's, too.
# Runs in the build root, in a mount namespace of its own.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

kernel=$1 image=$2 modules=$3 run=$4 log=$5 append=$6

mkdir -p /usr/lib/modules
mount --bind "$modules" /usr/lib/modules
# The root is shared by all guests and by the programs in the build root.
mount -o remount,bind,ro /

# kvm_works: whether /dev/kvm can boot a kernel. On some machines a guest hangs. The answer is
# kept until the machine is rebooted.
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
		# The panic for want of a root file system proves that it runs.
		if grep -q 'Kernel panic' "$run/probe"; then echo yes; else echo no; fi >"$answer"
	fi
	grep -q yes "$answer"
}

boot_qemu() {
	# la57=off saves a level of emulated page tables. String instructions are emulated byte by
	# byte, so the kernel must not prefer them (erms, fsrm, ...).
	local emulated='max,la57=off,erms=off,fsrm=off,fsrs=off,fzrm=off'
	local accel=(-accel 'tcg,thread=multi' -cpu "$emulated") socket=$run/virtiofs cache_mode=always
	if [ "$CLOCK" = icount ]; then
		# One nanosecond of the guest's clock is one instruction.
		accel=(-accel 'tcg,thread=single' -cpu 'max,la57=off' -icount 'shift=0,sleep=off')
		if [ -n "${PLUGIN:-}" ]; then accel+=(-plugin "$PLUGIN"); fi
	elif kvm_works; then
		accel=(-accel kvm -cpu host)
	elif [ "$CLOCK" = virtual ]; then
		# Nanoseconds of an instruction, as a power of two; less on a debug kernel for its
		# checks.
		local shift=1
		if [ "$kernel" = debug ]; then shift=0; fi
		accel=(-accel 'tcg,thread=single' -cpu "$emulated" -icount "shift=$shift")
	fi
	# Emulated: computing takes longer, and there is no speculation to mitigate.
	if [[ ${accel[1]} != kvm ]]; then
		echo 'export SPANS_SCALE=3' >>"$run/settings"
		append+=" mitigations=off"
	fi
	# In a shell, files that change on the host change in the guest.
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
	# Several CPUs need seccomp. A kernel with one can use ptrace, which is slower.
	if [ "$kernel" = uml-debug ]; then machine=(seccomp=auto); fi
	# Time passes only while the guest is idle, and jumps to the next timer. Without inf-cpu it
	# would also advance by the host's alarms while the guest computes.
	if [ "$CLOCK" = virtual ]; then machine+=(time-travel=inf-cpu); fi
	HOME=$run exec timeout --foreground --kill-after=10 "$TIMEOUT" "$image" "${machine[@]}" "mem=${MEM}M" \
		root=/dev/root rootfstype=hostfs rootflags=/ ro con=null con0=null,fd:2 \
		"con1=$input,fd:1" noreboot "$append" 2>"$log"
}

case $kernel in
uml | uml-debug) boot_uml ;;
*) boot_qemu ;;
esac
