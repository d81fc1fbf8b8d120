#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""RTM_NEWLINK and RTM_GETLINK requests for spans devices that iproute2 would check first or
cannot express.

newlink.py NAME [KEY=VALUE...]  add a device: link (an index or a name), netnsid (that of
                                link), medium, address, broadcast, mtu. The kernel's error
                                goes to stderr.
newlink.py -                    the same for each line of the input; prints "ok" or the error
newlink.py show NAME...         print the media of devices in RTM_NEWLINK
"""

import os
import socket
import struct
import sys

RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST, NLM_F_REQUEST_ACK_CREATE_EXCL = 1, 0x605
IFLA_ADDRESS, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_LINK = 1, 2, 3, 4, 5
IFLA_LINKINFO, IFLA_LINK_NETNSID = 18, 37
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_SPANS_MEDIUM = 1
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_CAP_ACK = 270, 11, 10
NLMSGERR_ATTR_MSG = 1


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        found[kind & 0x3fff] = data[4:length]
        data = data[length + 3 & ~3:]
    return found


def text(data):
    return data.split(b"\0")[0].decode()


def link_address(value):
    return bytes.fromhex(value.replace(":", ""))


def link_index(value):
    return struct.pack("I", int(value) if value.isdigit() else socket.if_nametoindex(value))


KEYS = {"link": (IFLA_LINK, link_index),
        "netnsid": (IFLA_LINK_NETNSID, lambda value: struct.pack("i", int(value))),
        "address": (IFLA_ADDRESS, link_address),
        "broadcast": (IFLA_BROADCAST, link_address),
        "mtu": (IFLA_MTU, lambda value: struct.pack("I", int(value)))}


def ask(kind, flags, body):
    """The reply, without its header."""
    body = struct.pack("BxHiII", 0, 0, 0, 0, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        sock.send(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        return sock.recv(65536)[16:]


def add(name, *words):
    """The kernel's error message, or None."""
    given = dict(word.split("=", 1) for word in words)
    info = attribute(IFLA_INFO_KIND, b"spans\0")
    if "medium" in given:
        medium = given.pop("medium").encode() + b"\0"
        info += attribute(IFLA_INFO_DATA, attribute(IFLA_SPANS_MEDIUM, medium))
    body = attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(IFLA_LINKINFO, info)
    for key, value in given.items():
        kind, pack = KEYS[key]
        body += attribute(kind, pack(value))
    answer = ask(RTM_NEWLINK, NLM_F_REQUEST_ACK_CREATE_EXCL, body)
    error = -struct.unpack_from("i", answer)[0]
    if not error:
        return None
    # The header of the request follows the error.
    message = attributes(answer[4 + 16:]).get(NLMSGERR_ATTR_MSG, b"")
    return f"{text(message)} ({os.strerror(error)})"


def show(name):
    answer = ask(RTM_GETLINK, NLM_F_REQUEST, attribute(IFLA_IFNAME, name.encode() + b"\0"))
    info = attributes(attributes(answer[16:])[IFLA_LINKINFO])
    return text(attributes(info.get(IFLA_INFO_DATA, b"")).get(IFLA_SPANS_MEDIUM, b""))


if __name__ == "__main__":
    if sys.argv[1] == "-":
        for line in sys.stdin:
            print(add(*line.split()) or "ok")
    elif sys.argv[1] == "show":
        print(*map(show, sys.argv[2:]))
    else:
        sys.exit(add(*sys.argv[1:]))
