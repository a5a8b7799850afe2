#!/usr/bin/python3
"""Writes the seed corpora of the fuzz targets of src/auth below corpus/. A file's name says what it is. Run it again after
a change here; it replaces what it wrote before.

What fuzzing found is kept beside them by hand, in files whose names begin with "found-"."""

import json
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"

# auth_token: the first byte says whether a token follows (0), or header, newline and payload to be signed (1), or the
# same to be signed wrongly (2).
TOKEN, SIGNED, SPOILT = b"\x00", b"\x01", b"\x02"
HEADER = '{"alg":"HS256","kid":"hs"}'
GOOD_PAYLOADS = {
    "plain": {"sub": "alice", "exp": 1700003600},
    "full": {"iss": "me", "sub": "alice", "client_id": "c", "jti": "t", "iat": 1700000000, "nbf": 1699999999.5,
             "exp": 1.7e9 + 5, "x": {"y": [1, True, None, "z", {"a": {}}]}},
    "permissions": {"sub": "u", "exp": 1800000000, "permissions": {
        "publish": ["a/%c/#", "b/+"], "subscribe": ["cmd/%u", "#"], "deny": {"publish": ["x"], "subscribe": ["y/%%"]}}},
    "number": {"sub": 42, "exp": 1800000000},
    "expired": {"sub": "a", "exp": 1},
    "not-yet": {"sub": "a", "exp": 1800000000, "nbf": 1790000000},
    "audience": {"sub": "a", "exp": 1800000000, "aud": ["x", "y"]},
}
HEADERS = {
    "none": '{"alg":"none"}',
    "es-as-hs": '{"alg":"HS256","kid":"es"}',
    "ed": '{"alg":"EdDSA","kid":"ed"}',
    "crit": '{"alg":"HS256","crit":["b64"],"b64":false}',
    "twice": '{"alg":"none","alg":"HS256"}',
    "escape": '{"\\u0061lg":"HS256"}',
    "jku": '{"alg":"HS256","jku":"http://x/","kid":"../x"}',
    "no-kid": '{"alg":"HS256","typ":"JWT"}',
}
RFC7515_ES256 = (
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
RFC8037_EDDSA = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
TOKENS = {
    "token-es256": TOKEN + RFC7515_ES256.encode(),
    "token-eddsa": TOKEN + RFC8037_EDDSA.encode(),
    "token-unsigned": TOKEN + b"eyJhbGciOiJub25lIn0.e30.",
    "token-dots": TOKEN + b"...",
    "token-empty": TOKEN,
    "token-too-large": TOKEN + b"a" * 5000,
    **{f"signed-{name}": SIGNED + f"{HEADER}\n{json.dumps(payload)}".encode() for name, payload in GOOD_PAYLOADS.items()},
    **{f"header-{name}": SIGNED + f'{header}\n{{"sub":"a","exp":1800000000}}'.encode() for name, header in HEADERS.items()},
    "signed-no-payload": SIGNED + HEADER.encode(),
    "spoilt": SPOILT + f'{HEADER}\n{{"sub":"a","exp":1800000000}}'.encode(),
}

EC = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
OKP = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
OCT = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
RSA = {"kty": "RSA", "e": "AQAB", "n": (
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-"
    "SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")}
JWKS = {
    "all": {"keys": [{**EC, "kid": "1"}, {**OKP, "kid": "2"}, {**OCT, "kid": "3"}, {**RSA, "kid": "4"}]},
    "one": EC,
    "empty": {"keys": []},
    "uses": {"keys": [{**EC, "use": "enc"}, {**OKP, "use": "sig", "alg": "EdDSA"}, {**OCT, "key_ops": ["verify"]},
                      {**RSA, "alg": "PS256"}, {**RSA, "key_ops": ["sign"]}]},
    "strange": {"keys": [7, None, [], {}, {"kty": "LWE"}, {**EC, "crv": "P-384"}, {**OKP, "crv": "X25519"}]},
    "twice": {"keys": [{**OCT, "kid": "a"}, {**OCT, "kid": "a"}, {**EC, "kid": "a"}]},
    "exchanged": {"keys": [{**EC, "x": EC["y"], "y": EC["x"]}]},
    "small-order": {"keys": [{**OKP, "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]},
    "weak": {"keys": [{**RSA, "n": "yd8D"}, {**RSA, "e": "AQ"}, {**OCT, "k": "AAAA"}]},
}
PEMS = {
    "pem-es256": "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
                 "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n-----END PUBLIC KEY-----\n",
    "pem-eddsa": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                 "-----END PUBLIC KEY-----\n",
    "pem-private": "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
                   "-----END PRIVATE KEY-----\n",
}

# auth_acl: client id, user name, what is asked for, rule file.
ACLS = {
    "simple": "c1\nalice\na/b\nallow publish a/+\ndeny all a/#\n",
    "placeholders": "c1\nalice\nx/c1/y\nallow all x/%c/#\nallow publish u/%u\ndeny subscribe 50%%/%c.%u\n",
    "widening": "+\n#\nx/+/y\nallow all x/%c/#\ndeny all y/%u\n",
    "slash": "a/b\na/b\nx/a/b\nallow all x/%c\ndeny all x/%u\n",
    "dollar": "$SYS\nu\n$SYS/a\nallow all %c/#\ndeny all #\nallow all $SYS/#\n",
    "filter": "c\nu\na/#\nallow subscribe a/#\nallow subscribe +/#\ndeny subscribe a/b\n",
    "sections": "meter-1\nbob\na\nuser bob\nallow publish a\nclient meter-*\nallow publish b\neveryone\ntoken\ndeny all #\n",
    "comments": "c\nu\na\n# x\n\n  allow\tpublish  a b  \r\n",
    "wrong": "c\nu\na\nallow publish a/#/b\n",
    "empty": "c\nu\na\n",
    "no-user": "c\n\nu//x\nallow all u/%u/#\n",
}

SECRET = "$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA"
PBKDF2 = ("$7$3$AAECAwQFBgcICQoL$"
          "MwursaYocn25Qyw9UpQmhHyRLEDBQcCjsCIRgmXnL29mCOoTflZNvKqR70yRxQJt760tdwkqbfeyqCIaYZlwEw==")
PASSWORDS = {
    "two": f"# users\nalice:{SECRET}\nbob:{PBKDF2}\n",
    "blanks": f"\n  alice:{SECRET}\t\r\n\n",
    "twice": f"a:{SECRET}\nb:{SECRET}\na:{PBKDF2}\n",
    "plain": "alice:secret\n",
    "no-colon": "alice\n",
    "costly": "a:$argon2id$v=19$m=65537,t=99,p=4$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n",
    "empty": "",
}

# auth_outside: the first byte says whether JSON (0), fields of a record (1), or the name of keys and a key (2) follow.
OUTSIDE = {
    "allow": b'\0{"result":"allow"}',
    "full": b'\0{"result":"allow","user":"u","permissions":{"publish":["a/+","b/%c"],"deny":{"subscribe":["#"]}},'
            b'"ttl_s":60,"expires_s":4000000000}',
    "deny": b'\0{"result":"deny","ttl_s":0}',
    "other-member": b'\0{"result":"allow","rights":{}}',
    "no-json": b"\0<html>",
    "record": f"\1{SECRET}".encode(),
    "record-full": f'\1{PBKDF2}\n{{"publish":["a/b"]}}\n1\n4000000000\nu'.encode(),
    "record-none": b"\1",
    "record-plain": b"\1secret\n\n\n\n",
    "key": b"\2roost:user:{user}\nroost:user:alice",
    "key-behind": b"\2a{client}b\naXb",
    "key-none": b"\2{user}{client}\n",
}

MASK = (1 << 64) - 1


def siphash(text):
    """SipHash-2-4 with a key of zeroes."""
    v = [0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573]

    def turn(word, bits):
        return (word << bits | word >> (64 - bits)) & MASK

    def mix():
        v[0] = v[0] + v[1] & MASK
        v[1] = turn(v[1], 13) ^ v[0]
        v[0] = turn(v[0], 32)
        v[2] = v[2] + v[3] & MASK
        v[3] = turn(v[3], 16) ^ v[2]
        v[0] = v[0] + v[3] & MASK
        v[3] = turn(v[3], 21) ^ v[0]
        v[2] = v[2] + v[1] & MASK
        v[1] = turn(v[1], 17) ^ v[2]
        v[2] = turn(v[2], 32)

    padded = text + b"\0" * (7 - len(text) % 8) + bytes([len(text) & 255])
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at:at + 8], "little")
        v[3] ^= word
        mix()
        mix()
        v[0] ^= word
    v[2] ^= 255
    for _ in range(4):
        mix()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def line(text):
    return f"{siphash(text.encode()):016x} {text}\n"


JOURNALS = {
    "kinds": "# journal\n" + line("token 1800000000 t1") + line("user ever alice") + line("client 1800000000 c%201"),
    "lifted": line("user ever a") + line("user lifted a") + line("user 1 b") + line("user ever c") + line("user 1 c"),
    "torn": line("user ever a") + line("user ever b")[:-5],
    "damaged": line("user ever a") + "0000000000000000 user ever b\n" + line("user ever c"),
    "wrong": line("user 0 a") + line("user -1 a") + line("nobody ever a") + line("user ever") + line("user ever %2"),
    "empty": "",
}

JSONS = {
    "scalars": '[null, true, false, 0, -1.5e+10, "x"]',
    "escapes": '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\udc14"',
    "object": '{"a": {"b": [1, {"c": []}]}, "d": ""}',
    "twice": '{"a": 1, "\\u0061": 2}',
    "deep": "[" * 17 + "]" * 17,
    "surrogate": '"\\ud800"',
    "nul": '"\\u0000"',
    "huge": "[1e999, 99999999999999999999]",
    "cut": '{"a": [1, 2',
    "utf8": '"\u623f\U0001f414"',
    "empty": "",
}


def write(target, seeds):
    directory = CORPUS / target
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, data in seeds.items():
        (directory / name).write_bytes(data if isinstance(data, bytes) else data.encode())


write("auth_token", TOKENS)
write("auth_jwks", {**{name: json.dumps(keys) for name, keys in JWKS.items()}, **PEMS, "no-json": "<html>"})
write("auth_acl", ACLS)
write("auth_password", PASSWORDS)
write("auth_outside", OUTSIDE)
write("auth_journal", JOURNALS)
write("auth_strict_json", JSONS)
