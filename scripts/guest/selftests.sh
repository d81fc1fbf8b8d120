#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# selftests.sh DIR SCRIPT[:TEST,TEST...]...: runs installed selftests, or only the named tests of a
# script, by run_kselftest.sh. scripts/test.py reads the output.

dir=$1
shift
collection=drivers/net/spans
options=()
for script in "$@"; do
	name=${script%%:*}
	options+=(-t "$collection:$name.sh")
	if [ "$script" != "$name" ]; then
		tests=${script#*:}
		# The runner's variable for the arguments of a script.
		export "KSELFTEST_${name^^}_SH_ARGS=${tests//,/ }"
	fi
done
exec "$dir/run_kselftest.sh" "${options[@]}"
