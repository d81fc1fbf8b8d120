#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Routing between media: path MTU, fragments, GSO and TCP over four links.
#
#   host 1 ------- host 2 ------- host 3 ------- host 4 ------- host 5
#      e0   spans  s0  e0 ethernet s0  e0  ax25  s0  e0 arcnet  s0
#      MTU: 9180           1500            256          9180
#   10.0.1.1   10.0.1.2, 10.0.2.1, ...                      10.0.4.2

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	both_ways
	path_mtu
	fragments
	tcp
	tcp_path_mtu
"

media=(spans ethernet ax25 arcnet)
mtus=(9180 1500 256 9180)
bytes=$((1 << 20))
if [ "${KSFT_MACHINE_SLOW:-no}" = yes ]; then bytes=$((1 << 18)); fi

# row: link I is 10.0.I.0/24 with host I (device e0) and host I + 1 (device s0).
row()
{
	local i next from to medium

	new_ns NS1 NS2 NS3 NS4 NS5
	for i in 1 2 3 4; do
		from=NS$i next=NS$((i + 1)) medium=${media[i - 1]}
		ip -n "${!from}" -batch - <<-END
			link add e0 mtu ${mtus[i - 1]} address $(lladdr $i) type spans
			link add s0 link e0 netns ${!next} mtu ${mtus[i - 1]} address $(lladdr $((i + 1))) type spans
			addr add 10.0.$i.1/24 dev e0
		END
		check_err $? "cannot add link $i"
		ip -n "${!next}" addr add 10.0.$i.2/24 dev s0
	done
	for i in 1 2 3 4 5; do
		write $i net/ipv6/conf/all/disable_ipv6 1 net/ipv4/ip_forward 1
		[ -z "$ns_settings" ] || write $i $ns_settings
		# The peer of a link may not be up yet.
		((i == 5)) || write $i net/ipv4/conf/e0/arp_notify 0
		((i == 1)) || write $i net/ipv4/conf/s0/arp_notify 0
		{
			((i == 5)) || echo "link set e0 up"
			((i == 1)) || echo "link set s0 up"
			for to in 1 2 3 4; do
				if ((to > i)); then
					echo "route add 10.0.$to.0/24 via 10.0.$i.2"
				elif ((to < i - 1)); then
					echo "route add 10.0.$to.0/24 via 10.0.$((i - 1)).1"
				fi
			done
		} | host $i ip -batch -
		check_err $? "cannot set up host $i"
	done
	across() { host 1 ping -q -c 1 -W 5 10.0.4.2 >/dev/null; }
	busywait 20000 across
	check_err $? "no reply from host 5 to host 1"
}

# small_path: lets hosts 1 and 5 accept a path MTU of 256. By default the minimum is 552
# (min_pmtu), and routers have to fragment.
small_path()
{
	write 1 net/ipv4/route/min_pmtu 200
	write 5 net/ipv4/route/min_pmtu 200
}

# ip_counter I NAME
ip_counter() { host "$1" nstat -asz -j "$2" | jq ".kernel.$2"; }

# sound: no device has counted an error or a drop.
sound()
{
	local i dev

	for i in 1 2 3 4 5; do
		for dev in "$(sys $i)"/class/net/[es]0; do
			expect "errors and drops of ${dev##*/} of host $i" "0 0 0 0" \
				"$(cd "$dev/statistics" &&
					cat rx_errors tx_errors rx_missed_errors tx_dropped | xargs)"
		done
	done
}

both_ways()
{
	local size

	RET=0
	row
	for size in 56 228; do
		host 1 ping -q -c 3 -i 0.1 -W 5 -M "do" -s $size 10.0.4.2 >/dev/null
		check_err $? "$size bytes: no reply from host 5 to host 1"
		host 5 ping -q -c 3 -i 0.1 -W 5 -M "do" -s $size 10.0.1.1 >/dev/null
		check_err $? "$size bytes: no reply from host 1 to host 5"
	done
	expect "TTL" 61 "$(host 1 ping -c 1 -W 5 10.0.4.2 | sed -n 's/.*ttl=\([0-9]*\).*/\1/p')"
	sound
	log_test "packets up to the smallest MTU of the path"
}

path_mtu()
{
	RET=0
	row
	small_path
	refused "Frag needed and DF set (mtu = 1500)" \
		host 1 ping -c 1 -W 5 -M "do" -s 9152 10.0.4.2
	expect "path MTU after the error of host 2" 1500 \
		"$(host 1 ip -j route get 10.0.4.2 | jq '.[0].metrics[0].mtu')"
	refused "Frag needed and DF set (mtu = 256)" \
		host 1 ping -c 1 -W 5 -M "do" -s 1472 10.0.4.2
	expect "path MTU after the error of host 3" 256 \
		"$(host 1 ip -j route get 10.0.4.2 | jq '.[0].metrics[0].mtu')"
	refused "Message too long" host 1 ping -c 1 -W 5 -M "do" -s 229 10.0.4.2
	host 1 ping -q -c 1 -W 5 -M "do" -s 228 10.0.4.2 >/dev/null
	check_err $? "no reply to a packet of the path MTU"
	refused "Frag needed and DF set (mtu = 256)" \
		host 5 ping -c 1 -W 5 -M "do" -s 9152 10.0.1.1
	sound
	log_test "path MTU discovery by ICMP"
}

# 8008 bytes behind the IP header are 35 fragments of at most 232.
fragments()
{
	RET=0
	row
	host 1 ping -q -c 2 -i 0.1 -W 5 -M "dont" -s 8000 10.0.4.2 >/dev/null
	check_err $? "no reply"
	# Host 2 makes six fragments of at most 1480; host 3 makes seven of each but the last.
	expect "fragments by host 2" $((2 * 6)) "$(ip_counter 2 IpFragCreates)"
	expect "fragments by host 3" $((2 * (5 * 7 + 3))) "$(ip_counter 3 IpFragCreates)"
	expect "packets reassembled by host 5" 2 "$(ip_counter 5 IpReasmOKs)"
	# On the way back only host 4 fragments.
	expect "fragments by host 4" $((2 * 35)) "$(ip_counter 4 IpFragCreates)"
	expect "packets reassembled by host 1" 2 "$(ip_counter 1 IpReasmOKs)"
	sound
	log_test "fragments"
}

# stream FROM TO ADDRESS: TCP begins with GSO segments of 9140 bytes, which are too long for the
# path, and has to send them again.
stream()
{
	local from=NS$1 to=NS$2

	expect "TCP to $3" "bytes $bytes" \
		"$("$selftests/stream.py" "${!from}" "${!to}" "$3" "$bytes" 2>&1)"
}

tcp()
{
	RET=0
	row
	stream 1 5 10.0.4.2
	stream 5 1 10.0.1.1
	[ "$(ip_counter 2 IpFragFails)" -ge 1 ]
	check_err $? "no packet was too long: this test tested nothing"
	sound
	log_test "TCP with fragmentation by routers"
}

tcp_path_mtu()
{
	local i

	RET=0
	row
	small_path
	stream 1 5 10.0.4.2
	stream 5 1 10.0.1.1
	[ "$(ip_counter 3 IpFragFails)" -ge 1 ]
	check_err $? "no packet was too long for host 3: this test tested nothing"
	for i in 2 3 4; do
		expect "fragments by host $i" 0 "$(ip_counter $i IpFragCreates)"
	done
	sound
	log_test "TCP with path MTU discovery"
}

tests_run
exit "$EXIT_STATUS"
