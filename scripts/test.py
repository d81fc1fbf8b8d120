#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""test.py quick|test|full [SCRIPT...], test.py selftest KERNEL [SCRIPT[:TEST,...]...]

Runs the tests of scripts/plan.toml, one more at a time than there are cores. Runs in the build
root. Prints TAP; the last line has the totals.

  quick     host tests without loom and fuzzing, form and lints, and on uml-debug the scripts
            of the touched area, or the named ones
  test      all tests that take minutes
  full      all tests on all kernels; a second run resumes the first one, unless the tree has
            changed or FRESH=1
  selftest  whole scripts, or some of their tests, on one kernel
"""
import fcntl
import fnmatch
import hashlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
import tomllib
from collections import defaultdict
from pathlib import Path

from vm import CACHE, COMPLAINED, DIED, KERNELS, OUT, TOP, Guest, die, say

SCRIPTS = TOP / "scripts"
KSELFTEST = OUT / "kselftest"
RESULTS = OUT / "test"
# Seconds after which a guest counts as hung, on a busy machine, too.
TIMEOUTS = {"uml-debug": 1200, "uml": 1200, "stock": 2400, "debug": 10800}
# Scripts share guests of so many seconds, to save boots.
SHARED = {"stock": 200, "uml-debug": 60, "uml": 60, "debug": 0}
# The expected seconds of a job that has not run before.
GUESS = {"uml-debug": 12, "uml": 8, "stock": 30, "debug": 300, "kernel uml-debug": 420,
         "kernel uml": 300, "kernel stock": 150, "kernel debug": 1200, "logic": 90, "fuzz 30": 60, "fuzz 600": 630, "check": 60, "vm uml": 40,
         "vm stock": 120}
# Seconds after which a command counts as hung.
LONGEST = 7200

# "ok 3 - text", or kselftest's "not ok 1 selftests: drivers/net/spans: ping.sh # exit=1"
TAP = re.compile(r"(ok|not ok) \d+ *(?:- )?(.*)")
KSFT = re.compile(r"(?:selftests: )?drivers/net/spans: (\w+)\.sh(.*)")
CARGO = re.compile(r"test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")
PART = re.compile(r"# TEST: .*\[ *(OK|FAIL|SKIP|XFAIL) *\]")


def clock(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Result:
    def __init__(self, word, name, note="", seconds=None, detail=()):
        self.word, self.name, self.note = word, name, note
        self.seconds, self.detail = seconds, list(detail)


class Job:
    """A unit of work; run() yields its results as they come."""
    needs = ()
    stage = ""
    # The core that the runner assigns.
    core = None

    def __init__(self, name, needs=()):
        self.name, self.needs, self.expected = name, tuple(needs), [name]

    def run(self, live):
        raise NotImplementedError


class Command(Job):
    """A command that prints TAP, or the output of cargo test. Its exit status is a result, too, if
    it fails without another one, or if `silent`."""

    def __init__(self, name, command, needs=(), silent=False):
        super().__init__(name, needs)
        self.command = ["timeout", str(LONGEST), *map(str, command)]
        self.silent = silent
        self.stage = "kernel" if name.startswith(("kernel ", "build ", "install ")) else "host"

    def run(self, live):
        began, failed, count, lines = time.monotonic(), False, 0, []
        with subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              cwd=TOP) as process, \
                open(RESULTS / f"{self.name.replace(' ', '-')}.log", "w") as log:
            for line in process.stdout:
                log.write(line)
                line = line.rstrip()
                if found := CARGO.match(line):
                    word = {"ok": "ok", "FAILED": "not ok", "ignored": "skip"}[found[2]]
                    result = Result(word, f"{self.name}: {found[1]}")
                elif found := TAP.match(line):
                    result = Result("skip" if "# SKIP" in line else found[1],
                                    f"{self.name}: {found[2]}")
                else:
                    lines.append(line)
                    continue
                if result.word == "not ok":
                    failed = True
                    result.detail = lines
                lines = []
                count += 1
                yield result
        seconds = time.monotonic() - began
        if process.returncode and not failed:
            yield Result("not ok", self.name, f"status {process.returncode}", seconds, lines[-40:])
        elif self.silent:
            yield Result("ok", self.name, "", seconds)
        elif not count:
            yield Result("not ok", self.name, "no result in the output", seconds, lines[-40:])
        elif failed:
            for line in lines[-60:]:
                print(f"# {line}")


class Selftests(Job):
    """Selftest scripts in one guest."""

    def __init__(self, kernel, guest_clock, scripts, number=None, leaks=False):
        self.kernel, self.clock, self.scripts, self.leaks = kernel, guest_clock, scripts, leaks
        self.stage = f"{kernel} with kmemleak" if leaks else kernel
        what = scripts[0][0] if number is None else f"guest {number}"
        super().__init__(f"{self.stage}: {what}", [f"build {kernel}", "install selftests"])
        self.expected = [f"{self.stage}: {script}.sh" for script, _ in scripts]
        self.log = RESULTS / f"{re.sub('[^a-z0-9_-]+', '-', self.name)}.log"

    def run(self, live):
        words = [":".join([name, ",".join(tests)]) if tests else name for name, tests in self.scripts]
        left = [name for name, _ in self.scripts]
        guest = Guest(self.kernel, [SCRIPTS / "guest/selftests.sh", KSELFTEST, *words],
                      clock=self.clock, build=self.kernel, leaks=self.leaks,
                      cpus=1 if self.kernel == "uml-debug" else None, core=self.core,
                      timeout=None if os.environ.get("TIMEOUT") else TIMEOUTS[self.kernel])
        for _ in range(3):
            process = guest.start(subprocess.PIPE)
            began, lines = time.monotonic(), []
            with open(self.log, "w") as log:
                for line in process.stdout:
                    line = line.decode(errors="replace").replace("\r", "")
                    log.write(line)
                    log.flush()
                    line = line.rstrip()
                    if live:
                        print(line, flush=True)
                    lines.append(line)
                    tap = TAP.match(line)
                    if not tap or not (found := KSFT.search(tap[2])) or found[1] not in left:
                        continue
                    left.remove(found[1])
                    yield self.result(found[1], tap[1], found[2].strip(), time.monotonic() - began, lines)
                    began, lines = time.monotonic(), []
            process.wait()
            if not guest.never_ran():
                break
            print(f"# {self.name}: the kernel did not boot")
        verdict = guest.verdict()
        for name in left:
            yield Result("not ok", f"{self.stage}: {name}.sh",
                         "the guest died" if verdict.status == DIED else "did not run",
                         time.monotonic() - began, lines[-30:] + verdict.text())
            lines = []
        if not left and verdict.status in (COMPLAINED, DIED):
            yield Result("not ok", f"{self.name}: the end of the guest", "", 0, verdict.text())

    def result(self, script, word, note, seconds, lines):
        parts = [found[1] for line in lines if (found := PART.match(line))]
        skipped = parts.count("SKIP")
        if "SKIP" in note and parts:
            word = "skip"
        elif word == "ok" and not parts:
            word, note = "not ok", "no test in the output"
        counts = f"{len(parts)} test{'s'[len(parts) == 1:]}" + (f", {skipped} skipped" if skipped else "")
        detail = lines if word == "not ok" else \
            [line for line in lines if re.search(r"\[ *SKIP *\]|^# skip", line)]
        note = note if word == "not ok" else ""
        return Result(word, f"{self.stage}: {script}.sh", f"{counts}, {seconds:.0f} s {note}".strip(),
                      seconds, detail)


class Times:
    """The run times of jobs, stored for the next run."""

    def __init__(self):
        self.file = CACHE / "times.json"
        try:
            self.seconds = json.loads(self.file.read_text())
        except (OSError, ValueError):
            self.seconds = {}

    def of(self, key, kind):
        return self.seconds.get(key, GUESS.get(kind, GUESS.get(key, 20)))

    def note(self, key, seconds):
        self.seconds[key] = round(seconds, 1)

    def save(self):
        self.file.write_text(json.dumps(self.seconds, indent=0, sort_keys=True))


class Runner:
    """Runs jobs and prints their results as TAP. Calls ended(job, good) after the last result of a
    job."""

    def __init__(self, ended=lambda job, good: None):
        self.jobs, self.live, self.ended = [], False, ended
        self.cores = sorted(os.sched_getaffinity(0))
        # A guest with a real clock is idle for a third of its time.
        self.slots = len(self.cores) + 1
        self.times = Times()
        self.count = {"ok": 0, "not ok": 0, "skip": 0}
        self.all, self.seconds = [], {}
        self.stages, self.guests = defaultdict(float), defaultdict(int)

    def add(self, job):
        if any(job.name == other.name for other in self.jobs):
            raise ValueError(f"two jobs are named {job.name}")
        self.jobs.append(job)

    def cost(self, job):
        if isinstance(job, Selftests):
            return sum(self.times.of(key_of(job.stage, s), job.kernel) for s in job.scripts)
        return self.times.of(job.name, job.name)

    def run(self):
        RESULTS.mkdir(parents=True, exist_ok=True)
        self.tap = open(RESULTS / "results.tap", "w")
        self.began = time.monotonic()
        self.told = self.began
        print("TAP version 13", flush=True)
        waiting = sorted(self.jobs, key=lambda job: (job.stage != "kernel", -self.cost(job)))
        names = {job.name for job in waiting}
        for job in waiting:
            job.cost = self.cost(job)
            if unknown := set(job.needs) - names:
                raise ValueError(f"{job.name} needs unknown jobs: {unknown}")
        ended, bad, running, events = set(), set(), {}, queue.Queue()
        self.total = sum(len(job.expected) for job in waiting)
        self.done, self.spent, self.worth = 0, 0.0, 0.0
        while waiting or running:
            while len(running) < self.slots:
                job = next((j for j in waiting if ended.issuperset(j.needs) and
                            self.has_room(j, running)), None)
                if not job:
                    break
                waiting.remove(job)
                if broken := next((n for n in job.needs if n in bad), None):
                    for name in job.expected:
                        self.report(job, Result("not ok", name, f"'{broken}' failed"))
                    ended.add(job.name)
                    bad.add(job.name)
                    continue
                job.core = min(self.cores, key=[other.core for other, _ in running.values()].count)
                running[job.name] = (job, time.monotonic())
                threading.Thread(target=self.work, args=(job, events), daemon=True).start()
            if not running:
                continue
            try:
                job, result = events.get(timeout=5)
            except queue.Empty:
                self.progress(waiting, running)
                continue
            if result is not None:
                if result.word == "not ok":
                    bad.add(job.name)
                self.report(job, result)
                self.progress(waiting, running)
                continue
            seconds = self.seconds[job.name] = time.monotonic() - running.pop(job.name)[1]
            self.stages[job.stage] += seconds
            self.guests[job.stage] += 1
            self.spent += seconds
            self.worth += job.cost
            self.done += len(job.expected)
            if job.name not in bad and not isinstance(job, Selftests):
                self.times.note(job.name, seconds)
            ended.add(job.name)
            self.ended(job, job.name not in bad)
        status = self.end()
        self.times.save()
        return status

    def has_room(self, job, running):
        """A CPU of a guest that does not run while it holds a lock has the other ones spin: of the
        kernels with several CPUs no more guests run than the cores have room for."""
        same = sum(other.stage == job.stage for other, _ in running.values())
        return job.stage not in ("stock", "uml", "debug") or same < max(1, len(self.cores) // 2)

    def work(self, job, events):
        try:
            for result in job.run(self.live):
                events.put((job, result))
        except SystemExit as why:
            for name in job.expected:
                events.put((job, Result("not ok", name, f"status {why.code}")))
        except Exception as why:  # a bug of the runner is a failure
            events.put((job, Result("not ok", job.name, repr(why))))
        events.put((job, None))

    def report(self, job, result):
        self.count[result.word] += 1
        self.all.append(result)
        number = sum(self.count.values())
        word, directive = ("ok", " # SKIP") if result.word == "skip" else (result.word, "")
        note = f" ({result.note})" if result.note else ""
        for line in [] if self.live and result.word != "not ok" else result.detail:
            print(line if line.startswith("#") else f"# {line}")
        line = f"{word} {number} - {result.name}{note}{directive}"
        print(line, flush=True)
        print(line, file=self.tap, flush=True)
        if isinstance(job, Selftests) and result.seconds and result.word == "ok":
            name = result.name.split(": ", 1)[1].removesuffix(".sh")
            for script in job.scripts:
                if script[0] == name:
                    self.times.note(key_of(job.stage, script), result.seconds)

    def progress(self, waiting, running):
        now = time.monotonic()
        if self.live or now - self.told < 20:
            return
        self.told = now
        left = sum(job.cost for job in waiting) + \
            sum(max(0, job.cost - (now - began)) for job, began in running.values())
        pace = self.spent / self.worth if self.worth else 1
        print(f"# {self.done}/{self.total} ... {clock(now - self.began)} elapsed, about "
              f"{clock(left * pace / self.slots + 10)} left: {'; '.join(sorted(running))}",
              flush=True)

    def end(self):
        ok, bad, skipped = (self.count[word] for word in ("ok", "not ok", "skip"))
        print(f"1..{ok + bad + skipped}")
        slow = sorted((r for r in self.all if r.seconds), key=lambda r: -r.seconds)[:10]
        print("# the slowest:")
        for result in slow:
            print(f"# {result.seconds:7.0f} s  {result.name}")
        print("# seconds of each kernel, and number of guests or commands:")
        for stage, seconds in sorted(self.stages.items(), key=lambda item: -item[1]):
            print(f"# {seconds:7.0f} s  {stage} ({self.guests[stage]})")
        for result in self.all:
            if result.word == "not ok":
                print(f"# failed: {result.name} {result.note}")
        print(f"# {clock(time.monotonic() - self.began)} in total; logs are in {RESULTS}")
        print(f"{ok} passed, {bad} failed, {skipped} skipped", flush=True)
        return 0 if ok and not bad else 1


def key_of(kernel, script):
    return f"{kernel}: {script[0]} {','.join(script[1])}".strip()


class Plan:
    def __init__(self):
        with open(SCRIPTS / "plan.toml", "rb") as file:
            plan = tomllib.load(file)
        self.rows = plan["selftests"]
        self.leaks = plan["kmemleak"]
        self.areas = plan["areas"]
        self.check()

    def check(self):
        """Rejects plans that would leave out a script."""
        scripts = {path.stem for path in (TOP / "selftests").glob("*.sh")} - {"lib"}
        if wrong := scripts ^ set(self.rows):
            die(f"plan.toml: {', '.join(sorted(wrong))}: rows are not the scripts of selftests")
        for script, row in self.rows.items():
            if not row or set(row) - set(KERNELS) or \
                    any(words.split()[:1] not in (["real"], ["virtual"]) for words in row.values()):
                die(f"plan.toml: {script}: a row takes KERNEL = \"real|virtual [TEST...]\"")
        named = " ".join([*self.leaks.values(), *self.areas.values()]).split()
        if wrong := set(named) - scripts:
            die(f"plan.toml: there is no script {', '.join(sorted(wrong))}")

    def scripts(self, kernel, whole=False):
        """(clock, script, tests) of each script for a kernel."""
        for script, row in self.rows.items():
            # Both emulated kernels have the same clock.
            words = row.get("stock" if kernel == "debug" else kernel, "").split()
            if kernel == "debug" and not words:
                words = ["real"]
            if words:
                yield words[0], (script, [] if whole else words[1:])

    def with_leaks(self, replaced):
        """The jobs with kmemleak."""
        for kernel, scripts in self.leaks.items():
            for script in scripts.split():
                yield Selftests(replaced.get(kernel, kernel), self.rows[script][kernel].split()[0],
                                [(script, [])], leaks=True)

    def table(self):
        """Prints the plan for Documentation/testing.rst."""
        line = f"{'=' * 15}  {'=' * 9}  {'=' * 5}  {'=' * 61}"
        print(f"{line}\n{'script':15}  {'uml-debug':9}  {'uml':5}  stock\n{line}")
        for script, row in self.rows.items():
            stock, _, tests = row.get("stock", "-").partition(" ")
            if stock != "-":
                stock += f": {tests}" if tests else ", whole"
            uml = {0: "-", 1: "whole"}.get(len(row.get("uml", "").split()), "part")
            print(f"{script:15}  {row.get('uml-debug', '-'):9}  {uml:5}  {stock}")
        print(line)

    def touched(self):
        """The scripts for the files changed since the last commit, or by it."""
        files = git("diff", "--name-only", "HEAD") + git("ls-files", "--others", "--exclude-standard")
        if not files:
            files = git("diff", "--name-only", "HEAD~1", "HEAD")
        scripts = []
        for file in files:
            if found := re.fullmatch(r"selftests/(\w+)\.sh", file):
                scripts += [found[1]] if found[1] in self.rows else []
            elif area := next((a for a in self.areas if fnmatch.fnmatchcase(file, a)), None):
                scripts += self.areas[area].split()
        return list(dict.fromkeys(scripts)) or ["ping", "link"]


def git(*arguments):
    done = subprocess.run(["git", "-c", f"safe.directory={TOP}", *arguments], cwd=TOP,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.split("\n")[:-1]


def tree_state():
    """A hash of the tree and of the settings that affect tests."""
    state = hashlib.sha256()
    for name in ("KERNEL_VERSION", "KERNEL_RELEASE", "CPUS", "MEM", "KMEMLEAK"):
        state.update(f"{name}={os.environ.get(name, '')}\0".encode())
    names = set(git("ls-files", "--cached", "--others", "--exclude-standard"))
    if not names:
        die("git lists no files here: the tested tree cannot be identified")
    for name in sorted(names):
        path = TOP / name
        if path.is_file():
            state.update(name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def uml_runs():
    """Whether User Mode Linux runs here: it needs ptrace and executable shared memory."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = CACHE / f"uml-{boot}"
    if not answer.exists():
        image = subprocess.run([SCRIPTS / "kernel.sh", "uml"], stdout=subprocess.PIPE, text=True)
        if image.returncode:
            sys.exit(image.returncode)
        try:
            said = subprocess.run([image.stdout.strip() + "/image", "mem=128M", "panic=-1",
                                   "con=null", "con0=null,fd:2", "con1=null"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60).stdout
        except (OSError, subprocess.TimeoutExpired) as why:
            said = str(why).encode()
        # The panic for want of a root file system proves that it runs.
        if b"Kernel panic" not in said:
            return False
        answer.touch()
    return True


def replacements():
    if uml_runs():
        return {}
    say("spans: User Mode Linux cannot run on this machine (it needs ptrace and executable shared "
        "memory): its tests run on emulated kernels, which takes hours")
    return {"uml-debug": "debug", "uml": "stock"}


def chosen(plan, *kernels, whole=False):
    """For each kernel, its scripts and clocks. A kernel that cannot run is replaced."""
    replaced, scripts = replacements(), {}
    for kernel in kernels:
        group = scripts.setdefault(replaced.get(kernel, kernel), {})
        for guest_clock, (script, tests) in plan.scripts(kernel, whole):
            if script not in group or not tests:
                group[script] = (guest_clock, (script, tests))
    return {kernel: list(group.values()) for kernel, group in scripts.items()}, replaced


def batches(runner, kernel, scripts):
    """Assigns scripts to guests: the longest first, each to the guest with the least work."""
    by_clock = defaultdict(list)
    for guest_clock, script in scripts:
        by_clock[guest_clock].append(script)
    number = 0
    for guest_clock, group in sorted(by_clock.items()):
        cost = {script[0]: runner.times.of(key_of(kernel, script), kernel) for script in group}
        share = SHARED[kernel]
        guests = len(group) if not share else max(1, round(sum(cost.values()) / share))
        bins = [[] for _ in range(min(guests, len(group)))]
        for script in sorted(group, key=lambda s: -cost[s[0]]):
            min(bins, key=lambda b: sum(cost[s[0]] for s in b)).append(script)
        for scripts_of_guest in bins:
            number += 1
            yield Selftests(kernel, guest_clock, scripts_of_guest, number if share else None)


def prepare(runner, *kernels):
    # kselftest itself comes from the source of stock.
    for kernel in dict.fromkeys(("stock", *kernels)):
        runner.add(Command(f"kernel {kernel}", [SCRIPTS / "kernel.sh", kernel], silent=True))
    for kernel in kernels:
        runner.add(Command(f"build {kernel}", [SCRIPTS / "build.sh", kernel], [f"kernel {kernel}"], True))
    runner.add(Command("install selftests", [SCRIPTS / "install-selftests.sh", KSELFTEST],
                       ["kernel stock"], True))


def cargo_test(*more):
    return ["cargo", "test", "--no-fail-fast", "--manifest-path", "rust/logic/Cargo.toml",
            "--target-dir", OUT / "cargo", *(more or ("--lib", "--tests"))]


def the_gate(runner, plan):
    scripts, replaced = chosen(plan, "uml-debug", "uml", "stock")
    prepare(runner, *scripts)
    runner.add(Command("logic", cargo_test()))
    runner.add(Command("fuzz 30", [SCRIPTS / "fuzz.sh", "30"]))
    runner.add(Command("check", [SCRIPTS / "check.sh"], ["kernel stock"]))
    kernel = replaced.get("uml", "uml")
    runner.add(Command(f"vm {kernel}", [SCRIPTS / "vm-test.sh", kernel], [f"build {kernel}"]))
    leaks = list(plan.with_leaks(replaced))
    twice = {(job.kernel, script) for job in leaks for script, _ in job.scripts}
    for kernel, group in scripts.items():
        group = [row for row in group if (kernel, row[1][0]) not in twice]
        for job in batches(runner, kernel, group):
            runner.add(job)
    for job in leaks:
        runner.add(job)
    return runner.run()


def words(plan, arguments):
    """SCRIPT[.sh][:TEST,...] as (script, tests), each script once."""
    scripts = {}
    for argument in arguments:
        name, _, tests = argument.partition(":")
        name = name.removesuffix(".sh")
        if name not in plan.rows:
            die(f"there is no selftest '{name}'; there are: {' '.join(plan.rows)}")
        scripts.setdefault(name, []).extend(tests.split(",") if tests else [])
    return scripts.items()


def quick(plan, arguments):
    runner = Runner()
    scripts = list(words(plan, arguments or plan.touched()))
    say(f"quick: {' '.join(script for script, _ in scripts)}")
    kernel = replacements().get("uml-debug", "uml-debug")
    prepare(runner, kernel)
    # Without loom and the long random sequences.
    runner.add(Command("logic, quick", cargo_test("--lib", "--test", "arp_bugs", "--test", "arp_rows",
                                                  "--test", "invariants")))
    runner.add(Command("check, quick", [SCRIPTS / "check.sh", "quick"], ["kernel stock"]))
    clocks = {script: guest_clock for guest_clock, (script, _) in plan.scripts("uml-debug")}
    for script, tests in scripts:
        runner.add(Selftests(kernel, clocks.get(script, "real"), [(script, tests)]))
    return runner.run()


def selftest(plan, kernel, arguments):
    if kernel not in KERNELS:
        die(f"there is no kernel '{kernel}': it is one of {', '.join(KERNELS)}")
    runner = Runner()
    clocks = {script: guest_clock for guest_clock, (script, _) in plan.scripts(kernel)}
    prepare(runner, kernel)
    guests = list(batches(runner, kernel, [
        (os.environ.get("CLOCK") or clocks.get(script, "real"), (script, tests))
        for script, tests in words(plan, arguments or clocks)]))
    # The output of a single guest is printed at once.
    runner.live = len(guests) == 1
    for job in guests:
        runner.add(job)
    return runner.run()


def full(plan):
    """All tests on all kernels. Jobs that passed on the same tree are not run again."""
    file = OUT / "test-full.json"
    state = {"tree": tree_state(), "passed": {}}
    try:
        old = json.loads(file.read_text())
        if old["tree"] == state["tree"] and not os.environ.get("FRESH"):
            state = old
    except (OSError, ValueError, KeyError):
        pass

    def ended(job, good):
        if good and job in jobs:
            state["passed"][job.name] = round(runner.seconds[job.name])
            file.write_text(json.dumps(state, indent=1))

    runner = Runner(ended)
    scripts, replaced = chosen(plan, *(k for k in KERNELS if k != "debug"), whole=True)
    scripts["debug"] = list(plan.scripts("debug", whole=True))
    prepare(runner, *scripts)
    jobs = [Command("logic", cargo_test()),
            Command("fuzz 600", [SCRIPTS / "fuzz.sh", "600"]),
            Command("check", [SCRIPTS / "check.sh"], ["kernel stock"])]
    # A guest for each script, so that single scripts can be resumed.
    SHARED.update(dict.fromkeys(SHARED, 0))
    for kernel, group in scripts.items():
        if kernel in ("stock", "uml"):
            jobs.append(Command(f"vm {kernel}", [SCRIPTS / "vm-test.sh", kernel], [f"build {kernel}"]))
        jobs += batches(runner, kernel, group)
    jobs += plan.with_leaks(replaced)
    if not replaced:
        jobs.append(Selftests("debug", "real", [("unload", [])], leaks=True))
    before = [job for job in jobs if job.name in state["passed"]]
    for job in jobs:
        if job not in before:
            runner.add(job)
    if before:
        say(f"{len(before)} of {len(jobs)} passed before on this tree; FRESH=1 runs them, too")
    status = runner.run()
    table(plan, state["passed"], jobs)
    return status


def table(plan, passed, jobs):
    """Prints a row for each script and a column for each kernel."""
    names = {job.name for job in jobs}
    print(f"# {'':16}" + "".join(f"{kernel:>12}" for kernel in KERNELS))
    for script in plan.rows:
        cells = (f"{passed[name]} s" if name in passed else "FAILED" if name in names else "-"
                 for name in (f"{kernel}: {script}" for kernel in KERNELS))
        print(f"# {script:16}" + "".join(f"{cell:>12}" for cell in cells))


def main():
    plan = Plan()
    RESULTS.mkdir(parents=True, exist_ok=True)
    lock = (RESULTS / "lock").open("w")
    if sys.argv[1:] != ["table"]:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            die(f"another run of tests writes to {OUT}: OUT= names another folder")
    match sys.argv[1:]:
        case ["quick", *scripts]:
            status = quick(plan, scripts)
        case ["test"]:
            status = the_gate(Runner(), plan)
        case ["full"]:
            status = full(plan)
        case ["table"]:
            status = plan.table()
        case ["selftest", kernel, *scripts]:
            status = selftest(plan, kernel, scripts)
        case _:
            die("usage: test.py quick [SCRIPT...] | test | full | table | "
                "selftest KERNEL [SCRIPT[:TEST,...]...]")
    sys.exit(status)


if __name__ == "__main__":
    main()
