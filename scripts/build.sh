#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh TIER [NAME [SOURCE]]: builds spans.ko and the test modules for a test kernel in
# build/NAME (default: TIER) from SOURCE (default: this checkout), with a module tree of that
# kernel for modprobe. Runs in the build root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=$1
kernel=$("$top/scripts/kernel.sh" "$tier")
release=$(<"$kernel/release")
dir=$out/${2:-$tier}
src=${3:-$top}

case $tier in
stock) options=(CC=x86_64-linux-gnu-gcc-14) ;;
uml) options=(ARCH=um CC=x86_64-linux-gnu-gcc-14) ;;
uml-debug) options=(ARCH=um LLVM=-19) ;;
*) options=(LLVM=-19) ;;
esac
# Without vmlinux there is no BTF; this suppresses a message for each module.
options+=(CONFIG_DEBUG_INFO_BTF_MODULES=)
if [ -n "${CLIPPY:-}" ]; then options+=("CLIPPY=$CLIPPY"); fi

# Concurrent runs may build the same.
mkdir -p "$dir"
exec {lock}>"$dir/.lock"
flock "$lock"

# A build tree belongs to one kernel tree.
if [ "$(cat "$dir/.kernel" 2>/dev/null)" != "$kernel" ]; then
	find "$dir" -mindepth 1 ! -name .lock -delete
	echo "$kernel" >"$dir/.kernel"
fi

mkdir -p "$dir/kbuild"
make -C "$kernel/build" M="$src" MO="$dir/kbuild" "${options[@]}" -j"$(nproc)" --no-print-directory modules

# Test modules.
if [ -d "$src/selftests/test_modules" ]; then
	mkdir -p "$dir/test_modules"
	make -C "$kernel/build" M="$src/selftests/test_modules" MO="$dir/test_modules" \
		"${options[@]}" --no-print-directory modules
fi

if ! cmp -s "$dir/kbuild/rust/spans.ko" "$dir/spans.ko"; then
	tree=$dir/modules/$release
	mkdir -p "$tree/updates"
	cp -alf "$kernel/modules/$release/kernel" "$tree/" 2>/dev/null ||
		cp -a "$kernel/modules/$release/kernel" "$tree/"
	find "$kernel/modules/$release" -maxdepth 1 -name 'modules.*' ! -name '*.bin' -exec cp -t "$tree" {} +
	cp "$dir/kbuild/rust/spans.ko" "$tree/updates/"
	mkdir -p "$dir/depmod/lib"
	ln -sfn "$dir/modules" "$dir/depmod/lib/modules"
	depmod -b "$dir/depmod" "$release"
	cp "$dir/kbuild/rust/spans.ko" "$dir/spans.ko"
fi
