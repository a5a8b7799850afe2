#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of what comes from other nodes below corpus/cluster. A file's name says what it is.
Run it again after a change here; it replaces what it wrote before. Checksums are left 0 where the target seals.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "cluster"

WHOLE, BEGINS, ENDS, MIDDLE = 3, 1, 2, 0


def frame(kind, flags, body, size=None):
    return struct.pack("<BBH", kind, flags, len(body) if size is None else size) + body


def block(data):
    """As the target reads one: half its size, then its bytes."""
    data += b"\0" * (len(data) % 2)
    return bytes([len(data) // 2]) + data


def frames(*parts, sequence=1, back=0, ahead=0, gap=0):
    """One datagram that the target seals. It has an even size, or one byte that is no frame."""
    return bytes([0, sequence | back << 2 | ahead << 6 | gap << 7]) + block(b"".join(parts))


def datagram(data):
    return b"\2" + block(data)


def send(size):
    return bytes([3, size // 7])


PASS, SUSPEND, RESUME = bytes([6 + 8 * 10]), b"\4", b"\5"
HEAD = b"RL\1\0" + bytes(4) + struct.pack("<QQQQ", 2, 1, 1, 0)

LINKS = {
    "one-message": frames(frame(1, WHOLE, b"hi")) + PASS,
    "three-messages": frames(frame(1, WHOLE, b"hi"), frame(2, WHOLE, b""), frame(3, WHOLE, b"four")) + PASS,
    "in-parts": frames(frame(1, BEGINS, b"be")) + frames(frame(1, MIDDLE, b"mi")) + frames(frame(1, ENDS, b"en")),
    "without-end": frames(frame(1, BEGINS, b"x" * 396)) + frames(frame(1, MIDDLE, b"x" * 396)) * 6,
    "two-begins": frames(frame(1, BEGINS, b"be")) * 2,
    "end-alone": frames(frame(1, ENDS, b"en")),
    "other-kind": frames(frame(1, BEGINS, b"be")) + frames(frame(2, ENDS, b"en")),
    "cut": frames(frame(1, WHOLE, b"hi", 40)),
    "unknown-flag": frames(frame(1, 0x83, b"hi")),
    "gap": frames(frame(1, WHOLE, b"hi"), sequence=3) + PASS + frames(frame(1, WHOLE, b"hi"), sequence=3) + PASS,
    "duplicate": frames(frame(1, WHOLE, b"hi")) + frames(frame(1, WHOLE, b"hi"), sequence=0) + PASS,
    "acknowledgement": send(300) + PASS + bytes([0, 0]) + block(b"") + PASS,
    "gap-report": send(300) + send(300) + PASS + frames(sequence=0, back=2, gap=1) + PASS,
    "never-sent": send(300) + PASS + frames(sequence=0, ahead=1),
    "large-both-ways": send(1700) + PASS + frames(frame(1, WHOLE, b"y" * 300)) + PASS + frames(sequence=0) + PASS * 3,
    "suspended": send(300) + PASS + SUSPEND + PASS * 4 + frames(frame(1, WHOLE, b"hi")) + RESUME + PASS,
    "full": send(1700) * 6,
    "timeouts": send(100) + PASS * 40,
    "as-it-is": datagram(HEAD + frame(1, WHOLE, b"hi")) + datagram(HEAD[:39]) + datagram(b"PUB x 1") + datagram(b"RL\2"),
}


def text(value):
    return bytes([len(value)]) + value


def heartbeat(name=b"a", run=2, sent=1, age=1000, flags=0, versions=(1, 2), agreements=(), heard=(), given_up=(), wall=1000, tail=b""):
    return (b"RH\1" + bytes([flags]) + bytes(4) + struct.pack("<QQQQQHH", run, age, sent, wall, 0, *versions) + text(name) + text(b"0.3.0")
            + bytes([len(agreements)]) + b"".join(text(key) + struct.pack("<Q", value) for key, value in agreements)
            + bytes([len(heard)]) + b"".join(text(who) + struct.pack("<QQI", which, when, 5) for who, which, when in heard)
            + bytes([len(given_up)]) + b"".join(struct.pack("<Q", which) for which in given_up) + tail)


def hear(*heartbeats, after=1):
    return b"".join(bytes([1 | after << 1]) + block(beat) for beat in heartbeats)


US = (b"us", 1, 1000)
HEARTBEATS = {
    "joins": hear(heartbeat(), heartbeat(sent=2, heard=[US])),
    "leaves": hear(heartbeat(heard=[US]), heartbeat(sent=2, flags=1), heartbeat(sent=3), heartbeat(run=3, heard=[US])),
    "silent-and-back": hear(heartbeat(heard=[US])) + hear(heartbeat(name=b"b", run=9), after=127) * 2 + hear(heartbeat(sent=2, heard=[US])),
    "deaf": hear(heartbeat(heard=[US]), heartbeat(sent=2), heartbeat(sent=3, heard=[US])),
    "two-runs": hear(heartbeat(heard=[US]), heartbeat(run=3, age=9000, heard=[US])) + hear(heartbeat(run=3, sent=2, heard=[US]), after=100)
                + hear(heartbeat(sent=5, heard=[US])),
    "namesake": hear(*(heartbeat(name=b"us", run=7, sent=sent, age=99999) for sent in range(1, 4))) + hear(heartbeat(), after=127) * 3,
    "namesake-leaves": hear(*(heartbeat(name=b"us", run=7, sent=sent, age=99999, flags=sent == 3) for sent in range(1, 4))),
    "given-up": hear(heartbeat(heard=[US]), heartbeat(sent=2, given_up=[1, 4])),
    "agreements": hear(heartbeat(agreements=[(b"rules", 7), (b"keys", 8)]), heartbeat(sent=2, agreements=[(b"rules", 9)])),
    "clock": hear(heartbeat(wall=10**15), heartbeat(sent=2, wall=0)),
    "protocol": hear(heartbeat(versions=(3, 9)), heartbeat(versions=(2, 1))),
    "name": hear(heartbeat(name=b"a b"), heartbeat(name=b""), heartbeat(name=b"x" * 64)),
    "later-format": hear(heartbeat(tail=b"more than there was")),
    "cut": hear(heartbeat()[:-3], heartbeat()[:51], b"RH", b""),
    "many": hear(*(heartbeat(name=b"n%d" % i, run=10 + i, heard=[US]) for i in range(66))),
    "not-sealed": b"\0" + block(heartbeat()),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for prefix, seeds in ((b"l", LINKS), (b"h", HEARTBEATS)):
        for name, data in sorted(seeds.items()):
            kind = "link" if prefix == b"l" else "heartbeat"
            (CORPUS / f"{kind}-{name}").write_bytes(prefix + data)


if __name__ == "__main__":
    main()
