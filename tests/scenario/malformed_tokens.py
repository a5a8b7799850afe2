"""What is sent in the place of a token may be anything: it is refused with the same code, costs nothing that lasts, and the
server lets the next good one in."""

import base64
import hashlib
import hmac
import json
import time

import pytest

from mqtt_wire import CONNACK, connect
from tokens import SECRET, part, secret_file, token

BAD = {4: [4], 5: [0x86]}  # bad user name or password
NO_TOKEN = {4: [4, 5], 5: [0x86, 0x87]}  # or not authorized: what has not even the form of a token was not given at all


@pytest.fixture
def guarded(serve, tmp_path):
    return serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--anonymous", "never",
                 "--connect-bytes-max", "131072")


def signed(header, claims):
    """With the right key, whatever stands in it: dict, text or bytes."""
    body = f"{part(header)}.{part(claims)}"
    mac = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


HEADER = {"alg": "HS256", "typ": "JWT"}
FRAME = b'{"sub":"u","exp":4000000000,"x":%s}'


def refused(server, version, password, codes=BAD):
    with server.raw(version) as connection:
        connection.send(connect("c", version, user="", password=password))
        assert connection.expect_kind(CONNACK).reason in codes[version]
        connection.expect_close()


def check_that_all_is_well(server, version):
    with server.client("good", version, user="", password=token()) as client:
        client.expect_nothing_before_ping()
    server.wait_counter("connections_signed_in", 1)
    server.wait_counter("connections_open", 0)


def test_cut_at_every_byte(guarded):
    whole = token()
    for size in range(1, len(whole)):
        refused(guarded, 4 + size % 2, whole[:size], BAD if whole[:size].count(".") == 2 else NO_TOKEN)
    check_that_all_is_well(guarded, 5)


def test_another_byte_at_every_place(guarded):
    """The last character of a signature has bits that say nothing: those, too, have to be as they are written."""
    whole = token()
    for at, old in enumerate(whole):
        for new in "A.":
            if new != old:
                refused(guarded, 4 + at % 2, whole[:at] + new + whole[at + 1:], NO_TOKEN if "." in (old, new) else BAD)
    check_that_all_is_well(guarded, 4)


BOMBS = {
    "deep lists": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "open lists": b"[" * 6000,
    "wide list": b"[" + b"1," * 6000 + b"1]",
    "wide object": b"{" + b",".join(b'"k%d":1' % number for number in range(1500)) + b"}",
    "same key again": b'{"a":1,"a":2}',
    "long number": b"9" * 9000,
    "zero bytes": b'"\\u0000' * 1000 + b'"',
    "lone surrogate": b'"\\ud800"',
    "not UTF-8": b'"\xff\xfe"',
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(guarded, version, name):
    """Signed with the right key: only what reads them stands in their way."""
    before = guarded.resident_bytes()
    for _ in range(20):
        refused(guarded, version, signed(HEADER, FRAME % BOMBS[name]))
        refused(guarded, version, signed(b'{"alg":"HS256","x":%s}' % BOMBS[name], {"sub": "u", "exp": 4000000000}))
    assert guarded.resident_bytes() < before + (64 << 20)
    check_that_all_is_well(guarded, version)


def test_the_frame_of_the_bombs_is_good(guarded, version):
    with guarded.client("c", version, user="", password=signed(HEADER, FRAME % b'"y"')) as client:
        client.expect_nothing_before_ping()


CLAIMS = {
    "no claims": {},
    "a list": [],
    "a word": "claims",
    "exp in words": {"sub": "u", "exp": "tomorrow"},
    "exp beyond all clocks": {"sub": "u", "exp": 10 ** 18},
    "exp below zero": {"sub": "u", "exp": -1},
    "exp a list": {"sub": "u", "exp": [4000000000]},
    "nbf in words": {"sub": "u", "exp": 4000000000, "nbf": "yesterday"},
    "exp with a huge exponent": b'{"sub":"u","exp":1e999999999}',
    "sub a list": {"sub": ["u"], "exp": 4000000000},
    "huge sub": {"sub": "x" * 40000, "exp": 4000000000},
    "huge jti": {"sub": "u", "jti": "x" * 40000, "exp": 4000000000},
    "permissions a word": {"sub": "u", "exp": 4000000000, "permissions": "all"},
    "permissions that are no filters": {"sub": "u", "exp": 4000000000, "permissions": {"publish": ["a/#/b"]}},
    "too many permissions": {"sub": "u", "exp": 4000000000, "permissions": {"publish": [f"t/{n}" for n in range(5000)]}},
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_that_may_not_be(guarded, version, name):
    refused(guarded, version, signed(HEADER, CLAIMS[name]))
    check_that_all_is_well(guarded, version)


HEADERS = {
    "a list": [],
    "no algorithm": {"typ": "JWT"},
    "algorithm in another case": {"alg": "hs256"},
    "algorithm a number": {"alg": 256},
    "algorithm none": {"alg": "none"},
    "algorithm of another kind": {"alg": "RS256"},
    "key id a number": {"alg": "HS256", "kid": 1},
    "huge key id": {"alg": "HS256", "kid": "x" * 5000},
    "extensions to be understood": {"alg": "HS256", "crit": ["b64"], "b64": False},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_may_not_be(guarded, version, name):
    claims = {"sub": "u", "exp": int(time.time()) + 3600}
    refused(guarded, version, signed(HEADERS[name], claims))
    check_that_all_is_well(guarded, version)


def test_key_ids_of_a_set(serve, version, tmp_path):
    """In a set with ids nobody else's is tried."""
    keys = tmp_path / "keys.json"
    keys.touch(0o600)
    keys.write_text(json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "kid": "mine", "k": part(SECRET.encode())}]}))
    server = serve("--token-jwks-file", str(keys))
    claims = {"sub": "u", "exp": int(time.time()) + 3600}
    for kid in ("yours", "mine ", "Mine", "mine\0", "x" * 500):
        refused(server, version, signed({"alg": "HS256", "kid": kid}, claims))
    with server.client("c", version, user="", password=signed({"alg": "HS256", "kid": "mine"}, claims)) as client:
        client.expect_nothing_before_ping()
