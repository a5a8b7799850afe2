#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets of WebSockets below corpus/ws_upgrade and corpus/ws_frames. A file's name says
what it is. Run it again after a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# ---- upgrades ----

LINE = "GET /mqtt HTTP/1.1\r\n"
REST = (
    "Host: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
MQTT = "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n"
ACCEPTED = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
UPGRADES = {
    "taken": LINE + REST + MQTT + "\r\n\x82\x85",
    "taken-mqttv3.1": LINE + REST + "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n",
    "taken-query": LINE.replace("mqtt", "mqtt?a=b") + REST + MQTT + "\r\n",
    "taken-absolute": LINE.replace("/mqtt", "http://a/mqtt") + REST + MQTT + "\r\n",
    "taken-origin": LINE + REST + MQTT + "Origin: https://a.example\r\n\r\n",
    "other-origin": LINE + REST + MQTT + "Origin: https://b.example\r\n\r\n",
    "two-origins": LINE + REST + MQTT + "Origin: null\r\nOrigin: null\r\n\r\n",
    "other-path": LINE.replace("mqtt", "other") + REST + MQTT + "\r\n",
    "other-version": LINE + REST.replace("13", "8") + MQTT + "\r\n",
    "other-protocol": LINE + REST + "Sec-WebSocket-Protocol: chat, MQTT,\r\n\r\n",
    "no-protocol": LINE + REST + "\r\n",
    "bad-key": LINE + REST.replace("==", "=") + MQTT + "\r\n",
    "compressed": LINE + REST + MQTT + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "body": LINE + REST + MQTT + "Content-Length: 5\r\n\r\nhello",
    "http": "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "http-1.0": "GET /mqtt HTTP/1.0\r\n" + REST + MQTT + "\r\n",
    "head": "HEAD /mqtt HTTP/1.1\r\nHost: a\r\n\r\n",
    "post": "POST /mqtt HTTP/1.1\r\n" + REST + MQTT + "\r\n",
    "long": LINE + REST + MQTT + "Cookie: " + "c" * 8192,
    "mqtt": "\x10\x0c\0\4MQTT\4\2\0\0\0\0",
    "response": ACCEPTED + "Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82\0",
    "response-without-protocol": ACCEPTED + "\r\n",
    "response-404": "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
}

# ---- frames ----

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL = 0x80


def frame(first, payload=b"", mask=b"\xa1\x02\xc3\x04", length=None):
    size = len(payload) if length is None else length
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = bytes([first, 0xFE]) + struct.pack(">H", size)
    else:
        head = bytes([first, 0xFF]) + struct.pack(">Q", size)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


BIN = FINAL | BINARY
CONNECT = b"\x10\x0c\0\4MQTT\4\2\0\0\0\0"
FRAMES = {
    "one": frame(BIN, CONNECT),
    "two": frame(BIN, CONNECT) + frame(BIN, b"\xc0\0"),
    "fragments": frame(BINARY, CONNECT[:3]) + frame(CONTINUATION, CONNECT[3:7]) + frame(FINAL, CONNECT[7:]),
    "control-between": frame(BINARY, b"ab") + frame(FINAL | PING, b"ping") + frame(FINAL | PONG) + frame(FINAL, b"cd"),
    "empty": frame(BINARY) + frame(CONTINUATION) * 20 + frame(FINAL) + frame(BIN),
    "pings": frame(FINAL | PING, b"x" * 125) * 5 + frame(BIN, b"y"),
    "126": frame(BIN, b"a" * 126) + frame(BIN, b"b"),
    "4096": frame(BIN, bytes(range(256)) * 16) + frame(BIN, b"b"),
    "65536": frame(BIN, b"a" * 200, length=65536),
    "longest": frame(BIN, b"a" * 20, length=2**63 - 1),
    "too-long": frame(BIN, b"a" * 20, length=2**63),
    "single-bytes": b"".join(frame(BIN, bytes([byte])) for byte in CONNECT),
    "close": frame(BIN, b"a") + frame(FINAL | CLOSE, b"\x03\xe8bye") + frame(BIN, b"b"),
    "close-empty": frame(FINAL | CLOSE),
    "close-one-byte": frame(FINAL | CLOSE, b"\x03"),
    "close-code": frame(FINAL | CLOSE, b"\x03\xed"),
    "text": frame(BIN, b"a") + frame(FINAL | TEXT, b"text"),
    "reserved": frame(BIN, b"a") + frame(0xC2, b"b"),
    "opcode": frame(FINAL | 3, b"b"),
    "unmasked": b"\x82\x01a",
    "control-long": frame(FINAL | PING, b"x" * 126),
    "control-fragment": frame(PING, b"x"),
    "continuation": frame(FINAL, b"x"),
    "start-in-message": frame(BINARY, b"x") + frame(BIN, b"y"),
    "not-minimal": b"\x82\xfe\0\x01" + b"\0" * 5,
    "half-a-head": frame(BIN, b"abc")[:3],
}


def write(name, seeds):
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for seed, content in seeds.items():
        (folder / seed).write_bytes(content)


def main():
    write("ws_upgrade", {name: bytes([number * 37 % 256]) + text.encode("latin-1") for number, (name, text) in enumerate(UPGRADES.items())})
    write("ws_frames", {name: struct.pack("<IB", number * 7919, number * 5 % 256) + data for number, (name, data) in enumerate(FRAMES.items())})


if __name__ == "__main__":
    main()
