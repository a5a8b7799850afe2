"""A token in the password lets in whom it is good for, whatever it is signed with, and nobody else."""

import pytest

from mqtt_wire import ASSIGNED_CLIENT_ID, connect
from tokens import SECRET, part, private_key, public_pem, secret_file, token, unsigned

BAD = {4: 4, 5: 0x86}  # bad user name or password
REFUSED = {4: 5, 5: 0x87}  # not authorized


@pytest.fixture
def guarded(serve, tmp_path):
    return serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--token-issuer", "me",
                 "--token-audience", "roost", "--token-leeway-s", "0")


def good(**claims):
    return token(**{"iss": "me", "aud": "roost", **claims})


def refused(server, version, password, reasons, client_id="c", user=""):
    with server.raw(version) as connection:
        connection.send(connect(client_id, version, user=user, password=password))
        connection.expect_connack_refusal(reasons[version])


@pytest.mark.threads
def test_good_ones(guarded, version):
    for number, claims in enumerate([{}, {"aud": ["x", "roost"]}, {"nbf": 1}, {"client_id": "c3"}, {"jti": "x"}]):
        with guarded.client(f"c{number}", version, user="", password=good(**claims)) as client:
            client.expect_nothing_before_ping()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_public_keys(serve, version, tmp_path, algorithm):
    keys = [private_key(algorithm), private_key(algorithm)]
    file = tmp_path / "key.pem"
    file.write_bytes(public_pem(keys[0]))
    server = serve("--token-key-file", str(file))
    with server.client("c", version, user="", password=token(keys[0], algorithm)) as client:
        client.expect_nothing_before_ping()
    refused(server, version, token(keys[1], algorithm), BAD)
    # A public key is no secret, whoever takes it for one.
    signed = token(SECRET, "HS256")
    refused(server, version, signed, BAD)


CASES = {
    "expired": (lambda: good(left_s=-5), REFUSED),
    "not yet": (lambda: good(nbf=4000000000), REFUSED),
    "another issuer": (lambda: good(iss="you"), REFUSED),
    "no issuer": (lambda: good(iss=None), REFUSED),
    "another audience": (lambda: good(aud="other"), REFUSED),
    "no audience": (lambda: good(aud=None), REFUSED),
    "no end": (lambda: good(exp=None), BAD),
    "another key": (lambda: good(key=SECRET[::-1]), BAD),
    "another algorithm": (lambda: good(algorithm="HS512"), BAD),
    "algorithm none": (lambda: unsigned(iss="me", aud="roost"), BAD),
    "algorithm none with a signature": (lambda: unsigned(iss="me", aud="roost") + "AAAA", BAD),
    "signature cut off": (lambda: good()[:-1], BAD),
    "another's body": (lambda: ".".join([good().split(".")[0], part({"sub": "x"}), good().split(".")[2]]), BAD),
    "another client": (lambda: good(client_id="other"), REFUSED),
    "too large": (lambda: good(x="x" * 8000), BAD),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_ones(guarded, version, name):
    make, reasons = CASES[name]
    refused(guarded, version, make(), reasons)
    assert guarded.counter("connections_signed_in") == 0


def test_none_at_all(serve, version, tmp_path):
    server = serve("--token-secret-file", secret_file(tmp_path), "--anonymous", "never")
    with server.raw(version) as connection:
        connection.send(connect("c", version))
        connection.expect_connack_refusal(REFUSED[version])
    refused(server, version, "not a token", REFUSED)


def test_client_id_of_the_token(guarded, version):
    """Version 5 is told which it has been given. [MQTT-3.2.2-16]"""
    password = good(client_id="mine")
    with guarded.client("", version, user="", password=password) as client:
        assert version == 4 or client.connack.properties[ASSIGNED_CLIENT_ID] == "mine"
        with guarded.client("mine", version, user="", password=password) as other:
            client.expect_refusal(0x8E)
            other.expect_nothing_before_ping()


def test_in_the_user_name(serve, version, tmp_path):
    server = serve("--token-secret-file", secret_file(tmp_path), "--token-in-user-name")
    with server.client("c", version, user=token(), password="") as client:
        client.expect_nothing_before_ping()
