#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftests.sh DIR SCRIPT[:TEST,TEST...]...: run installed kselftests in a guest by the
# kernel's own runner, each script with all of its tests or only the named ones.
# scripts/test.py reads the output.

dir=$1
shift
collection=drivers/net/spans
options=()
for script in "$@"; do
	name=${script%%:*}
	options+=(-t "$collection:$name.sh")
	if [ "$script" != "$name" ]; then
		tests=${script#*:}
		# The runner's word for the arguments of a script.
		export "KSELFTEST_${name^^}_SH_ARGS=${tests//,/ }"
	fi
done
exec "$dir/run_kselftest.sh" "${options[@]}"
