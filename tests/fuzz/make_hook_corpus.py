#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of hooks below corpus/hook. A file's name says what it is. Run it again after a change
here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "hook"

JSON, EVENT, ANSWER, VALUE = range(4)
NAME, TOPICS, URL, HEADERS, HEADER_FILES, SOURCE, CONTENT_TYPE, DELAY, CA, BATCH_BYTES, QOS, CONCURRENCY = range(12)


def text(value):
    return len(value).to_bytes(2, "big") + value


def event(properties, payload):
    return bytes([len(properties)]) + properties + payload


def content_type(value):
    return b"\x03" + text(value)


ORIGIN = b"".join(b"\x26" + text(name) + text(value) for name, value in [
    (b"roost-client", b"c"), (b"roost-user", b"u\"\\"), (b"roost-time", b"1790000000123")])
SEEDS = {
    "json-object": (JSON, b'{"a": [1, -2.5e+3, true, null], "b\\u00e9": {"c": "\\n"}}'),
    "json-scalar": (JSON, b" 17 "),
    "json-deep": (JSON, b"[" * 70 + b"]" * 70),
    "json-half-pair": (JSON, b'"\\ud800"'),
    "json-null-character": (JSON, b'"\\u0000"'),
    "json-huge-number": (JSON, b"1e999"),
    "json-comma": (JSON, b"[1,]"),
    "json-latin-1": (JSON, b'"\xff"'),
    "event-json": (EVENT, event(ORIGIN + content_type(b"application/json"), b'{"a":1}')),
    "event-no-json": (EVENT, event(content_type(b"text/json;x"), b'{"a":')),
    "event-text": (EVENT, event(b"\x01\x01" + ORIGIN, b"gr\xc3\xbc\xc3\x9fe \"\\\x01")),
    "event-binary": (EVENT, event(content_type(b"image/png"), b"\x89PNG\xff")),
    "answer-taken": (ANSWER, bytes([0, 50]) + b"\nok"),
    "answer-busy": (ANSWER, bytes([0, 125]) + b"120\nbusy"),
    "answer-date": (ANSWER, bytes([0, 126]) + b"Mon, 21 Sep 2026 14:14:20 GMT\n"),
    "answer-redirect": (ANSWER, bytes([0, 75]) + b"http://elsewhere/\n"),
    "answer-broken": (ANSWER, bytes([5, 50]) + b"\n\xff"),
    "value-url": (VALUE, bytes([URL]) + b"https://[::1]:8443/a?b"),
    "value-url-user": (VALUE, bytes([URL]) + b"http://u:p@h/"),
    "value-header": (VALUE, bytes([HEADERS]) + b"A: b"),
    "value-header-ours": (VALUE, bytes([HEADERS]) + b"Content-Type: b"),
    "value-topic": (VALUE, bytes([TOPICS]) + b"a/+/#"),
    "value-type": (VALUE, bytes([CONTENT_TYPE]) + b"application/json"),
    "value-number": (VALUE, bytes([BATCH_BYTES]) + b"4096"),
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
