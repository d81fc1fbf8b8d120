#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The guest's part of `make demo`. Each step must succeed.

set -eEuo pipefail
trap 'echo "demo: failed: $BASH_COMMAND"' ERR

step() { printf '\n# %s\n' "$*"; }
run() {
	printf '$ %s\n' "$*"
	"$@"
}

step "$(uname -sr), unmodified, loads a network driver written in Rust"
run insmod "$SPANS_KO"
sed -n 's/^\(spans [0-9]* [0-9]*\) .*/\1/p' /proc/modules

step "two hosts on one segment"
run ip netns add alice
run ip netns add bob
run ip link add s0 type spans
run ip link add s1 link s0 type spans
run ip link set s0 netns alice
run ip link set s1 netns bob
run ip -n alice link set s0 up
run ip -n bob link set s1 up
# After both devices are up: without a carrier the addresses could not be announced.
run ip -n alice addr add 10.0.0.1/24 dev s0
run ip -n bob addr add 10.0.0.2/24 dev s1

step "address resolution and ping"
run ip netns exec alice ping -c 3 -i 0.2 -W 5 10.0.0.2

step "a burst of UDP, 1000 datagrams from each CPU"
cat >/tmp/receive.py <<'EOF'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
s.bind(("10.0.0.2", 9))
s.settimeout(20)
open("/tmp/ready", "w").close()
wanted = int(sys.argv[1])
for received in range(wanted):
    s.recv(2048)
print(f"bob received all {wanted}")
EOF
cat >/tmp/send.py <<'EOF'
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for cpu in range(os.cpu_count()):
    os.sched_setaffinity(0, {cpu})
    for number in range(1000):
        s.sendto(bytes(18), ("10.0.0.2", 9))
EOF
cpus=$(nproc)
ip netns exec bob python3 /tmp/receive.py $((cpus * 1000)) &
receiver=$!
for ((i = 0; i < 300; i++)); do
	[ ! -e /tmp/ready ] || break
	sleep 0.1
done
ip netns exec alice python3 /tmp/send.py
wait $receiver

step "statistics and neighbours"
run ip -n alice -d -s link show s0
[ "$(ip -n alice -s -j link show s0 | sed -n 's/.*"tx":{[^}]*"dropped":\([0-9]*\).*/\1/p')" = 0 ]
run ip -n alice neigh show
run ip -n bob neigh show

step "each CPU has a transmit subqueue of its own"
printf '$ ethtool -S s0 (what is not zero)\n'
ip netns exec alice ethtool -S s0 | grep -v ': 0$'
for ((cpu = 0; cpu < cpus; cpu++)); do
	ip netns exec alice ethtool -S s0 | awk -v "name=tx_queue_${cpu}_packets:" \
		'$1 == name && $2 >= 1000 { found = 1 } END { exit !found }'
done

step "unload"
run rmmod spans
[ ! -d /sys/module/spans ]
[ -z "$(ip -n alice -o link show type spans 2>/dev/null)" ]
echo
