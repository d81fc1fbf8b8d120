#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads counters of devices and writes settings of namespaces, for the scripts.

One process for a whole script, as two or three processes for each counter would be most of its
run time. Each input line gets a line as reply:

NS queues DIRECTION NAME  a counter of `ethtool -S s0`, summed over the queues
NS accounted DIRECTION    the sum of those that account for packets in this direction
NS stat DIRECTION NAME    a counter of `ip -s -s link show s0`
NS mark                   remember all counters, ethtool's summed over the queues and named
                          ethtool_...; prints their number
NS moved                  those that have changed since then, NAME+DIFFERENCE, sorted
NS write FILE VALUE...    write to files below /proc/sys, except IPv6 files of a kernel without
                          IPv6; prints "ok" or nothing

The first line of output is "ready", or an error. A lock makes other scripts wait until this
process ends, as they share the module and global settings. Without a device, queues and accounted are
0 and the others are empty. No file of a namespace stays open between two lines, so that it can be
deleted.
"""

import array
import contextlib
import fcntl
import os
import re
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSTATS, ETHTOOL_GSSET_INFO = 0x1b, 0x1d, 0x37
ETH_SS_STATS, ETH_GSTRING_LEN = 1, 32
RTM_GETLINK, NLM_F_REQUEST = 18, 1
IFLA_IFNAME, IFLA_STATS64 = 3, 23
DEVICE = b"s0\0\0"
LOCK = "/run/spans-selftests.lock"

# struct rtnl_link_stats64
STATS = ("rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped tx_dropped "
         "rx_multicast tx_collisions rx_length_errors rx_over_errors rx_crc_errors "
         "rx_frame_errors rx_fifo_errors rx_missed_errors tx_aborted_errors tx_carrier_errors "
         "tx_fifo_errors tx_heartbeat_errors tx_window_errors rx_compressed tx_compressed "
         "rx_nohandler rx_otherhost_dropped").split()

HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


@contextlib.contextmanager
def within(netns):
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    try:
        os.setns(there)
        try:
            yield
        finally:
            os.setns(HOME)
    finally:
        os.close(there)


def inside(netns, *what):
    """A socket of a namespace."""
    with within(netns):
        return socket.socket(*what)


def ethtool(sock, request):
    """The buffer of a request after SIOCETHTOOL."""
    data = array.array("B", request)
    fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", DEVICE, data.buffer_info()[0]))
    return data.tobytes()


def counters(netns):
    """(name, value) of each counter of `ethtool -S`."""
    with inside(netns, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        info = ethtool(sock, struct.pack("IIQI", ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_STATS, 0))
        count = struct.unpack_from("I", info, 16)[0]
        names = ethtool(sock, struct.pack("III", ETHTOOL_GSTRINGS, ETH_SS_STATS, count)
                        + bytes(count * ETH_GSTRING_LEN))
        values = ethtool(sock, struct.pack("II", ETHTOOL_GSTATS, count) + bytes(count * 8))
    for i in range(count):
        name, = struct.unpack_from(f"{ETH_GSTRING_LEN}s", names, 12 + i * ETH_GSTRING_LEN)
        yield name.rstrip(b"\0").decode(), struct.unpack_from("Q", values, 8 + i * 8)[0]


def total(netns, pattern):
    try:
        return sum(value for name, value in counters(netns) if re.fullmatch(pattern, name))
    except OSError:
        return 0


def queues(netns, direction, name):
    return total(netns, f"{direction}_queue_[0-9]+_{name}")


def accounted(netns, direction):
    return total(netns, f"{direction}_queue_[0-9]+_(packets|drop_.*|error_.*)")


def stats64(netns):
    """struct rtnl_link_stats64, or None."""
    request = struct.pack("BxHiIIHH4s", 0, 0, 0, 0, 0, 8, IFLA_IFNAME, DEVICE)
    with inside(netns, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("IHHII", 16 + len(request), RTM_GETLINK, NLM_F_REQUEST, 1, 0)
                  + request)
        answer = sock.recv(65536)[16 + 16:]
    while len(answer) >= 4:
        length, kind = struct.unpack_from("HH", answer)
        if kind == IFLA_STATS64:
            return struct.unpack_from(f"{(length - 4) // 8}Q", answer, 4)
        answer = answer[max(length + 3 & ~3, 4):]
    return ()


def stat(netns, direction, name):
    stats = stats64(netns)
    return stats[STATS.index(f"{direction}_{name}")] if stats else ""


def everything(netns):
    sums = {}
    for name, value in counters(netns):
        name = "ethtool_" + re.sub("_queue_[0-9]+_", "_", name)
        sums[name] = sums.get(name, 0) + value
    sums.update(zip(STATS, stats64(netns)))
    return sums


marks = {}


def mark(netns):
    marks[netns] = everything(netns)
    return len(marks[netns])


def moved(netns):
    before = marks[netns]
    return " ".join(f"{name}+{value - before.get(name, 0)}"
                    for name, value in sorted(everything(netns).items())
                    if value != before.get(name, 0))


def write(netns, *words):
    with within(netns):
        for file, value in zip(words[::2], words[1::2]):
            if file.startswith("net/ipv6/") and not os.path.exists("/proc/sys/net/ipv6/conf"):
                continue
            with open(f"/proc/sys/{file}", "w", encoding="ascii") as out:
                out.write(value)
    return "ok"


COMMANDS = {f.__name__: f for f in (queues, accounted, stat, mark, moved, write)}


def main():
    if not hasattr(os, "setns"):
        print("python3 has no os.setns: version 3.12 or later is needed", flush=True)
        return
    fcntl.flock(os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), fcntl.LOCK_EX)
    print("ready", flush=True)
    for line in sys.stdin:
        netns, command, *words = line.split()
        try:
            said = COMMANDS[command](netns, *words)
        except (OSError, ValueError, KeyError):
            said = ""
        print(said, flush=True)


if __name__ == "__main__":
    main()
