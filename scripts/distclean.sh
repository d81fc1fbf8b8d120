#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes the cache: build root, packages, kernels. Refuses while a run uses it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ -d "$cache" ] || exit 0
# Only what this tree has made is removed, whatever SPANS_CACHE says.
[ -e "$cache/.in-use" ] || die "$cache is not a cache of this: it has no .in-use"
exec 8>"$cache/.in-use" || die "$cache belongs to another user"
flock -n 8 || die "another run is using $cache"
# In the root that an ordinary user made, files belong to other ids of that user's.
as_owner=()
if [ "$(id -u)" != 0 ]; then as_owner=(unshare --user --map-root-user --map-auto); fi
# Nothing is ever mounted in it outside a run, but a mount point must not be followed.
"${as_owner[@]}" rm -rf --one-file-system "$cache"
say "removed $cache"
