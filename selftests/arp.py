#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""ARP of the SPANS medium, byte for byte, through packet sockets.

arp.py send IFACE COUNT [KEY=VALUE...]  send a packet COUNT times: op (1 asks, 2
                                        answers), spa, tpa, sha, tha, dst, src, hrd,
                                        pro, hln, pln
arp.py flood IFACE FIRST COUNT TARGET   ask for TARGET from COUNT stations, the first
                                        of which is number FIRST
arp.py hear IFACE                       print the ARP that arrives, a packet a line:
                                        when (ms), op, dst, src, sha, spa, tha, tpa
"""

import socket
import struct
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_TIMESTAMPNS = 35
EVERYBODY = "ff:" * 7 + "ff"
NOBODY = "00:" * 7 + "00"


def open_socket(iface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((iface, ETH_P_ALL))
    return sock


def link(text):
    return bytes.fromhex(text.replace(":", ""))


def frame(own, **given):
    what = {"op": 1, "spa": "0.0.0.0", "tpa": "0.0.0.0", "sha": own, "tha": NOBODY,
            "dst": EVERYBODY, "src": own, "hrd": "4040", "pro": "0800", "hln": 8, "pln": 4}
    what.update(given)
    return (link(what["dst"]) + link(what["src"]) + bytes.fromhex("00000000aaaa030000000806")
            + bytes.fromhex(what["hrd"] + what["pro"])
            + struct.pack(">BBH", int(what["hln"]), int(what["pln"]), int(what["op"]))
            + link(what["sha"]) + socket.inet_aton(what["spa"])
            + link(what["tha"]) + socket.inet_aton(what["tpa"]))


def send(iface, count, *given):
    with open(f"/sys/class/net/{iface}/address", encoding="ascii") as address:
        own = address.read().strip()
    data = frame(own, **dict(pair.split("=") for pair in given))
    sock = open_socket(iface)
    for _ in range(int(count)):
        sock.send(data)


def flood(iface, first, count, target):
    sock = open_socket(iface)
    for i in range(int(first), int(first) + int(count)):
        station = f"06:00:00:00:00:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x}"
        address = socket.inet_ntoa(struct.pack(">I", 0x0a400000 + i))
        sock.send(frame(station, spa=address, tpa=target))


def dotted(data):
    return data.hex(":")


def hear(iface):
    sock = open_socket(iface)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    print("ready", flush=True)
    while True:
        data, extra, _, (_, _, kind, _, _) = sock.recvmsg(65536, 64)
        if kind == PACKET_OUTGOING or data[26:28] != b"\x08\x06" or len(data) < 60:
            continue
        seconds, nanoseconds = struct.unpack("qq", extra[0][2])
        print(seconds * 1000 + nanoseconds // 1000000, int.from_bytes(data[34:36], "big"),
              dotted(data[:8]), dotted(data[8:16]),
              dotted(data[36:44]), socket.inet_ntoa(data[44:48]),
              dotted(data[48:56]), socket.inet_ntoa(data[56:60]), flush=True)


if __name__ == "__main__":
    {"send": send, "flood": flood, "hear": hear}[sys.argv[1]](*sys.argv[2:])
