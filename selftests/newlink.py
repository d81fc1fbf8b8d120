#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""newlink.py NAME LINK [LINK_NETNSID]

Asks the kernel for a spans device that is linked to the index LINK, as it is,
where iproute2 would first look the device up. Prints what the kernel says.
"""

import os
import socket
import struct
import sys

RTM_NEWLINK = 16
NLM_F_REQUEST_ACK_CREATE_EXCL = 0x605
IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO, IFLA_LINK_NETNSID = 3, 5, 18, 37
SOL_NETLINK, NETLINK_EXT_ACK, NETLINK_CAP_ACK = 270, 11, 10


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


name, link, *netnsid = sys.argv[1:]
body = struct.pack("BxHiII", 0, 0, 0, 0, 0)
body += attribute(IFLA_IFNAME, name.encode() + b"\0")
body += attribute(IFLA_LINK, struct.pack("I", int(link)))
body += attribute(IFLA_LINKINFO, attribute(1, b"spans\0"))
if netnsid:
    body += attribute(IFLA_LINK_NETNSID, struct.pack("i", int(netnsid[0])))

sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
sock.send(struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, NLM_F_REQUEST_ACK_CREATE_EXCL, 1, 0)
          + body)
answer = sock.recv(4096)
error = -struct.unpack_from("i", answer, 16)[0]
if error:
    # Behind the error come the header of the request and the attributes of the
    # extended acknowledgement, of which the message is the first.
    message = answer[16 + 4 + 16 + 4:].split(b"\0")[0].decode()
    sys.exit(f"{message} ({os.strerror(error)})")
