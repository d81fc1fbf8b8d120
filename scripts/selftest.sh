#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftest.sh TIER [TEST...]: run the kselftests, all or the named ones, in one
# boot of a test kernel. Runs in the build root.
#
# They are installed beside the kernel's own libraries, as if they were
# tools/testing/selftests/drivers/net/spans of its source.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=$1
shift
kernel=$("$top/scripts/kernel.sh" "$tier")
ksft=$(readlink -f "$kernel/build/source")/tools/testing/selftests
dir=$out/kselftest
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

options=()
for test in "$@"; do
	grep -qxF "$collection:$test" "$dir/kselftest-list.txt" ||
		die "there is no test '$test'; there are: $(sed 's/.*://' "$dir/kselftest-list.txt" | xargs)"
	options+=(-t "$collection:$test")
done

if [ "$tier" = debug ]; then export TIMEOUT=${TIMEOUT:-4200}; else export TIMEOUT=${TIMEOUT:-2400}; fi
exec "$top/scripts/vm.sh" "$tier" "$dir/run_kselftest.sh" "${options[@]}"
