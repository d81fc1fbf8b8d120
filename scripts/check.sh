#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# check.sh: what can be seen without running anything: form, lints, and the
# promises that the tree makes about itself. Prints TAP. CLIPPY=1 adds clippy.
# Runs in the build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$top"

number=0
failed=0

# check TEXT COMMAND...: one test; what it prints comes as a comment.
check() {
	local text=$1 said rc=0
	shift
	number=$((number + 1))
	said=$("$@" 2>&1) || rc=$?
	if [ -n "$said" ]; then printf "# %s\n" "${said//$'\n'/$'\n'# }"; fi
	if [ "$rc" = 0 ]; then
		echo "ok $number - check: $text"
	else
		echo "not ok $number - check: $text"
		failed=1
	fi
}

files() { git -c safe.directory="$top" ls-files --cached --others --exclude-standard -- "$@"; }

mapfile -t rust < <(files '*.rs')
mapfile -t c < <(files '*.c' '*.h')
mapfile -t shell < <(files '*.sh')

# --- form ------------------------------------------------------------------------

formatted() { rustfmt --check --edition 2021 "${rust[@]}" | head -n 40; }

checkpatch() {
	local kernel
	kernel=$("$top/scripts/kernel.sh" stock)
	# Not a kernel tree, so no MAINTAINERS, and no "new file" either. Helpers are
	# named after what they wrap, and one file includes the others.
	"$(readlink -f "$kernel/build/source")/scripts/checkpatch.pl" --no-tree --terse --strict \
		--ignore FILE_PATH_CHANGES,SPDX_LICENSE_TAG,NEW_TYPEDEFS,AVOID_EXTERNS -f "${c[@]}" |
		grep -E '(ERROR|WARNING|CHECK):' && return 1
	return 0
}

licensed() {
	local file missing=0
	while read -r file; do
		case $file in LICENSE | .gitignore | *.config | README.md | scripts/root.packages | rust/bindings_parameters) continue ;; esac
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0' && continue
		echo "$file has no SPDX-License-Identifier"
		missing=1
	done < <(files | grep -vE '\.(toml|proptest-regressions)$|^selftests/(config|settings)$|\.shellcheckrc$')
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

# --- promises ----------------------------------------------------------------------

# How much unsafe code there is, and that none is where it may not be. That each
# piece argues is clippy's to see (undocumented_unsafe_blocks).
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

no_warnings() {
	local log=$out/check.log
	rm -rf "$out/check"
	if ! CLIPPY='' "$top/scripts/build.sh" stock check >"$log" 2>&1; then tail -n 20 "$log"; return 1; fi
	! grep -iE 'warning|error' "$log" | grep -v 'Skipping BTF'
}

# No index, slice or unwrap in the module can fail: the compiler has seen that it
# does not. (Sums that overflow are CONFIG_RUST_OVERFLOW_CHECKS' affair: there are
# such checks in the kernel crate's own containers.)
no_panics() {
	! nm -u "$out/check/spans.ko" | grep -E 'panicking|_failed|_fail$' | grep -vE '_overflow$|__stack_chk_fail$'
}

# A driver that loses a packet must not link.
lost_packets_do_not_link() {
	local copy=$out/lost-source
	rm -rf "$copy"
	mkdir -p "$copy"
	cp -r Kbuild rust include "$copy/"
	sed -i 's/lost\.push_back(skb);/drop(skb);/' "$copy/rust/spans/segment/carry.rs"
	if cmp -s rust/spans/segment/carry.rs "$copy/rust/spans/segment/carry.rs"; then
		echo "this test has to learn where packets are dropped now"
		return 1
	fi
	if "$top/scripts/build.sh" stock lost "$copy" >"$copy.log" 2>&1; then
		echo "a module that loses a packet was built"
		return 1
	fi
	grep -q 'rust_build_error' "$copy.log" || { tail -n 20 "$copy.log"; return 1; }
}

clippy() {
	local log=$out/clippy.log
	rm -rf "$out/clippy"
	if ! CLIPPY=1 "$top/scripts/build.sh" stock clippy >"$log" 2>&1; then tail -n 40 "$log"; return 1; fi
	if grep -qE '^(warning|error)' "$log"; then
		grep -E -A 12 '^(warning|error)' "$log" | head -n 60
		return 1
	fi
	cargo clippy -q --all-targets --manifest-path rust/logic/Cargo.toml --target-dir "$out/cargo" -- -D warnings
}

check "rustfmt" formatted
check "shellcheck" shellcheck "${shell[@]}"
check "checkpatch on the C parts" checkpatch
check "every file names its licence" licensed
check "every selftest is run" selftests_listed
check "unsafe code is where it may be" unsafe_census
check "unsafe code is forbidden where it may not be" forbidden
check "the module builds without a warning" no_warnings
check "no index, slice or unwrap in the module can fail" no_panics
check "a module that loses a packet does not link" lost_packets_do_not_link
if [ -n "${CLIPPY:-}" ]; then check "clippy" clippy; fi
echo "1..$number"
exit $failed
