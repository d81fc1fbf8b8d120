#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""One TCP stream in broadcast frames.

gro.py send IFACE   send it, half from each of two packet sockets, and wait until neither is
                    charged for any of it
gro.py receive IFACE   print the number of packets it was received in, or its wrong contents
"""

import fcntl
import select
import socket
import struct
import sys
import time

SEGMENTS, LENGTH = 20, 100
CLS = bytes.fromhex("ff" * 8 + "0200000000000001" + "00000000aaaa03000000" + "0800")
SRC, DST = socket.inet_aton("10.0.0.1"), socket.inet_aton("10.0.0.9")
SIOCOUTQ = 0x5411
ETH_P_ALL, ETH_P_IP = 3, 0x0800


def payload(number):
    return bytes([number]) * LENGTH


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp(number, check):
    return struct.pack("!HHIIBBHHH", 1000, 2000, number * LENGTH, 1, 0x50, 0x10, 1000,
                       check, 0) + payload(number)


def ip(number, check):
    return struct.pack("!BBHHHBBH", 0x45, 0, 40 + LENGTH, number, 0x4000, 64, 6, check) + SRC + DST


def frame(number):
    pseudo = SRC + DST + struct.pack("!HH", 6, 20 + LENGTH)
    return (CLS + ip(number, checksum(ip(number, 0)))
            + tcp(number, checksum(pseudo + tcp(number, 0))))


def charged(sock):
    return struct.unpack("i", fcntl.ioctl(sock, SIOCOUTQ, bytes(4)))[0]


def send(iface):
    socks = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for _ in range(2)]
    for sock in socks:
        sock.bind((iface, 0))
    for number in range(SEGMENTS):
        socks[2 * number // SEGMENTS].send(frame(number))
    deadline = time.monotonic() + 20
    while any(charged(sock) for sock in socks):
        if time.monotonic() > deadline:
            sys.exit(f"still charged: {[charged(sock) for sock in socks]}")
        time.sleep(0.01)


def receive(iface):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    sock.bind((iface, ETH_P_ALL))
    sock.settimeout(60)
    print("ready", flush=True)
    # Read late: a receiver that modifies shared data has done so by then.
    select.select([sock], [], [], 60)
    time.sleep(1)
    received, packets = b"", 0
    while len(received) < SEGMENTS * LENGTH:
        data, where = sock.recvfrom(65536)
        if where[1] != ETH_P_IP:
            continue
        length = int.from_bytes(data[2:4], "big")
        if length != len(data):
            print(f"a packet of {len(data)} bytes has an IP total length of {length}", flush=True)
        received += data[40:]
        packets += 1
    sound = received == b"".join(payload(number) for number in range(SEGMENTS))
    print(f"{packets} packets" if sound else f"wrong: {received.hex()}", flush=True)


if __name__ == "__main__":
    {"send": send, "receive": receive}[sys.argv[1]](*sys.argv[2:])
