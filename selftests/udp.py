#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends and counts datagrams.

udp.py send ADDRESS INTERVAL SECONDS  send one each INTERVAL (seconds) for SECONDS or until
                                      SIGTERM; print the numbers of datagrams and errors
udp.py receive FILE                   write the number of received datagrams to FILE
udp.py ask ADDRESS...                 send one to each; print from how many hosts an ICMP port
                                      unreachable came within a second
"""

import signal
import socket
import sys
import threading
import time

PORT = 4242
IP_RECVERR = 11


def talker(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_IP, IP_RECVERR, 1)
    sock.connect((address, PORT))
    return sock


def send(address, interval, seconds):
    sock = talker(address)
    sent = errors = 0
    until = time.monotonic() + float(seconds)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    while time.monotonic() < until and not stop.is_set():
        try:
            sock.send(b"%d" % sent)
            sent += 1
        except OSError:
            errors += 1
        stop.wait(float(interval))
    print(sent, errors)


def receive(path):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("0.0.0.0", PORT))
    received = 0
    with open(path, "w", encoding="ascii") as out:
        while True:
            out.seek(0)
            out.write(f"{received}\n")
            out.flush()
            sock.recv(2048)
            received += 1


def ask(*addresses):
    answers = 0
    for address in addresses:
        sock = talker(address)
        sock.settimeout(1)
        try:
            sock.send(b"?")
            sock.recv(1)
        except ConnectionRefusedError:
            answers += 1
        except OSError:
            pass
        sock.close()
    print(answers)


if __name__ == "__main__":
    {"send": send, "receive": receive, "ask": ask}[sys.argv[1]](*sys.argv[2:])
