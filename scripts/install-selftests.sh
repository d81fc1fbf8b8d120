#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install-selftests.sh DIR: installs the selftests and the kernel's kselftest libraries in DIR,
# as tools/testing/selftests/drivers/net/spans of its source, for run_kselftest.sh. Runs in the
# build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$1
ksft=$(readlink -f "$("$top/scripts/kernel.sh" stock)/build/source")/tools/testing/selftests
collection=drivers/net/spans

mkdir -p "$dir/net"
exec {lock}>"$dir/.lock"
flock "$lock"
rsync -a "$ksft/run_kselftest.sh" "$ksft/kselftest" "$dir/"
rsync -a "$ksft/net/lib.sh" "$ksft/net/lib" "$dir/net/"
make -s -C "$top/selftests" KSFT="$ksft" OUTPUT="$dir/$collection" \
	INSTALL_PATH="$dir/$collection.new" install
rsync -a --delete "$dir/$collection.new/" "$dir/$collection/"
rm -r "$dir/$collection.new"
make -s -C "$top/selftests" KSFT="$ksft" COLLECTION="$collection" emit_tests \
	>"$dir/kselftest-list.txt"
