#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh: every automatic test, in TAP, with a count at the end. Runs in the
# build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$top"

mkdir -p "$out"
results=$out/test.tap
times=$out/test.times
: >"$results"
: >"$times"

# stage NAME COMMAND...: run one stage, pass on what it prints, and number its
# results anew. A stage that fails without a result to show for it is one.
stage() {
	local name=$1 began=$SECONDS rc=0
	shift
	say "==> $name"
	"$@" 2>&1 | mawk -W interactive -v "stage=$name" -v "results=$results" '
		# cargo: test path::name ... ok
		/^test .* \.\.\. (ok|FAILED|ignored)/ {
			word = $NF == "ok" ? "ok" : $NF == "ignored" ? "ok" : "not ok"
			line = word " - " stage ": " $2 ($NF == "ignored" ? " # SKIP" : "")
		}
		# TAP, of our own or of kselftest; what is indented or behind # is detail
		/^(not )?ok [0-9]+/ {
			line = $0
			sub(/ok [0-9]+ *(- )?/, "ok - " stage ": ", line)
		}
		line != "" { print line >> results; print line; line = ""; fflush(); next }
		/^1\.\.[0-9]+$/ || /^TAP version/ { next }
		{ print /^#/ ? $0 : "# " $0; fflush() }
	' || rc=$?
	if [ "$rc" != 0 ] && ! grep -q "^not ok - $name: " "$results"; then
		echo "not ok - $name: ended with status $rc" | tee -a "$results"
	fi
	printf '%6d s  %s\n' $((SECONDS - began)) "$name" >>"$times"
}

# Whoever runs this may stop it after BUDGET seconds, and then know nothing. Selftests that
# would begin in the last sixth are skipped, and say so.
over=$out/time-over
rm -f "$over"
if [ -n "${BUDGET:-}" ]; then
	{ sleep $((BUDGET * 5 / 6)) && : >"$over"; } >/dev/null 2>&1 &
	clock=$!
	trap 'kill $clock 2>/dev/null || :' EXIT
fi
export AGAIN=yes

echo "TAP version 13"
stage "stock kernel" scripts/build.sh stock
stage "debug kernel" scripts/build.sh debug
# A guest keeps one CPU busy, hardly more, and most of the work is the debug kernel's: all
# else goes beside it. What it mounts is its own.
{
	echo 1 >"$out/debug.status"
	unshare --mount scripts/selftest.sh debug && echo 0 >"$out/debug.status"
} >"$out/debug.log" 2>&1 &
beside=$!
joined() {
	tail --pid=$beside -n +1 -f "$out/debug.log"
	return "$(<"$out/debug.status")"
}
stage "logic" cargo test --manifest-path rust/logic/Cargo.toml --target-dir "$out/cargo"
stage "fuzz" scripts/fuzz.sh 60
stage "check" env CLIPPY=1 scripts/check.sh
stage "vm" scripts/vm-test.sh stock
stage "stock" scripts/selftest.sh stock
# The leak detector makes a debug kernel four times slower: only what takes
# everything down again.
leaks() {
	if [ -e "$over" ]; then
		echo "ok 1 unload.sh # SKIP no time is left for this"
	else
		KMEMLEAK=1 scripts/selftest.sh debug unload.sh
	fi
}
stage "debug, leaks" leaks
stage "debug" joined

# Some skipped tests may be what a slow machine costs, but most?
for name in stock debug; do
	late=$(grep -c "^ok - $name: .*# SKIP" "$results" || :)
	done=$(grep "^ok - $name: " "$results" | grep -vc '# SKIP' || :)
	if ((done <= late)); then
		echo "not ok - $name: $done selftests were run, $late were not" | tee -a "$results"
	fi
done

passed=$(grep -c '^ok' "$results" || :)
failed=$(grep -c '^not ok' "$results" || :)
skipped=$(grep -ci '^ok.*# skip' "$results" || :)
echo "1..$((passed + failed))"
sed 's/^/# /' "$times"
echo "$((passed - skipped)) passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
