#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# enter.sh COMMAND...: run a command in the build root, which is made first if
# it is missing: Debian trixie with the compilers of Debian's kernel and qemu.
#
# This is the only script that runs on the machine itself; all others run
# inside. The root lies in the cache. The checkout and the cache are mounted
# into it under their own names, in a mount and process namespace that ends
# with the command: nothing stays mounted or running, whatever happens.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=trixie
root=$cache/root-$(key "$top/scripts/root.packages")

# The machine's own Debian mirror. Release files tell mirrors of Debian from
# other repositories, so apt must have been updated once.
mirror() {
	# shellcheck disable=SC2016 # apt's variable, not the shell's
	apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' 2>/dev/null |
		sort -u | head -n 1
}

# The machine's settings that decide whether a mirror can be reached.
apt_options() {
	apt-config dump --format '%F "%v";%n' 2>/dev/null |
		grep -E '^Acquire::(https?|Check-Valid-Until|Check-Date|Retries)' |
		sed 's/^/--aptopt=/'
}

install_mmdebstrap() {
	apt-get update
	apt-get install -y --no-install-recommends mmdebstrap
}

bootstrap() {
	local dir=$1 uri options packages
	uri=$(mirror)
	packages=$(grep -v '^#' "$top/scripts/root.packages" | xargs | tr ' ' ,)
	mapfile -t options < <(apt_options)
	# The package lists stay: kernels are looked up in them later.
	mmdebstrap --variant=apt --include="$packages" "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Sandbox::User "root"' --skip=cleanup/apt/lists,cleanup/tmp \
		"$suite" "$dir" \
		"deb $uri $suite main" "deb $uri $suite-updates main" "deb $uri $suite-backports main"
}

make_root() {
	command -v apt-get >/dev/null || die "the build root is made with apt and mmdebstrap: this machine has no apt-get"
	need_space 10 "the build root with a kernel source"
	if ! command -v mmdebstrap >/dev/null || [ -z "$(mirror)" ]; then
		step "installing mmdebstrap on this machine" install_mmdebstrap
	fi
	[ -n "$(mirror)" ] || die "this machine's apt configuration names no Debian mirror"
	step "making the build root (Debian $suite, about one minute)" bootstrap "$1"
}

inside() {
	local dir
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=1777 tmp "$root/tmp"
	mount -t tmpfs -o mode=755 run "$root/run"
	# A script that the root has itself is run from there.
	case ${SPANS_BIND:=} in / | /bin | /sbin | /lib* | /etc* | /usr | /usr/[!l]* | /usr/lib*) SPANS_BIND= ;; esac
	for dir in ${SPANS_BIND:+"$SPANS_BIND"} "$cache" "$top"; do
		mkdir -p "$root$dir"
		mount --bind "$dir" "$root$dir"
	done
	# Names and certificates as this machine has them, for packages and crates.
	for dir in /etc/resolv.conf /etc/ssl/certs; do
		[ -e "$dir" ] || continue
		[ -e "$root$dir" ] || touch "$root$dir"
		mount --bind "$dir" "$root$dir"
	done
	mkdir -p "$cache/cargo"
	exec env -i PATH=/usr/sbin:/usr/bin HOME=/root TERM="${TERM:-dumb}" SPANS_CACHE="$cache" \
		CARGO_HOME="$cache/cargo" "${settings[@]}" \
		chroot "$root" env --chdir="$top" "$@"
}

# What a person may set for the scripts that run inside.
settings=()
for name in KERNEL_VERSION KERNEL_RELEASE CPUS MEM TIMEOUT CLOCK KMEMLEAK CLIPPY BUDGET CI; do
	[ -z "${!name:-}" ] || settings+=("$name=${!name}")
done

if [ "${1:-}" = --inside ]; then
	shift
	inside "$@"
fi

[ "$(id -u)" = 0 ] || die "needs root, for a chroot and its mounts: try 'sudo make ...'"
make_once "$root" make_root

# distclean takes this lock exclusively.
exec 8>"$cache/.in-use"
flock -s 8
exec unshare --mount --propagation private --pid --fork --kill-child "$0" --inside "$@"
