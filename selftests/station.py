#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends and captures packets on hosts, for the scripts.

One process for a whole script, as starting python for each packet is slow on emulated
machines. Each input line is a namespace and a command; the reply is a line, "ok" and the
result, or "error". Captured packets are written before the reply.

NS arp COUNT [KEY=VALUE...]   send ARP COUNT times: op (1 request, 2 reply), spa, tpa, sha,
                              tha, dst, src, hrd, pro, hln, pln
NS flood FIRST COUNT TARGET   requests for TARGET from COUNT forged senders, from number FIRST
NS frames COUNT HEX...        send each frame COUNT times
NS udp ADDRESS...             send a datagram to each
NS ask ADDRESS SECONDS        send one; print the error, or "answer" or "nothing", and the
                              time until then in ms
NS capture arp FILE           capture ARP to FILE, a packet a line: time (ms), op, dst, src,
                              sha, spa, tha, tpa
NS capture frames FILE        capture received frames to FILE, in hex
NS capture kinds FILE         capture all frames to FILE: packet type (host, broadcast,
                              multicast, otherhost, outgoing), and the frame in hex
NS join WHAT...               join promisc, allmulti, a multicast link address or an IP group
NS leave WHAT...              drop one reference of each
NS cpu N                      send all further packets from this CPU
NS sync                       only write the captured packets
NS end_capture                end all captures and memberships of all hosts
"""

import errno
import fcntl
import functools
import os
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
IP_RECVERR = 11
PACKET_OUTGOING = 4
SIOCGIFINDEX = 0x8933
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_ADD_MEMBERSHIP = 263, 1
PACKET_MR_MULTICAST, PACKET_MR_PROMISC, PACKET_MR_ALLMULTI = 0, 1, 2
PORT = 4242

# Length of a link address -> hardware type, broadcast address, bytes of a link header between
# the addresses and the EtherType.
MEDIA = {8: ("4040", "ff" * 8, "00000000aaaa03000000"), 6: ("0001", "ff" * 6, ""),
         7: ("4047", "a2a6a840404000", "03ff"), 1: ("4041", "00", "")}

HOME = os.open("/proc/self/ns/net", os.O_RDONLY)


def inside(netns, *what):
    """A socket of a namespace. This process leaves it, or it would be killed with it."""
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
    size = len(link(own))
    hrd, broadcast, constant = MEDIA[size]
    what = {"op": 1, "spa": "0.0.0.0", "tpa": "0.0.0.0", "sha": own, "tha": "00" * size,
            "dst": broadcast, "src": own, "hrd": hrd, "pro": "0800", "hln": size, "pln": 4}
    what.update(given)
    return (link(what["dst"]) + link(what["src"]) + bytes.fromhex(constant + "0806")
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
            # On a virtual clock other processes only go on during these pauses.
            if i % 64 == 0:
                time.sleep(0.004)
            # The last bytes of the source address, of sha and of spa.
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


def arp_line(size, _kind, data, extra):
    body = 2 * size + len(MEDIA[size][2]) // 2 + 2
    if data[body - 2:body] != b"\x08\x06" or len(data) < body + 16 + 2 * size:
        return None
    seconds, nanoseconds = struct.unpack("qq", extra[0][2])
    sender, target = body + 8, body + 12 + size
    return (f"{seconds * 1000 + nanoseconds // 1000000} {int.from_bytes(data[body + 6:body + 8])} "
            f"{data[:size].hex(':')} {data[size:2 * size].hex(':')} "
            f"{data[sender:sender + size].hex(':')} {socket.inet_ntoa(data[target - 4:target])} "
            f"{data[target:target + size].hex(':')} "
            f"{socket.inet_ntoa(data[target + size:target + size + 4])}")


def frames_line(_size, _kind, data, _extra):
    return data.hex()


def kinds_line(_size, kind, data, _extra):
    return f"{KINDS[kind]} {data.hex()}"


LINES = {"arp": arp_line, "frames": frames_line, "kinds": kinds_line}
KINDS = "host", "broadcast", "multicast", "otherhost", "outgoing"

# Socket -> output file, kind of capture, and the function that formats a packet.
captures = {}


def capture(netns, what, path):
    sock = wire(netns)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
    size = len(sock.getsockname()[4])
    # Appended to, as the script may truncate the file.
    captures[sock] = (open(path, "a", encoding="ascii"), what, functools.partial(LINES[what], size))


def write_captures():
    """Writes the captured packets."""
    for sock, (out, what, write) in captures.items():
        try:
            while True:
                data, extra, _, (_, _, kind, _, _) = sock.recvmsg(65536, 64, socket.MSG_DONTWAIT)
                if kind == PACKET_OUTGOING and what != "kinds":
                    continue
                if line := write(kind, data, extra):
                    print(line, file=out)
        except BlockingIOError:
            out.flush()
        except OSError:  # the device went down, which is reported once
            pass


# Namespace, group or mode -> sockets with this membership.
members = {}


def join(netns, *whats):
    for what in whats:
        members.setdefault((netns, what), []).append(member(netns, what))


def member(netns, what):
    """A socket with a membership."""
    if "." in what:
        sock = inside(netns, socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack(
            "4s4si", socket.inet_aton(what), bytes(4), index(sock)))
    else:
        sock = inside(netns, socket.AF_PACKET, socket.SOCK_RAW, 0)
        kind = {"promisc": PACKET_MR_PROMISC, "allmulti": PACKET_MR_ALLMULTI}.get(
            what, PACKET_MR_MULTICAST)
        address = link(what) if kind == PACKET_MR_MULTICAST else b""
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP,
                        struct.pack("iHH8s", index(sock), kind, len(address), address))
    return sock


def index(sock):
    """The ifindex of s0 in the socket's namespace."""
    return struct.unpack("16si", fcntl.ioctl(sock, SIOCGIFINDEX, struct.pack("16si", b"s0", 0)))[1]


def leave(netns, *whats):
    for what in whats:
        members[netns, what].pop().close()


def cpu(_netns, number):
    os.sched_setaffinity(0, {int(number)})


def sync(_netns):
    pass


def end_capture(_netns):
    for sock, (out, _, _) in captures.items():
        sock.close()
        out.close()
    captures.clear()
    for socks in members.values():
        for sock in socks:
            sock.close()
    members.clear()


COMMANDS = {f.__name__: f for f in (arp, flood, frames, udp, ask, capture, join, leave, cpu,
                                  sync, end_capture)}


def main():
    for line in sys.stdin:
        netns, command, *words = line.split()
        try:
            said = COMMANDS[command](netns, *words) or ""
            write_captures()
            print("ok", said, flush=True)
        except OSError as error:
            print("error", error, flush=True)


if __name__ == "__main__":
    main()
