"""What is revoked by a command, with a file: a live session ends, the next sign-in is refused, before and after a restart, until
the revocation's own time is over or it is lifted."""

import time

import pytest

from mqtt_wire import CONNACK, DISCONNECT, TIMEOUT_S, Connection, connect, let_pass
from server import roost
from tokens import secret_file, token

# At the door, and of a session that is there: Banned is CONNACK's alone.
REFUSED = {4: {"token": 5, "user": 5, "client": 5}, 5: {"token": 0x87, "user": 0x8A, "client": 0x8A}}
ENDED = {"token": 0x87, "user": 0x98, "client": 0x98}
# What is revoked of the client "c-1" of "alice" with the token "t 1"; blanks and slashes are as good as letters.
IDS = {"token": "t 1", "user": "al/ice", "client": "c-1"}
CLAIMS = {"jti": IDS["token"], "sub": IDS["user"]}
KINDS = list(IDS)


@pytest.fixture
def start(serve, tmp_path):
    """The server, with the same files each time."""
    secret = secret_file(tmp_path)
    return lambda: serve("--shards", "2", "--token-secret-file", secret, "--revocation-file", str(tmp_path / "revoked"),
                         "--admin", "http://127.0.0.1:0")


def ctl(server, *words):
    ended = roost("ctl", "--url", server.admin().url, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def sign_in(server, client_id, version, **claims):
    return server.client(client_id, version, user="", password=token(**claims))


def refusal(server, client_id, version, **claims):
    """The CONNACK's code; 0: it was let in."""
    with Connection(server.address, version) as connection:
        connection.send(connect(client_id, version, user="", password=token(**claims)))
        return connection.expect_kind(CONNACK).reason


def wait_until_let_in(server, client_id, version, **claims):
    """Returns when, on the wall clock, which decides it."""
    deadline = time.monotonic() + TIMEOUT_S
    while refusal(server, client_id, version, **claims) != 0:
        assert time.monotonic() < deadline, "it is still refused"
        time.sleep(0.02)
    return time.time()


def assert_only_they_are_refused(server, kind, version):
    assert refusal(server, IDS["client"], version, **CLAIMS) == REFUSED[version][kind]
    others = {"token": {"jti": "t 2"}, "user": {"sub": "alice"}, "client": {}}[kind]
    assert refusal(server, "c-2" if kind == "client" else IDS["client"], version, **{**CLAIMS, **others}) == 0


@pytest.mark.threads
@pytest.mark.parametrize("kind", KINDS)
def test_a_live_session_ends_and_stays_out(start, kind, version):
    server = start()
    with sign_in(server, IDS["client"], version, **CLAIMS) as live, sign_in(server, "bystander", version, sub="bob") as other:
        ctl(server, "revoke", kind, IDS[kind])
        if version == 5:
            assert live.expect_kind(DISCONNECT).reason == ENDED[kind]
        live.ends()
        server.wait_counter(f"end_{kind}_revoked", 1)
        other.expect_nothing_before_ping()
    assert_only_they_are_refused(server, kind, version)
    server.stop()

    server = start()
    assert_only_they_are_refused(server, kind, version)
    assert IDS[kind] in ctl(server, "revocations")
    ctl(server, "lift", kind, IDS[kind])
    assert refusal(server, IDS["client"], version, **CLAIMS) == 0
    server.stop()

    server = start()
    assert refusal(server, IDS["client"], version, **CLAIMS) == 0
    assert ctl(server, "revocations") == ""


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_by_itself(start, kind, version):
    server = start()
    begin = time.time()
    ctl(server, "revoke", kind, IDS[kind], "2")
    assert refusal(server, IDS["client"], version, **CLAIMS) == REFUSED[version][kind]
    # Seconds are whole: what was revoked for two of them is so for more than one.
    assert wait_until_let_in(server, IDS["client"], version, **CLAIMS) - begin > 1


def test_it_ends_while_the_server_is_away(start, version):
    server = start()
    ctl(server, "revoke", "user", "brief", "1")
    ctl(server, "revoke", "user", "long", "3600")
    server.stop()
    let_pass(2)
    server = start()
    assert refusal(server, "c", version, sub="brief") == 0
    assert refusal(server, "c", version, sub="long") == REFUSED[version]["user"]
    assert "brief" not in ctl(server, "revocations")


def test_killed_without_a_word(start, version):
    """It was on the disk before the command was answered."""
    server = start()
    for kind in KINDS:
        ctl(server, "revoke", kind, f"{kind}-x", "3600")
    server.process.kill()
    server.process.wait()
    # Its exit status is not one that the fixture takes; it is told that all is well.
    server.process.returncode = 0
    server = start()
    assert refusal(server, "client-x", version) == REFUSED[version]["client"]
    assert refusal(server, "c", version, sub="user-x") == REFUSED[version]["user"]
    assert refusal(server, "c", version, jti="token-x") == REFUSED[version]["token"]
    assert len(ctl(server, "revocations", "--no-headings").splitlines()) == len(KINDS)


def test_a_file_that_was_overwritten(start, tmp_path):
    """None of its lines is whole: who was revoked is not known, and nobody is let in on the strength of that."""
    server = start()
    ctl(server, "revoke", "user", IDS["user"])
    server.stop()
    file = tmp_path / "revoked"
    overwritten = bytes(file.stat().st_size)
    file.write_bytes(overwritten)
    refused = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--revocation-file", str(file))
    assert refused.returncode == 1
    assert f"{file}: it is damaged" in refused.stderr
    assert file.read_bytes() == overwritten
