#!/usr/bin/python3
"""Writes the seed corpus of client_fuzz below corpus/client: short plays, one for each way in which a client comes,
talks, stalls and goes. A file's name says which. The bytes are client_fuzz.c's own language; run this again when that
changes. What fuzzing found is kept in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "client"

ONE_SHARD, SMALL_QUEUE, DRAIN = 1, 2, 4
FIVE, WILL, SMALL = 1, 2, 4  # of a CONNECT
A, B, C, ASSIGNED = 0, 8, 16, 24
SIZE_0, SIZE_10, SIZE_1000, SIZE_16000, SIZE_65530, SIZE_90000 = 0, 1, 3, 5, 6, 7
T1, MANY, CUT = 8, 16, 32
SECOND, SECONDS_5, SECONDS_20, SECONDS_140 = 3, 4, 5, 6


def step(what, who, *rest):
    return bytes([who * 16 + what, *rest])


def sign_in(who, kind, keepalive=0, rest=b""):
    return step(0, who, kind | keepalive << 5, len(rest)) + rest


def raw_connect(who, packet):
    return step(2, who, len(packet)) + packet


def say(who, packet):
    return step(3, who, len(packet)) + packet


def subscribe(who, number, flags=0):
    return step(6, who, number | flags)


def unsubscribe(who, number):
    return step(6, who, number | 0x80)


def publish(who, kind):
    return step(8, who, kind)


def read(who, power=19):
    return step(10, who, power)


def pass_time(which):
    return step(11, 0, which)


def leave(who):
    return step(12, who)


def half_close(who, write=True):
    return step(13, who, int(write))


def turns(count=2, without=None):
    return step(14, 0, count - 1 | (0 if without is None else 0x10 << without))


def text(value):
    return struct.pack(">H", len(value)) + value


def packet(first, *fields):
    body = b"".join(fields)
    assert len(body) < 128
    return bytes([first, len(body)]) + body


PING, DISCONNECT = packet(0xC0), packet(0xE0)
CONNECT_5 = packet(0x10, text(b"MQTT"), b"\x05\x02\x00\x05", b"\x0a\x11\x00\x00\x00\x01\x27\x00\x00\x00\x40", text(b"raw"))
WILL_5 = packet(0x10, text(b"MQTT"), b"\x05\x06\x00\x05\x00", text(b"w"), b"\x0e\x01\x01\x18\x00\x00\x00\x07\x26",
                text(b"k"), text(b"v"), text(b"t/w"), text(b"bye"))


def pair(kind_a=A, kind_b=B, number=2):
    """Two clients, the second of which has subscribed; all answers read."""
    return sign_in(0, kind_a) + sign_in(1, kind_b) + turns() + subscribe(1, number) + turns() + read(0) + read(1)


PLAYS = {
    "sign-in-and-leave": sign_in(0, A) + turns() + read(0) + leave(0) + turns(),
    "sign-in-version-5-small-packets": sign_in(0, A | FIVE | SMALL) + turns() + read(0) + subscribe(0, 2) + turns() + read(0),
    "assigned-id": sign_in(0, ASSIGNED | FIVE) + sign_in(1, ASSIGNED) + turns() + read(0) + read(1),
    "rest-behind-connect": sign_in(0, A, rest=PING + packet(0x82, b"\x00\x01", text(b"t/1"), b"\x00") + DISCONNECT) + turns(),
    "raw-connect": raw_connect(0, CONNECT_5) + turns() + read(0) + say(0, PING) + turns() + read(0),
    "raw-connect-with-will": raw_connect(0, WILL_5) + pair(B, C) + leave(0) + turns(3) + read(1),
    "take-over": sign_in(0, A | FIVE) + turns() + sign_in(1, A) + turns() + read(0) + read(1),
    "take-over-in-one-turn": sign_in(0, A | FIVE | WILL) + sign_in(1, A | WILL) + sign_in(2, A) + turns() + read(0),
    "publish-across": pair() + publish(0, SIZE_10 | T1) + turns(4) + read(1),
    "publish-to-version-5": pair(A, B | FIVE) + publish(0, SIZE_1000) + turns(4) + read(1),
    "publish-from-version-5": pair(A | FIVE, B) + publish(0, SIZE_16000) + turns(4) + read(1),
    "publish-large": pair() + publish(0, SIZE_90000) + b"".join(turns(8) + read(1) for _ in range(8)),
    "publish-just-longer-than-a-read": pair() + say(0, b"\x30") + turns() + publish(0, SIZE_65530) + turns(8) + read(1),
    "publish-too-large-for-subscriber": pair(A, B | FIVE | SMALL) + publish(0, SIZE_1000) + turns(4) + read(1),
    "no-local": sign_in(0, A | FIVE) + turns() + subscribe(0, 2, 0x20) + turns() + publish(0, SIZE_10) + turns() + read(0),
    "overlapping-filters": pair() + subscribe(1, 0) + subscribe(1, 3) + subscribe(1, 6) + turns() + publish(0, SIZE_10 | T1) + turns(4) + read(1),
    "unsubscribe": pair() + unsubscribe(1, 2) + turns() + publish(0, SIZE_10) + turns() + read(1) + unsubscribe(1, 2) + turns() + read(1),
    "shared-subscription": sign_in(0, A | FIVE) + subscribe(0, 7) + turns() + read(0),
    "slow-reader": pair() + (publish(0, SIZE_1000 | MANY) + turns(3)) * 6 + read(1) + turns() + read(1),
    "slow-reader-stuck": pair() + (publish(0, SIZE_1000 | MANY) + turns(3)) * 6 + pass_time(SECONDS_5) + turns() + pass_time(SECONDS_5) + turns() + read(1),
    "does-not-read-its-pings": sign_in(0, A, 3) + turns() + (say(0, PING * 100) * 8 + turns(1)) * 8 + pass_time(SECONDS_20) + turns() + read(0) + turns() + read(0),
    "full-inbox": pair(A, B) + (publish(0, SIZE_16000 | MANY) + turns(8, without=1)) * 12 + turns(8) + read(1) + turns(8) + read(1),
    "full-inbox-publisher-vanishes": pair(A | WILL, B) + (publish(0, SIZE_16000 | MANY) + turns(8, without=1)) * 12 + leave(0) + turns(8) + read(1),
    "keepalive-runs-out": sign_in(0, A | FIVE | WILL, 2) + turns() + pass_time(SECOND) + turns() + pass_time(SECONDS_5) + turns() + read(0),
    "will-when-lost": pair(A | WILL, B | FIVE, 5) + leave(0) + turns(4) + read(1),
    "no-will-when-closed": pair(A | WILL, B, 5) + say(0, DISCONNECT) + turns(4) + read(1),
    "with-will-when-asked": pair(A | FIVE | WILL, B, 5) + say(0, packet(0xE0, b"\x04")) + turns(4) + read(1),
    "subscriber-breaks-in-a-delivery": pair(A, B | WILL) + sign_in(2, C) + subscribe(2, 5) + turns() + half_close(1, False) + publish(0, SIZE_1000 | MANY) + turns(4) + read(2),
    "half-closed": pair() + publish(0, SIZE_10) + half_close(0) + turns(4) + read(1),
    "vanishes-in-a-packet": sign_in(0, A) + turns() + publish(0, SIZE_90000 | CUT) + turns() + leave(0) + turns(8),
    "vanishes-with-more-of-a-packet": sign_in(0, A) + turns() + publish(0, SIZE_90000 | CUT) + turns() + say(0, b"x" * 200) + leave(0) + turns(8),
    "second-connect": sign_in(0, A | FIVE) + turns() + say(0, CONNECT_5) + turns() + read(0),
    "publish-qos-1": sign_in(0, A | FIVE) + turns() + say(0, packet(0x32, text(b"t/1"), b"\x00\x01\x00")) + turns() + read(0),
    "malformed": sign_in(0, A | FIVE) + turns() + say(0, b"\x30\xff\xff\xff\xff") + turns() + read(0),
    "one-byte-a-turn": sign_in(0, A) + turns() + b"".join(say(0, bytes([b])) + turns(1) for b in packet(0x30, text(b"t/1"), b"hello")) + read(0),
    "long-time-passes": pair() + pass_time(7) + turns() + publish(0, SIZE_0) + pass_time(SECONDS_140) + turns(4) + read(1),
}

CORPUS.mkdir(parents=True, exist_ok=True)
for old in CORPUS.iterdir():
    if not old.name.startswith("found-"):
        old.unlink()
for name, play in PLAYS.items():
    for suffix, flags in (("", 0), ("-drained", ONE_SHARD | SMALL_QUEUE | DRAIN)):
        (CORPUS / (name + suffix)).write_bytes(bytes([flags]) + play)
