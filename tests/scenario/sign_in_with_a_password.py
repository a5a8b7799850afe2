"""A user of the password file comes in with his password, whatever that looks like."""

import pytest

from mqtt_wire import connect
from tokens import password_line, private_file

BAD = {4: 4, 5: 0x86}
USERS = {"alice": "secret", "bob": "a.b.c", "eve": "eyJhbGciOiJub25lIn0.e30.", "zoë": "pass wörd"}


@pytest.fixture
def guarded(serve, tmp_path):
    lines = "".join(password_line(user, password) for user, password in USERS.items())
    return serve("--password-file", private_file(tmp_path / "passwords", lines), "--anonymous", "never")


@pytest.mark.parametrize("user", USERS)
def test_good_ones(guarded, version, user):
    for _ in range(2):  # the second is remembered
        with guarded.client("c", version, user=user, password=USERS[user]) as client:
            client.expect_nothing_before_ping()


def test_what_was_remembered_is_counted(guarded):
    for _ in range(3):
        guarded.client("c", user="alice", password="secret").close()
    with guarded.raw() as connection:
        connection.send(connect("c", 4, user="alice", password="wrong"))
        connection.expect_connack_refusal(BAD[4])
    guarded.wait_counter("passwords_hashed", 2)
    counters = guarded.counters()
    assert counters["password_cache_hits"] == 2 and counters["password_cache_misses"] == 2
    assert counters["tokens_verified"] == 0


@pytest.mark.parametrize("user, password", [("alice", "Secret"), ("alice", ""), ("alice", "a.b.c"), ("nobody", "secret"),
                                            ("", "secret"), ("bob", "a.b.d")])
def test_bad_ones(guarded, version, user, password):
    with guarded.raw(version) as connection:
        connection.send(connect("c", version, user=user, password=password))
        connection.expect_connack_refusal(BAD[version])


def test_a_file_that_others_may_read(tmp_path):
    from server import roost
    file = tmp_path / "passwords"
    file.write_text(password_line("alice", "secret"))
    file.chmod(0o644)
    result = roost("serve", "--listen", "tcp://127.0.0.1:0", "--password-file", str(file))
    assert result.returncode != 0
    assert str(file) in result.stderr
