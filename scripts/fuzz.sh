#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh SECONDS: fuzzes the parsers of ARP and CLS and the ARP table with libFuzzer. Prints
# TAP. Runs in the build root.
#
# The corpus stays in build/fuzz for the next run, and so do failing inputs, which the next run
# tries first.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$top"

seconds=${1:-60}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || die "fuzz.sh: '$seconds' is not a number of seconds"
dir=$out/fuzz
target=x86_64-unknown-linux-gnu

# The options of cargo-fuzz, which needs a nightly rustc only for the sanitizers; safe code does
# not need these. libfuzzer-sys contains libFuzzer; edges are counted by an LLVM pass.
build() {
	CC=clang-19 CXX=clang++-19 RUSTFLAGS="-C linker=clang-19 -C codegen-units=1 \
		-C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=4 \
		-C llvm-args=-sanitizer-coverage-inline-8bit-counters \
		-C llvm-args=-sanitizer-coverage-pc-table \
		-C llvm-args=-sanitizer-coverage-trace-compares" \
		cargo build --release --target "$target" \
		--manifest-path rust/logic/fuzz/Cargo.toml --target-dir "$dir/cargo"
}

# frame: a broadcast ARP request, as a seed of the corpus.
frame() {
	printf '\377\377\377\377\377\377\377\377\2\0\0\0\0\0\0\2\0\0\0\0\252\252\3\0\0\0\10\6'
	printf '\100\100\10\0\10\4\0\1\2\0\0\0\0\0\0\2\12\0\0\2\0\0\0\0\0\0\0\0\12\0\0\1'
	printf '\2\0\0\0\0\0\0\1'
}

number=0
failed=0

# found NAME [ACTION]: the failing inputs of a target.
found() {
	find "$dir" -maxdepth 1 -type f \( -name "$1.crash-*" -o -name "$1.timeout-*" -o -name "$1.oom-*" \) "${@:2}"
}

# fuzz NAME SECONDS LENGTH: fuzzes a target.
fuzz() {
	local name=$1 run=$dir/cargo/$target/release/$1 log=$dir/$1.log crash rc=0
	number=$((number + 1))
	found "$name" -exec mv -t "$dir/corpus/$name" {} +
	"$run" -max_total_time="$2" -max_len="$3" -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$dir/$name." "$dir/corpus/$name" >"$log" 2>&1 || rc=$?
	grep -E '^stat::(number_of_executed|new_units)' "$log" | sed 's/^stat::/# /' || :
	if [ "$rc" = 0 ]; then
		echo "ok $number - fuzz: $name"
		return
	fi
	failed=1
	crash=$(found "$name")
	if [ -n "$crash" ]; then
		# Minimise the input, for at most ten seconds.
		"$run" -minimize_crash=1 -max_total_time=10 -artifact_prefix="$dir/$name.shorter-" \
			-exact_artifact_path="$dir/$name.short" "$crash" >>"$log" 2>&1 || :
		[ ! -s "$dir/$name.short" ] || mv "$dir/$name.short" "$crash"
		SHOW=1 "$run" -timeout=10 "$crash" 2>&1 |
			grep -vE "^(INFO|WARNING|Running:|NOTE|==|MS:|SUMMARY|$run| +Combine)|^$" |
			head -n 60 | sed 's/^/# /' || :
		echo "# to reproduce: scripts/enter.sh env SHOW=1 $run $crash"
	else
		tail -n 20 "$log" | sed 's/^/# /'
	fi
	echo "not ok $number - fuzz: $name"
}

mkdir -p "$dir"/corpus/{parsers,sequences}
step "building the fuzz targets" build
frame >"$dir/corpus/parsers/frame"
echo "TAP version 13"
# The parsers need less time than the table.
fuzz parsers $(((seconds + 4) / 5)) 100
fuzz sequences $((seconds - seconds / 5)) 603
echo "1..$number"
exit $failed
