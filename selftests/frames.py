#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Frames of the SPANS medium, byte for byte, through packet sockets.

frames.py send IFACE COUNT HEX...   send each frame COUNT times
frames.py hear IFACE                print the frames that arrive, in hex, and
                                    "flush" when IFACE itself sends one of 88b6
frames.py cls DST SRC PID [HEX]     print a frame with a CLS header
"""

import socket
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4


def open_socket(iface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((iface, ETH_P_ALL))
    return sock


def send(iface, count, *frames):
    sock = open_socket(iface)
    for frame in frames:
        data = bytes.fromhex(frame)
        for _ in range(int(count)):
            sock.send(data)


def hear(iface):
    sock = open_socket(iface)
    print("ready", flush=True)
    while True:
        data, (_, _, kind, _, _) = sock.recvfrom(65536)
        if kind != PACKET_OUTGOING:
            print(data.hex(), flush=True)
        elif data[26:28] == b"\x88\xb6":
            print("flush", flush=True)


def cls(dst, src, pid, payload=""):
    header = dst.replace(":", "") + src.replace(":", "")
    print(header + "00000000" + "aaaa03" + "000000" + pid + payload)


if __name__ == "__main__":
    {"send": send, "hear": hear, "cls": cls}[sys.argv[1]](*sys.argv[2:])
