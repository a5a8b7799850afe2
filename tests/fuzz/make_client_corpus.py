#!/usr/bin/python3
"""Writes the seed corpus of client_fuzz below corpus/client: short plays, one for each way in which a client comes,
talks, stalls and goes. A file's name says which. The bytes are client_fuzz.c's own language; run this again when that
changes. What fuzzing found is kept in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "client"

ONE_SHARD, SMALL_QUEUE, DRAIN, NEWEST, SMALL_WINDOW, SHORT_QUEUE, ONE_OFFLINE = 1, 2, 4, 8, 16, 32, 64
FIVE, WILL, SMALL, CLEAN = 1, 2, 4, 32  # of a CONNECT; its keepalive is in the two highest bits
A, B, C, ASSIGNED = 0, 8, 16, 24
EXPIRY_1, EXPIRY_30, EXPIRY_EVER, RECEIVE_1, RECEIVE_2, ALIASES = 1, 2, 3, 4, 8, 16  # its second byte
WILL_QOS_1, WILL_QOS_2, WILL_RETAIN, WILL_DELAY, WILL_T1 = 1, 2, 32, 64, 128
SIZE_0, SIZE_10, SIZE_1000, SIZE_16000, SIZE_65530, SIZE_90000 = 0, 1, 3, 5, 6, 7
T1, MANY, CUT = 8, 16, 32
SECOND, SECONDS_5, SECONDS_20, SECONDS_140 = 3, 4, 5, 6
# Filters by number, and options of a subscription.
F_T1, F_T2, F_ALL, F_T_PLUS, F_PLUS_1, F_WILL, F_T_ALL, F_PLUS, SHARE_G_ALL, SHARE_H_T1, SHARE_G_T = range(11)
QOS_1, QOS_2, RETAIN_IF_NEW, RETAIN_NEVER, AS_PUBLISHED, NO_LOCAL, IDENTIFIER = 1, 2, 4, 8, 16, 32, 64
# Topics by number, and what a message is.
TO_1, TO_2, TO_WILL, TO_OTHER, SIX_OF_THEM = 0, 1, 2, 3, 64
RETAIN, DUP, EMPTY, ALIAS, EXPIRY, EXPIRY_5 = 4, 8, 16, 32, 64, 64 | 128


def step(what, who, *rest):
    return bytes([who * 16 + what, *rest])


def sign_in(who, kind, more=0, keepalive=0, rest=b""):
    return step(0, who, kind | keepalive << 6, more, len(rest)) + rest


def raw_connect(who, packet):
    return step(2, who, len(packet)) + packet


def say(who, packet):
    return step(3, who, len(packet)) + packet


def subscribe(who, number, options=0):
    return step(6, who, number, options)


def unsubscribe(who, number):
    return step(6, who, number | 0x80, 0)


def publish(who, kind):
    return step(8, who, kind)


def message(who, topic, kind, packet_id=1):
    return step(5, who, topic | (packet_id - 1) << 3, kind)


def acknowledge(who, count=16, newest=False):
    return step(4, who, count - 1 | (0x40 if newest else 0))


def ack(who, kind, packet_id):
    """kind: 4 PUBACK to 7 PUBCOMP"""
    return step(4, who, 0x80 | (kind - 4) << 5 | packet_id - 1)


def read(who, power=19):
    return step(10, who, power)


def pass_time(which):
    return step(11, 0, which)


def leave(who):
    return step(12, who)


def half_close(who, write=True):
    return step(13, who, int(write))


def disconnect(who, will=False, expiry=None):
    """With the highest bit of the step; the rest of it says who, modulo three."""
    kind = 1 | (2 if will else 0) | (0 if expiry is None else 4 | expiry << 3)
    return bytes([(9 + who) * 16 + 13, kind])


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


def pair(kind_a=A, kind_b=B, number=F_ALL):
    """Two clients without sessions, the second of which has subscribed; all answers read."""
    return (sign_in(0, kind_a | CLEAN) + sign_in(1, kind_b | CLEAN) + turns() + subscribe(1, number) + turns() + read(0)
            + read(1))


def kept(more=EXPIRY_30, number=F_ALL, options=QOS_2):
    """A publisher, and a session of version 5 that has subscribed; all answers read."""
    return (sign_in(0, A | CLEAN) + sign_in(1, B | FIVE, more) + turns() + subscribe(1, number, options) + turns() + read(0)
            + read(1))


def hear(who, times=3):
    """Hears and does its part, as often."""
    return (turns(3) + read(who) + acknowledge(who)) * times


def come_back(who, more=EXPIRY_30):
    return leave(who) + turns() + sign_in(who, who * 8 | FIVE, more) + turns(3) + read(who)


QOS_0, Q1, Q2 = 0, 1, 2

PLAYS = {
    # connections
    "sign-in-and-leave": sign_in(0, A | CLEAN) + turns() + read(0) + leave(0) + turns(),
    "sign-in-version-5-small-packets": sign_in(0, A | FIVE | SMALL) + turns() + read(0) + subscribe(0, F_ALL) + turns() + read(0),
    "assigned-id": sign_in(0, ASSIGNED | FIVE) + sign_in(1, ASSIGNED) + turns() + read(0) + read(1),
    "rest-behind-connect": sign_in(0, A, rest=PING + packet(0x82, b"\x00\x01", text(b"t/1"), b"\x00") + DISCONNECT) + turns(),
    "raw-connect": raw_connect(0, CONNECT_5) + turns() + read(0) + say(0, PING) + turns() + read(0),
    "raw-connect-with-will": raw_connect(0, WILL_5) + pair(B, C) + leave(0) + turns(3) + read(1),
    "take-over": sign_in(0, A | FIVE) + turns() + sign_in(1, A) + turns() + read(0) + read(1),
    "take-over-in-one-turn": sign_in(0, A | FIVE | WILL) + sign_in(1, A | WILL) + sign_in(2, A) + turns() + read(0),
    "does-not-read-its-pings": sign_in(0, A, 0, 3) + turns() + (say(0, PING * 100) * 8 + turns(1)) * 8 + pass_time(SECONDS_20) + turns() + read(0) + turns() + read(0),
    "keepalive-runs-out": sign_in(0, A | FIVE | WILL, 0, 2) + turns() + pass_time(SECOND) + turns() + pass_time(SECONDS_5) + turns() + read(0),
    "half-closed": pair() + publish(0, SIZE_10) + half_close(0) + turns(4) + read(1),
    "vanishes-in-a-packet": sign_in(0, A) + turns() + publish(0, SIZE_90000 | CUT) + turns() + leave(0) + turns(8),
    "vanishes-with-more-of-a-packet": sign_in(0, A) + turns() + publish(0, SIZE_90000 | CUT) + turns() + say(0, b"x" * 200) + leave(0) + turns(8),
    "second-connect": sign_in(0, A | FIVE) + turns() + say(0, CONNECT_5) + turns() + read(0),
    "malformed": sign_in(0, A | FIVE) + turns() + say(0, b"\x30\xff\xff\xff\xff") + turns() + read(0),
    "one-byte-a-turn": sign_in(0, A) + turns() + b"".join(say(0, bytes([b])) + turns(1) for b in packet(0x30, text(b"t/1"), b"hello")) + read(0),
    "long-time-passes": pair() + pass_time(7) + turns() + publish(0, SIZE_0) + pass_time(SECONDS_140) + turns(4) + read(1),
    # QoS 0
    "publish-across": pair() + publish(0, SIZE_10 | T1) + turns(4) + read(1),
    "publish-to-version-5": pair(A, B | FIVE) + publish(0, SIZE_1000) + turns(4) + read(1),
    "publish-from-version-5": pair(A | FIVE, B) + publish(0, SIZE_16000) + turns(4) + read(1),
    "publish-large": pair() + publish(0, SIZE_90000) + b"".join(turns(8) + read(1) for _ in range(8)),
    "publish-just-longer-than-a-read": pair() + say(0, b"\x30") + turns() + publish(0, SIZE_65530) + turns(8) + read(1),
    "publish-too-large-for-subscriber": pair(A, B | FIVE | SMALL) + publish(0, SIZE_1000) + turns(4) + read(1),
    "no-local": sign_in(0, A | FIVE) + turns() + subscribe(0, F_ALL, NO_LOCAL) + turns() + publish(0, SIZE_10) + turns() + read(0),
    "overlapping-filters": pair() + subscribe(1, F_T1) + subscribe(1, F_T_PLUS) + subscribe(1, F_T_ALL) + turns() + publish(0, SIZE_10 | T1) + turns(4) + read(1),
    "unsubscribe": pair() + unsubscribe(1, F_ALL) + turns() + publish(0, SIZE_10) + turns() + read(1) + unsubscribe(1, F_ALL) + turns() + read(1),
    "slow-reader": pair() + (publish(0, SIZE_1000 | MANY) + turns(3)) * 6 + read(1) + turns() + read(1),
    "slow-reader-stuck": pair() + (publish(0, SIZE_1000 | MANY) + turns(3)) * 6 + pass_time(SECONDS_5) + turns() + pass_time(SECONDS_5) + turns() + read(1),
    "full-inbox": pair(A, B) + (publish(0, SIZE_16000 | MANY) + turns(8, without=1)) * 12 + turns(8) + read(1) + turns(8) + read(1),
    "full-inbox-publisher-vanishes": pair(A | WILL, B) + (publish(0, SIZE_16000 | MANY) + turns(8, without=1)) * 12 + leave(0) + turns(8) + read(1),
    # QoS 1 and 2
    "qos-1": kept(0) + message(0, TO_1, Q1) + turns() + read(0) + hear(1),
    "qos-2": kept(0) + message(0, TO_1, Q2) + turns() + read(0) + ack(0, 6, 1) + turns() + read(0) + hear(1),
    "qos-2-twice": kept(0) + message(0, TO_1, Q2) + turns() + message(0, TO_1, Q2 | DUP) + turns() + read(0) + hear(1) + ack(0, 6, 1) + ack(0, 6, 1) + turns() + read(0),
    "qos-2-from-version-5-beyond-receive-maximum": sign_in(0, A | FIVE) + turns() + message(0, TO_1 | SIX_OF_THEM, Q2) * 2 + message(0, TO_1 | 128, Q2, 2) + turns() + read(0),
    "window": kept(RECEIVE_2) + message(0, TO_1 | SIX_OF_THEM, Q1) * 3 + hear(1, 8),
    "window-newest-first": kept(RECEIVE_2) + message(0, TO_1 | SIX_OF_THEM, Q2) + (turns(3) + read(1) + acknowledge(1, 1, True)) * 16,
    "acknowledgements-of-nothing": sign_in(0, A | FIVE) + turns() + b"".join(ack(0, kind, 3) for kind in range(4, 8)) + turns() + read(0),
    "acknowledgements-at-random": kept() + message(0, TO_1 | SIX_OF_THEM, Q2) + turns(3) + b"".join(ack(1, kind, i) for i in (1, 3, 2) for kind in (4, 7, 5, 5, 7, 7)) + turns(3) + read(1) + come_back(1),
    "subscription-identifier": kept(0, F_T_PLUS, QOS_2 | IDENTIFIER) + b"".join(message(0, TO_1, qos) for qos in (0, 1, 2)) + hear(1),
    "aliases-to-client": kept(ALIASES) + (message(0, TO_1, Q1) + message(0, TO_2, 0) + message(0, TO_WILL, Q1) + hear(1, 1)) * 3,
    "aliases-of-client": sign_in(0, A | FIVE) + turns() + subscribe(0, F_ALL, QOS_1) + turns() + message(0, TO_1, Q1 | ALIAS) + message(0, TO_1 | 4, Q1 | ALIAS, 2) * 3 + hear(0),
    "alias-unknown": sign_in(0, A | FIVE) + turns() + message(0, TO_1 | 4, ALIAS) + turns() + read(0),
    # sessions
    "resume": kept() + message(0, TO_1, Q2) + turns(3) + read(1) + come_back(1) + hear(1),
    "resume-released": kept() + message(0, TO_1 | SIX_OF_THEM, Q2) + turns(3) + read(1) + acknowledge(1, 1) + turns() + read(1) + come_back(1) + hear(1, 12),
    "resume-again-and-again": kept() + message(0, TO_1 | SIX_OF_THEM, Q1) + (turns(3) + come_back(1) + acknowledge(1, 1)) * 4 + hear(1, 4),
    "resume-version-4": sign_in(0, A) + turns() + subscribe(0, F_ALL, QOS_1) + turns() + read(0) + leave(0) + turns() + sign_in(1, B | CLEAN) + turns() + message(1, TO_1, Q1) + turns(3) + sign_in(0, A) + hear(0),
    "resume-with-less": kept() + message(0, TO_1 | SIX_OF_THEM, Q2) + turns(3) + read(1) + come_back(1, EXPIRY_30 | RECEIVE_1) + hear(1, 16),
    "clean-start": kept() + message(0, TO_1, Q1) + turns(3) + leave(1) + turns() + sign_in(1, B | FIVE | CLEAN, EXPIRY_30) + turns(3) + read(1),
    "queue-overflows": kept() + leave(1) + turns() + message(0, TO_1 | SIX_OF_THEM, Q1) * 5 + turns(3) + sign_in(1, B | FIVE, EXPIRY_30) + hear(1, 16),
    "queue-overflows-behind-what-was-sent": kept() + message(0, TO_1 | SIX_OF_THEM, Q1) + turns(3) + read(1) + leave(1) + turns() + message(0, TO_1 | SIX_OF_THEM, Q1) * 5 + turns(3) + sign_in(1, B | FIVE, EXPIRY_30) + hear(1, 16),
    "session-expires": kept() + message(0, TO_1, Q1) + turns(3) + leave(1) + turns() + pass_time(SECONDS_20) + turns() + pass_time(SECONDS_20) + turns() + sign_in(1, B | FIVE) + turns(3) + read(1),
    "message-expires": kept() + leave(1) + turns() + sign_in(2, C | FIVE) + turns() + message(2, TO_1, Q1 | EXPIRY_5) + message(2, TO_2, Q1) + turns(3) + pass_time(SECONDS_20) + turns() + sign_in(1, B | FIVE, EXPIRY_30) + hear(1),
    "disconnect-with-less-expiry": sign_in(0, A | FIVE, EXPIRY_EVER) + turns() + disconnect(0, expiry=1) + turns() + read(0) + pass_time(SECONDS_5) + turns(),
    "disconnect-with-more-expiry": sign_in(0, A | FIVE, EXPIRY_1) + turns() + disconnect(0, expiry=3) + turns() + read(0) + pass_time(SECONDS_5) + turns() + sign_in(0, A | FIVE) + turns() + read(0),
    "disconnect-raises-expiry": sign_in(0, A | FIVE) + turns() + disconnect(0, expiry=2) + turns() + read(0),
    "take-over-with-messages-under-way": kept() + message(0, TO_1 | SIX_OF_THEM, Q2) + turns(3) + read(1) + sign_in(2, B | FIVE, EXPIRY_30) + turns(3) + read(1) + hear(2, 12),
    "take-over-of-a-broken-connection": kept() + half_close(1, False) + publish(0, SIZE_1000 | MANY) + sign_in(2, B | FIVE, EXPIRY_30) + turns(4) + read(2),
    "two-sessions-without-connection": kept() + leave(1) + sign_in(2, C | FIVE, EXPIRY_30) + turns() + leave(2) + turns() + sign_in(2, C | FIVE) + turns() + read(2),
    # retained messages
    "retained": sign_in(0, A | CLEAN) + turns() + message(0, TO_1, Q1 | RETAIN) + message(0, TO_2, RETAIN) + turns() + sign_in(1, B | FIVE) + turns() + subscribe(1, F_ALL, QOS_2) + hear(1),
    "retained-handling": sign_in(1, B | FIVE) + turns() + message(1, TO_1, Q2 | RETAIN) + b"".join(subscribe(1, F_T1, QOS_1 | handling) for handling in (RETAIN_NEVER, RETAIN_IF_NEW, 0, RETAIN_IF_NEW)) + hear(1),
    "retained-as-published": kept(0, F_ALL, QOS_1 | AS_PUBLISHED) + message(0, TO_1, Q1 | RETAIN) + hear(1),
    "retained-taken-away": sign_in(0, A) + turns() + message(0, TO_1, RETAIN) + turns() + message(0, TO_1, RETAIN | EMPTY) + turns() + subscribe(0, F_ALL) + turns() + read(0),
    "retained-expires": sign_in(0, A | FIVE) + turns() + message(0, TO_1, RETAIN | EXPIRY_5) + turns() + pass_time(SECONDS_20) + turns() + subscribe(0, F_ALL) + turns() + read(0),
    "retained-to-slow-reader": sign_in(0, A | CLEAN) + turns() + b"".join(message(0, to, Q1 | RETAIN) for to in range(4)) + turns() + sign_in(1, B | FIVE, RECEIVE_1) + turns() + subscribe(1, F_ALL, QOS_1) * 3 + turns(4) + unsubscribe(1, F_ALL) + subscribe(1, F_ALL, QOS_1) + hear(1, 12),
    "retained-and-gone": sign_in(0, A | CLEAN) + turns() + message(0, TO_1, Q1 | RETAIN) + message(0, TO_2, Q1 | RETAIN) + turns() + sign_in(1, B | FIVE, RECEIVE_1 | EXPIRY_30) + turns() + subscribe(1, F_ALL, QOS_1) + turns() + come_back(1) + hear(1),
    # shared subscriptions
    "shared": kept(0, SHARE_G_T, QOS_1) + sign_in(2, C | FIVE) + turns() + subscribe(2, SHARE_G_T, QOS_2) + turns() + message(0, TO_1 | SIX_OF_THEM, Q2) + hear(1) + hear(2),
    "shared-member-leaves": kept(EXPIRY_30, SHARE_G_T, QOS_1) + message(0, TO_1 | SIX_OF_THEM, Q1) + turns(3) + read(1) + sign_in(2, C | FIVE) + turns() + subscribe(2, SHARE_G_T, QOS_1) + turns() + leave(1) + turns(3) + hear(2) + sign_in(1, B | FIVE) + turns(3) + read(1),
    "shared-nobody-there": kept(EXPIRY_30, SHARE_G_ALL, QOS_2) + leave(1) + turns() + message(0, TO_1 | SIX_OF_THEM, Q2) + turns(3) + sign_in(1, B | FIVE, EXPIRY_30) + hear(1, 12),
    "shared-unsubscribed": kept(EXPIRY_30, SHARE_G_ALL, QOS_1) + message(0, TO_1, Q1) + turns(3) + unsubscribe(1, SHARE_G_ALL) + subscribe(1, SHARE_H_T1, QOS_1) + sign_in(2, C | CLEAN) + turns() + subscribe(2, SHARE_H_T1, QOS_1) + turns() + leave(1) + turns(3) + read(2),
    "shared-several-groups": sign_in(0, A | FIVE, EXPIRY_30) + turns() + subscribe(0, SHARE_G_T, QOS_1) + subscribe(0, SHARE_H_T1, QOS_2) + subscribe(0, F_T1) + turns() + message(0, TO_1, Q2) + hear(0) + leave(0) + turns(),
    "shared-handed-on-to-full-inbox": kept(EXPIRY_30, SHARE_G_T, QOS_1) + sign_in(2, C | CLEAN) + turns() + subscribe(2, SHARE_G_T, QOS_1) + turns() + message(0, TO_1 | SIX_OF_THEM, Q1) + turns(3) + (publish(2, SIZE_16000 | MANY) + turns(8, without=1)) * 12 + leave(2) + turns(8, without=1) + hear(1, 4),
    # wills
    "will-when-lost": pair(A | WILL, B | FIVE, F_WILL) + leave(0) + turns(4) + read(1),
    "no-will-when-closed": pair(A | WILL, B, F_WILL) + say(0, DISCONNECT) + turns(4) + read(1),
    "with-will-when-asked": pair(A | FIVE | WILL, B, F_WILL) + disconnect(0, will=True) + turns(4) + read(1),
    "will-at-qos-2": kept(EXPIRY_30, F_WILL) + sign_in(2, C | FIVE | WILL, WILL_QOS_2 | WILL_RETAIN) + turns() + leave(2) + hear(1),
    "will-delayed": kept(0, F_WILL) + sign_in(2, C | FIVE | WILL, EXPIRY_30 | WILL_DELAY) + turns() + leave(2) + turns() + pass_time(SECONDS_20) + turns() + pass_time(SECONDS_5) + hear(1),
    "will-delayed-and-cancelled": kept(0, F_WILL) + sign_in(2, C | FIVE | WILL, EXPIRY_30 | WILL_DELAY) + turns() + leave(2) + turns() + pass_time(SECONDS_5) + sign_in(2, C | FIVE, EXPIRY_30) + turns() + pass_time(SECONDS_20) + turns() + read(1),
    "will-delayed-and-clean-start": kept(0, F_WILL) + sign_in(2, C | FIVE | WILL, EXPIRY_30 | WILL_DELAY) + turns() + sign_in(0, C | FIVE | CLEAN) + turns(3) + hear(1),
    "will-with-session-that-ends": kept(0, F_WILL) + sign_in(2, C | FIVE | WILL, EXPIRY_1 | WILL_DELAY) + turns() + leave(2) + turns() + pass_time(SECONDS_5) + turns() + hear(1),
    "subscriber-breaks-in-a-delivery": pair(A, B | WILL) + sign_in(2, C) + subscribe(2, F_WILL) + turns() + half_close(1, False) + publish(0, SIZE_1000 | MANY) + turns(4) + read(2),
}

CORPUS.mkdir(parents=True, exist_ok=True)
for old in CORPUS.iterdir():
    if not old.name.startswith("found-"):
        old.unlink()
ALL_FLAGS = (("", 0), ("-drained", ONE_SHARD | SMALL_QUEUE | DRAIN),
             ("-bounded", SMALL_QUEUE | NEWEST | SMALL_WINDOW | SHORT_QUEUE | ONE_OFFLINE))
for name, play in PLAYS.items():
    for suffix, flags in ALL_FLAGS:
        (CORPUS / (name + suffix)).write_bytes(bytes([flags]) + play)
