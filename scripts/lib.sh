# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by every script: paths, error messages, progress of long steps, locks between
# concurrent runs.

set -euo pipefail
shopt -s inherit_errexit

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=$(realpath -ms -- "${SPANS_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/spans}")
# All files built from this checkout; `make clean` removes them.
out=$(realpath -ms -- "${OUT:-$top/build}")

export LC_ALL=C.UTF-8

say() { printf '%s\n' "$*" >&2; }

die() {
	say "spans: $*"
	exit 1
}

# fit DIR...: checks that Kbuild can handle the names of these folders.
fit() {
	local dir
	for dir; do
		[[ $dir != *[[:space:]:,\#\$\'\"\\]* ]] ||
			die "the kernel's build cannot handle a blank, colon, comma, quote, backslash, # or \$ in a path: '$dir'"
	done
}

# ready: creates the folder for results and marks it: `make clean` removes no other one.
ready() {
	fit "$top" "$out"
	if [ "$out" != "$top/build" ] && [ ! -e "$out/.spans-results" ] && [ -n "$(ls -A "$out" 2>/dev/null)" ]; then
		die "OUT=$out holds other files: name an empty folder or a new one"
	fi
	{ mkdir -p "$out" && : >>"$out/.spans-results"; } 2>/dev/null ||
		die "$out cannot be written (OUT= names another folder for results)"
}

# need_space GIB WHAT: fails if the disk has less space.
need_space() {
	local avail
	mkdir -p "$cache" || die "cannot create the cache folder $cache"
	avail=$(($(df --output=avail -B1M "$cache" | tail -n 1)))
	((avail >= $1 * 1024)) ||
		die "$2 needs $1 GiB in $cache, but only $avail MiB are free (SPANS_CACHE= names another folder)"
}

# step TEXT COMMAND...: runs a long command with its output in a log, prints progress every ten
# seconds, and the end of the log on failure. The command runs in a subshell with errexit, so
# `step` itself must not be called as a condition.
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

# make_once DIR COMMAND...: lets COMMAND fill DIR, once for all concurrent runs. A folder without
# its stamp was left by a killed run: it is removed and filled again.
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

# key FILE...: a short hash of the contents of files.
key() { cat "$@" | sha256sum | cut -c 1-8; }
