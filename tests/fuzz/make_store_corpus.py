#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets of src/store below corpus/. A file's name says what it is. Run it again
after a change here; it replaces what it wrote before.

What fuzzing found is kept beside them by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

(OPENED, CONNECTED, PRINCIPAL, LEFT, ENDED, SUBSCRIBED, UNSUBSCRIBED, OWED, WILL_SET, WILL_PUBLISHED, WILL_DROPPED, KEPT,
 KEPT_AT, FORGOTTEN, QUEUED, SENT, RELEASED, DONE, DROPPED, HANDED_ON, MOVED, NUMBERED, RECEIVED, RECEIVED_FROM,
 COMPLETED, RETAINED, RETAINED_GONE, QUEUED_RUN) = range(1, 29)
AGAIN, SHARED, HAS_RULES = 0x100, 0x08, 0x80
NEVER = b"\0"


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 | 128])
        value //= 128
    return out + bytes([value])


def numbers(*values):
    return b"".join(varint(value) for value in values)


def time(value):
    return varint((value << 1 ^ value >> 63) + 1)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return varint(len(value)) + value


def packet(topic, payload, packet_id=7):
    body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", packet_id) + payload.encode()
    return bytes([0x34, len(body)]) + body


def kept(message, payload="x", flags=2, publisher=b"\0"):
    return bytes([KEPT]) + numbers(message, flags) + NEVER + publisher + numbers(3, 2) + text(packet("a/b", payload))


def retained(number, topic="a/b", payload="x"):
    return bytes([RETAINED]) + numbers(2) + NEVER + numbers(number) + b"\0" + numbers(len(topic), 2) + text(
        packet(topic, payload))


def queued(session, entry, message, subscription=0, flags=2):
    return bytes([QUEUED]) + numbers(session, entry, message, subscription, flags, 0)


SESSION = (bytes([OPENED]) + numbers(1, 0) + text("client") + bytes([CONNECTED]) + numbers(1, 0, 60, 10) +
           bytes([PRINCIPAL]) + numbers(1, HAS_RULES) + time(1800000000) + bytes(16) + text("user") + text("rules"))
RECORDS = {
    "session": SESSION + bytes([LEFT]) + numbers(1, 60) + time(1800000060) + NEVER + bytes([ENDED]) + numbers(1),
    "subscriptions": SESSION + bytes([SUBSCRIBED]) + numbers(1, 3, 0, 1) + text("$share/g/#") + bytes([OWED]) +
                     numbers(1, 3, 2) + bytes([UNSUBSCRIBED]) + numbers(1, 3),
    "wills": SESSION + kept(1) + bytes([WILL_SET]) + numbers(1, 1, 60, 5) + bytes([WILL_PUBLISHED]) + numbers(1) + NEVER,
    "wills-dropped": SESSION + kept(1) + bytes([WILL_SET]) + numbers(1, 1, 60, 5) + bytes([WILL_DROPPED]) + numbers(1) +
                     bytes([FORGOTTEN]) + numbers(1),
    "queue": SESSION + kept(1) + queued(1, 1, 1) + queued(1, 2, 1) + bytes([SENT]) + numbers(1, 9) + bytes([RELEASED]) +
             numbers(1) + bytes([DONE]) + numbers(1) + bytes([MOVED]) + numbers(2, 5) + bytes([DROPPED]) + numbers(5),
    "released-again": SESSION + queued(1, 1, 0, 0, 2 | AGAIN) + bytes([SENT]) + numbers(1, 9) + bytes([RELEASED]) + numbers(1),
    "shared": SESSION + kept(1) + bytes([SUBSCRIBED]) + numbers(1, 3, 0, 1) + text("$share/g/#") +
              queued(1, 1, 1, 3, 2 | SHARED) + bytes([UNSUBSCRIBED]) + numbers(1, 3) + bytes([HANDED_ON]) + numbers(1),
    "kept-at": SESSION + kept(1) + queued(1, 1, 1) + bytes([KEPT_AT]) + numbers(1, 2 | AGAIN) + NEVER +
               numbers(1, 64) + b"\0" + numbers(3, 2, 10),
    "received": SESSION + b"".join(bytes([RECEIVED]) + numbers(1, i) for i in range(1, 30)) + bytes([COMPLETED]) +
                numbers(1, 5) + bytes([NUMBERED]) + numbers(1, 77),
    "publishers": SESSION + kept(1, publisher=numbers(1, 0, 10)) + kept(2, publisher=numbers(1, 0, 9)) +
                  bytes([RECEIVED_FROM]) + numbers(8, 1, 0, 10),
    "queued-run": SESSION + bytes([OPENED]) + numbers(2, 0) + text("other") + kept(1) + bytes([QUEUED_RUN]) +
                  numbers(1, 10, 1, 2, 0, 5) + text(numbers(5, 4, 2) + numbers(2, 3) + numbers(4, 2)) + bytes([DONE]) +
                  numbers(12),
    "retained": retained(5) + retained(4, payload="older") + retained(6, "c") + bytes([RETAINED_GONE]) + numbers(9) + text("c"),
}


def section(shard, records, value=0):
    return struct.pack("<HHIq", shard, 0, len(records), value) + records + bytes(-len(records) % 8)


def write(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


COMMIT, SEGMENT, EPOCH, RAW, REWRITE, CUT, SPOIL, SECTIONS = range(8)


def chunk(kind, data=b""):
    return struct.pack(">BH", kind, len(data)) + data


def segment_file(first_commit, *payloads):
    header = struct.pack("<8sII16sQQqQ", b"RoostLog", 1, 1, bytes(16), 1, first_commit, 1800000000, 0)
    commits = b"".join(struct.pack("<IIQQq", 0x74696D63, len(payload), first_commit + i, 0, 1800000000) + payload
                       for i, payload in enumerate(payloads))
    return header + commits


def main():
    checkpoint = chunk(SECTIONS, b"\xff\x01")
    for name, records in RECORDS.items():
        write("store_record", name, b"\0" + records)
        write("store_replay", name, chunk(SECTIONS, b"\0" + records) + checkpoint)
    every = b"".join(RECORDS.values())
    write("store_record", "sections", b"\1" + section(0, RECORDS["queue"]) + section(3, RECORDS["retained"]) +
          section(0xFFFF, b"", 2))
    write("store_record", "sections-cut", b"\1" + section(0, RECORDS["queue"])[:-9])
    payload = section(0, RECORDS["queue"])
    write("store_segment", "whole", b"\3" + segment_file(1, payload, section(0xFFFF, b"", 1)))
    write("store_segment", "cut", b"\3" + segment_file(1, payload, payload)[:-9])
    write("store_segment", "zeros-behind", b"\3" + segment_file(9, payload) + bytes(100))
    write("store_segment", "gap", b"\3" + segment_file(1, payload) + bytes(32) + segment_file(2, payload, payload)[64:])
    write("store_segment", "not-sealed", b"\1" + segment_file(1, payload))
    write("store_segment", "foreign", b"\0" + b"#!/bin/sh\n" * 10)
    write("store_segment", "newer", b"\1" + segment_file(1, payload)[:8] + b"\2" + segment_file(1, payload)[9:])
    one = chunk(SECTIONS, b"\0" + every)
    two = chunk(SECTIONS, b"\1" + every)
    write("store_replay", "two-shards", one + two + checkpoint + one)
    write("store_replay", "sections", chunk(COMMIT, section(0, every) + section(2, RECORDS["queue"])) + checkpoint)
    write("store_replay", "segments", one + checkpoint + chunk(SEGMENT) + two + chunk(SEGMENT) + one)
    write("store_replay", "epochs", one + checkpoint + chunk(EPOCH) + two + chunk(SECTIONS, b"\xff\x02") + chunk(EPOCH) + one)
    write("store_replay", "later-checkpoint", one + checkpoint + chunk(SEGMENT) + two + chunk(SECTIONS, b"\xff\x02"))
    write("store_replay", "rewritten", one + checkpoint + two + chunk(REWRITE) + one)
    write("store_replay", "cut", one + checkpoint + two + chunk(CUT, bytes(20)))
    write("store_replay", "cut-before-another", one + checkpoint + two + chunk(CUT, bytes(20)) + chunk(SEGMENT) + one)
    write("store_replay", "spoilt", one + checkpoint + chunk(SPOIL, b"\x70\x01") + two)
    write("store_replay", "spoilt-header", one + checkpoint + chunk(SPOIL, b"\x09\x01") + two)
    write("store_replay", "raw", one + checkpoint + chunk(RAW, b"what was there before" * 9) + two)
    write("store_replay", "checkpoint-of-nothing", one + chunk(SECTIONS, b"\xff\x09"))


if __name__ == "__main__":
    main()
