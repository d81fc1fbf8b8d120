#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Removes the cache: build root, packages, kernels. Waits for runs that use it.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

[ -d "$cache" ] || exit 0
exec 8>"$cache/.in-use"
flock -n 8 || die "another run is using $cache"
# Nothing is ever mounted in it outside a run, but a mount point must not be followed.
rm -rf --one-file-system "$cache"
say "removed $cache"
