#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""goodput.py FROM TO ADDRESS FLOWS

FLOWS parallel TCP streams from one namespace to ADDRESS in another. Prints the received payload
in kbit/s during 200 ms, after 200 ms of slow start.
"""

import os
import select
import socket
import sys
import time

PORT = 5001
CHUNK = bytes(1 << 16)
SECONDS = 0.2

# As in station.py: the process leaves the namespace.
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


def inside(netns):
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    os.setns(there)
    try:
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    finally:
        os.setns(HOME)
        os.close(there)


def send(sock, address):
    try:
        sock.connect((address, PORT))
        while True:
            sock.sendall(CHUNK)
    finally:
        os._exit(1)


def receive(flows):
    """The bytes received on all flows in SECONDS, and the exact time."""
    began = now = time.monotonic()
    received = 0
    while (left := began + SECONDS - now) > 0:
        for flow in select.select(flows, [], [], left)[0]:
            received += len(flow.recv(1 << 18))
        now = time.monotonic()
    return received, now - began


def main(here, there, address, number):
    door = inside(there)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind((address, PORT))
    door.listen()
    door.settimeout(60)
    flows, senders = [], []
    for _ in range(int(number)):
        pid = os.fork()
        if not pid:
            send(inside(here), address)
        senders.append(pid)
        flows.append(door.accept()[0])
    receive(flows)
    received, took = receive(flows)
    for pid in senders:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    print(int(8 * received / took / 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])
