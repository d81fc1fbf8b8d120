#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""vm.py KERNEL [SCRIPT [ARGUMENT...]]: runs a script, or a shell, in a freshly booted test
kernel, and exits with its status.

Runs in the build root, which is also the guest's read-only file system. The script's folder and
this checkout are mounted under their paths, /tmp is writable, $SPANS_KO and $SPANS_GEN are set,
and modprobe finds spans. The script's output goes to standard output, kernel messages to a log.
A warning, panic or hang of the kernel fails the run, whatever the status of the script:
  98  the kernel complained
  99  the guest died or did not end within TIMEOUT (default 600) seconds

CLOCK=virtual: in User Mode Linux time only passes while the guest is idle, and jumps to the next
timer (a busy loop that waits for another task's sleep never ends); in qemu the clock counts
instructions, and CPUs take turns. CLOCK=icount is for `make bench`.
BUILD is the folder below build/ that scripts/build.sh has filled (default: KERNEL).
"""
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("OUT") or TOP / "build")
CACHE = Path(os.environ.get("SPANS_CACHE") or Path.home() / ".cache/spans")
KERNELS = ("stock", "uml-debug", "uml", "debug")
COMPLAINED, DIED = 98, 99

# Messages before this line are not judged.
READY = "spans: guest ready"
COMPLAINTS = re.compile(
    r"WARNING: |BUG: |INFO: (task|rcu|possible|lockdep|trying)|Call Trace:|Kernel panic|Oops"
    r"|general protection fault|(KASAN|UBSAN|KCSAN|ODEBUG|kmemleak): |unreferenced object"
    r"|ref_tracker: .*(has [0-9/]* users|leaked|released)|unregister_netdevice: waiting for"
    r"|scheduling while atomic|sleeping function called|suspicious RCU usage"
    r"|asks to queue packet|Dead loop on virtual device|time goes backwards|spans:.*panicked")


def say(text):
    print(text, file=sys.stderr, flush=True)


def die(text):
    say(f"spans: {text}")
    sys.exit(1)


def setting(name, default, least, most):
    """A number from the environment."""
    text = os.environ.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        die(f"{name}={text}: expected an integer from {least} to {most}")
    return int(text)


@dataclass
class Verdict:
    status: int
    log: Path
    complaints: list

    def text(self):
        lines = []
        if self.complaints:
            lines += [f"vm: the kernel complained, in {self.log}:", *self.complaints[:40]]
        if self.status == DIED:
            end = self.log.read_text(errors="replace").splitlines()[-15:]
            lines += [f"vm: the guest died or did not end in time; the end of {self.log}:", *end]
        elif self.status != COMPLAINED:
            lines.append(f"vm: the script exited with status {self.status} (console: {self.log})")
        return lines


def complaints(log):
    """Lines in which the kernel complains, each with the 25 that follow."""
    lines, left = [], 0
    for line in log.split(READY, 1)[-1].splitlines():
        left = 26 if COMPLAINTS.search(line) else left - 1
        if left > 0:
            lines.append(line)
    return lines


@functools.cache
def kernel_folder(kernel):
    done = subprocess.run([TOP / "scripts/kernel.sh", kernel], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return Path(done.stdout.strip())


class Guest:
    """A guest that runs a command, or a shell if there is none."""

    def __init__(self, kernel, command=(), *, clock=None, build=None, timeout=None, leaks=False,
                 cpus=None, core=None):
        if kernel not in KERNELS:
            die(f"there is no kernel '{kernel}': it is one of {', '.join(KERNELS)}")
        self.kernel = kernel
        self.command = list(command)
        self.clock = clock or os.environ.get("CLOCK") or "real"
        if self.clock not in ("real", "virtual", "icount"):
            die(f"CLOCK={self.clock}: it is 'real' or 'virtual'")
        if self.clock == "virtual" and kernel == "uml":
            die("the uml kernel has several CPUs and only the real clock: uml-debug has a virtual one")
        self.cpus = cpus or setting("CPUS", 1 if kernel == "uml-debug" else 2, 1, 8)
        if kernel == "uml-debug" and self.cpus != 1:
            die(f"CPUS={self.cpus}: the uml-debug kernel has one CPU")
        if self.clock == "icount":
            self.cpus = 1
        # User Mode Linux's kernel and its current process never run at the same time. On two cores
        # each switch would wake an idle core, which doubles the run time.
        cores = sorted(os.sched_getaffinity(0))
        self.core = core if core is not None else cores[os.getpid() % len(cores)]
        self.mem = setting("MEM", 2048 if kernel.endswith("debug") else 1024, 256, 1 << 20)
        self.timeout = timeout or setting("TIMEOUT", 600 if self.command else 0, 0, 1 << 20)
        self.folder = kernel_folder(kernel)
        self.build = OUT / (build or os.environ.get("BUILD") or kernel)
        self.leaks = leaks or bool(os.environ.get("KMEMLEAK"))
        if self.leaks and not kernel.endswith("debug"):
            die(f"KMEMLEAK=1: the {kernel} kernel has no leak detector")
        (OUT / "log").mkdir(parents=True, exist_ok=True)
        self.run = Path(tempfile.mkdtemp(prefix="guest.", dir="/run"))
        self.log = OUT / "log" / f"{kernel}-{time.strftime('%H%M%S')}-{self.run.name[6:]}.console"

    def settings(self):
        """The shell variables that scripts/guest/init.sh sources."""
        names = {
            "SPANS_KO": self.build / "spans.ko",
            "SPANS_TIER": self.kernel,
            "SPANS_TOP": TOP,
            "SPANS_OUT": OUT,
            "SPANS_GEN": self.build / "test_modules/spans_gen.ko",
            "KERNEL_SOURCE": (self.folder / "build/source").resolve(),
        }
        # kselftest's variable for slow kernels
        if self.kernel == "debug":
            names["KSFT_MACHINE_SLOW"] = "yes"
        if self.leaks:
            names["SPANS_LEAKS"] = "yes"
        columns, rows = shutil.get_terminal_size()
        lines = [f"export {name}={shlex.quote(str(value))}" for name, value in names.items()]
        lines += [f"folder={shlex.quote(os.getcwd())}",
                  f"term={shlex.quote(os.environ.get('TERM', 'dumb'))}",
                  f"columns={columns} rows={rows}",
                  f"arguments=({shlex.join(map(str, self.command))})"]
        return "\n".join(lines) + "\n"

    def append(self):
        # A panic ends the guest at once, and warnings and hangs panic.
        words = ("panic=-1 panic_on_warn=1 oops=panic hung_task_panic=1 softlockup_panic=1 "
                 "kasan.fault=panic loglevel=7 printk.time=1").split()
        # kmemleak doubles the run time of uml-debug, and makes an emulated debug kernel four times
        # slower: it needs KMEMLEAK=1, as do, on debug, the checks of SLUB, a third of all
        # instructions, most of which KASAN makes, too.
        if not self.leaks:
            words.append("kmemleak=off")
            if self.kernel == "debug":
                words.append("slab_debug=-")
        words += [f"init={TOP}/scripts/guest/init.sh", f"guest.run={self.run}"]
        return " ".join(words)

    def start(self, stdout=None):
        """Boots the guest. Its output goes to stdout, a file or subprocess.PIPE."""
        (self.run / "settings").write_text(self.settings())
        (self.run / "status").write_text("")
        self.log.write_text("")
        environment = dict(os.environ, CPUS=str(self.cpus), MEM=str(self.mem), CLOCK=self.clock,
                           TIMEOUT=str(self.timeout))
        if not self.command:
            environment["INTERACTIVE"] = "yes"
        self.began = time.monotonic()
        pinned = ["taskset", "--cpu-list", str(self.core)] if self.kernel == "uml-debug" else []
        self.process = subprocess.Popen(
            [*pinned, "unshare", "--mount", TOP / "scripts/boot.sh", self.kernel, self.folder / "image",
             self.build / "modules", self.run, self.log, self.append()],
            stdin=None if not self.command else subprocess.DEVNULL, stdout=stdout, env=environment)
        return self.process

    def never_ran(self):
        """Whether the guest never booted, which happens to one of a hundred emulated machines: it
        may be started again."""
        return not self.kernel.startswith("uml") and time.monotonic() - self.began < 120 and \
            READY not in self.log.read_text(errors="replace")

    def verdict(self):
        """The result, once the process has ended."""
        log = self.log.read_text(errors="replace")
        found = complaints(log) if READY in log else []
        words = re.findall(r"^status (\d+)", (self.run / "status").read_text(), re.M)
        if not words:
            status = DIED
        elif found:
            status = COMPLAINED
        else:
            status = int(words[-1])
        shutil.rmtree(self.run, ignore_errors=True)
        if status == 0:
            self.log.unlink()
        return Verdict(status, self.log, found)


def main():
    if len(sys.argv) < 2:
        die("usage: vm.py KERNEL [SCRIPT [ARGUMENT...]]")
    kernel, command = sys.argv[1], sys.argv[2:]
    if command:
        if not os.path.isfile(command[0]):
            die(f"there is no script '{command[0]}'")
        if not os.access(command[0], os.X_OK):
            die(f"{command[0]} is not executable: chmod +x makes it so")
        command[0] = os.path.abspath(command[0])
    guest = Guest(kernel, command)
    if "BUILD" not in os.environ:
        built = subprocess.run([TOP / "scripts/build.sh", kernel], stdout=sys.stderr)
        if built.returncode:
            sys.exit(built.returncode)
    say(f"booting {(guest.folder / 'release').read_text().strip()} ({kernel}), "
        f"about {2 if kernel.startswith('uml') else 15} s")
    for _ in range(3):
        terminal = None
        if not command and sys.stdin.isatty():
            import termios
            import tty
            terminal = termios.tcgetattr(0)
            tty.setraw(0)
        try:
            guest.start().wait()
        finally:
            if terminal:
                termios.tcsetattr(0, termios.TCSADRAIN, terminal)
        if not guest.never_ran():
            break
        say(f"vm: the kernel did not boot, see {guest.log}")
    verdict = guest.verdict()
    if verdict.status:
        say("\n".join(verdict.text()))
    sys.exit(verdict.status)


if __name__ == "__main__":
    main()
