#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench.sh [NAME=VALUE...]: measures the cost of packets and of ARP table operations in
# instructions. Prints a table of each. Runs in the build root.
#
# The guest is Debian's kernel on one emulated CPU with a clock that counts instructions
# (qemu -icount), so that the result does not depend on the machine or its load. All
# devices are measured in one boot; a second boot must give the same results.
#   BOOTS=1             without the second boot
#   K=1,64 STAGES=0,16  only these
#   ROWS=dummy,spans    only these devices; "arp" is the ARP table
#   PROFILE=spans       instructions of each function instead, for one device (and
#                       the last of K and of STAGES)
# N and ROUNDS are packets and repetitions, see scripts/guest/bench.sh.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

rows='dummy ifb veth spans spans-nobody spans-mq pktgen-dummy pktgen-ifb pktgen-veth pktgen-spans pktgen-spans-nobody arp'

# of_these WORDS NAME LIST: each item of a comma separated list must be one of WORDS.
of_these() {
	local word
	for word in ${3//,/ }; do
		[[ " $1 " == *" $word "* ]] || die "bench: $2=$3: there is no '$word'; there are: $1"
	done
	[ -n "${3//,/}" ] || die "bench: $2= is empty"
}

# numbers NAME LIST LEAST: each item of a comma separated list must be an integer >= LEAST.
numbers() {
	local word
	[[ $2 =~ ^[0-9]{1,9}(,[0-9]{1,9})*$ ]] || die "bench: $1=$2: expected comma separated integers"
	for word in ${2//,/ }; do
		((10#$word >= $3)) || die "bench: $1=$2: the minimum is $3"
	done
}

boots=2
profile=
arguments=()
for argument in "$@"; do
	name=${argument%%=*}
	value=${argument#*=}
	case $argument in
	BOOTS=*,* | N=*,* | ROUNDS=*,*) die "bench: $name takes one number, not '$value'" ;;
	BOOTS=* | N=* | ROUNDS=* | K=*) numbers "$name" "$value" 1 ;;
	STAGES=*) numbers "$name" "$value" 0 ;;
	ROWS=*) of_these "$rows" ROWS "$value" ;;
	PROFILE=*,*) die "bench: PROFILE takes one device, not '$value'" ;;
	PROFILE=*) of_these "${rows% arp}" PROFILE "$value" ;;
	*) die "bench takes BOOTS=, K=, STAGES=, ROWS=, PROFILE=, N= and ROUNDS=, not '$argument'" ;;
	esac
	case $name in
	BOOTS) boots=$value ;;
	PROFILE)
		profile=$value
		arguments+=("$argument" "ROWS=$profile" ROUNDS=1)
		;;
	*) arguments+=("$argument") ;;
	esac
done

results=$out/bench
mkdir -p "$results"
rm -f "$results"/boot-*
export CLOCK=icount TIMEOUT=${TIMEOUT:-3000}

boot() {
	"$top/scripts/vm.py" stock "$top/scripts/guest/bench.sh" "${arguments[@]}" \
		"ARP_COST=$results/arp_cost" >"$1" || {
		tail -n 5 "$1" >&2
		return 1
	}
}

if [ -n "$profile" ]; then
	gcc -O2 -Wall -shared -fPIC -fvisibility=hidden -o "$results/profile.so" "$top/scripts/profile.c"
	PLUGIN="$results/profile.so,out=$results/blocks" boot "$results/boot-1"
	read -r _ device stage k ns _ n < <(grep '^result ' "$results/boot-1" | tail -n 1) ||
		die "there is no device '$profile' to profile"
	sed -n 's/^symbols //p' "$results/boot-1" | base64 -d | gzip -d |
		awk '{ print $1, "#", $3, $4 }' >"$results/symbols"
	# A block belongs to the symbol before it; one that begins there is a call.
	sort "$results/symbols" "$results/blocks" | awk -v "n=$n" -v "ns=$ns" '
		$2 == "#" { address = $1; name = $3 " " $4; next }
		{
			insns[name] += $2
			total += $2
			if ($1 == address) calls[name] += $3
		}
		END {
			printf "%.1f - the clock says %.1f\n", total / n, ns / n
			for (name in insns)
				if (insns[name] >= n / 2) printf "%.1f %.3f %s\n", insns[name] / n, calls[name] / n, name
		}' | sort -k 1,1nr | c++filt -s rust | sed -E 's/\[[0-9a-f]{5,}\]//g' >"$results/profile"
	echo "$device, stage $stage, k = $k: instructions and calls per packet"
	cat "$results/profile"
	exit
fi

# rustc's options of Debian's kernel.
flags=(--edition=2021 -Copt-level=2 -Ccodegen-units=1 -Coverflow-checks=y -Cpanic=abort
	-Cno-redzone=y "-Ctarget-feature=-sse,-sse2,-sse3,-ssse3,-sse4.1,-sse4.2,-avx,-avx2")
logic=$results/libspans_logic.rlib
rustc "${flags[@]}" --crate-type=rlib --crate-name=spans_logic -o "$logic" "$top/rust/logic/lib.rs"
rustc "${flags[@]}" --extern "spans_logic=$logic" -o "$results/arp_cost" \
	"$top/rust/logic/examples/arp_cost.rs"

for ((boot = 1; boot <= boots; boot++)); do
	say "==> boot $boot of $boots"
	boot "$results/boot-$boot"
	[ "$(grep -cE '^(result|arp) ' "$results/boot-$boot")" = "$(grep -cE '^(result|arp) ' "$results/boot-1")" ] ||
		die "the boots have different results"
done

# result NAME STAGE K NS DOORBELLS N
awk '
	$1 != "result" { next }
	{ key = $2 " " $3 " " $4; cost = $5 / $7 }
	FILENAME ~ /-1$/ { order[++count] = key; first[key] = cost; bells[key] = $6 / $7; next }
	(cost - first[key]) ^ 2 > (0.005 * cost) ^ 2 {
		printf "bench: %s: %.1f in one boot, %.1f in another\n", key, first[key], cost >"/dev/stderr"
		bad = 1
	}
	END {
		if (!count) exit bad
		printf "%-19s %5s %4s %12s %8s %8s %10s\n", "device", "stage", "k",
			"instructions", "added", "of veth", "doorbells"
		for (i = 1; i <= count; i++) {
			split(order[i], field)
			other = field[1] ~ /^pktgen-/ ? "pktgen-" : ""
			dummy = other "dummy - " field[3]
			veth = other "veth - " field[3]
			added = of = "-"
			if (dummy in first) {
				added = sprintf("%.1f", first[order[i]] - first[dummy])
				if (veth in first) of = sprintf("%.2f", added / (first[veth] - first[dummy]))
			}
			printf "%-19s %5s %4s %12.1f %8s %8s %10.4f\n", field[1], field[2], field[3],
				first[order[i]], added, of, bells[order[i]]
		}
		exit bad
	}' "$results"/boot-*

# arp NAME ENTRIES COST
awk '
	$1 != "arp" { next }
	{ key = $2 " " $3 }
	FILENAME ~ /-1$/ {
		if (!($2 in seen)) order[++count] = $2
		if (!($3 in sizes)) size[++widths] = $3
		seen[$2] = sizes[$3] = 1
		first[key] = $4
		next
	}
	# Small costs have a larger relative error.
	($4 - first[key]) ^ 2 > (0.005 * $4 + 0.5) ^ 2 {
		printf "bench: %s: %.1f in one boot, %.1f in another\n", key, first[key], $4 >"/dev/stderr"
		bad = 1
	}
	END {
		if (!count) exit bad
		printf "\n%-19s", "ARP table, entries"
		for (j = 1; j <= widths; j++) printf " %9s", size[j]
		for (i = 1; i <= count; i++) {
			printf "\n%-19s", order[i]
			for (j = 1; j <= widths; j++) printf " %9.1f", first[order[i] " " size[j]]
		}
		printf "\n"
		exit bad
	}' "$results"/boot-*
