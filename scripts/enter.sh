#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# enter.sh [COMMAND...]: runs a command, or a shell, in the build root, which it creates if
# missing: Debian trixie with the compilers of Debian's kernel and qemu.
# enter.sh --ready only checks whether results can be written.
#
# This script, distclean.sh and rust-is-available.sh run on the host, the others in the root,
# which lies in the cache. The checkout, the cache and the results are mounted under their
# paths, in mount and PID namespaces that end with the command, or when this script gets INT,
# TERM, HUP or QUIT: no mount and no process is left. An ordinary user gets a user namespace.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

suite=trixie
root=$cache/root-$(key "$top/scripts/root.packages")
# mirror: the host's Debian mirror. apt needs package lists to tell it from other
# repositories.
mirror() {
	# shellcheck disable=SC2016 # apt's variable, not the shell's
	apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' 2>/dev/null |
		sort -u | head -n 1
}

# apt_options: the host's settings for reaching a mirror.
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
	# The package lists are kept for kernel.sh.
	mmdebstrap --variant=apt --include="$packages" "${options[@]}" \
		--aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Sandbox::User "root"' --skip=cleanup/apt/lists,cleanup/tmp \
		"$suite" "$dir" \
		"deb $uri $suite main" "deb $uri $suite-updates main" "deb $uri $suite-backports main"
}

make_root() {
	step "making the build root (Debian $suite, about one minute)" bootstrap "$1"
}

# prepare_machine: installs mmdebstrap; the only change of the host.
prepare_machine() {
	command -v apt-get >/dev/null || die "the build root is made with apt and mmdebstrap: this machine has no apt-get"
	need_space 10 "the build root with a kernel source"
	if ! command -v mmdebstrap >/dev/null || [ -z "$(mirror)" ]; then
		[ "$user" = root ] ||
			die "mmdebstrap or apt's package lists are missing here: run 'sudo apt-get update' and 'sudo apt-get install mmdebstrap' first"
		step "installing mmdebstrap on this machine" install_mmdebstrap
	fi
	[ -n "$(mirror)" ] || die "this machine's apt configuration names no Debian mirror"
}

# mount_checkout DIR: a read-only checkout gets an overlay, for files that cargo and others write
# beside their sources; it ends with the namespace.
mount_checkout() {
	local layer=$root/run/checkout
	if [ ! -w "$1" ]; then
		mkdir -p "$layer/upper" "$layer/work"
		mount -t overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" \
			checkout "$root$1" 2>/dev/null && return
	fi
	mount --bind "$1" "$root$1"
}

inside() {
	local dir git
	make_once "$root" make_root
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount --rbind /dev "$root/dev"
	mount -t tmpfs -o mode=1777 tmp "$root/tmp"
	# The memory of User Mode Linux; a container's /dev/shm is often too small.
	mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
	mount -t tmpfs -o mode=755 run "$root/run"
	# A folder that the root has itself is not mounted.
	[ -d "${SPANS_BIND:=}" ] || SPANS_BIND=
	case $SPANS_BIND in / | /bin | /sbin | /lib* | /etc* | /usr | /usr/[!l]* | /usr/lib*) SPANS_BIND= ;; esac
	# The git folder of a worktree lies in another checkout.
	git=$(git -c safe.directory="$top" -C "$top" rev-parse --path-format=absolute --git-common-dir 2>/dev/null) || git=
	[[ $git != "$top"/* ]] || git=
	# Sorted, so that no mount hides one below it.
	while read -r dir; do
		mkdir -p "$root$dir"
		if [ "$dir" = "$top" ]; then mount_checkout "$dir"; else mount --bind "$dir" "$root$dir"; fi
	done < <(printf '%s\n' ${SPANS_BIND:+"$SPANS_BIND"} ${git:+"$git"} "$cache" "$top" "$out" | sort -u)
	# The host's resolver and certificates, for packages and crates.
	for dir in /etc/resolv.conf /etc/ssl/certs; do
		[ -e "$dir" ] || continue
		[ -e "$root$dir" ] || touch "$root$dir"
		mount --bind "$dir" "$root$dir"
	done
	mkdir -p "$cache/cargo"
	# Commands inherit an ignored INT; a shell needs the default.
	if [ $# = 0 ]; then set -- --default-signal=INT,QUIT bash; fi
	exec env -i PATH=/usr/sbin:/usr/bin HOME=/root TERM="${TERM:-dumb}" SPANS_CACHE="$cache" OUT="$out" \
		CARGO_HOME="$cache/cargo" PYTHONDONTWRITEBYTECODE=1 "${settings[@]}" \
		chroot "$root" env --chdir="$top" "$@"
}

# The user's settings for scripts in the root.
settings=()
for name in KERNEL_VERSION KERNEL_RELEASE CPUS MEM TIMEOUT CLOCK FRESH KMEMLEAK; do
	[ -z "${!name:-}" ] || settings+=("$name=${!name}")
done

if [ "${1:-}" = --inside ]; then
	shift
	inside "$@"
fi

ready
[ "${1:-}" != --ready ] || exit 0
fit "$cache"
{ mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null ||
	die "the cache folder $cache cannot be written (SPANS_CACHE= names another one)"

user=root
namespaces=(--mount --propagation private --pid --mount-proc --fork --kill-child)
if [ "$(id -u)" != 0 ]; then
	user=$(id -un)
	namespaces+=(--user --map-root-user --map-auto)
	unshare "${namespaces[@]}" true 2>/dev/null ||
		die "without root this needs user namespaces, newuidmap (Debian: uidmap) and ids for $user in /etc/subuid and /etc/subgid; or try 'sudo make ...'"
fi
[ -e "$root.complete" ] || prepare_machine

# distclean takes this lock exclusively.
exec 8>"$cache/.in-use"
flock -s 8

# Killing unshare kills the first process of the PID namespace, and that all others, before it
# has exited itself. A guest's shell has the terminal in raw mode.
terminal=
if [ -t 0 ]; then terminal=$(stty -g); fi
end() {
	local first
	trap '' INT TERM HUP QUIT TTOU
	first=$(cat "/proc/$job/task/$job/children" 2>/dev/null) || :
	first=${first% }
	kill -KILL "$job" 2>/dev/null || :
	wait "$job" 2>/dev/null || :
	for ((i = 0; i < 100; i++)); do
		[[ $(ps -o stat= -p "${first:-$job}") == [!Z]* ]] || break
		sleep 0.05
	done
	# A background process must not change the terminal.
	if [ -n "$terminal" ] && [[ $(ps -o stat= -p $$) == *+* ]]; then stty "$terminal" || :; fi
	exit $((128 + $1))
}
status=0
unshare "${namespaces[@]}" "$0" --inside "$@" <&0 &
job=$!
trap 'end 1' HUP
trap 'end 2' INT
trap 'end 3' QUIT
trap 'end 15' TERM
wait "$job" || status=$?
exit $status
