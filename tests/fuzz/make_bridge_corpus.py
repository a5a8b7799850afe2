#!/usr/bin/python3
"""Writes the seed corpus of the fuzz target of src/bridge below corpus/bridge. A file's name says what it is. Run it again after
a change here; it replaces what it wrote before.

What fuzzing found is kept beside it by hand, in files whose names begin with "found-"."""

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus" / "bridge"

KEY, REVOKED, LIFTED, URL, HEADER, ANSWERS, REDIRECT, WHERE, USERS, CHANGES = range(10)


def bulk(text):
    return f"${len(text)}\r\n{text}\r\n"


def page(cursor, *keys):
    return f"*2\r\n{bulk(cursor)}*{len(keys)}\r\n" + "".join(bulk(key) for key in keys)


def node(host, port=7000):
    return f"*4\r\n{bulk(host) if host is not None else '$-1' + chr(13) + chr(10)}:{port}\r\n{bulk('id')}*0\r\n"


def slots(first, last, *nodes):
    return f"*{2 + len(nodes)}\r\n:{first}\r\n:{last}\r\n" + "".join(nodes)


def record(*fields):
    return f"*{len(fields)}\r\n" + "".join("$-1\r\n" if field is None else bulk(field) for field in fields)


def message(keys):
    return "*3\r\n" + bulk("message") + bulk("__redis__:invalidate") + keys


HASH = "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"
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
    "url-cluster": (URL, "rediss+cluster://u:p@a:1,[::1],b:2/0"),
    "url-cluster-database": (URL, "redis+cluster://a/1"),
    "url-cluster-gap": (URL, "redis+cluster://a,,b"),
    "url-sentinel": (URL, "redis+sentinel://:p@a,b:7/main/3?sentinel_user=u&sentinel_password=%40"),
    "url-sentinel-no-name": (URL, "redis+sentinel://a/"),
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
    "scan-elsewhere": (ANSWERS, page("0", ALICE, TOKEN) + "-MOVED 7 h:1\r\n-ASK 7 h:1\r\n"),
    "redirect-moved": (REDIRECT, "MOVED 3999 127.0.0.1:6381"),
    "redirect-ask": (REDIRECT, "ASK 16383 ::1:1"),
    "redirect-same-host": (REDIRECT, "MOVED 0 :6381"),
    "redirect-slot": (REDIRECT, "MOVED 16384 h:1"),
    "redirect-tag": (REDIRECT, "{{a}b}{c}"),
    "switch": (REDIRECT, "main 10.0.0.1 6379 10.0.0.2 6380"),
    "slots": (WHERE, "*2\r\n" + slots(0, 8191, node("a"), node("b")) + slots(8192, 16383, node("b"))),
    "slots-hosts": (WHERE, "*3\r\n" + slots(0, 0, node(None)) + slots(1, 1, node("")) + slots(2, 2, node("?"))),
    "slots-beyond": (WHERE, "*1\r\n" + slots(0, 16384, node("a"))),
    "slots-short": (WHERE, "*1\r\n" + slots(0, 1)),
    "master": (WHERE, "*2\r\n" + bulk("10.0.0.1") + bulk("6379")),
    "role": (WHERE, "*3\r\n" + bulk("master") + ":0\r\n*0\r\n"),
    "scan-status-for-time": (ANSWERS, page("0", ALICE) + "+OK\r\n"),
    "users": (USERS, record(HASH, '{"publish":["a/%c"]}', "0", "4000000000", "u") + record(HASH, None, None, None, None)),
    "users-none": (USERS, record(None, None, None, None, None)),
    "users-bad": (USERS, record("secret", "{}", "x", "y", "") + "-WRONGTYPE Operation\r\n-NOPERM\r\n-\r\n"),
    "users-other": (USERS, "*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n*0\r\n$-1\r\n+OK\r\n"),
    "changes": (CHANGES, message("*2\r\n" + bulk("roost:user:a") + bulk("x")) + message("*-1\r\n") + "*2\r\n" + bulk("pong") + bulk("")),
    "changes-no-list": (CHANGES, message(":1\r\n")),
    "changes-no-keys": (CHANGES, message("*2\r\n" + bulk("a") + ":1\r\n")),
    "changes-error": (CHANGES, "-ERR out of order\r\n"),
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
