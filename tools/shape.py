#!/usr/bin/python3
"""Checks the shape of the code under src/: what a reader can rely on without having looked.

    tools/shape.py [SRC]        one line a fault; exit status 1 where there is any
    tools/shape.py --figures    the figures themselves: by folder and for the whole
    tools/shape.py --self-test  shows on small trees that each kind of fault is found; TAP on stdout

- No folder holds more than 20 sources and headers.
- No function is longer than 70 lines, no .c file longer than 600.
- No two functions of the server have one name, so that a profile or a backtrace names one place.
- No circle of units (a .c with its header): whatever a unit includes, nothing of that leads back to it.
- At least 1.5 assertions in 100 lines: CHECK of some kind, or a static assertion.
"""

import re
import sys
from pathlib import Path

from source_check import SRC, run

FILES_MAX = 20
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
ASSERTIONS_PER_100_MIN = 1.5
# Programs of their own within the binary: they share no backtrace with the server.
OTHER_PROGRAMS = ("bench", "doctor", "tool", "ctl")
# Linked in place of another file, so that no program has both.
ALTERNATIVES = ("poller_poll.c",)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
FUNCTION = re.compile(r"^(?!(?:struct|union|enum)\s+\w+\s*$)[a-z_][^;{}=#]*?\b(\w+)\([^;{}]*\)\n\{\n.*?^\}", re.MULTILINE | re.DOTALL)
ASSERTION = re.compile(r"^\s*(?:CHECK(?:_[A-Z]+)?|_Static_assert|static_assert)\(", re.MULTILINE)


def sources(src):
    return sorted(path for path in src.rglob("*") if path.suffix in (".c", ".h"))


def functions(text):
    """Name, first line and length of each function that the text defines."""
    for match in FUNCTION.finditer(text):
        yield match.group(1), text.count("\n", 0, match.start()) + 1, match.group(0).count("\n") + 1


def folder_faults(src, files):
    by_folder = {}
    for path in files:
        by_folder.setdefault(path.parent, []).append(path)
    for folder, members in sorted(by_folder.items()):
        if len(members) > FILES_MAX:
            yield f"{folder.relative_to(src).as_posix()}: {len(members)} files, at most {FILES_MAX}"


def length_faults(src, texts):
    for path, text in texts.items():
        name = path.relative_to(src).as_posix()
        lines = text.count("\n")
        if path.suffix == ".c" and lines > FILE_LINES_MAX:
            yield f"{name}: {lines} lines, at most {FILE_LINES_MAX}"
        for function, line, length in functions(text):
            if length > FUNCTION_LINES_MAX:
                yield f"{name}:{line}: {function}() has {length} lines, at most {FUNCTION_LINES_MAX}"


def name_faults(src, texts):
    places = {}
    for path, text in texts.items():
        name = path.relative_to(src).as_posix()
        if name.split("/")[0] in OTHER_PROGRAMS or path.name in ALTERNATIVES:
            continue
        for function, line, _ in functions(text):
            if function != "main":
                places.setdefault(function, []).append(f"{name}:{line}")
    for function, where in sorted(places.items()):
        if len(where) > 1:
            yield f"{function}() is defined {len(where)} times: {', '.join(where)}"


def unit_graph(src, texts):
    """What each unit, a .c with its header, includes of others."""
    graph = {}
    for path, text in texts.items():
        unit = path.relative_to(src).with_suffix("").as_posix()
        reached = graph.setdefault(unit, set())
        reached.update(target[:-2] for target in INCLUDE.findall(text))
        reached.discard(unit)
    return graph


def circles(graph):
    """The knots of a graph: sets of units each of which leads to each other (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(root):
        work = [(root, iter(sorted(graph.get(root, ()))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            unit, rest = work[-1]
            target = next(rest, None)
            if target is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[unit])
                if low[unit] == index[unit]:
                    knot = []
                    while not knot or knot[-1] != unit:
                        knot.append(stack.pop())
                    if len(knot) > 1:
                        found.append(sorted(knot))
            elif target not in index:
                index[target] = low[target] = len(index)
                stack.append(target)
                work.append((target, iter(sorted(graph.get(target, ())))))
            elif target in stack:
                low[unit] = min(low[unit], index[target])

    for unit in sorted(graph):
        if unit not in index:
            visit(unit)
    return sorted(found)


def assertion_count(texts):
    return sum(len(ASSERTION.findall(text)) for text in texts.values())


def faults(src):
    texts = {path: path.read_text() for path in sources(src)}
    if not texts:
        return ["no sources found"]
    found = list(folder_faults(src, texts))
    found += length_faults(src, texts)
    found += name_faults(src, texts)
    found += ["circle: " + ", ".join(knot) for knot in circles(unit_graph(src, texts))]
    lines = sum(text.count("\n") for text in texts.values())
    rate = 100 * assertion_count(texts) / lines
    if rate < ASSERTIONS_PER_100_MIN:
        found.append(f"{rate:.2f} assertions in 100 lines, at least {ASSERTIONS_PER_100_MIN}")
    return found


def figures(src):
    texts = {path: path.read_text() for path in sources(src)}
    folders = {}
    for path, text in texts.items():
        folders.setdefault(path.parent.relative_to(src).as_posix(), {})[path] = text
    print(f"{'folder':24}{'files':>7}{'lines':>8}{'assertions':>12}{'in 100':>8}")
    for folder, members in sorted(folders.items()) + [("the whole", texts)]:
        lines = sum(text.count("\n") for text in members.values())
        count = assertion_count(members)
        print(f"{folder:24}{len(members):7}{lines:8}{count:12}{100 * count / max(lines, 1):8.2f}")
    lengths = sorted(length for text in texts.values() for _, _, length in functions(text))
    if lengths:
        at = [lengths[int(len(lengths) * share)] for share in (0.5, 0.9, 0.99)]
        print(f"functions: {len(lengths)}; lines at the median, 90 %, 99 % and most: {at[0]}, {at[1]}, {at[2]}, {lengths[-1]}")
    print(f"functions of one name in the server: {sum(1 for _ in name_faults(src, texts))}")
    knots = circles(unit_graph(src, texts))
    print(f"circles of files: {len(knots)}, of {sum(map(len, knots))} units")


HELD = '_Static_assert(1, "");\n'
SELF_TESTS = [
    ("a small tree is clean", {"base/a.c": HELD + "int a(void)\n{\n\treturn 1;\n}\n"}, []),
    ("a folder with too much in it", {f"base/a{i}.h": HELD for i in range(21)}, ["base: 21 files"]),
    ("a long function", {"base/a.c": HELD * 4 + "void a(void)\n{\n" + "\tb();\n" * 70 + "}\n"}, ["base/a.c:5: a() has 73 lines"]),
    ("a long file", {"base/a.c": HELD * 601}, ["base/a.c: 601 lines"]),
    ("two functions of one name", {"base/a.c": HELD + "static int a(void)\n{\n}\n", "net/a.c": HELD + "int a(void)\n{\n}\n"},
     ["a() is defined 2 times: base/a.c:2, net/a.c:2"]),
    ("the bench is another program", {"base/a.c": HELD + "int a(void)\n{\n}\n", "bench/a.c": HELD + "int a(void)\n{\n}\n"}, []),
    ("one of two files is linked", {"reactor/poller.c": HELD + "int a(void)\n{\n}\n", "net/poller_poll.c": HELD + "int a(void)\n{\n}\n"}, []),
    ("units that include each other's headers",
     {"base/a.c": HELD + '#include "base/b.h"\n', "base/a.h": HELD, "base/b.h": HELD, "base/b.c": HELD + '#include "base/a.h"\n'},
     ["circle: base/a, base/b"]),
    ("a chain is no circle", {"base/a.c": HELD + '#include "base/b.h"\n', "base/b.c": HELD + '#include "base/c.h"\n', "base/b.h": HELD,
                              "base/c.h": HELD}, []),
    ("nothing is promised", {"base/a.c": "int a;\n"}, ["0.00 assertions in 100 lines"]),
    ("no folder at all", {}, ["no sources found"]),
]


def main():
    if sys.argv[1:2] == ["--figures"]:
        figures(Path(sys.argv[2]) if len(sys.argv) > 2 else SRC)
        return 0
    return run(faults, SELF_TESTS)


if __name__ == "__main__":
    sys.exit(main())
