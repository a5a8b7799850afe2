#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/relay/table below corpus/relay_table. A file's name says what it is. Run it
again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import json
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "relay_table"

COMING, GOING, OTHER, ANSWERS = range(4)
EVENT = {"client": "sensor-7", "user": "al\"ice", "time": 1790000000, "time_ms": 1790000000123, "node": "n-1", "version": 5,
         "keepalive": 60, "address": "192.0.2.1:50000", "transport": "tls", "tls": "1.3", "cipher": "TLS_AES_128_GCM_SHA256",
         "subject": "CN=x"}
PUT, REMOVE, END, RENEW, FINISH, WORD, NUMBER = (step << 5 for step in range(7))


def event(**changes):
    return json.dumps({**EVENT, **changes}, ensure_ascii=False).encode()


SEEDS = {
    "coming": (COMING, event()),
    "coming-escapes": (COMING, event(client="\\\"\x01/\u00e9", user="\x1f")),
    "coming-little": (COMING, b'{"client":"c"}'),
    "coming-types": (COMING, event(time_ms="1", version=[], user=7, transport=None)),
    "coming-numbers": (COMING, event(time_ms=-1, version=1e9)),
    "coming-long-number": (COMING, event(time_ms=10**30)),
    "coming-no-client": (COMING, b'{"user":"u"}'),
    "coming-cut": (COMING, event()[:-7]),
    "going": (GOING, event(duration_s=7, bytes_received=5, bytes_sent=6, reason="CLOSED_BY_CLIENT")),
    "other": (OTHER, event()),
    "answers": (ANSWERS, bytes([NUMBER | 1, PUT, PUT, END, NUMBER | 2, NUMBER | 2, NUMBER | 2, FINISH, WORD, NUMBER | 2, NUMBER | 1,
                                NUMBER | 1, NUMBER | 3, PUT, REMOVE, RENEW])),
    "answers-empty": (ANSWERS, bytes([NUMBER | 1, FINISH, NUMBER | 1, NUMBER | 1, NUMBER | 1, NUMBER | 1, NUMBER | 1])),
    "answers-word": (ANSWERS, bytes([WORD])),
    "answers-none-due": (ANSWERS, bytes([NUMBER | 1, NUMBER | 1])),
    "answers-negative": (ANSWERS, bytes([NUMBER])),
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
