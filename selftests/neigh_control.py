#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Random operations on neighbours, and whether the table holds what they did.

neigh_control.py OPERATIONS TABLE [SEED]

Runs in the namespace of s0, whose ARP table is the file TABLE. Hosts 10.0.0.2 to
10.0.0.5 answer, others do not. What was done is compared whenever nothing is under way
any more, in both directions.
"""

import json
import random
import socket
import subprocess
import sys
import time

LIVE = [f"10.0.0.{i}" for i in range(2, 6)]
NOBODY = [f"10.0.0.{i}" for i in range(200, 206)]
ALL = LIVE + NOBODY

DOUBTED = ("DELAY", "PROBE")


def ip(*words, check=False):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"ip {' '.join(words)}: {done.stderr.strip()}")
    return done


def neighbours():
    """IP -> (state, link address) as the kernel has them."""
    shown = json.loads(ip("-j", "neigh", "show", "dev", "s0", "nud", "all", check=True).stdout)
    return {n["dst"]: (n["state"][0], n.get("lladdr")) for n in shown if ":" not in n["dst"]}


def entries(table):
    """IP -> (state, link address) as the table has them, and whether it has news."""
    with open(table, encoding="ascii") as lines:
        rows = [line.split() for line in lines][1:]
    return {r[0]: (r[2], r[1]) for r in rows}, any("L" in r[4] for r in rows)


def differences(table):
    """What the kernel and the table do not agree on."""
    there, news = entries(table)
    here = neighbours()
    found = ["the kernel is still to be told"] if news else []
    for addr in ALL:
        state, lladdr = here.get(addr, (None, None))
        entry, known = there.get(addr, (None, None))
        if state == "PERMANENT" or entry == "permanent":
            good = (state, entry) == ("PERMANENT", "permanent") and lladdr == known
        elif state == "REACHABLE":
            good = entry == "valid" and lladdr == known
        elif state == "STALE":
            # Said with doubt, it is verified when it is used.
            good = entry in ("valid", "unverified") and lladdr == known
        elif state in DOUBTED:
            good = entry != "valid" or lladdr == known
        elif state in ("FAILED", "NONE"):
            good = entry in ("failed", None)
        elif state == "INCOMPLETE":
            good = entry == "incomplete"
        else:
            # What the kernel has no neighbour for, the table may know all the same, but
            # it must not be asking.
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
    """One random operation. `user` is what the user has set for good."""
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
        # What is under way ends soon.
        patience = time.monotonic() + 60
        # As long as it takes to ask five times, most often.
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
