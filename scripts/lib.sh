# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by every script: where things are kept, how errors are told, how long
# steps show that they are alive, how two runs keep out of each other's way.

set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$(realpath -ms -- "${SPANS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/spans}")
# Everything made from this checkout; `make clean` removes it.
out=$(realpath -ms -- "${OUT:-$top/build}")

export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*" >&2; }

die() {
	say "spans: $*"
	exit 1
}

# fit DIR...: Kbuild can handle the names of these folders.
fit() {
	local dir
	for dir; do
		[[ $dir != *[[:space:]:,\#\$\'\"\\]* ]] ||
			die "the kernel's build cannot handle a blank, colon, comma, quote, backslash, # or \$ in a path: '$dir'"
	done
}

# ready: what is built has a place. A folder of results is marked: `make clean` removes
# no other.
ready() {
	fit "$top" "$out"
	if [ "$out" != "$top/build" ] && [ ! -e "$out/.spans-results" ] && [ -n "$(ls -A "$out" 2>/dev/null)" ]; then
		die "OUT=$out holds other files: name an empty folder or a new one"
	fi
	{ mkdir -p "$out" && : >>"$out/.spans-results"; } 2>/dev/null ||
		die "$out cannot be written (OUT= names another folder for results)"
}

# need_space GIB WHAT: stop before a step that would fill the disk.
need_space() {
	local avail
	mkdir -p "$cache" || die "cannot create the cache folder $cache"
	avail=$(($(df --output=avail -B1M "$cache" | tail -n 1)))
	((avail >= $1 * 1024)) ||
		die "$2 needs $1 GiB in $cache, but only $avail MiB are free (SPANS_CACHE= names another folder)"
}

# step TEXT COMMAND...: run a long command with its output in a log, say every
# ten seconds how far it is, and show the end of the log when it fails. The
# command runs in a subshell with errexit, so `step` itself must not be called
# as a condition.
step() {
	local text=$1 log rc=0 began=$SECONDS pid
	shift
	mkdir -p "$cache/log"
	log=$cache/log/$(tr -cs '[:alnum:].' '-' <<<"$text" | sed 's/-*$//').log
	say "==> $text"
	("$@") >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			sleep 1
			kill -0 "$pid" 2>/dev/null || continue 2
		done
		say "    $((SECONDS - began)) s: $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-64)"
	done
	wait "$pid" || rc=$?
	if [ "$rc" != 0 ]; then
		tail -n 15 "$log" >&2
		if grep -qiE 'failure resolving|could not (connect|resolve)|connection (timed out|refused)' "$log"; then
			die "$text: no network, or a server in this machine's configuration does not answer (the whole log: $log)"
		fi
		die "$text: failed (the whole log: $log)"
	fi
	say "    done in $((SECONDS - began)) s"
}

# make_once DIR COMMAND...: have COMMAND fill DIR, once, however many runs ask
# at the same time. A folder without its stamp was left by a run that was
# killed: it is cleared away and made again.
make_once() {
	local dir=$1 lock
	shift
	[ ! -e "$dir.complete" ] || return 0
	mkdir -p "$cache" || die "cannot create the cache folder $cache"
	exec {lock}>"$dir.lock"
	if ! flock -n "$lock"; then
		say "==> waiting for another run that prepares ${dir##*/}"
		flock "$lock"
	fi
	if [ ! -e "$dir.complete" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		"$@" "$dir"
		: >"$dir.complete"
	fi
	exec {lock}>&-
}

# key FILE...: a short name for the contents of files.
key() { cat "$@" | sha256sum | cut -c 1-8; }
