#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""XDP programs, router advertisements and packet sockets, for the scripts.

ether.py xdp DEVICE drop|pass   attach a program that counts frames, print "ready", and at
                                SIGTERM the count
ether.py advertise DEVICE       send a router advertisement of fd00:5::/64
ether.py packets FROM TO        test packet sockets on s0 of two namespaces: print errors
ether.py datagrams FROM TO BROADCAST
                                the same for SOCK_DGRAM, on any medium
"""

import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import sys

ETH_P_ALL, ETH_P_TEST = 3, 0x88b5
ARPHRD_ETHER = 1
SIOCGIFINDEX, SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8933, 0x8913, 0x8914
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP = 263, 1, 2
MR_MULTICAST, MR_PROMISC, MR_ALLMULTI = range(3)
HOST, BROADCAST, MULTICAST, OTHERHOST, OUTGOING = range(5)

SYS_BPF = 321  # x86-64
MAP_CREATE, MAP_LOOKUP_ELEM, PROG_LOAD, LINK_CREATE = 0, 1, 5, 28
MAP_TYPE_ARRAY, PROG_TYPE_XDP, ATTACH_XDP, XDP_FLAGS_SKB_MODE = 2, 6, 37, 2
XDP_DROP, XDP_PASS = 1, 2


def bpf(command, attributes):
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    result = libc.syscall(SYS_BPF, command, buffer, 128)
    if result < 0:
        sys.exit(f"bpf({command}): {os.strerror(ctypes.get_errno())}")
    return result


def instruction(code, dst=0, src=0, offset=0, immediate=0):
    return struct.pack("=BBhi", code, dst | src << 4, offset, immediate)


def counting(table, verdict):
    """Adds one to the first number in the table."""
    return b"".join((
        instruction(0x62, dst=10, offset=-4),                  # *(u32 *)(r10 - 4) = 0
        instruction(0xbf, dst=2, src=10),                      # r2 = r10
        instruction(0x07, dst=2, immediate=-4),                # r2 -= 4
        instruction(0x18, dst=1, src=1, immediate=table),      # r1 = table
        instruction(0x00),
        instruction(0x85, immediate=1),                        # r0 = bpf_map_lookup_elem
        instruction(0x15, dst=0, offset=2),                    # if r0 == 0 goto +2
        instruction(0xb7, dst=1, immediate=1),                 # r1 = 1
        instruction(0xdb, dst=0, src=1),                       # lock *(u64 *)r0 += r1
        instruction(0xb7, dst=0, immediate=verdict),           # r0 = verdict
        instruction(0x95),                                     # exit
    ))


def xdp(device, verdict):
    signals = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    table = bpf(MAP_CREATE, struct.pack("IIII", MAP_TYPE_ARRAY, 4, 8, 1))
    code = counting(table, {"drop": XDP_DROP, "pass": XDP_PASS}[verdict])
    code_buffer = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    program = bpf(PROG_LOAD, struct.pack("IIQQ", PROG_TYPE_XDP, len(code) // 8,
                                         ctypes.addressof(code_buffer),
                                         ctypes.addressof(licence)))
    # The link is detached when this process exits.
    bpf(LINK_CREATE, struct.pack("IIII", program, socket.if_nametoindex(device), ATTACH_XDP,
                                 XDP_FLAGS_SKB_MODE))
    print("ready", flush=True)
    signal.sigwait(signals)
    key, value = ctypes.c_uint32(0), ctypes.c_uint64(0)
    bpf(MAP_LOOKUP_ELEM, struct.pack("IxxxxQQ", table, ctypes.addressof(key),
                                     ctypes.addressof(value)))
    print(value.value)


def advertise(device):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
    prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xc0, 3600, 1800, 0)
    prefix += socket.inet_pton(socket.AF_INET6, "fd00:5::")
    # The kernel fills in the checksum.
    sock.sendto(struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + prefix,
                ("ff02::1", 0, 0, socket.if_nametoindex(device)))


def inside(netns, kind, protocol):
    # As in station.py.
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    os.setns(there)
    try:
        sock = socket.socket(socket.AF_PACKET, kind, 0)
        sock.bind(("s0", protocol))
        return sock
    finally:
        os.setns(home)
        os.close(there)
        os.close(home)


def packets(here, there):
    def check(what, wanted, found):
        if wanted != found:
            print(f"{what}: expected {wanted}, found {found}")

    def receive(sock):
        """The next packet and its address without the ifindex, or None."""
        if not select.select([sock], [], [], 10)[0]:
            return None
        data, (_, protocol, kind, hardware, address) = sock.recvfrom(65536)
        return data, protocol, kind, hardware, address

    def settle():
        """The filter is updated asynchronously; SIOCSIFFLAGS updates it at once."""
        flags = fcntl.ioctl(raw, SIOCGIFFLAGS, b"s0".ljust(40, b"\0"))
        fcntl.ioctl(raw, SIOCSIFFLAGS, flags)

    def quiet(what, sock):
        while select.select([sock], [], [], 0.3)[0]:
            print(f"{what}: {sock.recvfrom(65536)}")

    sender = inside(here, socket.SOCK_RAW, 0)
    cooked = inside(here, socket.SOCK_DGRAM, 0)
    mirror = inside(here, socket.SOCK_RAW, ETH_P_ALL)
    raw = inside(there, socket.SOCK_RAW, ETH_P_TEST)
    datagrams = inside(there, socket.SOCK_DGRAM, ETH_P_TEST)
    index = struct.unpack_from("i", fcntl.ioctl(raw, SIOCGIFINDEX, b"s0".ljust(40, b"\0")), 16)[0]
    own, peer = sender.getsockname()[4], raw.getsockname()[4]
    check("type of link", ARPHRD_ETHER, sender.getsockname()[3])
    check("lengths of addresses", (6, 6), (len(own), len(peer)))
    broadcast, group = b"\xff" * 6, bytes.fromhex("010203040506")
    body = bytes(range(100))

    def on_the_wire(destination, what):
        return destination + own + struct.pack(">H", ETH_P_TEST) + what

    for what, destination, kind in (("to one", peer, HOST), ("to all", broadcast, BROADCAST)):
        frame = on_the_wire(destination, body)
        from_us = ETH_P_TEST, kind, ARPHRD_ETHER, own
        for how, sock in (("raw", sender), ("without header", cooked)):
            if sock is sender:
                sock.send(frame)
            else:
                sock.sendto(body, ("s0", ETH_P_TEST, 0, 0, destination))
            check(f"{how} {what}, raw", (frame, *from_us), receive(raw))
            check(f"{how} {what}, without header", (body, *from_us), receive(datagrams))
            found = receive(mirror)
            check(f"{how} {what}, at the sender", (frame, OUTGOING),
                  found and (found[0], found[2]))
    mirror.close()
    datagrams.close()

    # Group membership, allmulticast and promiscuous mode.
    other = own[:5] + b"\x77"
    for destination in group, other:
        sender.send(on_the_wire(destination, b"before"))
    quiet("what is for others arrived", raw)
    for what, request, destination, kind in (("to a group", MR_MULTICAST, group, MULTICAST),
                                             ("to any group", MR_ALLMULTI, b"\x33" * 6, MULTICAST),
                                             ("to another", MR_PROMISC, other, OTHERHOST)):
        frame = on_the_wire(destination, body)
        membership = struct.pack("iHH8s", index, request, 6, group)
        raw.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        settle()
        sender.send(frame)
        check(what, (frame, ETH_P_TEST, kind, ARPHRD_ETHER, own), receive(raw))
        raw.setsockopt(SOL_PACKET, PACKET_DROP_MEMBERSHIP, membership)
        settle()
        sender.send(frame)
        quiet(f"{what}, after leaving", raw)

    # Frames shorter than a link header or longer than the MTU are rejected.
    for what, data in (("13 bytes", bytes(13)), ("too long", on_the_wire(peer, bytes(1501)))):
        try:
            sender.send(data)
            print(f"{what}: was sent")
        except OSError:
            pass
    sender.send(on_the_wire(peer, bytes(1500)))
    found = receive(raw)
    check("the longest", 1514, found and len(found[0]))


def datagrams(here, there, broadcast):
    """sll_addr of SOCK_DGRAM packet sockets, on send and receive."""
    def receive(sock):
        if not select.select([sock], [], [], 10)[0]:
            return None
        data, (_, protocol, kind, _, address) = sock.recvfrom(65536)
        return data, protocol, kind, address.hex(":")

    sender = inside(here, socket.SOCK_DGRAM, ETH_P_TEST)
    receiver = inside(there, socket.SOCK_DGRAM, ETH_P_TEST)
    own, peer = (sock.getsockname()[4] for sock in (sender, receiver))
    body = bytes(range(100))
    for what, back in (("to one", peer), ("to all", bytes.fromhex(broadcast.replace(":", "")))):
        kind = HOST if back == peer else BROADCAST
        # The reply goes to the sll_addr that the first packet was received with.
        for sock, other, source in ((sender, receiver, own), (receiver, sender, peer)):
            sock.sendto(body, ("s0", ETH_P_TEST, 0, 0, back))
            wanted, found = (body, ETH_P_TEST, kind, source.hex(":")), receive(other)
            if found != wanted:
                print(f"{what}: expected {wanted}, found {found}")
            if found and kind == HOST:
                back = bytes.fromhex(found[3].replace(":", ""))
    print("length", len(own))


if __name__ == "__main__":
    {f.__name__: f for f in (xdp, advertise, packets, datagrams)}[sys.argv[1]](*sys.argv[2:])
