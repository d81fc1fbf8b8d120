#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Segments that reach over network namespaces, and namespaces that go.

# shellcheck source=selftests/lib.sh
source "$(dirname "$0")/lib.sh"

ALL_TESTS="
	created_in_another
	moved
	link_from_another
	moved_under_traffic
	namespace_deleted
	namespace_deleted_under_traffic
	first_of_segment_goes
	nothing_crosses
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
	hosts 2 # host 2 is made with `link s0 netns`
	reach "$NS1" 10.0.0.2
	check_err $? "no answer from a device created in another namespace"
	log_test "ip link add link s0 netns PEER"
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
	check_err $? "no answer from a device that was moved"
	log_test "ip link set netns PEER"
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
	check_err $? "cannot join a segment in another namespace by its number"
	id=$(ip -n "$NS1" -j -d link show s0 | jq -r '.[0].phys_switch_id')
	expect "segment" "$id" "$(ip -n "$NS2" -j -d link show s1 | jq -r '.[0].phys_switch_id')"
	log_test "link in the namespace of link-netnsid"
}

# flood FROM TO: host FROM pings host TO until the test ends.
flood()
{
	start "$1" "$selftests/flood.py" ping "10.0.0.$2"
	defer kill_process $!
	flows() { [ "$(queues "$1" rx packets)" -ge 100 ]; }
	busywait 20000 flows "$1"
	check_err $? "host $1 gets no answers"
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
			check_err $? "no answer after moving under traffic"
		done
	done
	log_test "moved under traffic"
}

namespace_deleted()
{
	RET=0
	hosts 3
	cleanup_ns "$NS2"
	reach "$NS1" 10.0.0.3
	check_err $? "the others do not reach each other any more"
	# The namespace goes in the background; its device is off the segment at last.
	gone() { host 1 ping -q -c 1 -W 1 10.0.0.2 >/dev/null && return 1; return 0; }
	busywait 20000 gone
	check_err $? "a device of a namespace that is gone answers"
	log_test "namespace with a device in it is deleted"
}

deleted_under_traffic()
{
	flood 1 2
	flood 2 3
	cleanup_ns "$NS2"
	reach "$NS1" 10.0.0.3
	check_err $? "the others do not reach each other any more"
}

namespace_deleted_under_traffic()
{
	local i

	RET=0
	for ((i = 0; i < $(rounds 3); i++)); do
		hosts 3
		in_defer_scope deleted_under_traffic
	done
	log_test "namespace is deleted under traffic"
}

first_of_segment_goes()
{
	RET=0
	hosts 3
	ip -n "$NS1" link del s0
	reach "$NS2" 10.0.0.3
	check_err $? "a segment ended with its first device"
	ip -n "$NS2" link add s9 link s0 type spans
	check_err $? "nobody can join any more"
	log_test "the first device of a segment goes"
}

# What belongs to the sender's namespace stays there.
nothing_crosses()
{
	RET=0
	hosts 2
	# Before the rule for local addresses.
	if ! host 2 ip rule add pref 5 fwmark 7 prohibit 2>/dev/null; then
		log_test_skip "marks do not cross" "no routing rules in this kernel"
		return
	fi
	host 2 ip rule add pref 10 lookup local
	host 2 ip rule del pref 0
	reach "$NS1" 10.0.0.2
	check_err $? "no answer"
	# A mark would make host 2 refuse to answer, if it crossed.
	host 1 ping -q -c 2 -i 0.1 -W 5 -m 7 10.0.0.2 >/dev/null
	check_err $? "the mark of a packet crossed the segment"
	log_test "marks do not cross"
}

# Nobody joins a segment without rights over one of its devices.
rights()
{
	RET=0
	unshare -Urn ip link add s0 type spans
	check_err $? "root of a user namespace cannot have a device of its own"

	setup_ns NS1
	ip -n "$NS1" link add s0 type spans
	refused "Operation not permitted" \
		ip netns exec "$NS1" unshare -Ur ip link add s1 link s0 type spans

	# Root of a namespace of its own, in which the other one has a number.
	unshare -Urn sh -c "
		echo \$\$ >/tmp/pid
		while [ ! -e /tmp/go ]; do sleep 0.1; done
		'$selftests/newlink.py' s1 link=$(ip -n "$NS1" -j link show s0 | jq '.[0].ifindex') netnsid=5" 2>/tmp/said &
	defer rm -f /tmp/pid /tmp/go /tmp/said
	busywait 20000 test -s /tmp/pid
	nsenter --net="/proc/$(cat /tmp/pid)/ns/net" ip netns set "$NS1" 5
	touch /tmp/go
	wait $!
	check_fail $? "joined a segment of another owner"
	grep -q "Permission denied\|not permitted" /tmp/said
	check_err $? "should have said that it is not permitted, but said '$(cat /tmp/said)'"
	log_test "rights over a segment"
}

# Root of a namespace sets what is his device's, and nothing that is the machine's.
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
			echo "may say which CPUs work for him"
			exit 1
		fi' >/tmp/said 2>&1
	check_err $? "$(cat /tmp/said)"
	defer rm -f /tmp/said
	grep -q "Operation not permitted" /tmp/said
	check_err $? "should have said that it is not permitted, but said '$(cat /tmp/said)'"
	# Without rights over the network nobody sets anything.
	hosts 1
	host 1 setpriv --bounding-set -net_admin --inh-caps -net_admin bash -c \
		'echo 7 >/sys/class/net/s0/spans/stage_count' 2>/tmp/said
	check_fail $? "a process without CAP_NET_ADMIN sets something"
	expect "stage_count" 16 "$(get_spans 1 stage_count)"
	log_test "rights over settings"
}

tests_run
exit "$EXIT_STATUS"
