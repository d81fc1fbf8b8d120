#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# vm-test.sh [KERNEL]: tests the exit status of vm.py. Prints TAP. Runs in the build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=${1:-stock}
"$top/scripts/build.sh" "$tier" >/dev/null
export BUILD=$tier
number=0
failed=0
script=$(mktemp -p "$out" vm-test.XXXXXX)
trap 'rm -f "$script"' EXIT
chmod +x "$script"

# verdict WANTED TEXT [ARGUMENT...]: the script on standard input must give this status.
verdict() {
	local wanted=$1 text=$2 rc=0 said
	shift 2
	cat >"$script"
	said=$(TIMEOUT=${limit:-180} "$top/scripts/vm.py" "$tier" "$script" "$@" 2>&1) || rc=$?
	judge
}

judge() {
	number=$((number + 1))
	if [ "$rc" = "$wanted" ]; then
		echo "ok $number - vm: $text"
	else
		printf '# %s\n' "${said//$'\n'/$'\n'# }"
		echo "not ok $number - vm: $text (wanted $wanted, got $rc)"
		failed=1
	fi
}

verdict 0 "success, with arguments" "two words" <<'E2'
#!/bin/bash
[ "$1" = "two words" ] && [ -e "$SPANS_KO" ] && echo "hello"
E2
verdict 7 "the script's own status" <<'E2'
#!/bin/bash
exit 7
E2
verdict 99 "a panic" <<'E2'
#!/bin/bash
echo 1 >/proc/sys/kernel/sysrq 2>/dev/null
# User Mode Linux has no sysrq: reboot instead.
[ -e /proc/sysrq-trigger ] && echo c >/proc/sysrq-trigger
perl -e 'syscall 169, 0xfee1dead, 0x28121969, 0x01234567, 0' # reboot(RESTART)
E2
limit=20 verdict 99 "a script that does not end" <<'E2'
#!/bin/bash
trap '' TERM HUP
while :; do sleep 1; done
E2
verdict 98 "a warning of the kernel, behind a script that succeeds" <<'E2'
#!/bin/bash
echo "<4>WARNING: CPU: 0 PID: 1 at nothing" >/dev/kmsg
E2

# A shell, which loses input before its start.
wanted=3 text="the status of a shell" rc=0
said=$( (while sleep 2; do echo "exit 3"; done) | TIMEOUT=180 "$top/scripts/vm.py" "$tier" 2>&1) || rc=$?
judge
echo "1..$number"
exit "$failed"
