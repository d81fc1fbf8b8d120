#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""faults.py: fails each memory allocation of a request in turn; the request must have failed or
succeeded as a whole.

/proc/thread-self/fail-nth fails the N-th allocation of this thread, so only allocations of the
request itself are affected.
"""

import errno
import os
import random
import socket
import struct
import sys

RTM_NEWLINK, RTM_DELLINK, RTM_SETLINK = 16, 17, 19
NLM_F_ACK, NLM_F_CREATE_EXCL = 0x005, 0x605
IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINK, IFLA_LINKINFO = 1, 3, 5, 18
IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 31, 32
IFF_UP = 1

# On slow kernels only each third allocation of a new device is failed in a run.
EACH = 3 if os.environ.get("KSFT_MACHINE_SLOW") == "yes" else 1
sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
fail_nth = os.open("/proc/thread-self/fail-nth", os.O_RDWR)


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def request(kind, flags, index, up, *attributes):
    body = struct.pack("BxHiII", 0, 0, index, IFF_UP if up else 0, IFF_UP) + b"".join(attributes)
    return struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body


def answer():
    return -struct.unpack_from("i", sock.recv(65536), 16)[0]


def ask(message):
    sock.send(message)
    return answer()


def ask_failing(message, number):
    """Sends the message while allocation `number` fails. Returns the error (None if
    there was no memory to send it, or for the answer) and whether there were so
    many allocations at all."""
    os.pwrite(fail_nth, str(number).encode(), 0)
    error = None
    try:
        sock.send(message)
    except OSError:
        sent = False
    else:
        sent = True
    left = int(os.pread(fail_nth, 32, 0))
    os.pwrite(fail_nth, b"0", 0)
    if sent:
        try:
            error = answer()
        except OSError as lost:
            if lost.errno != errno.ENOBUFS:
                raise
    return error, left == 0


def index(name):
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return 0


def new(name, queues, *attributes):
    # Few queues, as the allocations are the same for each.
    return request(RTM_NEWLINK, NLM_F_CREATE_EXCL, 0, False,
                   attribute(IFLA_NUM_TX_QUEUES, struct.pack("I", queues)),
                   attribute(IFLA_NUM_RX_QUEUES, struct.pack("I", 1)),
                   attribute(IFLA_IFNAME, name.encode() + b"\0"),
                   attribute(IFLA_LINKINFO, attribute(1, b"spans\0")), *attributes)


def delete(name):
    return request(RTM_DELLINK, NLM_F_ACK, index(name), False)


def change(name, up, *attributes):
    return request(RTM_SETLINK, NLM_F_ACK, index(name), up, *attributes)


def flags(name):
    with open(f"/sys/class/net/{name}/flags") as file:
        return int(file.read(), 16)


def address(name):
    with open(f"/sys/class/net/{name}/address") as file:
        return file.read().strip()


def sweep(what, message, done, undo, step=1):
    """Fails each allocation of a request, or each step-th one. `done` returns whether the request
    has had its effect; `undo` reverts it."""
    number, failures = random.randint(1, step) - step, 0
    while True:
        number += step
        error, hit = ask_failing(message(), number)
        if not hit:
            break
        if error:
            failures += 1
            if done():
                sys.exit(f"{what}: failed at allocation {number}, but had its effect")
        elif error == 0 and not done():
            sys.exit(f"{what}: succeeded at allocation {number}, but had no effect")
        if done():
            undo()
    if not done():
        sys.exit(f"{what}: had no effect without any failure ({error})")
    undo()
    print(f"{what}: {number - step} allocations, {failures} failures", flush=True)
    if failures == 0:
        sys.exit(f"{what}: nothing ever failed: this test tested nothing")


def must(error):
    if error:
        sys.exit(f"unexpected: {os.strerror(error)}")


sweep("new device", lambda: new("f0", 2), lambda: index("f0"), lambda: must(ask(delete("f0"))),
      EACH)

must(ask(new("f0", 2)))
linked = attribute(IFLA_LINK, struct.pack("I", index("f0")))
sweep("new device on a segment", lambda: new("f1", 1, linked), lambda: index("f1"),
      lambda: must(ask(delete("f1"))), EACH)

must(ask(new("f1", 1, linked)))
sweep("first one up", lambda: change("f0", True), lambda: flags("f0") & IFF_UP,
      lambda: must(ask(change("f0", False))))
must(ask(change("f0", True)))
sweep("second one up", lambda: change("f1", True), lambda: flags("f1") & IFF_UP,
      lambda: must(ask(change("f1", False))))
must(ask(change("f1", True)))

old, new_address = address("f1"), "02:aa:00:00:00:00:00:01"


def set_address(text):
    return change("f1", True, attribute(IFLA_ADDRESS, bytes.fromhex(text.replace(":", ""))))


sweep("address change", lambda: set_address(new_address), lambda: address("f1") == new_address,
      lambda: must(ask(set_address(old))))



def sweep_down(what, name):
    """The same for down, which cannot fail for want of memory."""
    number = hits = 0
    hit = True
    while hit:
        number += 1
        error, hit = ask_failing(change(name, False), number)
        if error:
            sys.exit(f"{what}: failed at allocation {number}: {os.strerror(error)}")
        if error is None:
            must(ask(change(name, False)))  # the request may not have been sent
        if flags(name) & IFF_UP:
            sys.exit(f"{what}: had no effect at allocation {number}")
        must(ask(change(name, True)))
    print(f"{what}: {number - 1} allocations", flush=True)
    if number == 1:
        sys.exit(f"{what}: nothing ever failed: this test tested nothing")


sweep_down("first one down", "f1")
must(ask(change("f1", False)))
sweep_down("last one down", "f0")

must(ask(delete("f0")))
must(ask(delete("f1")))
