#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of replication below corpus/. A file's name says what it is. Run it again after a change
here; it replaces what it wrote before.

What fuzzing found is kept beside them by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "nodes_replication"
OFFER, HELD, BYTES, GONE, MARK, SAFE, REFUSED, RELEASED, ASK, ANSWER, TAKEN = range(0x80, 0x8b)
COPY = 0xff
SEALED, SYNCED = 1, 2
ID = b"roost".ljust(16, b"\0")


def head(segment, offset, position=0, stream=1):
    return struct.pack("<IIQQ", stream, segment, offset, position)


def header(number, first_commit=1, store_id=ID, epoch=1):
    return b"RoostLog" + struct.pack("<II", 1, number) + store_id + struct.pack("<QQqQ", epoch, first_commit, 0, 0)


def commit(number, payload=b""):
    payload += bytes(-len(payload) % 8)
    return struct.pack("<IIQQq", 0x74696d63, len(payload), number, 0, 7) + payload


def section(shard, records):
    return struct.pack("<HHIq", shard, 0, len(records), 7) + records


def write(flags, *parts):
    body = b"".join(parts)
    return struct.pack("<BH", flags, len(body)) + body


FIRST = write(SEALED, head(1, 0), header(1), commit(1, section(0, b"\x02\x01")))
LENGTH = 64 + 32 + 24

SEEDS = {
    "offer": bytes([OFFER]) + struct.pack("<II", 1, 1) + ID + ID + struct.pack("<I", 0),
    "offer-of-one-that-knows": bytes([OFFER]) + struct.pack("<II", 1, 2) + ID + ID + struct.pack("<I", 1),
    "held-nothing": bytes([HELD]) + struct.pack("<II", 1, 0),
    "held-two": bytes([HELD]) + struct.pack("<II", 1, 2) + struct.pack("<IQQQ", 1, 64, 1, 5) + struct.pack("<IQQQ", 2, 96, 9, 6),
    "held-many": bytes([HELD]) + struct.pack("<II", 1, 1 << 31),
    "held-out-of-order": bytes([HELD]) + struct.pack("<II", 1, 2) + 2 * struct.pack("<IQQQ", 2, 96, 9, 6),
    "bytes": bytes([BYTES]) + head(1, 0) + header(1),
    "gone": bytes([GONE]) + head(3, 0, 9),
    "mark": bytes([MARK]) + head(0, 0, 9),
    "safe": bytes([SAFE]) + struct.pack("<IQQQQ", 1, 2, 3, 4, 5),
    "refused": bytes([REFUSED]) + struct.pack("<IIQQ", 1, 3, 2, 9) + b"it was taken over",
    "refused-with-a-line": bytes([REFUSED]) + struct.pack("<IIQQ", 1, 1, 0, 0) + b"a\nb",
    "ask": bytes([ASK]) + struct.pack("<I", 4) + ID + b"node-a",
    "answer": bytes([ANSWER]) + struct.pack("<IIQQ", 4, 2, 1, 9),
    "taken": bytes([TAKEN]) + ID + struct.pack("<QQQ", 1, 9, 100) + b"node-a",
    "copy-one-commit": bytes([COPY]) + FIRST,
    "copy-goes-on": bytes([COPY]) + FIRST + write(SEALED | SYNCED, head(1, LENGTH), commit(2)),
    "copy-not-sealed": bytes([COPY]) + write(0, head(1, 0), header(1), commit(1)),
    "copy-of-another-store": bytes([COPY]) + write(SEALED, head(1, 0), header(1, store_id=bytes(16))),
    "copy-under-another-name": bytes([COPY]) + write(SEALED, head(2, 0), header(1)),
    "copy-with-a-gap": bytes([COPY]) + FIRST + write(SEALED, head(1, LENGTH), commit(3)),
    "copy-at-another-place": bytes([COPY]) + FIRST + write(SEALED, head(1, LENGTH + 8), commit(2)),
    "copy-two-segments": bytes([COPY]) + FIRST + write(SEALED, head(2, 0), header(2, 2), commit(2)) + write(SYNCED, head(1, 0)),
    "copy-again": bytes([COPY]) + FIRST + FIRST,
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
