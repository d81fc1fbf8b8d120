#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What hosts send and hear, as a script asks for it.

Starting python for each packet would be most of what a test costs where all is emulated.
So this is started once, and reads lines of a namespace and a command, and answers each
with a line, "ok" and what there is to say, or "error". What has been heard by then has
been written.

NS arp COUNT [KEY=VALUE...]   send ARP COUNT times: op (1 asks, 2 answers), spa, tpa, sha,
                              tha, dst, src, hrd, pro, hln, pln
NS flood FIRST COUNT TARGET   COUNT stations ask for TARGET, the first is number FIRST
NS frames COUNT HEX...        send each frame COUNT times
NS udp ADDRESS...             send a datagram to each
NS ask ADDRESS SECONDS        send one; tell the error that comes back and after how
                              many ms, or "nothing"
NS hear arp FILE              the ARP that arrives goes to FILE, a packet a line:
                              when (ms), op, dst, src, sha, spa, tha, tpa
NS hear frames FILE           the frames that arrive go there, in hex
NS sync                       nothing
NS deaf                       hear no more, on all hosts
"""

import errno
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
IP_RECVERR = 11
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
EVERYBODY = "ff:" * 7 + "ff"
NOBODY = "00:" * 7 + "00"
PORT = 4242

HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


def inside(netns, *what):
    """A socket of a namespace. Nobody stays there, who would be taken down with it."""
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    os.setns(there)
    try:
        return socket.socket(*what)
    finally:
        os.setns(HOME)
        os.close(there)


def wire(netns):
    """A packet socket on s0."""
    sock = inside(netns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind(("s0", ETH_P_ALL))
    return sock


def talker(netns, address):
    sock = inside(netns, socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_IP, IP_RECVERR, 1)
    sock.connect((address, PORT))
    return sock


def link(text):
    return bytes.fromhex(text.replace(":", ""))


def packet(own, **given):
    what = {"op": 1, "spa": "0.0.0.0", "tpa": "0.0.0.0", "sha": own, "tha": NOBODY,
            "dst": EVERYBODY, "src": own, "hrd": "4040", "pro": "0800", "hln": 8, "pln": 4}
    what.update(given)
    return (link(what["dst"]) + link(what["src"]) + bytes.fromhex("00000000aaaa030000000806")
            + bytes.fromhex(what["hrd"] + what["pro"])
            + struct.pack(">BBH", int(what["hln"]), int(what["pln"]), int(what["op"]))
            + link(what["sha"]) + socket.inet_aton(what["spa"])
            + link(what["tha"]) + socket.inet_aton(what["tpa"]))


def arp(netns, count, *given):
    with wire(netns) as sock:
        own = sock.getsockname()[4].hex(":")
        data = packet(own, **dict(pair.split("=") for pair in given))
        for _ in range(int(count)):
            sock.send(data)


def flood(netns, first, count, target):
    with wire(netns) as sock:
        data = bytearray(packet("06:00:00:00:00:00:00:00", tpa=target))
        for i in range(int(first), int(first) + int(count)):
            # The last bytes of where it comes from, twice, and of the IP address.
            data[12:16] = data[40:44] = i.to_bytes(4)
            data[44:48] = (0x0a400000 + i).to_bytes(4)
            sock.send(data)


def frames(netns, count, *data):
    with wire(netns) as sock:
        for frame in data:
            for _ in range(int(count)):
                sock.send(bytes.fromhex(frame))


def udp(netns, *addresses):
    with inside(netns, socket.AF_INET, socket.SOCK_DGRAM) as sock:
        failed = None
        for address in addresses:
            try:
                sock.sendto(b"!", (address, PORT))
            except OSError as error:
                failed = error
        if failed:
            raise failed


def ask(netns, address, seconds):
    began = time.monotonic()
    what = "nothing"
    with talker(netns, address) as sock:
        try:
            sock.send(b"?")
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if poll.poll(float(seconds) * 1000):
                sock.recv(2048)
                what = "answer"
        except OSError as error:
            what = errno.errorcode[error.errno]
    return f"{what} {int((time.monotonic() - began) * 1000)}"


def arp_line(data, extra):
    if data[26:28] != b"\x08\x06" or len(data) < 60:
        return None
    seconds, nanoseconds = struct.unpack("qq", extra[0][2])
    return (f"{seconds * 1000 + nanoseconds // 1000000} {int.from_bytes(data[34:36])} "
            f"{data[:8].hex(':')} {data[8:16].hex(':')} "
            f"{data[36:44].hex(':')} {socket.inet_ntoa(data[44:48])} "
            f"{data[48:56].hex(':')} {socket.inet_ntoa(data[56:60])}")


def frames_line(data, _extra):
    return data.hex()


# Socket -> the file it goes to, and how a packet is written.
ears = {}


def hear(netns, what, path):
    sock = wire(netns)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    # The script may empty the file.
    ears[sock] = (open(path, "a", encoding="ascii"), {"arp": arp_line, "frames": frames_line}[what])


def listen():
    """Writes what has been heard."""
    for sock, (out, write) in ears.items():
        try:
            while True:
                data, extra, _, (_, _, kind, _, _) = sock.recvmsg(65536, 64, socket.MSG_DONTWAIT)
                if kind != PACKET_OUTGOING and (line := write(data, extra)):
                    print(line, file=out)
        except BlockingIOError:
            out.flush()
        except OSError:  # the device went down, which is told once
            pass


def sync(_netns):
    pass


def deaf(_netns):
    for sock, (out, _) in ears.items():
        sock.close()
        out.close()
    ears.clear()


COMMANDS = {f.__name__: f for f in (arp, flood, frames, udp, ask, hear, sync, deaf)}


def main():
    for line in sys.stdin:
        netns, command, *words = line.split()
        try:
            said = COMMANDS[command](netns, *words) or ""
            listen()
            print("ok", said, flush=True)
        except OSError as error:
            print("error", error, flush=True)


if __name__ == "__main__":
    main()
