#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets of TLS handshakes below corpus/tls_hello and corpus/tls_handshake. A file's name says
what it is. Run it again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

RAW, TLS_1_2, CERTIFICATE, RESUMES, ONLY_TLS_1_3 = 1, 2, 4, 8, 16
SUITES = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8]


def vector(width, content):
    return len(content).to_bytes(width, "big") + content


def extension(kind, content):
    return struct.pack(">H", kind) + vector(2, content)


NAME = extension(0, vector(2, b"\0" + vector(2, b"localhost")))
GROUPS = extension(10, vector(2, struct.pack(">HH", 29, 23)))
POINTS = extension(11, vector(1, b"\0"))
SIGNATURES = extension(13, vector(2, struct.pack(">HHHH", 0x0403, 0x0804, 0x0401, 0x0503)))
ALPN = extension(16, vector(2, vector(1, b"mqtt")))
HTTP = extension(16, vector(2, vector(1, b"h2") + vector(1, b"http/1.1")))
MASTER = extension(23, b"")
NO_TICKET = extension(35, b"")
TICKET = extension(35, bytes(range(160)))
VERSIONS = extension(43, vector(1, struct.pack(">HH", 0x0304, 0x0303)))
MODES = extension(45, vector(1, b"\x01"))
SHARE = extension(51, vector(2, struct.pack(">H", 29) + vector(2, bytes(range(1, 33)))))
RETRY = extension(51, vector(2, b""))
KEYS = extension(41, vector(2, vector(2, bytes(range(180))) + struct.pack(">I", 1000)) + vector(2, vector(1, bytes(32))))
FRAGMENTS = extension(1, b"\x01")
EARLY = extension(42, b"")


def hello(*extensions, version=0x0303, session=bytes(32), suites=SUITES, compression=b"\0"):
    body = struct.pack(">H", version) + bytes(range(32)) + vector(1, session)
    body += vector(2, b"".join(struct.pack(">H", suite) for suite in suites)) + vector(1, compression)
    if extensions:
        body += vector(2, b"".join(extensions))
    return b"\x01" + vector(3, body)


def record(content, kind=22, version=0x0301):
    return struct.pack(">BH", kind, version) + vector(2, content)


NEW = (NAME, GROUPS, SIGNATURES, ALPN, VERSIONS, MODES, SHARE)
OLD = (NAME, GROUPS, POINTS, SIGNATURES, ALPN, MASTER, NO_TICKET)
HELLOS = {
    "tls-1.3": record(hello(*NEW)),
    "tls-1.3-key": record(hello(*NEW, KEYS)),
    "tls-1.3-early": record(hello(*NEW, EARLY, KEYS)),
    "tls-1.3-retry": record(hello(NAME, GROUPS, SIGNATURES, ALPN, VERSIONS, MODES, RETRY)),
    "tls-1.3-fragments": record(hello(*NEW, FRAGMENTS)),
    "tls-1.2": record(hello(*OLD)),
    "tls-1.2-ticket": record(hello(NAME, GROUPS, POINTS, SIGNATURES, ALPN, MASTER, TICKET)),
    "tls-1.2-ticket-in-ssl-2.1": record(hello(NAME, TICKET), version=0x0201),
    "tls-1.2-fallback": record(hello(*OLD, suites=SUITES + [0x5600])),
    "tls-1.1": record(hello(*OLD, version=0x0302)),
    "ssl-3": record(hello(version=0x0300, session=b"", suites=[0x000A])),
    "ssl-2": b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + bytes(36),
    "other-protocol": record(hello(NAME, GROUPS, SIGNATURES, HTTP, VERSIONS, SHARE)),
    "no-extensions": record(hello()),
    "no-cipher": record(hello(*NEW, suites=[0x002F])),
    "two-records": record(hello(*NEW)[:100]) + record(hello(*NEW)[100:]),
    "one-byte-records": b"".join(record(bytes([byte])) for byte in hello(*NEW)),
    "hello-and-alert": record(hello(*OLD)) + record(b"\x02\x30", 21),
    "hello-and-finished": record(hello(*OLD)) + record(b"\x01", 20) + record(bytes(40)),
    "hello-and-data": record(hello(*NEW)) + record(bytes(40), 23, 0x0303),
    "hello-and-certificate": record(hello(*OLD)) + record(b"\x0b\0\0\x03\0\0\0"),
    "hello-twice": record(hello(*OLD)) * 2,
    "empty-record": record(b""),
    "long-record": b"\x16\x03\x01\xff\xff" + bytes(64),
    "long-hello": record(b"\x01\xff\xff\xff" + bytes(1000)) * 3,
    "mqtt": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
    "mqtt-3.1": b"\x10\x8e\x01\x00\x06MQIsdp\x03\x02",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "proxy": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    "alert": record(b"\x02\x28", 21),
    "nothing": b"",
}
# A place in what the client sends, and what is XORed there.
CHANGES = {
    "none": [],
    "version": [(9, 1)],
    "random": [(20, 0x80)],
    "hello-length": [(8, 1)],
    "suites": [(80, 0xFF), (81, 0xFF)],
    "late": [(700, 1)],
    "second-record": [(300, 1), (301, 2)],
    "certificate": [(600, 0x20)],
    "finished": [(1200, 1)],
}


def write(folder, seeds):
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for name, content in seeds.items():
        (folder / name).write_bytes(content)


def main():
    write(CORPUS / "tls_hello", HELLOS)
    seeds = {f"raw-{name}": bytes([RAW, 0]) + content for name, content in HELLOS.items()}
    seeds["raw-in-pieces"] = bytes([RAW, 1]) + HELLOS["tls-1.3"]
    seeds["raw-only-1.3"] = bytes([RAW | ONLY_TLS_1_3, 0]) + HELLOS["tls-1.2"]
    for name, changes in CHANGES.items():
        content = b"".join(struct.pack(">HB", *change) for change in changes)
        for what in range(0, 16, 2):
            seeds[f"changed-{name}-{what}"] = bytes([what, 0]) + content
    write(CORPUS / "tls_handshake", seeds)


if __name__ == "__main__":
    main()
