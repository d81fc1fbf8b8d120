#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""words.py FILE...: counts words that name no thing in prose and comments.

Subjects of sentences are things (Documentation/glossary.rst). Lists each line with one of VAGUE,
and fails above MOST in 1000 words.
"""
import io
import re
import sys
import tokenize
from pathlib import Path

MOST = 1
VAGUE = re.compile(r"\b(who|whom|whose|whoever|whomever|(some|no|every|any)(body|one))\b", re.I)
# What a selftest prints.
PRINTED = re.compile(r"\b(?:log_test|check_err|check_fail|expect|between|eventually|timed|refused)\b"
                     r"[^\"']*\"([^\"]*)\"")


def python_prose(text):
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or token.type == tokenize.STRING and '"""' in token.string:
            for line, words in enumerate(token.string.split("\n")):
                yield token.start[0] + line, words


def prose(path):
    """(number, words) of each line with prose."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from python_prose(text)
        return
    block = False
    for number, line in enumerate(text.split("\n"), 1):
        if path.suffix in (".rst", ".md"):
            yield number, line
        elif path.suffix in (".rs", ".c", ".h"):
            if block or "/*" in line:
                block = "*/" not in line
                yield number, line
            elif found := re.search(r"//(.*)", line):
                yield number, found[1]
        else:
            if found := re.search(r"(?:^|\s)#(?!!)(.*)", line):
                yield number, found[1]
            for found in PRINTED.finditer(line):
                yield number, found[1]


def main():
    words = vague = 0
    for name in sys.argv[1:]:
        for number, line in prose(Path(name)):
            words += len(re.findall(r"[A-Za-z']+", line))
            if found := len(VAGUE.findall(line)):
                vague += found
                print(f"{name}:{number}: {line.strip()}")
    print(f"{vague} in {words} words")
    sys.exit(1000 * vague > MOST * words)


if __name__ == "__main__":
    main()
