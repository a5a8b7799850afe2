#!/usr/bin/python3
"""Writes the corpus of the target nodes_retained: what another node says of its retained messages."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus" / "nodes_retained"
PARTS = 1024
ASK_DIGEST, DIGEST, ASK_LIST, LIST, ASK_VALUES, VALUES = range(6)


def message(kind, body):
    return bytes([kind]) + struct.pack("<H", len(body)) + body


def digest(value, forgotten=0, lacks=0):
    return message(DIGEST, struct.pack("<IBQQ", 0, lacks, 5 << 16, forgotten) + struct.pack("<Q", value) * PARTS
                   + struct.pack("<I", 1) * PARTS)


def item(topic, time, node=2, cleared=0):
    return struct.pack("<QQQB", topic, time, node, cleared)


def listed(*items, following=0):
    return message(LIST, struct.pack("<II", 0, following) + b"".join(items))


def value(packet, time=1 << 60, left=0, version=4):
    return struct.pack("<QQIBI", time, 2, left, version, len(packet)) + packet


def values(*each, served=None):
    return message(VALUES, struct.pack("<II", 0, len(each) if served is None else served) + b"".join(each))


PACKET = b"\x31\x07\x00\x03a/bxy"
PACKET_5 = b"\x31\x0b\x00\x01c\x05\x02\x00\x00\x00\x09abc"[:13]
NEWER = 1 << 60

CORPUS = {
    "asked": message(ASK_DIGEST, bytes(4)) + message(ASK_LIST, bytes(8) + b"\xff" * 128)
    + message(ASK_VALUES, bytes(4) + b"\x01" * 16),
    "alike": digest(0),
    "all-differ": digest(1) + listed(item(7, NEWER), item(8, NEWER, cleared=1)) + values(value(PACKET)),
    "in-slices": digest(1) + listed(item(7, NEWER), following=3) + listed(item(9, NEWER)) + values(value(PACKET), served=2),
    "one-at-a-time": digest(1) + listed(item(7, NEWER), item(9, NEWER)) + values(value(PACKET)) + values(value(PACKET, left=9)),
    "version-5": digest(1) + listed(item(7, NEWER)) + values(value(PACKET_5, version=5)),
    "not-there": digest(1) + listed(item(7, NEWER)) + values(served=1),
    "forgotten": digest(1, forgotten=1 << 61) + listed(),
    "lacks": digest(1, forgotten=1 << 61, lacks=1) + listed(),
    "bad-packet": digest(1) + listed(item(7, NEWER)) + values(value(b"\x30\x02\x00")),
    "two-for-one": digest(1) + listed(item(7, NEWER)) + values(value(PACKET), value(PACKET), served=1),
    "cut": digest(1)[:400],
    "no-stamp": digest(1) + listed(item(7, 0, 0)),
}

HERE.mkdir(parents=True, exist_ok=True)
for name, data in CORPUS.items():
    (HERE / name).write_bytes(data)
