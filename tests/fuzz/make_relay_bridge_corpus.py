#!/usr/bin/python3
"""Writes corpus/relay_bridge: what a broker and this gateway say to a bridge (relay_bridge_fuzz.c)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "harness"))

from mqtt_wire import CONNACK, PUBACK, PUBCOMP, PUBREC, PUBREL, acknowledge, packet, publish, suback  # noqa: E402

CORPUS = Path(__file__).resolve().parent / "corpus" / "relay_bridge"
REMOTE, LOCAL = 1, 0
HOPS = (0x26, ("roost-hops", "7"))


def piece(side, data):
    return bytes([side]) + len(data).to_bytes(2, "big") + data


def connack(version, properties=b"\0"):
    return packet(CONNACK, b"\0\0" + (properties if version == 5 else b""))


def up(version, qos):
    play = piece(LOCAL, publish("u/1", b"x", version=5, qos=qos, packet_id=1 if qos else None))
    if qos == 1:
        play += piece(REMOTE, acknowledge(PUBACK, 1))
    if qos == 2:
        play += piece(REMOTE, acknowledge(PUBCOMP, 1) + acknowledge(PUBREC, 1))
        play += piece(LOCAL, acknowledge(PUBREL, 1)) + piece(REMOTE, acknowledge(PUBCOMP, 1))
    return play


def down(version, qos, topic="d/1", pairs=()):
    play = piece(REMOTE, publish(topic, b"x", version=version, qos=qos, packet_id=2 if qos else None, pairs=pairs))
    if qos == 1:
        play += piece(LOCAL, acknowledge(PUBACK, 2))
    if qos == 2:
        play += piece(LOCAL, acknowledge(PUBREC, 2)) + piece(REMOTE, acknowledge(PUBREL, 2)) + piece(LOCAL, acknowledge(PUBCOMP, 2))
    return play


def begin(version, **options):
    return bytes([0 if version == 5 else 1]) + piece(REMOTE, connack(version, **options)) + piece(LOCAL, connack(5))


def plays():
    for version in 5, 4:
        for qos in range(3):
            yield f"up-{version}-{qos}", begin(version) + up(version, qos)
            yield f"down-{version}-{qos}", begin(version) + down(version, qos)
        yield f"early-{version}", bytes([version == 4]) + piece(
            REMOTE, connack(version) + publish("d/1", b"x", version=version, qos=1, packet_id=1)) + piece(LOCAL, connack(5))
        yield f"no-way-{version}", begin(version) + down(version, 2, topic="e")
        yield f"acknowledgements-{version}", begin(version) + piece(
            REMOTE, b"".join(acknowledge(kind, n) for n in (1, 65535) for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP)))
        yield f"subscribed-{version}", begin(version) + piece(REMOTE, suback(2, 0x80, version=version))
        yield f"refused-{version}", bytes([version == 4]) + piece(REMOTE, packet(CONNACK, b"\0\5" + (b"\0" if version == 5 else b"")))
    yield "loop", begin(5) + down(5, 2, pairs=(HOPS,)) + down(5, 1, pairs=(HOPS, HOPS))
    yield "small", begin(5, properties=b"\7\x24\1\x27\0\0\0\x20") + up(5, 2) + up(5, 1)
    yield "refuses", begin(5) + up(5, 0) + piece(LOCAL, publish("u/2", version=5, qos=2, packet_id=9)) + piece(
        REMOTE, acknowledge(PUBREC, 9, 0x97))


CORPUS.mkdir(parents=True, exist_ok=True)
for name, data in plays():
    (CORPUS / name).write_bytes(data)
