#!/usr/bin/python3
"""Writes the seed corpora of the MQTT fuzz targets below corpus/: packets of every type in both versions, and broken
ones. A file's name says what it is. Run it again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside them by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# mqtt_decode: the first byte chooses version (3 + byte % 3) and side.
V31, V311, V5 = b"\x00", b"\x01", b"\x02"
SERVER_311, SERVER_5 = b"\x82", b"\x80"

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP = 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0
DISCONNECT, AUTH = 0xE0, 0xF0


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value % 128 | 128])
        value //= 128
    return out + bytes([value])


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def packet(first, *fields):
    body = b"".join(fields)
    return bytes([first]) + varint(len(body)) + body


def properties(*each):
    joined = b"".join(each)
    return varint(len(joined)) + joined


def byte(number, value):
    return struct.pack(">BB", number, value)


def two(number, value):
    return struct.pack(">BH", number, value)


def four(number, value):
    return struct.pack(">BI", number, value)


def string(number, value):
    return bytes([number]) + text(value)


def user(name, value):
    return b"\x26" + text(name) + text(value)


def connect(level, flags, *rest, name="MQTT"):
    return packet(CONNECT, text(name), bytes([level, flags]), struct.pack(">H", 60), *rest)


ID = struct.pack(">H", 1)
NONE = properties()
KV = user("k", "v")

CONNECT_PROPERTIES = properties(
    four(0x11, 3600), two(0x21, 20), four(0x27, 65536), two(0x22, 10), byte(0x19, 1), byte(0x17, 0), KV, KV,
    string(0x15, "SCRAM-SHA-1"), string(0x16, b"\x00\xff"))
WILL_PROPERTIES = properties(
    four(0x18, 5), byte(0x01, 1), four(0x02, 60), string(0x03, "text/plain"), string(0x08, "re/ply"),
    string(0x09, b"\x00\xff"), KV)
CONNACK_PROPERTIES = properties(
    four(0x11, 0), two(0x21, 20), byte(0x24, 1), byte(0x25, 0), four(0x27, 65536), string(0x12, "auto-1"), two(0x22, 10),
    string(0x1F, "why"), KV, byte(0x28, 0), byte(0x29, 0), byte(0x2A, 0), two(0x13, 30), string(0x1A, "info"),
    string(0x1C, "other:1883"), string(0x15, "SCRAM-SHA-1"), string(0x16, b"\x00"))
PUBLISH_PROPERTIES = properties(
    byte(0x01, 1), four(0x02, 60), two(0x23, 7), string(0x08, "re/ply"), string(0x09, b"\x00\xff"), KV,
    b"\x0b" + varint(1), b"\x0b" + varint(268435455), string(0x03, "text/plain"))

GOOD = {
    "31-connect": V31 + connect(3, 2, text("a"), name="MQIsdp"),
    "311-connect-least": V311 + connect(4, 2, text("")),
    "311-connect-full": V311 + connect(4, 0xEE, text("id"), text("w/t"), text("bye"), text("user"), text("secret")),
    "5-connect-least": V5 + connect(5, 2, NONE, text("")),
    "5-connect-token": V5 + connect(5, 0x42, NONE, text("id"), text("token")),
    "5-connect-properties": V5 + connect(5, 2, CONNECT_PROPERTIES, text("id")),
    "5-connect-will": V5 + connect(5, 0xF6, NONE, text("id"), WILL_PROPERTIES, text("w/t"), text("bye"), text("u"), text("p")),
    "311-connack": SERVER_311 + packet(CONNACK, b"\x01\x00"),
    "311-connack-refused": SERVER_311 + packet(CONNACK, b"\x00\x05"),
    "5-connack": SERVER_5 + packet(CONNACK, b"\x00\x00", CONNACK_PROPERTIES),
    "5-connack-refused": SERVER_5 + packet(CONNACK, b"\x00\x87", properties(string(0x1F, "no"))),
    "311-publish-qos0": V311 + packet(PUBLISH, text("a/b"), b"hello"),
    "311-publish-qos1": V311 + packet(PUBLISH | 0xB, text("a/b"), ID, b"hello"),
    "311-publish-qos2": SERVER_311 + packet(PUBLISH | 0x4, text("a/b"), ID),
    "5-publish-least": V5 + packet(PUBLISH, text("a"), NONE),
    "5-publish-alias": V5 + packet(PUBLISH, text(""), properties(two(0x23, 1)), b"x"),
    "5-publish-properties": SERVER_5 + packet(PUBLISH | 0x2, text("a/b"), ID, PUBLISH_PROPERTIES, b"hello"),
    "5-publish-beyond-ascii": V5 + packet(PUBLISH, text("room/\u623f\u95f4/\U0001f414"), NONE, b"x"),
    "5-publish-128-levels": V5 + packet(PUBLISH, text("/" * 127), NONE),
    "311-publish-two-length-bytes": V311 + packet(PUBLISH, text("a"), b"x" * 200),
    "5-puback-short": V5 + packet(PUBACK, ID),
    "5-pubrec-code": V5 + packet(PUBREC, ID, b"\x97"),
    "5-pubrel-empty-properties": V5 + packet(PUBREL, ID, b"\x92", NONE),
    "5-pubcomp-properties": V5 + packet(PUBCOMP, ID, b"\x00", properties(string(0x1F, "r"), KV)),
    "311-acks": V311 + b"".join(packet(kind, ID) for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)),
    "311-subscribe": V311 + packet(SUBSCRIBE, ID, text("a/#"), b"\x02", text("+"), b"\x00"),
    "5-subscribe": V5 + packet(SUBSCRIBE, ID, properties(b"\x0b\xff\x7f", KV), text("a"), b"\x2e", text("$share/g/a"), b"\x28"),
    "311-suback": SERVER_311 + packet(SUBACK, ID, b"\x00\x01\x02\x80"),
    "5-suback": SERVER_5 + packet(SUBACK, ID, properties(string(0x1F, "r"), KV), b"\x00\xa2"),
    "311-unsubscribe": V311 + packet(UNSUBSCRIBE, ID, text("a/#"), text("+")),
    "5-unsubscribe": V5 + packet(UNSUBSCRIBE, ID, properties(KV), text("a")),
    "311-unsuback": SERVER_311 + packet(UNSUBACK, ID),
    "5-unsuback": SERVER_5 + packet(UNSUBACK, ID, properties(string(0x1F, "r")), b"\x00\x11"),
    "311-pings": V311 + packet(PINGREQ) + packet(PINGRESP),
    "311-disconnect": V311 + packet(DISCONNECT),
    "5-disconnect-short": V5 + packet(DISCONNECT),
    "5-disconnect-with-will": V5 + packet(DISCONNECT, b"\x04"),
    "5-disconnect-client": V5 + packet(DISCONNECT, b"\x00", properties(four(0x11, 1), string(0x1F, "r"), KV)),
    "5-disconnect-server": SERVER_5 + packet(DISCONNECT, b"\x9c", properties(string(0x1C, "other"), string(0x1F, "r"))),
    "5-auth": V5 + packet(AUTH, b"\x18", properties(string(0x15, "m"), string(0x16, b"\x00"), string(0x1F, "r"), KV)),
    "5-session": V5 + connect(5, 2, NONE, text("id")) + packet(SUBSCRIBE, ID, NONE, text("a/#"), b"\x01")
    + packet(PUBLISH | 2, text("a/b"), ID, NONE, b"hi") + packet(PINGREQ) + packet(DISCONNECT),
}

BAD = {
    "empty": b"",
    "version-only": V5,
    "header-cut": V5 + b"\x30\x80",
    "length-five-bytes": V5 + b"\x30\x80\x80\x80\x80\x01",
    "length-not-minimal": V5 + b"\x30\x85\x00",
    "type-0": V5 + packet(0x00),
    "flags-connect": V5 + packet(CONNECT | 1),
    "flags-pubrel": V5 + packet(PUBREL & 0xF0, ID),
    "connect-name": V311 + connect(4, 2, text("a"), name="MQTt"),
    "connect-level-6": V5 + connect(6, 2, NONE, text("a")),
    "connect-level-3-mqtt": V311 + connect(3, 2, text("a")),
    "connect-reserved": V5 + connect(5, 3, NONE, text("a")),
    "connect-will-qos-3": V5 + connect(5, 0x1E, NONE, text("a"), NONE, text("w"), text("")),
    "connect-will-qos-alone": V5 + connect(5, 0x0A, NONE, text("a")),
    "connect-will-retain-alone": V5 + connect(5, 0x22, NONE, text("a")),
    "connect-will-wildcard": V5 + connect(5, 0x06, NONE, text("a"), NONE, text("w/#"), text("")),
    "connect-password-alone": V311 + connect(4, 0x42, text("a"), text("p")),
    "connect-client-id-empty": V311 + connect(4, 0, text("")),
    "connect-client-id-surrogate": V311 + connect(4, 2, text(b"\xed\xa0\x80")),
    "connect-client-id-nul": V311 + connect(4, 2, text(b"a\x00b")),
    "connect-trailing": V311 + connect(4, 2, text("a"), b"\x00"),
    "connect-auth-data-alone": V5 + connect(5, 2, properties(string(0x16, b"")), text("a")),
    "connect-property-length-not-minimal": V5 + connect(5, 2, b"\x80\x00", text("a")),
    "connect-property-length-beyond": V5 + connect(5, 2, b"\x7f", text("a")),
    "connect-property-cut": V5 + connect(5, 2, properties(b"\x21\x00"), text("a")),
    "connect-property-unknown": V5 + connect(5, 2, properties(b"\x2b\x00"), text("a")),
    "connect-property-misplaced": V5 + connect(5, 2, properties(two(0x23, 1)), text("a")),
    "connect-property-twice": V5 + connect(5, 2, properties(two(0x21, 1), two(0x21, 1)), text("a")),
    "connect-receive-max-0": V5 + connect(5, 2, properties(two(0x21, 0)), text("a")),
    "connect-packet-max-0": V5 + connect(5, 2, properties(four(0x27, 0)), text("a")),
    "connack-flags": SERVER_5 + packet(CONNACK, b"\x02\x00", NONE),
    "connack-session-refused": SERVER_5 + packet(CONNACK, b"\x01\x87", NONE),
    "connack-code": SERVER_311 + packet(CONNACK, b"\x00\x06"),
    "publish-qos-3": V5 + packet(PUBLISH | 0x6, text("a"), ID, NONE),
    "publish-dup-qos-0": V5 + packet(PUBLISH | 0x8, text("a"), NONE),
    "publish-id-0": V5 + packet(PUBLISH | 0x2, text("a"), b"\x00\x00", NONE),
    "publish-topic-empty": V311 + packet(PUBLISH, text("")),
    "publish-topic-wildcard": V311 + packet(PUBLISH, text("long/topic/name/#")),
    "publish-topic-overlong": V311 + packet(PUBLISH, text(b"abcdefgh\xc0\x80")),
    "publish-129-levels": V311 + packet(PUBLISH, text("/" * 128)),
    "publish-alias-0": V5 + packet(PUBLISH, text("a"), properties(two(0x23, 0))),
    "publish-response-topic": V5 + packet(PUBLISH, text("a"), properties(string(0x08, "re/+"))),
    "publish-subscription-id": V5 + packet(PUBLISH, text("a"), properties(b"\x0b\x01")),
    "puback-code": V5 + packet(PUBACK, ID, b"\x92"),
    "pubcomp-trailing": V311 + packet(PUBCOMP, ID, b"\x00"),
    "subscribe-none": V5 + packet(SUBSCRIBE, ID, NONE),
    "subscribe-options": V5 + packet(SUBSCRIBE, ID, NONE, text("a"), b"\xc0"),
    "subscribe-qos-3": V311 + packet(SUBSCRIBE, ID, text("a"), b"\x03"),
    "subscribe-no-local-shared": V5 + packet(SUBSCRIBE, ID, NONE, text("$share/g/a"), b"\x04"),
    "subscribe-id-0": V5 + packet(SUBSCRIBE, ID, properties(b"\x0b\x00"), text("a"), b"\x00"),
    "subscribe-filter-cut": V5 + packet(SUBSCRIBE, ID, NONE, b"\x00\x09abc"),
    "unsubscribe-none": V311 + packet(UNSUBSCRIBE, ID),
    "suback-code": SERVER_5 + packet(SUBACK, ID, NONE, b"\x11"),
    "unsuback-none": SERVER_5 + packet(UNSUBACK, ID, NONE),
    "pingreq-body": V311 + packet(PINGREQ, b"\x00"),
    "disconnect-code-of-server": V5 + packet(DISCONNECT, b"\x8e"),
    "disconnect-expiry-of-server": SERVER_5 + packet(DISCONNECT, b"\x00", properties(four(0x11, 1))),
    "auth-no-method": V5 + packet(AUTH, b"\x18", NONE),
    "auth-empty": V5 + packet(AUTH),
}

# mqtt_topic: a filter, a newline, a topic.
TOPICS = {
    "exact": "a/b/c\na/b/c",
    "hash": "sport/tennis/#\nsport/tennis/player1/ranking",
    "hash-parent": "sport/#\nsport",
    "hash-all": "#\na/b",
    "plus": "sport/+/player1\nsport/tennis/player1",
    "plus-empty-level": "+/+\n/finance",
    "plus-not-parent": "sport/+\nsport",
    "dollar-hidden": "#\n$SYS/a",
    "dollar-plus": "+/a\n$SYS/a",
    "dollar-named": "$SYS/#\n$SYS/a",
    "share": "$share/g/a/+\na/b",
    "share-no-group": "$share//a\na",
    "share-no-filter": "$share/g/\na",
    "share-wildcard": "$share/+/a\na",
    "empty": "",
    "empty-filter": "\na",
    "topic-only": "a/b",
    "hash-not-last": "a/#/b\na",
    "hash-not-alone": "a/b#\na",
    "plus-not-alone": "a/+b\na",
    "topic-wildcard": "a\na/+/b",
    "beyond-ascii": "\u623f\u95f4/+\n\u623f\u95f4/\U0001f414",
    "slashes": "////\n////",
    "levels-128": "#\n" + "/" * 127,
    "levels-129": "#\n" + "/" * 128,
    "nul": "a\na\x00b",
}
BROKEN_TOPICS = {
    "surrogate": b"a\n\xed\xa0\x80",
    "overlong": b"a\nabcdefgh\xc0\xaf",
    "cut": b"a\nabcdefg\xf0\x9f\x90",
    "past-unicode": b"\xf4\x90\x80\x80\na",
}


def write(target, seeds):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, data in seeds.items():
        (directory / name).write_bytes(data)


write("mqtt_decode", {**{f"good-{name}": data for name, data in GOOD.items()},
                      **{f"bad-{name}": data for name, data in BAD.items()}})
write("mqtt_topic", {**{name: data.encode() for name, data in TOPICS.items()},
                     **{f"broken-{name}": data for name, data in BROKEN_TOPICS.items()}})
