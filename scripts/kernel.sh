#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh TIER: prepares a test kernel and prints its folder, which contains
#   release   the output of `uname -r`
#   build/    the tree to build modules against (KDIR)
#   image     the image for qemu, or the executable of User Mode Linux
#   modules/  its modules, as in /usr/lib/modules/<release>
#
# Tiers: stock = Debian's unmodified kernel; uml-debug, uml, debug = built from Debian's
# linux-source of the same version with scripts/configs. Runs in the build root.
#
# KERNEL_VERSION=7.3 takes another series, KERNEL_RELEASE=$(uname -r) the packages of the
# running kernel.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

tier=$1
series=${KERNEL_VERSION:-7.2}
flavour=cloud-amd64
release=
if [ -n "${KERNEL_RELEASE:-}" ]; then
	release=$KERNEL_RELEASE
	series=$(grep -oE '^[0-9]+\.[0-9]+' <<<"$release") ||
		die "KERNEL_RELEASE=$release does not begin with a version such as 7.2"
	flavour=${release#*+deb*-}
fi

# --- Debian's packages -------------------------------------------------------

versions() { apt-cache madison "$1" | awk -F ' *[|] *' '{ print $2 }'; }

has() { versions "$1" | grep -qxF "$2"; }

# package_set RELEASE: the packages of a release at a version that all of them have, or nothing.
# The signed image is a separate package that can lag behind the others.
package_set() {
	local rel=$1 source=linux-source-$series version package image
	while read -r version; do
		for package in "linux-base-$rel" "linux-modules-$rel" "$source"; do
			has "$package" "$version" || continue 2
		done
		for image in "linux-binary-$rel" "linux-binary-unsigned-$rel"; do
			has "$image" "$version" || continue
			printf "%s=$version\n" "linux-headers-$rel" "linux-base-$rel" "linux-modules-$rel" \
				"$image" "$source"
			return
		done
	done < <(versions "linux-headers-$rel")
}

# choose FILE: writes the newest complete set to FILE, in the cache. It is not fixed in this tree,
# as backports drop old versions.
choose() {
	local file=$1 rel set
	step "asking the mirror for kernel packages" apt-get update
	while read -r rel; do
		set=$(package_set "$rel")
		[ -n "$set" ] || continue
		printf '%s\n' "$rel" "$set" >"$file.new"
		mv "$file.new" "$file"
		say "    $rel: $(sed -n 's/.*=//p' <<<"$set" | head -n 1)"
		return
	done < <(
		if [ -n "$release" ]; then
			echo "$release"
		else
			apt-cache search --names-only "^linux-headers-${series//./[.]}[.].*-$flavour\$" |
				sed 's/^linux-headers-\([^ ]*\).*/\1/' | grep -E "[0-9]-$flavour\$" | sort -rV
		fi
	)
	die "the mirror has no matching set of headers, modules, image and source for ${release:-Linux $series ($flavour)}"
}

# download DIR PACKAGE=VERSION...: downloads and unpacks packages.
download() {
	local dir=$1 deb
	shift
	cd "$dir" || return
	apt-get download "$@"
	for deb in *.deb; do
		dpkg-deb -x "$deb" .
		rm "$deb"
	done
}

# fetch DIR PATTERN: downloads the chosen packages that match. If the mirror has dropped them
# since, the choice is removed and the next run chooses again.
fetch() {
	local dir=$1 pattern=$2 packages
	mapfile -t packages < <(grep -E "^$pattern" "$choice")
	if ! apt-get download --print-uris "${packages[@]}" >/dev/null 2>&1; then
		rm -f "$choice"
		die "${packages[0]} has left the mirror or the mirror cannot be reached; run again to take the newest set"
	fi
	step "downloading ${packages[0]%%=*}" download "$dir" "${packages[@]}"
}

# --- the source, for all tiers -------------------------------------------------

unpack_source() {
	tar -xf "$1"/usr/src/linux-source-*.tar.xz -C "$1" --strip-components=1
	rm -r "$1/usr/src"
}

make_source() {
	need_space 8 "a kernel source and its build"
	fetch "$1" linux-source-
	step "unpacking the kernel source" unpack_source "$1"
}

# --- stock ---------------------------------------------------------------------

rustc_of() { sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$1"; }

# Debian's headers have no Rust metadata. The same source, configuration and compiler give the
# same symbol names, which are compared with the exports of the kernel.
make_metadata() {
	local dir=$1 headers=$1/packages/usr/src/linux-headers-$release
	mkdir -p "$dir/build"
	cp "$headers/.config" "$dir/build/.config"
	make -C "$source" O="$dir/build" CC=x86_64-linux-gnu-gcc-14 KERNELRELEASE="$release" olddefconfig
	make -C "$source" O="$dir/build" CC=x86_64-linux-gnu-gcc-14 KERNELRELEASE="$release" \
		-j"$(nproc)" modules_prepare
	cp "$headers/Module.symvers" "$dir/build/"
}

# Each Rust symbol that the kernel exports must be in the new metadata.
check_metadata() {
	local dir=$1 headers=$1/packages/usr/src/linux-headers-$release missing total
	total=$(awk '$2 ~ /^_R/ { n++ } END { print n+0 }' "$headers/Module.symvers")
	missing=$(comm -23 <(awk '$2 ~ /^_R/ { print $2 }' "$headers/Module.symvers" | sort -u) \
		<(grep -ohE '_R[A-Za-z0-9_]+' "$dir"/build/rust/exports_*_generated.h | sort -u) | wc -l)
	[ "$total" -gt 0 ] || die "$release exports no Rust symbol: it was built without CONFIG_RUST"
	[ "$missing" = 0 ] ||
		die "$missing of $total Rust symbols of $release are missing in the metadata: it was compiled by $(rustc_of "$headers/.config"), the build root has $(rustc --version)"
	say "    all $total Rust symbols of $release are there"
}

make_stock() {
	local dir=$1 kernel_rustc
	need_space 4 "the metadata of $release"
	mkdir -p "$dir/packages"
	fetch "$dir/packages" "linux-(headers|base|modules|binary)-"
	kernel_rustc=$(rustc_of "$dir/packages/usr/src/linux-headers-$release/.config")
	[ "$kernel_rustc" = "$(rustc --version)" ] ||
		die "$release was compiled by $kernel_rustc, the build root has $(rustc --version): their symbols do not match"
	mv "$dir/packages/usr/lib/modules" "$dir/modules"
	mv "$dir/modules/$release"/vmlinuz* "$dir/image"
	step "making the Rust metadata of $release (about 80 seconds)" make_metadata "$dir"
	check_metadata "$dir"
	echo "$release" >"$dir/release"
}

# --- uml-debug, uml, debug: built from the source --------------------------------

configure_and_build() {
	local dir=$1 file=$1/fragment line lost=
	shift
	cat "$top/scripts/configs/common.config" "$top/scripts/configs/$tier.config" >"$file"
	make -C "$source" O="$dir/build" "$@" KCONFIG_ALLCONFIG="$file" allnoconfig
	while read -r line; do
		grep -qxF "$line" "$dir/build/.config" && continue
		# A disabled option may be missing.
		[[ $line == '# '* ]] && ! grep -q "^$(cut -d ' ' -f 2 <<<"$line")=" "$dir/build/.config" && continue
		lost+=" $line"
	done < <(grep -E '^(CONFIG_|# CONFIG_.* is not set)' "$file")
	if [ -n "$lost" ]; then
		echo "these options were dropped, a dependency is missing:$lost"
		return 1
	fi
	make -C "$source" O="$dir/build" "$@" -j"$(nproc)"
	make -C "$source" O="$dir/build" "$@" INSTALL_MOD_PATH="$dir/installed" modules_install
	mv "$dir/installed/lib/modules" "$dir/modules"
}

# mended_source DIR: a copy of the source, by hard links, with two changed files.
#
# clang compiles User Mode Linux with the large code model and puts zeroed data into .lbss,
# which the linker script leaves behind _end. Lockdep treats static lock keys there as dynamic
# ones and turns itself off at boot.
#
# KASAN and lockdep save stack traces very often, and User Mode Linux tests each word of the stack
# for a return address: each that is no kernel text was looked up in the modules, under RCU, which
# lockdep tracks. That took two thirds of the run time. Only words in the address range of modules
# need the lookup.
mended_source() {
	local script=arch/um/kernel/dyn.lds.S trace=arch/um/kernel/stacktrace.c
	cp -al "$source/." "$1"
	sed -i 's/^   \*(\.bss \.bss\.\* .*)$/&\n   *(.lbss .lbss.*)/' "$1/$script"
	sed -i 's/if (__kernel_text_address(addr))/if (addr < MODULES_VADDR ? core_kernel_text(addr) : __kernel_text_address(addr))/' \
		"$1/$trace"
	grep -q lbss "$1/$script" || die "$script of this kernel has changed: lockdep would be off"
	grep -q MODULES_VADDR "$1/$trace" || die "$trace of this kernel has changed: stack traces would be slow"
}

# The CPUs of a guest are threads. One that spins for a lock whose holder does not run makes no
# progress before the machine's scheduler turns to that one: where guests have to share CPUs, that
# was a quarter of their time.
yielding_source() {
	local dir=arch/um processor=arch/x86/um/asm/processor.h
	cp -al "$source/." "$1"
	sed -i 's/^static __always_inline void cpu_relax/void os_yield(void);\n\n&/; s/^\t\tnative_pause();/\t\tos_yield();/' \
		"$1/$processor"
	sed -i '$ a #include <sched.h>\nvoid os_yield(void);\nvoid os_yield(void) { sched_yield(); }' "$1/$dir/os-Linux/util.c"
	sed -i '$ a EXPORT_SYMBOL(os_yield);' "$1/$dir/kernel/process.c"
	[ "$(grep -c os_yield "$1/$processor")" = 2 ] || die "$processor of this kernel is not as expected: locks would be slow"
}

make_built() {
	local dir=$1 image=linux options=(LLVM=-19) time='5 to 10'
	case $tier in
	uml | uml-debug)
		mkdir "$dir/source"
		if [ "$tier" = uml ]; then
			options=(ARCH=um CC=x86_64-linux-gnu-gcc-14)
			yielding_source "$dir/source"
		else
			options=(ARCH=um LLVM=-19)
			mended_source "$dir/source"
		fi
		local source=$dir/source
		;;
	debug)
		image=arch/x86/boot/bzImage
		time='10 to 20'
		;;
	esac
	need_space 8 "the $tier kernel"
	mkdir -p "$dir/build"
	step "building the $tier kernel ($time minutes on two cores, once)" \
		configure_and_build "$dir" "${options[@]}"
	ln -s "build/$image" "$dir/image"
	cp "$dir/build/include/config/kernel.release" "$dir/release"
}

# -----------------------------------------------------------------------------------

case $tier in
stock | uml-debug | uml | debug) ;;
*) die "unknown kernel '$tier': expected stock, uml-debug, uml or debug" ;;
esac

mkdir -p "$cache/kernels"
choice=$cache/kernels/choice-${release:-$series}
exec {lock}>"$choice.lock"
flock "$lock"
if [ ! -e "$choice" ]; then choose "$choice"; fi
exec {lock}>&-
release=$(head -n 1 "$choice")
version=$(sed -n 's/^linux-source-.*=//p' "$choice")
source=$cache/kernels/source-${version//[^[:alnum:].+-]/_}
make_once "$source" make_source

# ingredients: the versions that a kernel tree depends on.
ingredients() {
	echo "$version"
	rustc --version
	bindgen --version
	clang-19 --version
	x86_64-linux-gnu-gcc-14 --version
	[ "$tier" != uml ] || declare -f yielding_source
}

if [ "$tier" = stock ]; then
	dir=$cache/kernels/stock-$release-$(ingredients | key -)
	make_once "$dir" make_stock
else
	dir=$cache/kernels/$tier-$(ingredients | key - "$top/scripts/configs/common.config" \
		"$top/scripts/configs/$tier.config")
	make_once "$dir" make_built
fi
echo "$dir"
