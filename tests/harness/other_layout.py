"""Programs that say of themselves that they lay out their memory in another way: copies of the one under test, in which the
text of its layout is another one, of the same length. What they really do with memory is the same."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from server import ROOST

# Such as layout/conversion.c can convert: in pools, blocks and notes.
CONVERTIBLE = {f"struct {name}" for name in (
    "account", "ack_line", "address", "client", "counters", "extension", "flow_entry", "gateway_note", "heir_note", "index_note",
    "index_part_note", "own_entry", "principal", "retained_node", "shard_note", "subscriber_list", "subscription", "ticket",
    "websocket")}


def layout_text(program=ROOST):
    """As the program says it on trial, behind its name and its store."""
    answer = subprocess.run([program, "serve"], env={**os.environ, "ROOST_UPGRADE_TRIAL": "1"}, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, timeout=60, check=True).stdout
    assert answer.startswith("roost-upgrade 1 "), answer
    return answer.split("\n", 2)[2]


def hash_of(text):
    """As it lies in the program's memory (tools/memory_layout.py)."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()[::-1]


def members_of(line):
    """Those of unnamed types within stay together."""
    members, depth, begin = [], 0, 0
    for at, letter in enumerate(line):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if line.startswith("; ", at) and depth == 0:
            members.append(line[begin:at])
            begin = at + 2
    return [*members, line[begin:]]


def reordered(line):
    """The members of a type that can be converted are told in another order. They have their places still, so what such a
    program makes of memory is right, and another's memory has to be converted for it."""
    name, separator, members = line.partition(": ")
    if name.rpartition(" ")[0] not in CONVERTIBLE:
        return line
    return name + separator + "; ".join(reversed(members_of(members)))


def program(folder, change, name="roost-other"):
    """A copy of the program with each line of its layout changed so."""
    text = layout_text()
    other = "\n".join(map(change, text.split("\n")))
    assert len(other) == len(text) and other != text
    data = Path(ROOST).resolve().read_bytes()
    for before, after in ((text.encode() + b"\0", other.encode() + b"\0"), (hash_of(text), hash_of(other))):
        assert data.count(before) == 1, f"{data.count(before)} places in the program"
        data = data.replace(before, after)
    path = Path(folder) / name
    shutil.copy(Path(ROOST).resolve(), path)
    path.write_bytes(data)
    path.chmod(0o755)
    return str(path)
