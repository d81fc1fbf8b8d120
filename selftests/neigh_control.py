#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random operations on neighbours; neighbours and ARP table must agree after them.

neigh_control.py OPERATIONS TABLE [SEED]

Runs in the namespace of s0; TABLE is the debugfs file of its ARP table. Hosts 10.0.0.2 to
10.0.0.5 reply, other addresses do not. Both sides are compared when no request is pending.
"""

import json
import random
import socket
import subprocess
import sys
import time

LIVE = [f"10.0.0.{i}" for i in range(2, 6)]
SILENT = [f"10.0.0.{i}" for i in range(200, 206)]
ALL = LIVE + SILENT

DOUBTED = ("DELAY", "PROBE")


def ip(*words, check=False):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done


def neighbours():
    """IP -> (state, link address) of the kernel's neighbours."""
    shown = json.loads(ip("-j", "neigh", "show", "dev", "s0", "nud", "all", check=True).stdout)
    return {n["dst"]: (n["state"][0], n.get("lladdr")) for n in shown if ":" not in n["dst"]}


def entries(table):
    """IP -> (state, link address) of the entries, and whether updates are pending."""
    with open(table, encoding="ascii") as lines:
        rows = [line.split() for line in lines][1:]
    return {r[0]: (r[2], r[1]) for r in rows}, any("L" in r[4] for r in rows)


def differences(table):
    """The differences between neighbours and entries."""
    there, pending = entries(table)
    here = neighbours()
    found = ["updates of neighbours are pending"] if pending else []
    for addr in ALL:
        state, lladdr = here.get(addr, (None, None))
        entry, known = there.get(addr, (None, None))
        if state == "PERMANENT" or entry == "permanent":
            good = (state, entry) == ("PERMANENT", "permanent") and lladdr == known
        elif state == "REACHABLE":
            good = entry == "valid" and lladdr == known
        elif state == "STALE":
            # Verified when it is used.
            good = entry in ("valid", "unverified") and lladdr == known
        elif state in DOUBTED:
            good = entry != "valid" or lladdr == known
        elif state in ("FAILED", "NONE"):
            good = entry in ("failed", None)
        elif state == "INCOMPLETE":
            good = entry == "incomplete"
        else:
            # The table may have an entry without a neighbour, but not an incomplete one.
            good = entry in ("valid", "failed", None)
        if not good:
            found.append(f"{addr}: neighbour {state} {lladdr}, entry {entry} {known}")
    return found


def lladdr():
    return f"02:00:00:00:00:00:01:{random.randrange(256):02x}"


def send(sock, addr):
    try:
        sock.sendto(bytes(20), (addr, 9))
    except OSError:
        pass


def operate(sock, user):
    """One random operation. `user` has the permanent neighbours that the user has set."""
    addr = random.choice(ALL)
    match random.randrange(12):
        case 0 | 1:
            address = lladdr()
            if ip("neigh", "replace", addr, "lladdr", address, "dev", "s0", "nud", "permanent").returncode == 0:
                user[addr] = address
        case 2:
            address = lladdr()
            if ip("neigh", "add", addr, "lladdr", address, "dev", "s0").returncode == 0:
                user[addr] = address
        case 3:
            nud = random.choice(("reachable", "stale", "delay", "probe"))
            if ip("neigh", "replace", addr, "lladdr", lladdr(), "dev", "s0", "nud", nud).returncode == 0:
                user.pop(addr, None)
        case 4:
            address = lladdr()
            if ip("neigh", "change", addr, "lladdr", address, "dev", "s0", "nud", "permanent").returncode == 0:
                user[addr] = address
        case 5 | 6:
            if ip("neigh", "del", addr, "dev", "s0").returncode == 0:
                user.pop(addr, None)
        case 7:
            ip("neigh", "flush", "dev", "s0")
        case 8:
            if random.random() < 0.3:
                ip("link", "set", "s0", "down", check=True)
                ip("link", "set", "s0", "up", check=True)
        case 9:
            ip("neigh", "get", addr, "dev", "s0")
        case _:
            for _ in range(5):
                send(sock, random.choice(ALL))


def main():
    wanted, table = int(sys.argv[1]), sys.argv[2]
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 31)
    random.seed(seed)
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    user, operations, looks = {}, 0, 0
    while operations < wanted:
        for _ in range(random.randrange(1, 15)):
            operate(sock, user)
            operations += 1
        # Pending requests end soon.
        patience = time.monotonic() + 60
        # Mostly the time of five probes.
        pause = 0.1
        while found := differences(table):
            if time.monotonic() > patience:
                sys.exit(f"SEED={seed}, after {operations} operations: " + "; ".join(found))
            time.sleep(pause)
            pause = min(pause * 2, 0.5)
        permanent = {a: l for a, (s, l) in entries(table)[0].items() if s == "permanent"}
        if permanent != user:
            sys.exit(f"SEED={seed}, after {operations} operations: permanent {permanent}, set {user}")
        looks += 1
    print(f"{operations} operations, {looks} comparisons, SEED={seed}")


if __name__ == "__main__":
    main()
