#!/usr/bin/python3
"""Makes docs/CONFORMANCE.md: each numbered statement of the two standards, and the tests that name it.

    tools/conformance_table.py                writes the table
    tools/conformance_table.py --check        fails where the table is not what would be written, or where something
                                              names a statement that does not exist
    tools/conformance_table.py --uncovered    lists the statements that no test names and that have no reason for it
    tools/conformance_table.py --self-test    tests this script, in TAP

The statements are in tests/conformance/statements.txt. A test names them in brackets, in a comment or a docstring:
[MQTT-3.1.2-22] is version 5's; "of 3.1.1" says that all since the last semicolon are the other's; short forms are
"MQTT-3.1.2-11, -12" and "MQTT-3.1.2-11 to -14". A docstring of a module names them for the file, one of a function for
that test. What sources cite in brackets has to exist too.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATEMENTS = ROOT / "tests" / "conformance" / "statements.txt"
TABLE = ROOT / "docs" / "CONFORMANCE.md"
TESTS = ("tests/unit/", "tests/scenario/", "tests/interop/", "tests/random/")
CITING = (*TESTS, "src/")
VERSIONS = ("5.0", "3.1.1")

BRACKETS = re.compile(r"\[([^\[\]]*?MQTT-\d[^\[\]]*)\]")
MARGIN = re.compile(r"\n\s*(?:\*(?!/)|#|//)?\s*")  # a comment's next line


def references(text):
    """{(version, "3.1.2-22")} that the text names in brackets."""
    found = set()
    for inner in BRACKETS.findall(MARGIN.sub(" ", text)):
        for group in inner.split(";"):
            version = "3.1.1" if re.search(r"\bof 3\.1\.1\b", group) else "5.0"
            found |= {(version, name) for name in names_in(group)}
    return found


def names_in(group):
    names, section, last = [], None, None
    for match in re.finditer(r"MQTT-(\d[\d.]*\d)-(\d+)|(\bto )?(?<=[ ,])-(\d+)\b", group):
        if match.group(1):
            section, last = match.group(1), int(match.group(2))
            names.append(f"{section}-{last}")
        elif section:
            number = int(match.group(4))
            names += [f"{section}-{n}" for n in (range(last + 1, number + 1) if match.group(3) else [number])]
            last = number
    return names


def tracked(*folders):
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout.split("\0")
    return sorted(name for name in listed if name.endswith((".c", ".h", ".py", ".js")) and (ROOT / name).is_file())


def python_places(name, text):
    """(place, text) of each test, and of all that is outside of them."""
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield f"{name}: {node.name}", "".join(lines[node.lineno - 1:node.end_lineno])
            lines[node.lineno - 1:node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    yield name, "".join(lines)


def places(name):
    text = (ROOT / name).read_text()
    return python_places(name, text) if name.endswith(".py") else [(name, text)]


def read_statements():
    """{(version, number): (clause, reason or "")} in the order of the file."""
    statements, version = {}, None
    for line in STATEMENTS.read_text().splitlines():
        if line.startswith("["):
            version = line.strip("[]")
            assert version in VERSIONS
        elif line and not line.startswith("#"):
            number, clause, *reason = line.split(" | ")
            assert (version, number) not in statements, line
            statements[version, number] = clause, " | ".join(reason)
    return statements


def find_tests(statements):
    """({statement: [place]}, ["who names what does not exist"])"""
    found, wrong = {}, []
    for name in tracked(*CITING):
        for place, text in places(name):
            for statement in references(text):
                if statement not in statements:
                    wrong.append(f"{place} names MQTT-{statement[1]} of {statement[0]}, which does not exist")
                elif name.startswith(TESTS):
                    found.setdefault(statement, []).append(place.removeprefix("tests/"))
    return {statement: whole_files(places) for statement, places in found.items()}, wrong


def whole_files(places):
    """A file that names the statement for all its tests stands for each of them."""
    files = {place for place in places if ": " not in place}
    return sorted(files | {place for place in places if place.split(": ")[0] not in files})


HEAD = """\
# What the standards ask for, and the tests that cover it

Made by `tools/conformance_table.py` from the tests themselves; `make test` fails where this page is not what it makes.
Clauses are in our own words: the standards' count. A file without the name of a test names the statement for all its
tests; names are below `tests/`.

Roost has one limit that the standards do not have: a topic or a filter has at most 128 levels
(`scenario/topic_levels.py`, [more](OPERATIONS.md#limits-of-topics)).

| | statements | covered by a test | no test, for a reason | not covered |
|---|---|---|---|---|
"""


def row_of_sums(version, statements, found):
    mine = [key for key in statements if key[0] == version]
    covered = sum(key in found for key in mine)
    excused = sum(key not in found and statements[key][1] != "" for key in mine)
    return f"| MQTT {version} | {len(mine)} | {covered} | {excused} | {len(mine) - covered - excused} |\n"


def make_table(statements, found):
    out = HEAD + "".join(row_of_sums(version, statements, found) for version in VERSIONS)
    for version in VERSIONS:
        out += f"\n## MQTT {version}\n\n| statement | what it says | covered by |\n|---|---|---|\n"
        for (of, number), (clause, reason) in statements.items():
            if of != version:
                continue
            tests = "<br>".join(f"`{place}`" for place in found.get((of, number), []))
            out += f"| MQTT-{number} | {clause} | {tests or ('no test: ' + reason if reason else '**not covered**')} |\n"
    return out


SAMPLES = {
    "[MQTT-3.1.2-22]": {("5.0", "3.1.2-22")},
    "no brackets: MQTT-3.1.2-22": set(),
    "[MQTT-3.8]": set(),
    "[MQTT-3.2.2.3.12]": set(),
    "[section 3.1.2, MQTT-4.7.1-1, -2]": {("5.0", "4.7.1-1"), ("5.0", "4.7.1-2")},
    "[MQTT-3.1.2-3, MQTT-3.1.2-11 to -13]": {("5.0", f"3.1.2-{n}") for n in (3, 11, 12, 13)},
    "[MQTT-3.1.3-6; MQTT-3.1.3-7, MQTT-3.1.3-8 of 3.1.1]": {("5.0", "3.1.3-6"), ("3.1.1", "3.1.3-7"), ("3.1.1", "3.1.3-8")},
    "/* [MQTT-2.2.1-5,\n * MQTT-3.3.4-1; MQTT-2.3.1-6 of\n * 3.1.1] */": {("5.0", "2.2.1-5"), ("5.0", "3.3.4-1"),
                                                                          ("3.1.1", "2.3.1-6")},
}


def self_test():
    print(f"1..{len(SAMPLES) + 1}")
    failed = 0
    for number, (text, expected) in enumerate(SAMPLES.items(), 1):
        good = references(text) == expected
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {text!r}")
    text = '"""[MQTT-1.5.4-1]"""\n\n\ndef test_a():\n    """[MQTT-1.5.4-2]"""\n'
    got = {place: references(part) for place, part in python_places("f.py", text)}
    good = got == {"f.py": {("5.0", "1.5.4-1")}, "f.py: test_a": {("5.0", "1.5.4-2")}}
    print(f"{'ok' if good else 'not ok'} {len(SAMPLES) + 1} - a test's own docstring counts for it alone")
    return 1 if failed or not good else 0


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    if mode == "--self-test":
        return self_test()
    if mode not in ("", "--check", "--uncovered"):
        print(__doc__)
        return 0 if mode in ("-h", "--help") else 2
    statements = read_statements()
    found, wrong = find_tests(statements)
    for line in wrong:
        print(line)
    if mode == "--uncovered":
        for (version, number), (clause, reason) in statements.items():
            if not reason and (version, number) not in found:
                print(f"{version:6} MQTT-{number:8} {clause}")
        return 0
    table = make_table(statements, found)
    if mode == "":
        TABLE.write_text(table)
    elif not TABLE.exists() or TABLE.read_text() != table:
        print(f"{TABLE.relative_to(ROOT)} is not what the tests say; tools/conformance_table.py writes it anew")
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
