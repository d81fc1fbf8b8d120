#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `ip link` and ethtool: attributes, settings and states of one device.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	defaults
	settings_of_a_new_device
	ring_sizes
	address_given
	address_random
	address_change
	mtu
	rename_and_delete
	queue_count
	up_down
	kind_of_driver
	autoload
"

show()
{
	ip -j -d link show s0 | jq -r ".[0].$1"
}

# rx_queues COUNT: num_rx_queues as shown for COUNT queues: null on a kernel without RPS.
rx_queues()
{
	if [ -d /sys/class/net/lo/queues/rx-0 ]; then echo "$1"; else echo null; fi
}

defaults()
{
	RET=0
	adf_ip_link_add s0 type spans
	check_err $? "cannot create a device"

	expect kind spans "$(show linkinfo.info_kind)"
	expect "link type" "[16448]" "$(show link_type)"
	expect broadcast ff:ff:ff:ff:ff:ff:ff:ff "$(show broadcast)"
	expect mtu 9180 "$(show mtu)"
	expect "minimum mtu" 68 "$(show min_mtu)"
	expect "maximum mtu" 65535 "$(show max_mtu)"
	expect "transmit queues" "$(getconf _NPROCESSORS_CONF)" "$(show num_tx_queues)"
	expect "receive queues" "$(rx_queues "$(getconf _NPROCESSORS_CONF)")" "$(show num_rx_queues)"
	expect "transmit queue length" 1000 "$(show txqlen)"
	expect "header length" 28 "$(header_len)"
	log_test "attributes of a new device"
}

# See Documentation/settings.rst.
settings_of_a_new_device()
{
	local file wanted

	RET=0
	adf_ip_link_add s0 type spans
	while read -r file wanted; do
		expect "$file" "$wanted" "$(<"/sys/class/net/s0/spans/$file")"
	done <<-END
		stage_count 16
		stage_bytes 0
		stage_usecs 0
		queue_len 256
		queue_bytes 0
		rate_mbit 0
		delay_usecs 0
		tx_wait_usecs 1000
		mapping modulo
		medium spans
		arp_tick_ms 60000
		arp_ticks 20
		arp_retrans_ms 3000
		arp_probes 5
		arp_hold_ms 20000
		arp_max_entries $(</proc/sys/net/ipv4/neigh/default/gc_thresh3)
		arp_entries 0
	END
	expect "RX and TX ring slots" "1024 256" \
		"$(ethtool -g s0 | sed -n '/^Current/,$ s/^[RT]X:[[:space:]]*//p' | xargs)"
	expect "maximum RX and TX ring slots" "32768 32768" \
		"$(ethtool -g s0 | sed -n '/^Pre/,/^Current/ s/^[RT]X:[[:space:]]*//p' | xargs)"
	expect "stage settings of ethtool -c" "16 0 0" "$(ethtool -c s0 |
		sed -nE 's/^tx-aggr-(max-frames|max-bytes|time-usecs):[[:space:]]*//p' | sort -nr | xargs)"
	log_test "settings of a new device"
}

ring_sizes()
{
	local state slots ring

	RET=0
	adf_ip_link_add s0 type spans
	for state in down up; do
		ip link set s0 $state
		for ring in rx tx; do
			for slots in 16 32768; do
				ethtool -G s0 $ring $slots
				check_err $? "$state: $slots $ring slots are rejected"
			done
			for slots in 0 8 15 17 1000 32767 32769 65536; do
				ethtool -G s0 $ring $slots 2>/dev/null
				check_fail $? "$state: $slots $ring slots are accepted"
			done
			expect "$state: $ring slots" 32768 "$(ethtool -g s0 |
				sed -n "/^Current/,$ s/^${ring^^}:[[:space:]]*//p")"
			ethtool -G s0 $ring 64
			check_err $? "$state: 64 $ring slots are rejected"
		done
	done
	log_test "ring sizes"
}

# header_len: the length of the shortest frame that a packet socket accepts.
header_len()
{
	ip link set s0 up
	python3 - <<-'EOF'
	import socket
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("s0", 0x0800))
	def fits(n):
	    try:
	        s.send(bytes(n))
	        return True
	    except OSError:
	        return False
	print(next(n for n in range(1, 64) if fits(n)))
	EOF
}

address_given()
{
	RET=0
	adf_ip_link_add s0 address 00:11:22:33:44:55:66:77 type spans
	expect address 00:11:22:33:44:55:66:77 "$(show address)"
	expect addr_assign_type 3 "$(cat /sys/class/net/s0/addr_assign_type)"
	log_test "address set at creation"
}

address_random()
{
	local first

	RET=0
	adf_ip_link_add s0 type spans
	first=$(show address)
	[[ $first =~ ^[0-9a-f][26ae](:[0-9a-f]{2}){7}$ ]]
	check_err $? "'$first' is not a locally administered unicast address of 8 bytes"
	expect addr_assign_type 1 "$(cat /sys/class/net/s0/addr_assign_type)"
	ip link del s0
	ip link add s0 type spans
	[ "$(show address)" != "$first" ]
	check_err $? "two devices got the same random address $first"
	log_test "random address"
}

address_change()
{
	RET=0
	adf_ip_link_add s0 type spans
	ip link set s0 address 00:00:00:00:00:00:00:01
	check_err $? "cannot change the address while down"
	expect "address while down" 00:00:00:00:00:00:00:01 "$(show address)"
	ip link set s0 up
	ip link set s0 address fe:ff:ff:ff:ff:ff:ff:02
	check_err $? "cannot change the address while up"
	expect "address while up" fe:ff:ff:ff:ff:ff:ff:02 "$(show address)"
	log_test "address change"
}

mtu()
{
	local size

	RET=0
	adf_ip_link_add s0 mtu 1500 type spans
	expect "mtu at creation" 1500 "$(show mtu)"
	ip link set s0 up
	for size in 68 9000 65535; do
		ip link set s0 mtu $size
		check_err $? "cannot set mtu $size"
		expect mtu $size "$(show mtu)"
	done
	log_test "mtu"
}

rename_and_delete()
{
	RET=0
	ip link add s0 type spans
	ip link set s0 up
	ip link set s0 name a-name-of-15-by
	check_err $? "cannot rename"
	ip link set a-name-of-15-by group 7 alias "something else"
	check_err $? "cannot set group and alias"
	ip link del a-name-of-15-by
	check_err $? "cannot delete while up"
	ip link show type spans | grep -q .
	check_fail $? "a device was not deleted"
	log_test "rename and delete"
}

queue_count()
{
	local count

	RET=0
	for count in 1 3 64; do
		ip link add s0 numtxqueues $count numrxqueues 2 type spans
		check_err $? "cannot create $count transmit queues"
		expect "transmit queues" $count "$(show num_tx_queues)"
		expect "receive queues" "$(rx_queues 2)" "$(show num_rx_queues)"
		expect "tx directories" $count "$(find /sys/class/net/s0/queues -name 'tx-*' | wc -l)"
		ip link set s0 up
		check_err $? "cannot go up with $count queues"
		ip link del s0
	done
	log_test "numtxqueues and numrxqueues"
}

up_down()
{
	local i

	RET=0
	adf_ip_link_add s0 type spans
	adf_ip_link_add s1 link s0 type spans
	ip link set s1 up
	expect qdisc noop "$(show qdisc)"
	for i in 1 2 3 4 5; do
		ip link set s0 up
		check_err $? "cannot go up, time $i"
		[[ $(show 'flags | join(" ")') == *LOWER_UP* ]]
		check_err $? "no carrier, time $i"
		ip link set s0 down
		check_err $? "cannot go down, time $i"
	done
	ip link set s0 up
	if (($(show num_tx_queues) == 1)); then
		expect qdisc "$(sysctl -n net.core.default_qdisc)" "$(show qdisc)"
	else
		expect qdisc mq "$(show qdisc)"
	fi
	ip link del s0
	ip link add s0 link s1 numtxqueues 2 type spans
	ip link set s0 up
	expect "qdisc of two queues" mq "$(show qdisc)"
	log_test "up and down"
}

kind_of_driver()
{
	RET=0
	adf_ip_link_add s0 type spans
	expect driver spans "$(ethtool -i s0 | sed -n 's/^driver: //p')"
	expect "link detected" no "$(ethtool s0 | sed -n 's/.*Link detected: //p')"
	ip link set s0 up
	adf_ip_link_add s1 link s0 type spans
	ip link set s1 up
	expect "link detected" yes "$(ethtool s0 | sed -n 's/.*Link detected: //p')"
	log_test "driver name and link state in ethtool"
}

autoload()
{
	RET=0
	rmmod spans
	check_err $? "cannot unload"
	if modprobe -n spans 2>/dev/null; then
		adf_ip_link_add s0 type spans
		check_err $? "the module was not loaded for a new link"
		log_test "module autoload by rtnl link kind"
	else
		load_module
		log_test_skip "module autoload by rtnl link kind"
	fi
}

tests_run
exit "$EXIT_STATUS"
