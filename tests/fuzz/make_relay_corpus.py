#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/relay below corpus/relay. A file's name says what it is. Run it again after
a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))

from mqtt_wire import (  # noqa: E402
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY, publish, suback)

CORPUS = Path(__file__).resolve().parent / "corpus" / "relay"

PATTERN, VALUE, SESSION, ANSWERS, ENTRY = range(5)
ID, QUEUED = b"$3\r\n1-1\r\n", b"+QUEUED\r\n"
ASKED = b"+OK\r\n+OK\r\n"  # to ASKING and MULTI
NAME, TOPICS, STREAM, FIELDS, QOS, LENGTH, AGE = (bytes([n]) for n in range(7))
CONNACK = b"\x20\x03\x00\x00\x00"
OPEN = CONNACK
ORIGIN = [(USER_PROPERTY, ("roost-client", "c")), (USER_PROPERTY, ("roost-user", "u")),
          (USER_PROPERTY, ("roost-address", "192.0.2.1:5")), (USER_PROPERTY, ("roost-time", "1700000000000"))]


def sent(topic="a/b", pairs=(), **options):
    return publish(topic, b"payload", 5, qos=1, pairs=pairs, **options)


def entry(**fields):
    return b"".join(bytes([len(name)]) + len(value).to_bytes(2, "big") + name.encode() + value for name, value in fields.items())


SEEDS = {
    "pattern-levels": (PATTERN, b"t:{topic.2}:{topic.128}\na/b/c"),
    "pattern-all": (PATTERN, b"{topic}{client}{user}\na"),
    "pattern-braces": (PATTERN, b"{{{client}}}\na"),
    "pattern-open": (PATTERN, b"{topic\na"),
    "pattern-level-0": (PATTERN, b"{topic.0}\na"),
    "pattern-empty": (PATTERN, b"{user}\na"),
    "value-name": (VALUE, NAME + b"telemetry"),
    "value-name-bad": (VALUE, NAME + b"A b"),
    "value-topics": (VALUE, TOPICS + b"a/+/#"),
    "value-topics-shared": (VALUE, TOPICS + b"$share/g/a"),
    "value-stream": (VALUE, STREAM + b"s:{topic}"),
    "value-fields": (VALUE, FIELDS + b"properties"),
    "value-qos": (VALUE, QOS + b"1"),
    "value-length": (VALUE, LENGTH + b"4294967295"),
    "value-age": (VALUE, AGE + b"0"),
    "session-origin": (SESSION, OPEN + sent(pairs=ORIGIN)),
    "session-forged": (SESSION, OPEN + sent(pairs=[ORIGIN[0], ORIGIN[3], ORIGIN[1]])),
    "session-properties": (SESSION, OPEN + sent(pairs=[*ORIGIN, (PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 7), (CONTENT_TYPE, "t"),
                                                      (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, b"\0\xff"),
                                                      (USER_PROPERTY, ("a\"", "\\\n"))])),
    "session-many": (SESSION, OPEN + b"".join(sent(f"a/{n}", ORIGIN, packet_id=n + 1) for n in range(9))),
    "session-no-stream": (SESSION, OPEN + sent("a")),
    "session-cut": (SESSION, OPEN + sent(pairs=ORIGIN)[:-5]),
    "session-suback": (SESSION, OPEN + suback(1, 1, version=5)),
    "session-refused": (SESSION, b"\x20\x03\x00\x85\x00"),
    "session-ended": (SESSION, OPEN + b"\xe0\x01\x8e"),
    "session-pong": (SESSION, OPEN + b"\xd0\x00"),
    "answers-good": (ANSWERS, ASKED + 3 * QUEUED + b"*3\r\n" + 3 * ID + ID),
    "answers-moved": (ANSWERS, ASKED + 3 * b"-MOVED 7 h:1\r\n" + b"-EXECABORT x\r\n" + ID),
    "answers-ask": (ANSWERS, ASKED + 3 * QUEUED + b"-ASK 7 h:1\r\n-ASK 8 :2\r\n"),
    "answers-full": (ANSWERS, ASKED + 3 * b"-OOM x\r\n" + b"-EXECABORT x\r\n-CLUSTERDOWN x\r\n"),
    "answers-dead": (ANSWERS, ASKED + 3 * QUEUED + b"*3\r\n" + ID + b"-WRONGTYPE x\r\n" + ID + b"-WRONGTYPE x\r\n"),
    "answers-short": (ANSWERS, ASKED + 3 * QUEUED + b"*2\r\n" + 2 * ID),
    "answers-of-another-type": (ANSWERS, ASKED + b":1\r\n"),
    "entry-message": (ENTRY, entry(topic=b"a/b", payload=b"p", qos=b"2", retain=b"1", expiry_s=b"60", own=b"x")),
    "entry-properties": (ENTRY, entry(topic=b"a", properties=b'{"payload_format":1,"message_expiry_s":7,"content_type":"t","response_topic":"r",'
                                      b'"correlation_data":"AAH/","user":[["a","b"],["a","\\u0001"]]}')),
    "entry-properties-bad": (ENTRY, entry(topic=b"a", properties=b'{"user":[["a"]]}')),
    "entry-no-topic": (ENTRY, entry(payload=b"p")),
    "entry-wildcard": (ENTRY, entry(topic=b"a/#")),
    "entry-disconnect": (ENTRY, entry(command=b"disconnect", client=b"c")),
    "entry-end-session": (ENTRY, entry(command=b"end_session", client=b"c")),
    "entry-revoke": (ENTRY, entry(command=b"revoke", kind=b"token", id=b"i", seconds=b"60")),
    "entry-lift": (ENTRY, entry(command=b"lift", kind=b"user", id=b"i")),
    "entry-no-command": (ENTRY, entry(command=b"reboot")),
    "session-no-mqtt": (SESSION, b"\x30\xff\xff\xff\xff\x01"),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for old in CORPUS.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, (kind, data) in SEEDS.items():
        (CORPUS / name).write_bytes(bytes([kind]) + data)


if __name__ == "__main__":
    main()
