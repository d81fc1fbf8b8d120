#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Segments with devices in several network namespaces; deleted namespaces; permissions.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	created_in_another
	moved
	link_from_another
	moved_under_traffic
	namespace_deleted
	namespace_deleted_under_traffic
	first_device_deleted
	mark_is_cleared
	rights
	rights_over_settings
"

reach()
{
	ip netns exec "$1" ping -q -c 2 -i 0.1 -W 5 "$2" >/dev/null
}

created_in_another()
{
	RET=0
	hosts 2 # host 2 is created with `link s0 netns`
	reach "$NS1" 10.0.0.2
	check_err $? "no reply from a device created in another namespace"
	log_test "device created in another namespace"
}

moved()
{
	RET=0
	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 type spans
	ip -n "$NS1" link add s1 link s0 type spans
	ip -n "$NS1" link set s1 netns "$NS2"
	check_err $? "cannot move a device"
	ip -n "$NS1" addr add 10.0.0.1/24 dev s0
	ip -n "$NS2" addr add 10.0.0.2/24 dev s1
	ip -n "$NS1" link set s0 up
	ip -n "$NS2" link set s1 up
	reach "$NS1" 10.0.0.2
	check_err $? "no reply from a device that was moved"
	log_test "device moved to another namespace"
}

link_from_another()
{
	local id

	RET=0
	setup_ns NS1 NS2
	ip -n "$NS1" link add s0 type spans
	ip -n "$NS2" netns set "$NS1" 7
	ip -n "$NS2" link add s1 link s0 link-netnsid 7 type spans 2>/dev/null ||
		ip -n "$NS2" link add s1 link "$(ip -n "$NS1" -j link show s0 | jq '.[0].ifindex')" \
			link-netnsid 7 type spans
	check_err $? "cannot add a device with link-netnsid"
	id=$(ip -n "$NS1" -j -d link show s0 | jq -r '.[0].phys_switch_id')
	expect "phys_switch_id" "$id" "$(ip -n "$NS2" -j -d link show s1 | jq -r '.[0].phys_switch_id')"
	log_test "link-netnsid"
}

# flood FROM TO: host FROM pings host TO until the test ends.
flood()
{
	start "$1" "$selftests/flood.py" ping "10.0.0.$2"
	defer kill_process $!
	flows() { [ "$(queues "$1" rx packets)" -ge 100 ]; }
	busywait 20000 flows "$1"
	check_err $? "host $1 receives no replies"
}

moved_under_traffic()
{
	local i ns

	RET=0
	hosts 2
	setup_ns NS3
	flood 1 2
	for ((i = 0; i < $(rounds 3); i++)); do
		for ns in "$NS3" "$NS2"; do
			ip -n "$([ "$ns" = "$NS3" ] && echo "$NS2" || echo "$NS3")" \
				link set s0 netns "$ns"
			check_err $? "cannot move a device under traffic"
			ip -n "$ns" addr add 10.0.0.2/24 dev s0
			ip -n "$ns" link set s0 up
			reach "$NS1" 10.0.0.2
			check_err $? "no reply after moving under traffic"
		done
	done
	log_test "device moved to another namespace under traffic"
}

namespace_deleted()
{
	RET=0
	hosts 3
	cleanup_ns "$NS2"
	reach "$NS1" 10.0.0.3
	check_err $? "no reply from host 3 to host 1"
	# The namespace and its device are deleted asynchronously.
	gone() { host 1 ping -q -c 1 -W 1 10.0.0.2 >/dev/null && return 1; return 0; }
	busywait 20000 gone
	check_err $? "a reply from a device of a deleted namespace"
	log_test "namespace with a device deleted"
}

deleted_under_traffic()
{
	flood 1 2
	flood 2 3
	cleanup_ns "$NS2"
	reach "$NS1" 10.0.0.3
	check_err $? "no reply from host 3 to host 1"
}

namespace_deleted_under_traffic()
{
	local i

	RET=0
	for ((i = 0; i < $(rounds 3); i++)); do
		hosts 3
		in_defer_scope deleted_under_traffic
	done
	log_test "namespace with a device deleted under traffic"
}

first_device_deleted()
{
	RET=0
	hosts 3
	ip -n "$NS1" link del s0
	reach "$NS2" 10.0.0.3
	check_err $? "no reply after the first device was deleted"
	ip -n "$NS2" link add s9 link s0 type spans
	check_err $? "cannot add a device to the segment"
	log_test "a segment outlasts its first device"
}

# skb->mark is cleared between namespaces.
mark_is_cleared()
{
	RET=0
	hosts 2
	# This rule has to come before the lookup of local addresses.
	if ! host 2 ip rule add pref 5 fwmark 7 prohibit 2>/dev/null; then
		log_test_skip "packet marks do not cross namespaces" "no routing rules in this kernel"
		return
	fi
	host 2 ip rule add pref 10 lookup local
	host 2 ip rule del pref 0
	reach "$NS1" 10.0.0.2
	check_err $? "no reply"
	# Host 2 would not reply to a packet with this mark.
	host 1 ping -q -c 2 -i 0.1 -W 5 -m 7 10.0.0.2 >/dev/null
	check_err $? "the mark of a packet crossed the segment"
	log_test "packet marks do not cross namespaces"
}

# Adding a device to a segment needs CAP_NET_ADMIN over the namespace of the linked device.
rights()
{
	RET=0
	unshare -Urn ip link add s0 type spans
	check_err $? "root of a user namespace cannot create a device"

	setup_ns NS1
	ip -n "$NS1" link add s0 type spans
	refused "Operation not permitted" \
		ip netns exec "$NS1" unshare -Ur ip link add s1 link s0 type spans

	# Root of another user namespace, with an nsid for the namespace of the device.
	unshare -Urn sh -c "
		echo \$\$ >/tmp/pid
		while [ ! -e /tmp/go ]; do sleep 0.1; done
		'$selftests/newlink.py' s1 link=$(ip -n "$NS1" -j link show s0 | jq '.[0].ifindex') netnsid=5" 2>/tmp/said &
	defer rm -f /tmp/pid /tmp/go /tmp/said
	busywait 20000 test -s /tmp/pid
	nsenter --net="/proc/$(cat /tmp/pid)/ns/net" ip netns set "$NS1" 5
	touch /tmp/go
	wait $!
	check_fail $? "a device was added to the segment of another user namespace"
	grep -q "Permission denied\|not permitted" /tmp/said
	check_err $? "expected a permission error, found '$(cat /tmp/said)'"
	log_test "permission to add a device to a segment"
}

# Root of a user namespace may change its device's settings, but not owner_cpus.
rights_over_settings()
{
	RET=0
	# shellcheck disable=SC2016 # it is for the other shell
	unshare -Urnm bash -c '
		mount -t sysfs sysfs /sys || exit 77
		ip link add s0 type spans || exit
		cd /sys/class/net/s0/spans || exit
		echo 7 >stage_count || exit
		[ "$(cat stage_count)" = 7 ] || exit
		owners=$(cat owner_cpus)
		if echo "$owners" >owner_cpus; then
			echo "owner_cpus can be written"
			exit 1
		fi' >/tmp/said 2>&1
	check_err $? "$(cat /tmp/said)"
	defer rm -f /tmp/said
	grep -q "Operation not permitted" /tmp/said
	check_err $? "expected a permission error, found '$(cat /tmp/said)'"
	# Writing needs CAP_NET_ADMIN.
	hosts 1
	host 1 setpriv --bounding-set -net_admin --inh-caps -net_admin bash -c \
		'echo 7 >/sys/class/net/s0/spans/stage_count' 2>/tmp/said
	check_fail $? "a process without CAP_NET_ADMIN can write stage_count"
	expect "stage_count" 16 "$(get_spans 1 stage_count)"
	log_test "permission to change settings"
}

tests_run
exit "$EXIT_STATUS"
