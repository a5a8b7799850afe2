#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/http below corpus/http. A file's name says what it is. Run it again after a
change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "http"

GET = "GET /health HTTP/1.1\r\nHost: localhost:9883\r\n"
POST = "POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"
SEEDS = {
    "get": GET + "\r\n",
    "get-1.0": "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
    "upgrade": GET + "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n\r\n",
    "pipelined": (GET + "\r\n") * 3,
    "empty-line": "\r\n" + GET + "\r\n",
    "length": POST + "Content-Length: 13\r\n\r\n" + '{"topic":"t"}' + GET + "\r\n",
    "expects": POST + "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "chunked": CHUNKED + "d\r\n" + '{"topic":"t"}' + "\r\n0\r\n\r\n" + GET + "\r\n",
    "chunked-small": CHUNKED + "1\r\n{\r\n1;a=b\r\n}\r\n0\r\nTrailer: x\r\nAnother: y\r\n\r\n",
    "chunked-long-digits": CHUNKED + "0000002\r\n{}\r\n000\r\n\r\n",
    "bad-chunk": CHUNKED + "2\r\n{}x\r\n0\r\n\r\n",
    "bad-chunk-size": CHUNKED + "ffffffff\r\n",
    "bad-chunk-line": CHUNKED + "2\n{}\r\n0\r\n\r\n",
    "smuggled-both": POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET + "\r\n",
    "smuggled-two-lengths": POST + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + GET + "\r\n",
    "smuggled-list": POST + "Content-Length: 0, 44\r\n\r\n" + GET + "\r\n",
    "smuggled-coding": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "smuggled-space": POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "smuggled-fold": POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "smuggled-1.0": "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare-lf": GET.replace("\r\n", "\n") + "\n",
    "bare-cr": "GET / HTTP/1.1\rHost: a\r\n\r\n",
    "two-hosts": GET + "Host: b\r\n\r\n",
    "no-host": "GET / HTTP/1.1\r\n\r\n",
    "null": GET + "X: \0\r\n\r\n",
    "version-2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version-0.9": "GET /\r\n",
    "mqtt": "\x10\x0c\0\4MQTT\4\2\0\0\0\0",
    "many-fields": "GET / HTTP/1.1\r\nHost: a\r\n" + "X: y\r\n" * 100 + "\r\n",
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        if not path.name.startswith("found-"):
            path.unlink()
    for number, (name, text) in enumerate(sorted(SEEDS.items())):
        (CORPUS / name).write_bytes(bytes([number * 7 % 64]) + text.encode("latin-1"))


if __name__ == "__main__":
    main()
