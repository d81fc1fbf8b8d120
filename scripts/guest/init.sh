#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The init process of a guest: mounts file systems above the read-only root, runs the command from
# vm.py, reports its status and powers off.

export PATH=/usr/sbin:/usr/bin HOME=/tmp LC_ALL=C.UTF-8

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
ln -s fd/1 /dev/stdout
ln -s fd/2 /dev/stderr
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm

# The settings from vm.py, in a /run that is hidden below.
run=$(sed -n 's/.*guest\.run=\([^ ]*\).*/\1/p' /proc/cmdline)
folder=/ term=dumb columns=80 rows=24 arguments=()
# shellcheck disable=SC1091 # made by vm.py
. "$run/settings"

if [[ $SPANS_TIER == uml* ]]; then
	port=/dev/tty1
	mkdir -p /dev/host
	mount -t hostfs host /dev/host -o "hostfs=$run"
	report=/dev/host/status
else
	port=/dev/ttyS1
	report=/dev/ttyS2
	stty -F $port raw -echo 2>/dev/null
fi

# scratch DIR: mounts a tmpfs on DIR, and keeps the folders visible that the script needs.
scratch() {
	local keep script=${arguments[0]:-}

	mount -t tmpfs scratch /mnt
	for keep in "$SPANS_TOP" "$SPANS_OUT" "$KERNEL_SOURCE" "${script%/*}"; do
		case $keep in "$1"/*)
			mkdir -p "/mnt${keep#"$1"}"
			mount --bind "$keep" "/mnt${keep#"$1"}"
			;;
		esac
	done
	if [ "${script%/*}" = "$1" ]; then cp -p "$script" /mnt/; fi
	mount --move /mnt "$1"
}
for dir in /tmp /run /var/tmp; do scratch $dir; done
mkdir -p /run/netns
ip link set lo up
# All messages go to the console, as a dying guest's log would be lost.
echo 7 >/proc/sys/kernel/printk
# The write also fails if kmemleak is off.
leak_detector=/sys/kernel/debug/kmemleak
{ echo clear >$leak_detector; } 2>/dev/null || leak_detector=
echo "spans: guest ready" >/dev/kmsg
# A missing checker fails the run.
[ -z "${SPANS_LEAKS:-}" ] || [ -n "$leak_detector" ] || echo "BUG: the leak detector is off" >/dev/kmsg
if [[ $SPANS_TIER == *debug ]] && ! grep -q 'debug_locks: *1$' /proc/lockdep_stats; then
	echo "BUG: lockdep is off" >/dev/kmsg
fi

cd "$folder" 2>/dev/null || cd /
if [ ${#arguments[@]} = 0 ]; then
	# A shell with job control needs a controlling terminal.
	[ "$port" = /dev/tty1 ] || stty -F $port sane
	stty -F $port columns "$columns" rows "$rows"
	printf "PS1='%s %s:%s '\n" "$SPANS_TIER" "$(uname -r)" '\w\$' >/tmp/.bashrc
	# shellcheck disable=SC2094 # a terminal
	TERM=$term setsid --ctty bash --rcfile /tmp/.bashrc <$port >$port 2>&1
	status=$?
else
	# Through a pipe, so that programs do not behave as on a terminal.
	"${arguments[@]}" </dev/null 2>&1 | cat >$port
	status=${PIPESTATUS[0]}
fi

# Two scans, as the first one may report objects that RCU still has to free.
if [ -n "$leak_detector" ]; then
	echo scan >$leak_detector
	sleep 6
	echo scan >$leak_detector
	cat $leak_detector >/dev/kmsg
fi

echo "status $status" >$report
sync
# qemu (-no-reboot) and User Mode Linux (noreboot) exit instead.
exec perl -e 'syscall 169, 0xfee1dead, 0x28121969, 0x01234567, 0' # reboot(RESTART)
