#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [NAME=VALUE...]: what does a packet cost, in instructions? Prints a
# table. Runs in the build root.
#
# The guest is Debian's kernel on one emulated CPU whose clock counts instructions
# (qemu -icount), so that the answer does not depend on this machine or on what
# else it does. All devices are measured in one boot; a second boot must agree.
# BOOTS=1 is for a quick look. N, K, STAGES and ROUNDS go to scripts/guest/bench.sh.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

boots=2
arguments=()
for argument in "$@"; do
	case $argument in
	BOOTS=*) boots=${argument#*=} ;;
	*=*) arguments+=("$argument") ;;
	*) die "bench takes NAME=VALUE, not '$argument'" ;;
	esac
done

results=$out/bench
mkdir -p "$results"
rm -f "$results"/boot-*
export ICOUNT=1 TIMEOUT=${TIMEOUT:-3000}
for ((boot = 1; boot <= boots; boot++)); do
	say "==> boot $boot of $boots"
	"$top/scripts/vm.sh" stock "$top/scripts/guest/bench.sh" "${arguments[@]}" |
		grep '^result ' >"$results/boot-$boot"
done

# result NAME STAGE K NS DOORBELLS N
awk '
	{ key = $2 " " $3 " " $4; cost = $5 / $7 }
	FNR == NR { order[++count] = key; first[key] = cost; bells[key] = $6 / $7; next }
	(cost - first[key]) ^ 2 > (0.005 * cost) ^ 2 {
		printf "bench: %s: %.1f in one boot, %.1f in another\n", key, first[key], cost >"/dev/stderr"
		bad = 1
	}
	END {
		printf "%-14s %5s %4s %14s %8s %8s %10s\n", "device", "stage", "k",
			"instructions", "added", "of veth", "doorbells"
		for (i = 1; i <= count; i++) {
			split(order[i], field)
			added = first[order[i]] - first["dummy - " field[3]]
			veth = first["veth - " field[3]] - first["dummy - " field[3]]
			printf "%-14s %5s %4s %14.1f %8.1f %8.2f %10.4f\n", field[1], field[2], field[3],
				first[order[i]], added, veth ? added / veth : 0, bells[order[i]]
		}
		exit bad
	}' "$results"/boot-*
