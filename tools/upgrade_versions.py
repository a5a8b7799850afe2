#!/usr/bin/python3
"""Upgrades between this program and one that lays out its memory in another way.

    tools/upgrade_versions.py [--folder DIR] [--program PROGRAM] [--build-only]   to the same sources with other structs, and back
    tools/upgrade_versions.py --tag TAG [--folder DIR]                            from a version of this repository to this one

The other program is built in DIR. Then the tests of upgrades in tests/scenario are run with servers whose program is now the
one, now the other, and so is that of tools/upgrade_load.py, which accounts for every message. From a version there is no way
back, where this program's memory has members that it does not know: there is one upgrade under load. Exit status 0: all was
well. Bounded in time; what it starts it ends.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
SCENARIOS = ["upgrade_keeps_connections", "upgrade_keeps_sessions", "upgrade_while_clients_are_revoked"]
LOAD = ["--clients", "600", "--rate", "600", "--between", "1"]
BUILD_S = 1800
RUN_S = 1200

# What the other program has. Each type can be converted there and back: members have other places, and there are more that
# hold nothing. With pools (client, subscription and so on), blocks of the slab (extension, principal), bits, offsets, and a
# counter among the others.
REVERSED = [("src/state/client.h", "client", ["session"]),
            ("src/subscriptions/subscription.h", "subscription", ["client_next", "client_previous"]),
            ("src/session/flow_list.h", "flow_entry", ["next"]),
            ("src/topics/retained_state.h", "retained_node", ["table"]),
            ("src/state/extension.h", "extension", []),
            ("src/session/session.h", "session", ["node", "id", "subscription"])]
ADDED = [("src/subscriptions/subscription.h", "\tuint16_t reserved;\n", "\tuint32_t reserved;\n"),
         ("src/state/principal.h", "\tuint16_t user_bytes;\n", "\tuint64_t reserved;\n\tuint16_t user_bytes;\n"),
         ("src/runtime/counters.h", "\tX(quick_acks,", '\tX(never, COUNT, "never", "", "Nothing that this program has") \\\n\tX(quick_acks,')]
VERSION = ("meson.build", r"version: '([^']+)'", r"version: '\1-other'")


def fail(words):
    sys.exit(f"tools/upgrade_versions.py: {words}")


def run(words, seconds, **how):
    print("$", " ".join(map(str, words)), flush=True)
    try:
        return subprocess.run([str(word) for word in words], timeout=seconds, check=False, **how).returncode
    except subprocess.TimeoutExpired:
        fail(f"it took longer than {seconds} s")


# ---- the other sources ----

def members_of(body):
    """Each with its comments: what ends with a semicolon outside of braces, and the rest of that line."""
    members, depth, begin, at = [], 0, 0, 0
    while at < len(body):
        if body.startswith("/*", at):
            at = body.index("*/", at) + 1
        depth += {"{": 1, "}": -1}.get(body[at], 0)
        if body[at] == ";" and depth == 0:
            end = body.index("\n", at) + 1
            while body.rfind("/*", at, end) > body.rfind("*/", at, end):
                end = body.index("\n", end) + 1
            members.append(body[begin:end])
            begin = at = end
            continue
        at += 1
    return members


def name_of(member):
    """"": it is a union without a name."""
    declared = re.sub(r"/\*.*?\*/", "", member, flags=re.DOTALL).partition(";")[0]
    found = re.search(r"(\w+)(\[\w*\])?(\s*:\s*\d+)?\s*$", declared)
    return found.group(1) if found and "{" not in declared else ""


def reverse(text, name, first):
    """The members of the struct in another order, those of `first` before them as they are."""
    head = f"\nstruct {name} {{\n"
    begin = text.find(head)
    if begin < 0:
        fail(f"there is no struct {name} any more where REVERSED says")
    begin += len(head)
    end = text.index("\n};", begin) + 1
    members = members_of(text[begin:end])
    if [name_of(member) for member in members[:len(first)]] != first or "".join(members) != text[begin:end]:
        fail(f"struct {name} does not begin with {', '.join(first)} any more")
    return text[:begin] + "".join(members[:len(first)] + members[:len(first) - 1 if first else None:-1]) + text[end:]


def copy(folder):
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True,
                            capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        to, source = folder / name, ROOT / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file() and (not to.is_file() or to.read_bytes() != source.read_bytes()):
            shutil.copy(source, to)


def shuffled(path):
    """What the file is in the other program."""
    text = (ROOT / path).read_text()
    for where, name, first in REVERSED:
        text = reverse(text, name, first) if where == path else text
    for where, before, after in ADDED:
        if where != path:
            continue
        if text.count(before) != 1:
            fail(f"{path} has {before.strip()!r} {text.count(before)} times, not once")
        text = text.replace(before, after)
    return text


def make_other(folder):
    copy(folder)
    for path in {path for path, *_ in REVERSED + ADDED}:
        (folder / path).write_text(shuffled(path))
    path, pattern, replacement = VERSION
    (folder / path).write_text(re.sub(pattern, replacement, (ROOT / path).read_text(), count=1))


def make_tagged(folder, tag):
    if subprocess.run(["git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{tag}^{{commit}}"], check=False,
                      stdout=subprocess.DEVNULL).returncode != 0:
        fail(f"there is no version {tag}")
    folder.mkdir(parents=True, exist_ok=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", tag], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)


def build(folder):
    """With what ccache has of the same sources elsewhere."""
    if run([folder / "tools" / "build.sh", "build", "roost"], BUILD_S, env={**os.environ, "CCACHE_NOHASHDIR": "1"}) != 0:
        fail("it does not build")
    return folder / "build" / "roost"


# ---- the upgrades ----

def scenarios(other):
    return run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                *(ROOT / "tests" / "scenario" / f"{name}.py" for name in SCENARIOS)], RUN_S,
               env={**os.environ, "ROOST": ROOST, "ROOST_UPGRADE_TO": str(other)}, cwd=ROOT)


def load(begin, then, upgrades):
    towards = [word for program in then for word in ("--to", program)]
    return run([ROOT / "tools" / "upgrade_load.py", *LOAD, "--upgrades", upgrades, *towards], RUN_S,
               env={**os.environ, "ROOST": str(begin)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="where the other program is built; it is kept for the next time")
    parser.add_argument("--tag", help="a version of this repository, instead of other structs")
    parser.add_argument("--program", type=Path, help="the other program, which is built already")
    parser.add_argument("--build-only", action="store_true", help="build the other program, and say where it is")
    options = parser.parse_args()
    folder = (options.folder or ROOT / "build" / (f"version-{options.tag}" if options.tag else "other-version")).resolve()
    other = options.program
    if other is None:
        make_tagged(folder, options.tag) if options.tag else make_other(folder)
        other = build(folder)
    if options.build_only:
        print(other)
        return 0
    if options.tag:
        return load(other, [ROOST], 1)
    return max(scenarios(other), load(ROOST, [other, ROOST], 6))


if __name__ == "__main__":
    sys.exit(main())
