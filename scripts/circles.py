#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""circles.py FOLDER...: modules that import each other in a circle.

A module is a file of the folder with the files below it. What a comment or a test names does not
count, nor does a macro that another module defines.
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

# use a::{b, c::D as E, self}; and paths in code: super::a::b, crate::net::a
USE = re.compile(r"\buse\s+([^;]+);")
PATH = re.compile(r"\b(?:super|crate)(?:::\w+)+")


def paths(tree, prefix=()):
    """The paths of a use declaration, as tuples of names."""
    tree = tree.strip()
    if "{" not in tree:
        yield *prefix, *re.sub(r"\s+as\s+\w+", "", tree).strip().split("::")
        return
    head, _, rest = tree.partition("{")
    prefix = (*prefix, *filter(None, head.strip().split("::")))
    depth, start, inside = 0, 0, rest[:rest.rindex("}")]
    for at, char in enumerate(inside + ","):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            if inside[start:at].strip():
                yield from paths(inside[start:at], prefix)
            start = at + 1


def imports(folder, file):
    """The modules of this folder that a file names."""
    text = re.sub(r"//.*", "", file.read_text())
    text = re.split(r"#\[cfg\(test\)\]\s*mod\b", text)[0]
    # Where the file's module stands: a/b.rs is folder::a::b.
    module = file.relative_to(folder).with_suffix("").parts
    found = [path for use in USE.findall(text) for path in paths(use)]
    found += [tuple(path.split("::")) for path in PATH.findall(USE.sub("", text))]
    for path in found:
        up = 0
        while path[up:up + 1] == ("super",):
            up += 1
        if path[0] == "crate" and path[1:2] == (folder.name,):
            rest = path[2:]
        elif up:
            rest = (*module[:len(module) - up], *path[up:])
        else:
            continue
        if rest:
            yield rest[0]


def circles(arrows):
    """The groups of modules of which each reaches each (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for to in arrows[node]:
            if to not in index:
                visit(to)
            if to in stack:
                low[node] = min(low[node], low[to])
        if low[node] == index[node]:
            group = set()
            while node not in group:
                group.add(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(arrows):
        if node not in index:
            visit(node)
    return found


def main():
    bad = False
    for folder in map(Path, sys.argv[1:]):
        modules = {path.stem for path in folder.glob("*.rs")}
        arrows = {module: defaultdict(set) for module in modules}
        for file in sorted(folder.rglob("*.rs")):
            module = file.relative_to(folder).parts[0].removesuffix(".rs")
            for to in imports(folder, file):
                if to in modules and to != module:
                    arrows[module][to].add(file.name)
        for group in circles(arrows):
            bad = True
            print(f"{folder}: a circle of {', '.join(group)}:")
            for module in group:
                for to in sorted(set(arrows[module]) & set(group)):
                    print(f"    {module} -> {to} ({', '.join(sorted(arrows[module][to]))})")
    sys.exit(bad)


if __name__ == "__main__":
    main()
