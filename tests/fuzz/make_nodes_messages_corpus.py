#!/usr/bin/python3
"""Writes the corpus of the target nodes_messages: what another node says of its filters, and messages that it sends."""

import pathlib
import struct

HERE = pathlib.Path(__file__).parent / "corpus" / "nodes_messages"
BEGIN, RANGE, EXACT, OTHER, OTHER_ENDS, MEMBERS, END, SUMS, PUBLISH = range(9)
WILDCARD, GROUP = 1, 2
IS_5, PLAIN, STAMP, COPY, EXPIRY = 1, 2, 4, 8, 16


def message(kind, body=b""):
    return bytes([kind]) + struct.pack("<H", len(body)) + body


def other(name, kind, text, live=1, free=1):
    return message(OTHER, struct.pack("<IHBHH", name, 1, kind, live, free) + text)


def numbers(*values):
    return b"".join(struct.pack("<I", value) for value in values)


def publish(packet, flags=PLAIN, groups=(), stamp=(5, 6), copy=(1, 2, 1), expiry=9):
    return message(PUBLISH, struct.pack("<BBIHH", flags, len(groups), 7, 1, 1) + (struct.pack("<I", expiry) if flags & EXPIRY else b"")
                   + (struct.pack("<QQ", *stamp) if flags & STAMP else b"") + (struct.pack("<QQQ", *copy) if flags & COPY else b"")
                   + b"".join(struct.pack("<IH", *group) for group in groups) + packet)


PACKET = b"\x32\x06\x00\x01t\x00\x09x"
PACKET_5 = b"\x30\x0a\x00\x01t\x05\x02\x00\x00\x00\x09x"
TOLD = message(BEGIN) + message(RANGE, b"\x07" + numbers(0x07000001, 0x07000001, 0x07ffffff)) + other(3, WILDCARD, b"a/+") \
    + other(4, GROUP, b"$share/g/t") + message(END, b"\0")

INPUTS = {
    "told": TOLD,
    "changes": TOLD + message(EXACT, numbers(1, 0x01020304, 0x07000001)) + message(MEMBERS, struct.pack("<IHH", 4, 9, 3))
    + message(OTHER_ENDS, numbers(3)) + message(SUMS, bytes(1024)),
    "told-again": TOLD + message(BEGIN) + other(3, WILDCARD, b"b/#") + message(END, b"\1"),
    "bad-filters": message(BEGIN) + other(1, WILDCARD, b"a#") + other(2, GROUP, b"$share//t") + other(0, WILDCARD, b"+")
    + other(5, WILDCARD, b"$share/g/+") + message(RANGE, b"\x07" + numbers(0x08000000)) + message(EXACT, numbers(9, 1)),
    "messages": publish(PACKET) + publish(PACKET_5, PLAIN | IS_5 | EXPIRY) + publish(PACKET, PLAIN | STAMP),
    "copies": publish(PACKET) + publish(PACKET, PLAIN | COPY) + publish(PACKET, PLAIN | COPY, copy=(1, 2, 99)),
    "groups": TOLD + publish(PACKET, 0, groups=[(4, 1), (5, 1)]),
    "bad-packets": publish(b"\x30\x05\x00\x01tx") + publish(b"\x31\x04\x00\x01tx") + publish(b"\x30\x04\x00\x01#x") + publish(b"")
    + publish(PACKET, 0) + publish(PACKET, 0x82) + message(PUBLISH, b"\x02"),
}

if __name__ == "__main__":
    HERE.mkdir(parents=True, exist_ok=True)
    for name, data in INPUTS.items():
        (HERE / name).write_bytes(data)
