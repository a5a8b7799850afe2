#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/bridge below corpus/bridge. A file's name says what it is. Run it again after
a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "bridge"

KEY, REVOKED, LIFTED, URL, HEADER, ANSWERS = range(6)


def bulk(text):
    return f"${len(text)}\r\n{text}\r\n"


def page(cursor, *keys):
    return f"*2\r\n{bulk(cursor)}*{len(keys)}\r\n" + "".join(bulk(key) for key in keys)


ALICE, TOKEN = "roost:revoked:user:alice", "roost:revoked:token:t 1:x"
SEEDS = {
    "key-user": (KEY, ALICE),
    "key-token": (KEY, TOKEN),
    "key-client": (KEY, "roost:revoked:client:\0"),
    "key-no-id": (KEY, "roost:revoked:client:"),
    "key-other": (KEY, "roost:revoked:planet:mars"),
    "revoked-user": (REVOKED, "user 3600 alice"),
    "revoked-for-ever": (REVOKED, "token 0 t 1"),
    "revoked-too-long": (REVOKED, "client 99999999999999999999 c"),
    "revoked-no-number": (REVOKED, "user alice x"),
    "lifted-user": (LIFTED, "user alice"),
    "lifted-no-id": (LIFTED, "token "),
    "url-plain": (URL, "redis://localhost"),
    "url-full": (URL, "redis://u%40:p:q@[::1]:6380/15"),
    "url-unix": (URL, "unix://u:p@/run/redis.sock?db=3"),
    "url-escape": (URL, "redis://u:%4@h"),
    "url-port": (URL, "redis://h:65536"),
    "header-age": (HEADER, "Cache-Control: public, max-age=300\r\n"),
    "header-quoted": (HEADER, "cache-control:\tmax-age=\"60\" , private\r\n"),
    "header-huge": (HEADER, "Cache-Control: max-age=99999999999999\r\n"),
    "header-other": (HEADER, "Content-Type: application/json\r\n"),
    "scan-empty": (ANSWERS, page("0")),
    "scan-two-pages": (ANSWERS, page("17", ALICE, TOKEN) + ":1500\r\n:-1\r\n" + page("0", ALICE) + ":-2\r\n"),
    "scan-cursor": (ANSWERS, page("18446744073709551615") + page("1" * 24)),
    "scan-no-page": (ANSWERS, "*1\r\n*0\r\n"),
    "scan-no-key": (ANSWERS, "*2\r\n$1\r\n0\r\n*2\r\n:1\r\n$-1\r\n"),
    "scan-error": (ANSWERS, "-LOADING Redis is loading\r\n"),
    "scan-error-without-words": (ANSWERS, "-" + "\0" * 20 + "\r\n"),
    "scan-huge-array": (ANSWERS, "*2\r\n$1\r\n0\r\n*2147483647\r\n"),
    "scan-huge-string": (ANSWERS, "*2\r\n$536870912\r\nx"),
    "scan-deep": (ANSWERS, "*1\r\n" * 12),
    "scan-resp3": (ANSWERS, "%1\r\n+a\r\n_\r\n"),
    "scan-status-for-time": (ANSWERS, page("0", ALICE) + "+OK\r\n"),
}


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for old in CORPUS.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, (kind, text) in SEEDS.items():
        (CORPUS / name).write_bytes(bytes([kind]) + text.encode("latin-1"))


if __name__ == "__main__":
    main()
