"""`--client-id-pattern` binds client ids to users, so that nobody takes another's connection or session."""

import pytest

from mqtt_wire import connect
from server import roost
from tokens import password_line, private_file, secret_file, token

NOT_VALID = {4: 2, 5: 0x85}


@pytest.fixture
def guarded(serve, tmp_path):
    passwords = private_file(tmp_path / "passwords", password_line("alice", "a") + password_line("bob", "b"))
    return lambda pattern, *options: serve("--shards", "2", "--password-file", passwords, "--token-secret-file",
                                           secret_file(tmp_path), "--client-id-pattern", pattern, *options)


ALICE, BOB = {"user": "alice", "password": "a"}, {"user": "bob", "password": "b"}


@pytest.mark.parametrize("pattern, good, bad", [("%u", "alice", "alice-2"), ("%u-*", "alice-2", "alice"),
                                                ("meter-%u", "meter-alice", "meter-bob")])
def test_with_a_password(guarded, version, pattern, good, bad):
    server = guarded(pattern)
    with server.client(good, version, **ALICE) as client:
        for client_id, who in ((bad, ALICE), (good, BOB)):
            with server.raw(version) as connection:
                connection.send(connect(client_id, version, **who))
                connection.expect_connack_refusal(NOT_VALID[version])
        client.expect_nothing_before_ping()
    server.wait_counter("end_client_id_user", 2)


def test_with_a_token(guarded, version):
    """One that names its client id goes by that."""
    server = guarded("%u")
    with server.client("alice", version, user="", password=token(sub="alice")), \
            server.client("any", version, user="", password=token(sub="alice", client_id="any")):
        pass
    with server.raw(version) as connection:
        connection.send(connect("any", version, user="", password=token(sub="alice")))
        connection.expect_connack_refusal(NOT_VALID[version])


@pytest.mark.parametrize("pattern, begin, size", [("%u", "alice", 5), ("%u-*", "alice-roost-", 36)])
def test_an_assigned_one_fits(guarded, pattern, begin, size):
    server = guarded(pattern)
    with server.client("", 5, **ALICE) as client:
        assert client.client_id.startswith(begin) and len(client.client_id) == size
        with server.client(client.client_id, 5, **ALICE):
            client.expect_refusal(0x8E)


def test_who_has_no_name_has_no_id_of_his_own(guarded, version):
    server = guarded("%u", "--anonymous", "loopback")
    with server.raw(version) as connection:
        connection.send(connect("alice", version))
        connection.expect_connack_refusal(NOT_VALID[version])
    with server.client("", version) as client:
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("pattern", ["%c", "*-%u", "%"])
def test_a_bad_pattern(pattern):
    result = roost("serve", "--listen", "tcp://127.0.0.1:0", "--client-id-pattern", pattern)
    assert result.returncode != 0
    assert "client-id-pattern" in result.stderr and pattern in result.stderr
