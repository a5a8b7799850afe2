#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/transport/proxy.c below corpus/transport_proxy. A file's name says what it is.
Run it again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "transport_proxy"

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack(">HH", 56324, 443)
V6 = bytes.fromhex("20010db8000000000000000000000001" + "00000000000000000000000000000001") + struct.pack(">HH", 1, 2)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def tlv(kind, value):
    return struct.pack(">BH", kind, len(value)) + value


def head(command, family, body, length=None):
    return SIGNATURE + struct.pack(">BBH", command, family, len(body) if length is None else length) + body


def sealed(body):
    whole = head(0x21, 0x11, body + tlv(3, bytes(4)))
    return whole[:-4] + struct.pack(">I", crc32c(whole))


SSL = b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"sensor-17") + tlv(0x23, b"TLS_AES_128_GCM_SHA256")
SEEDS = {
    "v1-tcp4": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n\x10\x0c",
    "v1-tcp6": b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n",
    "v1-mapped": b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 7 8\r\n",
    "v1-unknown": b"PROXY UNKNOWN\r\n",
    "v1-unknown-and-more": b"PROXY UNKNOWN ::1 ::1 1 2\r\n",
    "v1-longest": b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n",
    "v1-too-long": b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
    "v1-two-spaces": b"PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
    "v1-port": b"PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
    "v1-line-feed": b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n",
    "v2-inet": head(0x21, 0x11, V4) + b"\x10\x0c",
    "v2-inet6": head(0x21, 0x21, V6),
    "v2-unix": head(0x21, 0x31, bytes(216)),
    "v2-unspec": head(0x21, 0, b""),
    "v2-datagram": head(0x21, 0x12, V4),
    "v2-local": head(0x20, 0, b""),
    "v2-local-with-what-it-likes": head(0x20, 0xFF, b"abc"),
    "v2-short": head(0x21, 0x11, V4[:-1]),
    "v2-family": head(0x21, 0x41, V4),
    "v2-version": head(0x11, 0x11, V4),
    "v2-too-long": head(0x21, 0x11, V4, 65535),
    "v2-ssl": head(0x21, 0x11, V4 + tlv(1, b"mqtt") + tlv(2, b"mqtt.example.org") + tlv(0x20, SSL)),
    "v2-ssl-short": head(0x21, 0x11, V4 + tlv(0x20, SSL[:4])),
    "v2-ssl-inner": head(0x21, 0x11, V4 + tlv(0x20, SSL[:-1])),
    "v2-tlv-cut": head(0x21, 0x11, V4 + b"\x02\0"),
    "v2-tlv-long": head(0x21, 0x11, V4 + b"\x02\0\x09abc"),
    "v2-checksum": sealed(V4 + tlv(2, b"a")),
    "v2-checksum-wrong": head(0x21, 0x11, V4 + tlv(3, b"\1\2\3\4")),
    "v2-checksum-short": head(0x21, 0x11, V4 + tlv(3, b"\1\2\3")),
    "mqtt": b"\x10\x0c\0\4MQTT\4\2\0\0\0\0",
    "empty": b"",
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for name, data in sorted(SEEDS.items()):
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
