#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh [quick]: static checks: formatting, lints, and properties of the tree such as where
# unsafe code may be. Prints TAP.
#
# quick omits the test that builds another module. Runs in the build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$top"

case ${1:-} in
quick) quick=yes ;;
'') quick= ;;
*) die "check.sh takes nothing or 'quick', not '$1'" ;;
esac
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
texts=()

# check TEXT COMMAND...: starts a test in the background, at most one for each CPU at a time.
check() {
	local number=$((${#texts[@]} + 1))
	while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n || :; done
	texts+=("$1")
	shift
	{
		local rc=0
		"$@" || rc=$?
		echo $rc >"$results/$number.status"
	} >"$results/$number" 2>&1 &
}

# verdicts: prints the results in the order of the tests, with their output as comments.
verdicts() {
	local number=0 failed=0 text
	wait
	for text in "${texts[@]}"; do
		number=$((number + 1))
		sed 's/^/# /' "$results/$number"
		if [ "$(cat "$results/$number.status" 2>/dev/null)" = 0 ]; then
			echo "ok $number - check: $text"
		else
			echo "not ok $number - check: $text"
			failed=1
		fi
	done
	echo "1..$number"
	return $failed
}

# files PATTERN...: the existing files of git. A deleted file stays in the index until a commit.
files() {
	git -c safe.directory="$top" ls-files --cached --others --exclude-standard -- "$@" |
		while read -r file; do if [ -e "$file" ]; then echo "$file"; fi; done
}

mapfile -t rust < <(files '*.rs')
mapfile -t c < <(files '*.c' '*.h' ':!*/trace.h')
mapfile -t trace < <(files '*/trace.h')
mapfile -t shell < <(files '*.sh' .ci/run)
mapfile -t python < <(files '*.py')
if [ ${#rust[@]} = 0 ] || [ ${#shell[@]} = 0 ] || [ ${#python[@]} = 0 ]; then die "git lists no files here"; fi

# --- formatting and lints ------------------------------------------------------------------------

formatted() { rustfmt --check --edition 2021 "${rust[@]}" | head -n 40; }

# Results are cached by the contents of a file and of the files that it includes.
shellchecked() {
	local seen=$out/shellcheck file stamp common todo=()
	mkdir -p "$seen"
	common=$({ shellcheck --version; cat .shellcheckrc selftests/.shellcheckrc scripts/lib.sh selftests/lib.sh; } | key -)
	for file in "${shell[@]}"; do
		stamp=$seen/$({ echo "$common $file"; cat "$file"; } | key -)
		[ -e "$stamp" ] || todo+=("$file" "$stamp")
	done
	[ ${#todo[@]} -gt 0 ] || return 0
	# shellcheck disable=SC2016 # the variables of another shell
	printf '%s\0' "${todo[@]}" | xargs -0 -n 2 -P "$(nproc)" bash -c 'shellcheck "$0" && : >"$1"'
}

compiled() {
	python3 -W error -c '
import sys
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        compile(file.read(), name, "exec")
' "${python[@]}"
}

# Ignored types: this is no kernel tree with MAINTAINERS, helpers are declared in the file that
# includes them, and trace events are formatted as in the kernel.
checkpatch() {
	local script ignored=FILE_PATH_CHANGES,SPDX_LICENSE_TAG,NEW_TYPEDEFS,AVOID_EXTERNS
	script=$(readlink -f "$kernel/build/source")/scripts/checkpatch.pl
	"$script" --no-tree --terse --strict --ignore "$ignored" -f "${c[@]}" &&
		"$script" --no-tree --terse --strict \
			--ignore "$ignored,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT" -f "${trace[@]}"
}

licensed() {
	local file missing=0
	while read -r file; do
		case $file in
		LICENSE | .gitignore | *.config | README.md | scripts/root.packages | rust/bindings_parameters) continue ;;
		Cargo.toml | */Cargo.toml | .rustfmt.toml | *.proptest-regressions | *.shellcheckrc) continue ;;
		selftests/config | selftests/settings | selftests/mutants/*.patch) continue ;;
		esac
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' && continue
		echo "$file has no SPDX-License-Identifier"
		missing=1
	done < <(files)
	return "$missing"
}

selftests_listed() {
	local file missing=0
	for file in selftests/*.sh; do
		[ "$file" = selftests/lib.sh ] && continue
		[ -x "$file" ] || { echo "$file is not executable"; missing=1; }
		grep -qE "^\s*${file##*/} " selftests/Makefile || { echo "$file is not in selftests/Makefile"; missing=1; }
	done
	return "$missing"
}

# Prose and comments speak of things; scripts/words.py has the words that name none.
plain_words() {
	local texts said
	mapfile -t texts < <(files '*.rst' '*.md' ':!scripts/words.py')
	said=$(scripts/words.py "${texts[@]}" "${rust[@]}" "${c[@]}" "${trace[@]}" "${shell[@]}" "${python[@]}") ||
		{ echo "$said"; return 1; }
}

# Imports have one direction.
no_circles() { scripts/circles.py rust/spans rust/logic; }

# The table in testing.rst must be that of plan.toml.
plan_documented() {
	diff <(scripts/test.py table) <(sed '1,/^\.\. plan$/d; /^\.\. end of plan$/,$d; /^$/d' Documentation/testing.rst)
}

# --- properties ----------------------------------------------------------------------

# Counts unsafe code, which must be in rust/net. SAFETY comments are checked by clippy
# (undocumented_unsafe_blocks).
unsafe_census() {
	awk '
	{ sub(/\/\/.*/, "") }
	/(^|[^a-z_])unsafe([ \t]+(impl|fn|extern|trait)|[ \t]*\{|[ \t]*$)/ {
		area = FILENAME
		gsub(/^rust\/|[.\/].*/, "", area)
		if (area == FILENAME) area = substr(area, 6)
		count[area]++
	}
	/(allow|expect)\(.*unsafe_code/ { allowed[FILENAME]++ }
	END {
		for (area in count) {
			printf "%-12s %4d unsafe\n", "rust/" area, count[area]
			if (area != "net") bad = 1
		}
		for (file in allowed) if (file != "rust/spans_main.rs" && file != "rust/net/bindings.rs") {
			print file " allows unsafe code"
			bad = 1
		}
		exit bad
	}' "${rust[@]}"
}

forbidden() {
	grep -q '^#!\[forbid(unsafe_code)\]' rust/logic/lib.rs || { echo "rust/logic does not forbid unsafe code"; return 1; }
	grep -q '^#!\[deny(unsafe_code)\]' rust/spans_main.rs || { echo "the module does not deny unsafe code"; return 1; }
}

# No index, slice or unwrap in the module can panic: the compiler has removed all such calls.
# (Overflow checks by CONFIG_RUST_OVERFLOW_CHECKS remain, also in the kernel crate.)
no_panics() {
	[ -s "$out/clippy/spans.ko" ] || { echo "there is no module"; return 1; }
	! nm -u "$out/clippy/spans.ko" | grep -E 'panicking|_failed|_fail$' | grep -vE '_overflow$|__stack_chk_fail$'
}

# A driver that drops an `SkBuff` without a reason must not link.
lost_packets_do_not_link() {
	local copy=$out/lost-source
	rm -rf "$copy"
	mkdir -p "$copy"
	cp -r Kbuild rust include "$copy/"
	sed -i 's/lost\.push_back(skb);/drop(skb);/' "$copy/rust/spans/segment/forward.rs"
	if cmp -s rust/spans/segment/forward.rs "$copy/rust/spans/segment/forward.rs"; then
		echo "lost.push_back(skb) is not in forward.rs any more: adapt this test"
		return 1
	fi
	if "$top/scripts/build.sh" stock lost "$copy" >"$copy.log" 2>&1; then
		echo "a module that loses a packet was built"
		return 1
	fi
	grep -q 'rust_build_error' "$copy.log" || { tail -n 20 "$copy.log"; return 1; }
}

# A kernel with CFI would crash at the first packet.
cfi_refused() {
	local said sentence='spans: this kernel checks indirect calls (CONFIG_CFI)' tree=$out/cfi-tree
	if said=$(make -C "$kernel/build" M="$top" MO="$out/cfi" CONFIG_CFI=y modules 2>&1) ||
	   [[ $said != *"$sentence"* ]]; then
		echo "the build was not refused: ${said: -500}"
		return 1
	fi
	mkdir -p "$tree/include/config"
	printf 'CONFIG_RUST=y\nCONFIG_CFI=y\n' >"$tree/include/config/auto.conf"
	echo 7.2.0 >"$tree/include/config/kernel.release"
	if said=$(scripts/rust-is-available.sh "$tree" 2>&1) || [[ $said != *"(CONFIG_CFI)"* ]]; then
		echo "KDIR was not refused: $said"
		return 1
	fi
}

# A warning of clippy, rustc or gcc is an error, so that the object is compiled again, with the
# warning, in the next run.
no_warnings() {
	local log=$out/clippy.log rc=0 said
	CLIPPY=1 KRUSTFLAGS=-Dwarnings KCFLAGS=-Werror "$top/scripts/build.sh" stock clippy >"$log" 2>&1 || rc=$?
	said=$(grep -iE -A 12 '^(warning|error)|: (warning|error):' "$log")
	[ "$rc" = 0 ] && [ -z "$said" ] && return
	head -n 60 <<<"${said:-$(tail -n 40 "$log")}"
	return 1
}

clippy_of_the_logic() {
	cargo clippy -q --all-targets --manifest-path rust/logic/Cargo.toml --target-dir "$out/cargo" -- -D warnings
}

# --- what runs -----------------------------------------------------------------------

kernel=$("$top/scripts/kernel.sh" stock)

# Longest first.
check "the module builds without a warning of clippy, rustc or gcc" no_warnings
if [ -z "$quick" ]; then check "a module that loses a packet does not link" lost_packets_do_not_link; fi
check "a kernel with CFI is refused" cfi_refused
check "clippy on rust/logic" clippy_of_the_logic
check "shellcheck" shellchecked
check "rustfmt" formatted
check "python compiles" compiled
check "checkpatch on the C parts" checkpatch
check "every file has an SPDX licence line" licensed
check "every selftest is in selftests/Makefile" selftests_listed
check "testing.rst has the table of plan.toml" plan_documented
check "prose names things" plain_words
check "modules import in one direction" no_circles
check "unsafe code is only in rust/net" unsafe_census
check "rust/logic and the module forbid unsafe code" forbidden
wait
check "no index, slice or unwrap in the module can panic" no_panics
verdicts
