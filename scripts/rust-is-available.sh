#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rust-is-available.sh KDIR: checks whether a Rust module can be built against this kernel tree
# with the compilers in PATH. Exits 0, or prints the missing requirement. (The kernel's script
# of this name checks for building the kernel itself.)
# rust-is-available.sh --running: prints the tree of the running kernel if it is suitable.

set -euo pipefail

if [ "${1:-}" = --running ]; then
	kdir=/lib/modules/$(uname -r)/build
	if "$0" "$kdir" 2>/dev/null; then echo "$kdir"; fi
	exit 0
fi
kdir=${1:-}
rustc=${RUSTC:-rustc}
bindgen=${BINDGEN:-bindgen}

no() {
	printf 'spans: %s: %s\n' "$kdir" "$*" >&2
	exit 1
}

config() { sed -n "s/^$1=\"*\([^\"]*\)\"*$/\1/p" "$kdir/include/config/auto.conf"; }

[ -n "$kdir" ] || { echo "spans: KDIR= is empty: name the kernel's tree, or leave KDIR out" >&2; exit 1; }
[ -d "$kdir" ] || no "there is no such folder"
[ -e "$kdir/include/config/auto.conf" ] ||
	no "this is not a configured kernel tree: include/config/auto.conf is missing"
release=$(cat "$kdir/include/config/kernel.release" 2>/dev/null || echo unknown)
[ "$(printf '7.2\n%s\n' "$release" | sort -V | head -n 1)" = 7.2 ] ||
	no "this is $release, but spans needs 7.2 or newer"
[ "$(config CONFIG_RUST)" = y ] || no "this kernel was built without CONFIG_RUST"
[ "$(config CONFIG_CFI)" != y ] ||
	no "this kernel checks indirect calls (CONFIG_CFI), which spans does not support"
for file in rust/libkernel.rmeta rust/libcore.rmeta rust/libpin_init.rmeta rust/libmacros.so; do
	[ -e "$kdir/$file" ] ||
		no "the Rust metadata is missing ($file); on Debian, 'make KERNEL_RELEASE=\$(uname -r)' makes it, elsewhere your distribution has a package for it or 'make modules_prepare' in the kernel's source"
done
command -v "$rustc" >/dev/null || no "rustc is not installed"
command -v "$bindgen" >/dev/null || no "bindgen is not installed"
wanted=$(config CONFIG_RUSTC_VERSION_TEXT)
found=$("$rustc" --version)
[ "$wanted" = "$found" ] ||
	no "it was compiled by $wanted, but $rustc is $found; symbols of different compilers do not match"
