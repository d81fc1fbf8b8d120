#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""stream.py FROM TO ADDRESS BYTES [HEADER]

A TCP stream from one namespace to ADDRESS in another, compared byte by byte and by checksums.
With HEADER, the length of a link header, a packet socket on the receiver's s0 captures its
frames.

Prints "bytes N", and with HEADER
"frames N"    number of captured frames of the stream, at most 1000
"longest N"   the longest one in bytes with link header
"unfilled N"  frames with TP_STATUS_CSUMNOTREADY
"wrong N"     frames with a wrong TCP checksum
"""

import hashlib
import os
import random
import select
import signal
import socket
import struct
import sys

PORT = 5001
CHUNK = 1 << 18
# A prime, so that lost or repeated data shifts all that follows.
PERIOD = 1048573
FRAMES = 1000

ETH_P_ALL, PACKET_OUTGOING = 3, 4
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_CSUMNOTREADY = 263, 8, 1 << 3
SO_RCVBUFFORCE = 33

# As in station.py: the process leaves the namespace.
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


def inside(netns, *what):
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    os.setns(there)
    try:
        return socket.socket(*what)
    finally:
        os.setns(HOME)
        os.close(there)


def pattern():
    data = random.Random(4711).randbytes(PERIOD)
    return memoryview(data + data[:CHUNK])


def send(sock, address, count, data):
    # Fails when there is no progress for this time.
    sock.settimeout(60)
    sock.connect((address, PORT))
    digest = hashlib.sha256()
    done = 0
    while done < count:
        at = done % PERIOD
        chunk = data[at:at + min(CHUNK, count - done)]
        sock.sendall(chunk)
        digest.update(chunk)
        done += len(chunk)
    sock.shutdown(socket.SHUT_WR)
    # Last, the other end sends its checksum.
    if sock.recv(digest.digest_size, socket.MSG_WAITALL) != digest.digest():
        sys.exit("the receiver's checksum differs")


def receive(door, count, data):
    door.settimeout(60)
    sock, _ = door.accept()
    sock.settimeout(60)
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    done = 0
    while length := sock.recv_into(buffer):
        at = done % PERIOD
        if buffer[:length] != data[at:at + length]:
            where = next(i for i in range(length) if buffer[i] != data[at + i])
            sys.exit(f"byte {done + where} is wrong")
        digest.update(buffer[:length])
        done += length
    if done != count:
        sys.exit(f"{done} bytes of {count}")
    sock.sendall(digest.digest())
    print("bytes", done, flush=True)


def right(packet, length):
    """Whether the checksum of a TCP segment is right. Numbers that are congruent modulo 65535
    have the same ones' complement sum."""
    start = (packet[0] & 15) * 4
    pseudo = packet[12:20] + struct.pack(">HH", 6, length - start)
    segment = packet[start:length] + bytes(length % 2)
    return int.from_bytes(pseudo + segment, "big") % 65535 == 0


def watch(sock, header):
    frames = longest = unfilled = wrong = 0
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while frames < FRAMES:
        # Queued frames are still checked.
        if not select.select([sock], [], [], 0.1)[0]:
            if ended:
                break
            continue
        data, extra, _, (_, kind, direction, _, _) = sock.recvmsg(1 << 17, 64)
        packet = data[header:]
        if (direction == PACKET_OUTGOING or kind != 0x0800 or len(packet) < 40
                or packet[9] != 6
                or struct.unpack_from(">H", packet, (packet[0] & 15) * 4 + 2)[0] != PORT):
            continue
        frames += 1
        longest = max(longest, len(data))
        length = struct.unpack_from(">H", packet, 2)[0] or len(packet)
        unfilled += any(struct.unpack_from("I", what)[0] & TP_STATUS_CSUMNOTREADY
                        for level, name, what in extra
                        if (level, name) == (SOL_PACKET, PACKET_AUXDATA))
        wrong += not right(packet, length)
    print("frames", frames, "\nlongest", longest, "\nunfilled", unfilled, "\nwrong", wrong,
          flush=True)


def child(work, *arguments):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work(*arguments)
        status = 0
    except SystemExit as why:
        print(why.code, file=sys.stderr, flush=True)
    except OSError as why:
        print(work.__name__, why, file=sys.stderr, flush=True)
    os._exit(status)


def stream(here, there, address, count):
    data = pattern()
    # Each child only inherits its own socket, so that the child's end closes it.
    with inside(there, socket.AF_INET, socket.SOCK_STREAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((address, PORT))
        door.listen()
        hearer = child(receive, door, count, data)
    with inside(here, socket.AF_INET, socket.SOCK_STREAM) as sock:
        talker = child(send, sock, address, count, data)
    return os.waitpid(hearer, 0)[1] | os.waitpid(talker, 0)[1]


def main(here, there, address, count, header=None):
    watcher = None
    if header:
        with inside(there, socket.AF_PACKET, socket.SOCK_RAW, 0) as ear:
            ear.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            ear.bind(("s0", ETH_P_ALL))
            watcher = child(watch, ear, int(header))
    failed = stream(here, there, address, int(count))
    if watcher:
        os.kill(watcher, signal.SIGTERM)
        failed |= os.waitpid(watcher, 0)[1]
    sys.exit(failed != 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
