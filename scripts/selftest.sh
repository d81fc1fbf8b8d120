#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftest.sh TIER [TEST...]: run the kselftests, all or the named ones, in freshly
# booted test kernels. Runs in the build root.
#
# A test that looks at time has a line "# clock: virtual", and runs on one (see vm.sh). The
# others need CPUs that are at it at once, and run after them, in a guest of their own.
# "virtual" and "real" instead of a test are all of that kind. CLOCK=virtual and CLOCK=real
# run whatever is asked for in one guest. AGAIN=yes gives what failed a second try.
#
# They are installed beside the kernel's own libraries, as if they were
# tools/testing/selftests/drivers/net/spans of its source.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=$1
shift
kernel=$("$top/scripts/kernel.sh" "$tier")
ksft=$(readlink -f "$kernel/build/source")/tools/testing/selftests
# Two kernels may be tested at once, and one with and without its leak detector.
dir=$out/kselftest-$tier${KMEMLEAK:+-leaks}
collection=drivers/net/spans

mkdir -p "$dir"
(
	flock 9
	rsync -a --delete --exclude=/drivers --exclude=/kselftest-list.txt \
		"$ksft/run_kselftest.sh" "$ksft/kselftest" "$dir/"
	mkdir -p "$dir/net"
	rsync -a "$ksft/net/lib.sh" "$ksft/net/lib" "$dir/net/"
	rm -rf "${dir:?}/$collection"
	make -s -C "$top/selftests" KSFT="$ksft" OUTPUT="$dir/$collection" \
		INSTALL_PATH="$dir/$collection" install
	make -s -C "$top/selftests" KSFT="$ksft" COLLECTION="$collection" emit_tests \
		>"$dir/kselftest-list.txt"
) 9>"$out/.kselftest.lock"

mapfile -t all < <(sed 's/.*://' "$dir/kselftest-list.txt")
[ $# -gt 0 ] || set -- virtual real

clock_of() {
	if grep -qx '# clock: virtual' "$dir/$collection/$1"; then echo virtual; else echo real; fi
}

virtual=() real=()
for name in "$@"; do
	asked=no
	for test in "${all[@]}"; do
		clock=$(clock_of "$test")
		[[ $name == "$test" || $name == "$clock" ]] || continue
		asked=yes
		if [ "$clock" = real ]; then real+=("$test"); else virtual+=("$test"); fi
	done
	[ $asked = yes ] || die "there is no test '$name'; there are: ${all[*]}"
done

# boot CLOCK TEST...: in one guest.
boot() {
	local clock=$1 options=() test

	shift
	for test in "$@"; do options+=(-t "$collection:$test"); done
	CLOCK=$clock "$top/scripts/vm.sh" "$tier" "$dir/run_kselftest.sh" "${options[@]}"
}

# run CLOCK TEST...: as boot. With AGAIN=yes, what failed is run once more, in another guest:
# the machine below may have stood still for seconds. As in the CI of netdev, what passes then
# is no failure, but told. What the kernel complained about always is one.
run() {
	local log=$dir/$tier-${1:-all}.log status=0 again

	[ $# -gt 1 ] || return 0
	if [ "${AGAIN:-no}" = no ]; then
		boot "$@"
		return
	fi
	boot "$@" 2>&1 | tee "$log" | sed -u 's/^not ok /# the first time: &/' || status=$?
	mapfile -t again < <(sed -n "s|^not ok [0-9]* selftests: $collection: \([a-z0-9_]*\.sh\).*|\1|p" "$log")
	if [ "$status" = 0 ]; then return; fi
	if [ "$status" = 98 ] || [ "$status" = 99 ] || [ ${#again[@]} = 0 ] || [ -e "$out/time-over" ]; then
		grep '^not ok ' "$log" || :
		return "$status"
	fi
	echo "# once more: ${again[*]}"
	# However late it is.
	BUDGET='' boot "$1" "${again[@]}"
}

if [ "$tier" = debug ]; then export TIMEOUT=${TIMEOUT:-4800}; else export TIMEOUT=${TIMEOUT:-3600}; fi
if [ -n "${CLOCK:-}" ] || [ "$tier" = uml ]; then
	run "${CLOCK:-}" "${virtual[@]}" "${real[@]}"
else
	status=0
	run virtual "${virtual[@]}" || status=$?
	run real "${real[@]}" || status=$?
	exit $status
fi
