#!/usr/bin/python3
"""Writes the corpora of the targets nodes_retained and cluster_revoked: what another node says of its retained messages, and of
what is revoked there."""

import pathlib
import struct

CORPORA = pathlib.Path(__file__).parent / "corpus"
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


def revoked(kind, until, who, time=5, node=2):
    return struct.pack("<BqQQH", kind, until, time, node, len(who)) + who


NOW = 1700000000
REVOKED = {
    "one": revoked(0, NOW + 60, b"token"),
    "each-kind": b"".join(revoked(kind, 2 ** 63 - 1, b"someone") for kind in range(3)),
    "lifted": revoked(1, NOW + 60, b"alice") + revoked(1, 0, b"alice", time=6),
    "older": revoked(1, NOW + 60, b"alice", time=9) + revoked(1, 0, b"alice", time=6),
    "no-stamp": revoked(1, NOW + 60, b"alice", 0, 0) + revoked(1, NOW + 90, b"alice", 0, 0),
    "too-many": b"".join(revoked(2, NOW + 60, bytes([letter])) for letter in b"abcdefgh"),
    "empty-id": revoked(2, NOW + 60, b""),
    "kind-4": revoked(3, NOW, b"x"),
    "before-1970": revoked(0, -5, b"x"),
    "cut": revoked(0, NOW, b"someone")[:-3],
    "digest": bytes(range(256)) * 2,
}

for target, corpus in (("nodes_retained", CORPUS), ("cluster_revoked", REVOKED)):
    (CORPORA / target).mkdir(parents=True, exist_ok=True)
    for name, data in corpus.items():
        (CORPORA / target / name).write_bytes(data)
