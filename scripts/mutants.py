#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""mutants.py [NAME...]: tests that the tests can fail.

Each file in selftests/mutants is a change that breaks the code, with the tests that must fail,
in the form of a mail:

    Subject: the watchdog only checks once
    Test: selftests/watchdog.sh hangs_with_qdisc    a script and its tests, or
    Test: cargo --test=invariants inv_51            host tests of rust/logic: options of cargo
                                                    and parts of names; of several, each must fail
    Kernel: uml-debug virtual                       kernel and clock, not for host tests

followed by the change, which is applied to a copy of the tree in build/mutants. The tests must
pass without the change and fail with it; a kernel that complains, dies or hangs is a failure, too.
A mutant has survived if its tests pass. A stale change, which does not apply any more, one that
does not compile, and tests that fail without the change fail the command, too.

NAME is a mutant, or the beginning of several up to a "_", mostly a script. Results are kept in
build/mutants/results.json while the change, the driver and the tests are the same; FRESH=1
ignores them.

mutants.py --logic: runs cargo-mutants on rust/logic with the host tests, without loom and with
random sequences of 100 cases. It can be stopped and resumed. Runs in the build root.
"""
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
OUT = Path(os.environ.get("OUT") or TOP / "build")
WORK = OUT / "mutants"
SOURCE = WORK / "src"
RESULTS = WORK / "results.json"
PATCHES = TOP / "selftests/mutants"
SKIPPED = 4
WORDS = {None: "see its log", 0: "it passes", SKIPPED: "it is skipped", 98: "the kernel complains",
         99: "the guest dies or hangs", 124: "it does not end"}
CARGO_MUTANTS = "25.3.1"  # compiled by rustc 1.85
SHARDS = 16


def call(command, log, environment=None):
    with log.open("a") as file:
        print("$", *command, file=file, flush=True)
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=TOP,
                              env=environment).returncode


@dataclass(frozen=True)
class Test:
    """A command that passes or fails, on a kernel or, without one, on the host."""
    words: tuple
    kernel: str = ""
    clock: str = ""

    def __str__(self):
        return " ".join(self.words).removeprefix("selftests/")

    def key(self, patch=""):
        """A hash of all inputs of the result."""
        parts = ["rust/logic/**"]
        if self.kernel:
            parts = ["Kbuild", "rust/**", "include/**", self.words[0], "selftests/lib.sh",
                     "selftests/*.py", "selftests/test_modules/*"]
        digest = hashlib.sha256(f"{self.words} {self.kernel} {self.clock} {patch}".encode())
        for file in sorted({file for part in parts for file in SOURCE.glob(part)}):
            if file.is_file() and file.name != "Cargo.lock":
                digest.update(f"{file.relative_to(SOURCE)} ".encode() + file.read_bytes())
        return digest.hexdigest()

    def run(self, log, timeout):
        """Returns the status, or None if the build fails."""
        if not self.kernel:
            return self.run_on_host(log, timeout)
        build = f"mutants-{self.kernel}"
        if call([TOP / "scripts/build.sh", self.kernel, build, SOURCE], log):
            return None
        environment = dict(os.environ, BUILD=build, CLOCK=self.clock, TIMEOUT=str(timeout))
        return call([TOP / "scripts/vm.py", self.kernel, SOURCE / self.words[0], *self.words[1:]],
                    log, environment)

    def run_on_host(self, log, timeout):
        options = [word for word in self.words[1:] if word.startswith("-")] or ["--tests"]
        names = [word for word in self.words[1:] if not word.startswith("-")]
        command = ["cargo", "test", *options, "--target-dir", WORK / "cargo", "--manifest-path",
                   SOURCE / "rust/logic/Cargo.toml"]
        if call([*command, "--no-run"], log):
            return None
        begin = log.stat().st_size
        status = call(["timeout", str(timeout), *command, "--", *names], log)
        if status == 0 and not re.search(rb"^test .* ok$", log.read_bytes()[begin:], re.M):
            return SKIPPED  # no test has this name
        return status


@dataclass
class Mutant:
    name: str
    subject: str
    tests: list
    patch: str

    @classmethod
    def read(cls, path):
        text = path.read_text()
        fields = [line.split(": ", 1) for line in text.partition("\n\n")[0].splitlines()]
        kernel = dict(fields).get("Kernel", "").split()
        tests = [Test(tuple(value.split()), *kernel) for name, value in fields if name == "Test"]
        if not tests or {name for name, _ in fields} - {"Subject", "Test", "Kernel"}:
            sys.exit(f"spans: {path}: the header takes Subject, Test and Kernel, and needs a Test")
        return cls(path.stem, dict(fields)["Subject"], tests, text)

    def apply(self, log):
        """Applies the change to the copy. Returns a function that reverts it, or None if it is
        stale."""
        files = [SOURCE / name for name in re.findall(r"^\+\+\+ b/(\S+)", self.patch, re.M)]
        before = {file: file.read_bytes() for file in files if file.exists()}
        # The copy lies in a checkout: git must not use that repository.
        environment = dict(os.environ, GIT_CEILING_DIRECTORIES=str(WORK))
        if call(["git", "-C", SOURCE, "apply", PATCHES / f"{self.name}.patch"], log, environment):
            return None
        return lambda: [file.write_bytes(text) for file, text in before.items()]

    def judge(self, results, baseline):
        """Returns the verdict in a word, with details and seconds."""
        log, said, total = WORK / f"log/{self.name}.log", [], 0
        log.write_text("")
        for test in self.tests:
            if baseline[test][0] != 0:
                return "not judged", f"{test} ends with {baseline[test][0]} without any change", 0
        keys = {test: test.key(self.patch) for test in self.tests}
        undo = self.apply(log)
        if undo is None:
            return "stale", f"see {log}", 0
        for test in self.tests:
            limit = 60 + 10 * int(baseline[test][1])
            status, seconds = results.get(keys[test], lambda: test.run(log, limit),
                                          lambda it: it is not None)
            total += seconds
            said.append(f"{test}: {WORDS.get(status, f'status {status}')}")
            if status in (None, 0, SKIPPED):
                undo()
                return "does not build" if status is None else "survived", said[-1], total
        undo()
        return "killed", ", ".join(said), total


def copy_tree():
    """Copies changed files with a new time, for make."""
    SOURCE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["rsync", "-rlpcR", "--delete", "--exclude=/selftests/mutants",
                           "--exclude=target", "--exclude=__pycache__", "Kbuild", "include", "rust",
                           "selftests", f"{SOURCE}/"], cwd=TOP).returncode
    if done not in (0, 24):  # 24: a file vanished, for example an editor's
        sys.exit(f"spans: {TOP} cannot be copied to {SOURCE}")


class Results:
    def __init__(self):
        fresh = os.environ.get("FRESH") or not RESULTS.exists()
        self.known = {} if fresh else json.loads(RESULTS.read_text())

    def get(self, key, compute, keep=lambda status: True):
        """The stored or computed result: status and seconds."""
        if key not in self.known:
            began = time.monotonic()
            status = compute()
            if not keep(status):
                return status, time.monotonic() - began
            self.known[key] = [status, round(time.monotonic() - began, 1)]
            new = RESULTS.with_suffix(".new")
            new.write_text(json.dumps(self.known, indent=0))
            new.rename(RESULTS)
        return self.known[key]


def mutants(names):
    chosen = [Mutant.read(path) for path in sorted(PATCHES.glob("*.patch"))]
    for name in names:
        if not any(f"{it.name}_".startswith(f"{name}_") for it in chosen):
            sys.exit(f"spans: there is no mutant '{name}' in {PATCHES}")
    if names:
        chosen = [it for it in chosen if any(f"{it.name}_".startswith(f"{name}_") for name in names)]
    copy_tree()
    results, baseline, found = Results(), {}, {}
    print(f"TAP version 13\n1..{len(chosen)}", flush=True)
    # First without a change, which takes only one build.
    log = WORK / "log/without-any-change.log"
    log.write_text("")
    tests = list(dict.fromkeys(test for it in chosen for test in it.tests))
    for number, test in enumerate(tests, 1):
        baseline[test] = results.get(test.key(), lambda: test.run(log, 600), lambda it: it == 0)
        print(f"# {number}/{len(tests)} without any change: {test}: status {baseline[test][0]}, "
              f"{baseline[test][1]:.0f} s", flush=True)
    for number, mutant in enumerate(chosen, 1):
        word, details, seconds = mutant.judge(results, baseline)
        found.setdefault(word, []).append(f"{mutant.name}: {mutant.subject} ({details})")
        print("ok" if word == "killed" else "not ok", number, f"- {mutant.name}: {word}: {details}",
              f"# {seconds:.0f} s", flush=True)
    killed, survived = len(found.pop("killed", [])), len(found.get("survived", []))
    for word, lines in found.items():
        for line in lines:
            print(f"# {word}: {line}")
    print(f"{killed} killed, {survived} survived, {len(chosen) - killed - survived} stale")
    return killed != len(chosen)


def logic():
    tools = Path(os.environ["SPANS_CACHE"]) / "tools"
    subprocess.run(["cargo", "install", "--quiet", "--locked", "--root", tools,
                    f"cargo-mutants@{CARGO_MUTANTS}"], check=True)
    copy_tree()
    state = WORK / "logic" / Test(("cargo-mutants",)).key()
    folder = state.parent
    if os.environ.get("FRESH") or not state.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        state.touch()
    tests = [f"--test={name}" for name in
             ("invariants", "sequences", "arp_rows", "arp_bugs", "arp_sequences")]
    # In place, so that the crates of the tests are compiled once; cargo keeps the CPUs busy.
    for shard in range(SHARDS):
        if (folder / f"done-{shard}").exists():
            continue
        print(f"# part {shard + 1} of {SHARDS}", flush=True)
        status = subprocess.run(
            [tools / "bin/cargo-mutants", "mutants", "--dir", SOURCE / "rust/logic", "--output",
             folder / str(shard), "--shard", f"{shard}/{SHARDS}", "--in-place",
             "--minimum-test-timeout", "60", "--colors", "never", "--", "--lib", *tests],
            env=dict(os.environ, PROPTEST_CASES="100")).returncode
        if status not in (0, 2, 3):  # all caught, some missed, some never end
            sys.exit(f"spans: cargo mutants ended with status {status}")
        (folder / f"done-{shard}").touch()
    caught, timeout, missed = (
        [line for file in sorted(folder.glob(f"*/mutants.out/{name}.txt"))
         for line in file.read_text().splitlines()] for name in ("caught", "timeout", "missed"))
    for line in [f"never ends: {line}" for line in timeout] + [f"survived: {line}" for line in missed]:
        print(f"# {line}")
    print(f"{len(caught) + len(timeout)} killed, {len(missed)} survived")
    return bool(missed)


def main():
    names = sys.argv[1:]
    (WORK / "log").mkdir(parents=True, exist_ok=True)
    lock = (WORK / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"spans: another run is at work in {WORK}")
    sys.exit(logic() if names == ["--logic"] else mutants(names))


if __name__ == "__main__":
    main()
