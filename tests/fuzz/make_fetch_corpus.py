#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of frames in src/fetch below corpus/fetch. A file's name says what it is. Run it again
after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "fetch"

ANSWER, JOB, FRAMES = range(3)
JOB_FRAME, CANCEL_FRAME, ANSWER_FRAME = 1, 2, 3


def texts_of(texts):
    return b"".join(text.encode() + b"\0" for text in texts)


def answer(*texts, outcome=0, status=200, took=5, cut=0, size=None, body=b""):
    packed = texts_of(texts)
    return struct.pack("=5I", outcome, status, took, cut, len(packed) if size is None else size) + packed + body


def job(*texts, headers=0, answer_max=100, size=None, body=b""):
    packed = texts_of(texts)
    return struct.pack("=6I", 1000, 2000, answer_max, 1, headers, len(packed) if size is None else size) + packed + body


def frame(kind, payload, ticket=1, size=None):
    return struct.pack("=IIQ", len(payload) if size is None else size, kind, ticket) + payload


GOOD = answer("", "120", "max-age=5", '"x"', "text/plain", "", body=b"hello")
FAILED = answer("Connection refused", "", "", "", "", "", outcome=2, status=0)
POST = job("POST", "https://h/x", "/ca.pem", "", "", "A: b", "C: d", headers=2, body=b"{}")
SEEDS = {
    "answer-good": (ANSWER, GOOD),
    "answer-failed": (ANSWER, FAILED),
    "answer-empty": (ANSWER, b""),
    "answer-few-texts": (ANSWER, answer("", "", "")),
    "answer-many-texts": (ANSWER, answer(*[""] * 7)),
    "answer-unended": (ANSWER, answer("", "", "", "", "", "x")[:-1]),
    "answer-outcome": (ANSWER, answer(*[""] * 6, outcome=99)),
    "answer-status": (ANSWER, answer(*[""] * 6, status=1000)),
    "answer-size": (ANSWER, answer(*[""] * 6, size=2**32 - 1)),
    "job-post": (JOB, POST),
    "job-no-headers": (JOB, job("GET", "http://h", "", "", "")),
    "job-headers": (JOB, job("GET", "http://h", "", "", "", headers=2**32 - 1)),
    "job-answer-max": (JOB, job("GET", "http://h", "", "", "", answer_max=2**32 - 1)),
    "frames": (FRAMES, frame(JOB_FRAME, POST) + frame(CANCEL_FRAME, b"", 7) + frame(ANSWER_FRAME, GOOD)),
    "frames-cut": (FRAMES, frame(ANSWER_FRAME, GOOD)[:-1]),
    "frames-kind": (FRAMES, frame(4, b"")),
    "frames-huge": (FRAMES, frame(ANSWER_FRAME, GOOD, size=2**32 - 1)),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for old in CORPUS.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, (kind, payload) in SEEDS.items():
        (CORPUS / name).write_bytes(bytes([kind]) + payload)


if __name__ == "__main__":
    main()
