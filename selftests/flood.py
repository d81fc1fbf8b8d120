#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Traffic until killed.

flood.py ping ADDRESS  echo requests
flood.py udp ADDRESS   datagrams of two sizes; the address may be a broadcast

A pause after each 20 packets leaves time for other processes: a virtual clock (User Mode Linux
with time-travel) would not advance otherwise. Errors are ignored.
"""

import itertools
import socket
import struct
import sys
import time

AT_ONCE = 20
CLOCK = "/sys/devices/system/clocksource/clocksource0/current_clocksource"


def echo_request(number):
    header = struct.pack(">BBHHH", 8, 0, 0, 0x5350, number)
    total = sum(struct.unpack(">4H", header))
    total = (total & 0xffff) + (total >> 16)
    return header[:2] + struct.pack(">H", ~total & 0xffff) + header[4:]


def ping(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    for number in itertools.count():
        yield sock, echo_request(number & 0xffff), (address, 0)


def udp(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for size in itertools.cycle((18, 1400)):
        yield sock, bytes(size), (address, 9)


def pause():
    """In seconds. A virtual clock jumps over them when the kernel is idle."""
    with open(CLOCK, encoding="ascii") as clock:
        return 0.005 if clock.read() == "time-travel-clock\n" else 0.0005


def main(kind, address):
    seconds = pause()
    for number, (sock, data, to) in enumerate({"ping": ping, "udp": udp}[kind](address)):
        try:
            sock.sendto(data, socket.MSG_DONTWAIT, to)
        except OSError:  # no carrier, no route, no room
            pass
        if number % AT_ONCE == AT_ONCE - 1:
            time.sleep(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
