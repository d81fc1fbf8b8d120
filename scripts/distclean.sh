#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes the cache: build root, packages, kernels. Refuses while a run uses it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ -d "$cache" ] || exit 0
# SPANS_CACHE may name a folder of other files, which has no .in-use.
[ -e "$cache/.in-use" ] || die "$cache is not a cache of spans: it has no .in-use"
exec 8>"$cache/.in-use" || die "$cache belongs to another user"
flock -n 8 || die "another run is using $cache"
# An ordinary user's root has files of the user's subordinate ids.
as_owner=()
if [ "$(id -u)" != 0 ]; then as_owner=(unshare --user --map-root-user --map-auto); fi
# A mount point must not be followed, though there is none outside of a run.
"${as_owner[@]}" rm -rf --one-file-system "$cache"
say "removed $cache"
