#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Raw frames through packet sockets.

frames.py send IFACE COUNT HEX...   send each frame COUNT times
frames.py cls DST SRC PID [HEX]     print a frame with a CLS header
"""

import socket
import sys

ETH_P_ALL = 3


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


def cls(dst, src, pid, payload=""):
    header = dst.replace(":", "") + src.replace(":", "")
    print(header + "00000000" + "aaaa03" + "000000" + pid + payload)


if __name__ == "__main__":
    {"send": send, "cls": cls}[sys.argv[1]](*sys.argv[2:])
