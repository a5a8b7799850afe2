#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of memory that another program left below corpus/memory_adopt, and of
the text of its layout below corpus/layout_text. A file's name says
what it is. Run it again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "memory_adopt"
ROOT, NOTES = 0, 1
ARENAS, REGIONS = 32, 32 + 48 * 1024


def patch(area, offset, value):
    far = 128 if offset >= 4096 else 0
    return struct.pack("<BIQ", area + far, offset, value & (2**64 - 1))


SEEDS = {
    "nothing": b"",
    "root-magic": patch(ROOT, 0, 0),
    "root-counts": patch(ROOT, 24, 2**64 - 1),
    "arena-end": patch(ROOT, ARENAS + 48 + 32, 2**40),
    "arena-descriptor": patch(ROOT, ARENAS + 48 + 40, 99),
    "arena-name": patch(ROOT, ARENAS + 48, 0x7878787878787878),
    "region-offset": patch(ROOT, REGIONS + 64 + 32, 2**63),
    "region-reserved": patch(ROOT, REGIONS + 64 + 40, 4096),
    "region-usable": patch(ROOT, REGIONS + 64 + 48, 4096),
    "region-usable-none": patch(ROOT, REGIONS + 64 + 48, 0),
    "region-arena": patch(ROOT, REGIONS + 64 + 56, 0),
    "notes-version": patch(NOTES, 8, 2),
    "notes-end": patch(NOTES, 16, 4096),
    "notes-count": patch(NOTES, 8, 1 | 9 << 32),
    "note-bytes": patch(NOTES, 24, 2**62),
    "note-name": patch(NOTES, 32, 80),
    "pool-touched": patch(NOTES, 24 + 16 + 16 + 8, 2**32 - 1),
    "pool-free": patch(NOTES, 24 + 16 + 16 + 16, 77),
    "two": patch(NOTES, 24 + 16 + 16, 0) + patch(ROOT, 16, 0),
}


# Patches of the text of a layout, and texts.
TEXTS = {
    "own": b"\0",
    "patched": b"\0" + struct.pack(">HB", 6200, 4) + b"@99 " + struct.pack(">HB", 9000, 2) + b"{;",
    "empty": b"\1",
    "short": b"\1struct client 8: a@0 u32; b@32b3 u32; c@35b5 u32; @4 union {d@0 u8; e@0 s8[2][2]}\n",
    "nested": b"\1struct a 4: a@0 struct a\nstruct client 4: a@0 struct a[3]\nenum e 4: A=0; B=1\n",
    "rubbish": b"\1@@@;;;{}[[9]\n \nstruct\nstruct \nstruct a\nstruct a :\n",
}


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, text in files.items():
        (folder / name).write_bytes(text)


write(CORPUS, SEEDS)
write(CORPUS.parent / "layout_text", TEXTS)
