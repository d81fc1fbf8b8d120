#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The four media, with link addresses of 8, 6, 7 and 1 bytes: attributes, frames byte for byte,
# and isolation of media.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	shown
	named
	random_addresses
	addresses_refused
	media_stay_apart
	mtus
	pings
	on_the_wire
	address_changes
	packet_sockets
	header_cache
	arp_rules
	ipv6
	addresses_of_ethernet
"

start_station

media="spans ethernet ax25 arcnet"
declare -A bytes=([spans]=8 [ethernet]=6 [ax25]=7 [arcnet]=1)
declare -A hrd=([spans]=4040 [ethernet]=0001 [ax25]=4047 [arcnet]=4041)
declare -A mtu=([spans]=9180 [ethernet]=1500 [ax25]=256 [arcnet]=1500)
declare -A longest=([spans]=65535 [ethernet]=65535 [ax25]=65535 [arcnet]=60480)

# one_each: a device of each medium in $NS1, named after it.
one_each()
{
	local medium

	new_ns NS1
	for medium in $media; do
		echo "link add $medium address $(lladdr 1) type spans"
	done | host 1 ip -batch -
	check_err $? "cannot add a device of each medium"
}

# devices EXPRESSION: a jq expression for each spans device of host 1.
devices() { host 1 ip -d -j link show type spans | jq -r ".[] | \"\\(.ifname) $1\""; }

# add REPLY LINE...: adds devices on host 1 with newlink.py; all must get this reply.
add()
{
	expect "replies of newlink.py" "$1" "$(printf '%s\n' "${@:2}" | host 1 "$selftests/newlink.py" - |
		sed 's/^spans: //' | sort -u)"
}

# zero_addr: the address of zeroes.
zero_addr() { lladdr 0 | tr 2 0; }

# hosts_of N: hosts of $medium without IPv6, with a capture of frames on each.
hosts_of()
{
	local i

	# Captures keep a namespace alive.
	[ -z "${NS1:-}" ] || station 1 end_capture
	ipv6=off hosts "$1"
	for ((i = 1; i <= $1; i++)); do
		capture "$i" frames
	done
}

# reach FROM TO [OPTION...]
reach() { host "$1" ping -q -W 5 "${@:3}" "10.0.0.$2" >/dev/null; }

shown()
{
	local wanted

	RET=0
	one_each
	wanted="spans [16448] ff:ff:ff:ff:ff:ff:ff:ff 9180 68 65535 02:00:00:00:00:00:00:01
ethernet ether ff:ff:ff:ff:ff:ff 1500 68 65535 02:00:00:00:00:01
ax25 [16455] a2:a6:a8:40:40:40:00 256 68 65535 02:00:00:00:00:00:01
arcnet [16449] 00 1500 68 60480 01"
	expect "ip link" "$wanted" \
		"$(devices '\(.link_type) \(.broadcast) \(.mtu) \(.min_mtu) \(.max_mtu) \(.address)')"
	# shellcheck disable=SC2046 # several words
	expect "sysfs" "$media" \
		"$(cd "$(sys 1)/class/net" && printf '%s/spans/medium ' $media | xargs cat | xargs)"
	expect "netlink" "$media" "$(host 1 "$selftests/newlink.py" show $media)"
	log_test "attributes of each medium in ip link, sysfs and netlink"
}

# IFLA_SPANS_MEDIUM, which iproute2 does not know.
named()
{
	local medium lines=() wanted=

	RET=0
	new_ns NS1
	for medium in $media; do
		lines+=("$medium medium=$medium"
			"$medium-a medium=$medium address=$(lladdr 1)"
			"$medium-l link=$medium medium=$medium"
			"$medium-m medium=$medium mtu=1000")
		wanted+="$medium ${mtu[$medium]} ${bytes[$medium]}
$medium-a ${mtu[$medium]} ${bytes[$medium]}
$medium-l ${mtu[$medium]} ${bytes[$medium]}
$medium-m 1000 ${bytes[$medium]}
"
	done
	add ok "${lines[@]}"
	expect "devices" "${wanted%?}" "$(devices '\(.mtu) \((.address | length + 1) / 3)')"
	add "medium must be spans, ethernet, ax25 or arcnet (Invalid argument)" \
		"s0 medium=token-ring" "s0 medium=" "s0 medium=spans2" "s0 medium=SPANS"
	log_test "IFLA_SPANS_MEDIUM"
}

# Without an address, a device gets the medium of its IFLA_LINK device.
random_addresses()
{
	local medium i

	RET=0
	one_each
	for medium in $media; do
		for i in {1..8}; do
			echo "link add $medium-$i link $medium type spans"
		done
	done | host 1 ip -batch -
	check_err $? "cannot add devices with IFLA_LINK"
	devices '\(.address)' | grep -- - >/tmp/addresses
	defer rm -f /tmp/addresses
	expect "devices" 32 "$(wc -l </tmp/addresses)"
	for medium in $media; do
		expect "$medium: addresses of the right length" 8 \
			"$(grep -cE "^$medium-. [0-9a-f]{2}(:[0-9a-f]{2}){$((bytes[$medium] - 1))}$" /tmp/addresses)"
		# Addresses of one byte may collide.
		((bytes[$medium] == 1)) || expect "$medium: different addresses" 8 \
			"$(sed -n "s/^$medium-. //p" /tmp/addresses | sort -u | wc -l)"
		expect "$medium: broadcast addresses" 0 "$(grep -cE "^$medium-. $(broadcast_addr)$" /tmp/addresses)"
	done
	expect "ethernet: locally administered unicast addresses" 8 "$(grep -cE '^ethernet-. .[26ae]:' /tmp/addresses)"
	expect addr_assign_type 1 "$(cat "$(sys 1)"/class/net/*-*/addr_assign_type | sort -u)"
	log_test "random addresses"
}

addresses_refused()
{
	local medium n short=() group=() broadcast=() odd=()

	RET=0
	one_each
	for n in 2 3 4 5 9 16 32; do
		short+=("s0 address=$(printf '02%.0s' $(seq $n))")
	done
	for medium in $media; do
		group+=("s0 address=$(broadcast_addr)" "s0 address=$(zero_addr)"
			"s0 link=$medium address=$(broadcast_addr)")
		broadcast+=("s0 address=$(lladdr 2) broadcast=$(lladdr 3)"
			"s0 medium=$medium broadcast=$(lladdr 3)"
			"s0 link=$medium broadcast=$(lladdr 3)")
		# Only Ethernet has a group bit.
		[ $medium = ethernet ] || odd+=("$medium-odd address=$(lladdr 3 | sed 's/^../01/')")
	done
	group+=("s0 address=01:00:5e:00:00:01" "s0 address=33:33:00:00:00:01")
	add "address must be 1, 6, 7 or 8 bytes long (Invalid argument)" "${short[@]}"
	add "address must be that of one station (Cannot assign requested address)" "${group[@]}"
	add "broadcast must be that of the medium (Invalid argument)" "${broadcast[@]}"
	for medium in $media; do
		refused "" host 1 ip link set $medium address "$(broadcast_addr)"
		refused "" host 1 ip link set $medium address "$(zero_addr)"
	done
	refused "" host 1 ip link set ethernet address 01:00:5e:00:00:01
	refused "" host 1 ip link set ethernet address 02
	expect "devices" "$media" "$(devices '' | xargs)"
	add ok "${odd[@]}"
	log_test "invalid link and broadcast addresses are rejected"
}

media_stay_apart()
{
	local medium other apart=() disagree=() fit=()

	RET=0
	one_each
	for other in $media; do
		for medium in $media; do
			[ $medium != $other ] || continue
			apart+=("s0 link=$other address=$(lladdr 2)" "s0 link=$other medium=$medium")
			disagree+=("s0 medium=$other address=$(lladdr 2)")
		done
		medium=$other
		fit+=("$other-2 link=$other address=$(lladdr 2)")
	done
	add "link is on a segment of another medium (Invalid argument)" "${apart[@]}"
	add "address is not one of this medium (Invalid argument)" "${disagree[@]}"
	expect "devices" "$media" "$(devices '' | xargs)"
	add ok "${fit[@]}"
	expect "segments" 4 "$(devices '\(.phys_switch_id)' | sed 's/.* //' | sort -u | wc -l)"
	log_test "a segment has one medium"
}

mtus()
{
	local medium size short=() long=()

	RET=0
	one_each
	for medium in $media; do
		for size in 68 1500 ${longest[$medium]}; do
			host 1 ip link set $medium mtu $size
			check_err $? "$medium: cannot set the MTU to $size"
			expect "$medium: MTU" $size "$(<"$(sys 1)/class/net/$medium/mtu")"
		done
		refused "mtu less than device minimum" host 1 ip link set $medium mtu 67
		refused "mtu greater than device maximum" \
			host 1 ip link set $medium mtu $((longest[$medium] + 1))
		short+=("s0 address=$(lladdr 2) mtu=67" "s0 link=$medium mtu=67")
		long+=("s0 address=$(lladdr 2) mtu=65536" "s0 link=$medium mtu=65536")
	done
	# The core only checks the range of all media together.
	add "mtu less than device minimum (Invalid argument)" "${short[@]}"
	add "mtu greater than device maximum (Invalid argument)" "${long[@]}"
	add "mtu must be one of the medium (Invalid argument)" \
		"s0 address=07 mtu=60481" "s0 medium=arcnet mtu=65535" "s0 link=arcnet mtu=60481"
	log_test "MTU range of each medium"
}

pings()
{
	local medium

	RET=0
	for medium in $media; do
		ipv6=off hosts 2
		reach 1 2 -c 2 -i 0.1
		check_err $? "$medium: no reply from host 2"
		reach 2 1 -c 2 -i 0.1
		check_err $? "$medium: no reply from host 1"
		expect "$medium: link address of host 2 at host 1" "$(lladdr 2)" \
			"$(host 1 ip -j neigh show 10.0.0.2 | jq -r '.[0].lladdr')"
		expect "$medium: link address of host 1 at host 2" "$(lladdr 1)" \
			"$(host 2 ip -j neigh show 10.0.0.1 | jq -r '.[0].lladdr')"
		reach 1 2 -c 2 -i 0.1 -M "do" -s $((mtu[$medium] - 28))
		check_err $? "$medium: no reply to packets of the MTU"
		reach 1 2 -c 1 -M "do" -s $((mtu[$medium] - 27)) 2>/dev/null
		check_fail $? "$medium: a reply to a packet longer than the MTU"
		reach 1 2 -c 2 -i 0.1 -s 20000
		check_err $? "$medium: no reply to fragments"
		host 1 ip link set s0 mtu ${longest[$medium]}
		host 2 ip link set s0 mtu ${longest[$medium]}
		reach 1 2 -c 2 -i 0.1 -M "do" -s $((longest[$medium] - 28))
		check_err $? "$medium: no reply to packets of the maximum MTU"
	done
	log_test "ping on each medium"
}

on_the_wire()
{
	local medium own peer arp zeroes

	RET=0
	for medium in $media; do
		hosts_of 2
		station 1 udp 10.0.0.2
		came() { [ "$(captured 1 | wc -l) $(captured 2 | wc -l)" = "2 2" ]; }
		busywait 60000 came
		own=$(lladdr 1)
		own=${own//:/}
		peer=$(lladdr 2)
		peer=${peer//:/}
		zeroes=${own//?/0}
		arp=${hrd[$medium]}0800$(printf %02x ${bytes[$medium]})04
		expect "$medium: ARP request" \
			"$(frame "$(broadcast_addr)" $own 0806 "${arp}0001${own}0a000001${zeroes}0a000002")" \
			"$(captured 2 | sed -n 1p)"
		expect "$medium: ARP reply" \
			"$(frame $own $peer 0806 "${arp}0002${peer}0a000002${own}0a000001")" \
			"$(captured 1 | sed -n 1p)"
		# From any port to 4242; the checksum may be deferred to the receiver.
		[[ $(captured 2 | sed -n 2p) =~ ^$(frame $peer $own 0800 \
			4500001d)....40004011....0a0000010a000002....10920009....21$ ]]
		check_err $? "$medium: IPv4 is $(captured 2 | sed -n 2p)"
	done
	log_test "ARP and IPv4 frames of each medium byte for byte"
}

# dropped_at_1 WHAT COUNT: checks drop_no_target of host 1.
dropped_at_1() { expect "$medium: $1" "$2" "$(queues 1 tx drop_no_target)"; }

address_changes()
{
	local medium

	RET=0
	for medium in $media; do
		ipv6=off hosts 2
		host 2 ip link set s0 address "$(lladdr 20)"
		check_err $? "$medium: cannot change the address"
		reach 1 2 -c 1
		check_err $? "$medium: no reply from the new address"
		expect "$medium: link address of host 2 at host 1" "$(lladdr 20)" \
			"$(host 1 ip -j neigh show 10.0.0.2 | jq -r '.[0].lladdr')"
		station 1 frames 3 "$(frame "$(lladdr 2)" "$(lladdr 1)" 88b5)"
		dropped_at_1 "to the old address" 3
		host 2 ip link set s0 down
		host 2 ip link set s0 address "$(lladdr 2)"
		check_err $? "$medium: cannot change the address while down"
		host 2 ip link set s0 up
		host 1 ip neigh flush dev s0
		reach 1 2 -c 1
		check_err $? "$medium: no reply from the address that was set while down"
		station 1 frames 3 "$(frame "$(lladdr 20)" "$(lladdr 1)" 88b5)"
		dropped_at_1 "to the address before that" 6
	done
	log_test "change of the link address on each medium"
}

packet_sockets()
{
	local medium

	RET=0
	for medium in $media; do
		ipv6=off hosts 2
		expect "$medium: output of ether.py" "length ${bytes[$medium]}" \
			"$("$selftests/ether.py" datagrams "$NS1" "$NS2" "$(broadcast_addr)" 2>&1)"
	done
	log_test "packet sockets of type SOCK_DGRAM on each medium"
}

# sends_with I DST SRC: a datagram of host 1 to 10.0.0.2 reaches host I with this link header.
sends_with()
{
	local header

	header=$(frame "$(lladdr "$2")" "$(lladdr "$3")" 0800)
	captured "$1" >/dev/null
	: >"$own_files/captured$1"
	station 1 udp 10.0.0.2
	came() { captured "$1" | grep -qE "^.{${#header}}4500001d"; }
	busywait 60000 came "$1"
	expect "$medium: header from $3 to $2" "$header" \
		"$(captured "$1" | sed -nE "s/^(.{${#header}})4500001d.*/\\1/p")"
}

header_cache()
{
	local medium

	RET=0
	for medium in $media; do
		announce=yes hosts_of 3
		reach 1 2 -c 2 -i 0.1
		sends_with 2 2 1
		# A change that the peer announces, then changes by the user.
		host 2 ip link set s0 address "$(lladdr 20)"
		learned() { [[ $(neigh_entry 1 10.0.0.2) == *" $(lladdr 20)" ]]; }
		busywait 60000 learned
		check_err $? "$medium: neighbour of host 1: $(neigh_entry 1 10.0.0.2)"
		sends_with 2 20 1
		host 1 ip link set s0 address "$(lladdr 10)"
		sends_with 2 20 10
		reach 2 1 -c 1
		check_err $? "$medium: host 2 does not resolve the new address"
		host 1 ip neigh replace 10.0.0.2 lladdr "$(lladdr 20)" dev s0 nud permanent
		sends_with 2 20 10
		host 1 ip neigh replace 10.0.0.2 lladdr "$(lladdr 3)" dev s0 nud permanent
		sends_with 3 3 10
		host 1 ip neigh replace 10.0.0.2 lladdr "$(lladdr 20)" dev s0 nud permanent
		sends_with 2 20 10
	done
	log_test "the header cache follows changes of link addresses"
}

# ARP with a sender address that is not the frame's source is dropped, except on Ethernet (VRRP).
arp_rules()
{
	local medium wanted sha

	RET=0
	for medium in $media; do
		ipv6=off hosts 2
		wanted=0
		send_arp 1 1 spa=10.0.0.9 tpa=10.0.0.2 src="$(lladdr 99)"
		[ $medium = ethernet ] || wanted=1
		ended() { [ "$(queues 2 rx packets) $(queues 2 rx drop_arp)" != "0 0" ]; }
		busywait 60000 ended
		expect "$medium: drop_arp, sender is not the source" $wanted "$(queues 2 rx drop_arp)"
		for sha in "$(broadcast_addr)" "$(lladdr 2)"; do
			send_arp 1 1 spa=10.0.0.8 tpa=10.0.0.2 sha="$sha"
		done
		((wanted += 2))
		ended() { [ "$(queues 2 rx drop_arp)" = $wanted ]; }
		busywait 60000 ended
		expect "$medium: drop_arp, broadcast or own address as sender" $wanted "$(queues 2 rx drop_arp)"
		expect "$medium: learned addresses" "$([ $medium != ethernet ] || echo 10.0.0.9)" \
			"$(host 2 ip -j neigh show dev s0 | jq -r '.[].dst')"
	done
	log_test "checks of the ARP sender address on each medium"
}

# ipv6.sh tests the spans medium.
ipv6()
{
	local medium i

	RET=0
	for medium in ethernet ax25 arcnet; do
		hosts 2
		for i in 1 2; do
			host $i ip -batch - <<-END
				link set s0 mtu 1500
				addr add fd00::$i/64 dev s0 nodad
			END
		done
		host 1 ping -6 -q -c 2 -i 0.1 -W 5 fd00::2 >/dev/null
		check_err $? "$medium: no reply"
		expect "$medium: link address of host 2 at host 1" "$(lladdr 2)" \
			"$(host 1 ip -j -6 neigh show fd00::2 | jq -r '.[0].lladdr')"
		host 2 ping -6 -q -c 1 -W 5 -s 5000 fd00::1 >/dev/null
		check_err $? "$medium: no reply to fragments"
	done
	log_test "IPv6 on each medium"
}

addresses_of_ethernet()
{
	local medium address i

	RET=0
	medium=ethernet
	hosts 2
	address=fe80::ff:fe00
	usable() { [ "$(host "$1" ip -6 -j addr show dev s0 -tentative |
		jq -r '.[]?.addr_info[]?.local')" = "$address:$1" ]; }
	for i in 1 2; do
		busywait 20000 usable $i
		check_err $? "host $i has $(host $i ip -6 addr show dev s0)"
	done
	host 1 ping -6 -q -c 1 -W 5 "$address:2%s0" >/dev/null
	check_err $? "no reply"
	for medium in spans ax25 arcnet; do
		hosts 2
		host 1 ip link set s0 mtu 1500
		expect "$medium: addresses" "" "$(host 1 ip -6 addr show dev s0)"
	done
	log_test "only Ethernet has link-local IPv6 addresses by EUI-64"
}

tests_run
exit "$EXIT_STATUS"
