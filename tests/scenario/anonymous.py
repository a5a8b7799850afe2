"""Who does not sign in comes in where --anonymous says so: on loopback listeners, everywhere or nowhere."""

import pytest

from mqtt_wire import Connection, connect
from tokens import password_line, private_file, secret_file, token

REFUSED = {4: 5, 5: 0x87}


@pytest.mark.parametrize("policy, loopback, elsewhere", [("loopback", True, False), ("always", True, True),
                                                         ("never", False, False)])
@pytest.mark.parametrize("with_tokens", [False, True])
def test_where(serve, version, tmp_path, policy, loopback, elsewhere, with_tokens):
    options = ["--token-secret-file", secret_file(tmp_path)] if with_tokens else []
    server = serve("--anonymous", policy, *options, listen=["tcp://127.0.0.1:0", "tcp://0.0.0.0:0"])
    for port, comes_in in zip(server.ports, (loopback, elsewhere)):
        with Connection(("127.0.0.1", port), version) as connection:
            connection.send(connect("anyone", version))
            if comes_in:
                assert connection.packet().reason == 0
            else:
                connection.expect_connack_refusal(REFUSED[version])


@pytest.mark.parametrize("source", ["--token-secret-file", "--password-file", "--token-jwks-url", None])
def test_where_clients_can_sign_in_they_have_to_by_default(serve, version, tmp_path, source):
    """All clients of a proxy on the same machine come from a loopback address."""
    options = {"--token-secret-file": lambda: [source, secret_file(tmp_path)],
               "--password-file": lambda: [source, private_file(tmp_path / "passwords", password_line("alice", "secret"))],
               "--token-jwks-url": lambda: [source, "http://127.0.0.1:1/none"], None: lambda: []}[source]()
    server = serve(*options)
    with server.raw(version) as connection:
        connection.send(connect("anyone", version))
        if source:
            connection.expect_connack_refusal(REFUSED[version])
        else:
            assert connection.packet().reason == 0
    assert source is None or any("every client has to sign in" in line for line in server.lines)


def test_a_bad_token_is_not_made_good_by_it(serve, version, tmp_path):
    server = serve("--anonymous", "always", "--token-secret-file", secret_file(tmp_path))
    with server.raw(version) as connection:
        connection.send(connect("c", version, user="", password=token(left_s=-3600)))
        connection.expect_connack_refusal(REFUSED[version])


def test_a_name_that_nobody_vouches_for_is_refused(serve, version, tmp_path):
    server = serve("--anonymous", "always", "--token-secret-file", secret_file(tmp_path))
    with server.raw(version) as connection:
        connection.send(connect("c", version, user="admin"))
        connection.expect_connack_refusal(REFUSED[version])
