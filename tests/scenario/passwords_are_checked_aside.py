"""Passwords are compared with their hashes, which takes long, by threads of their own: nobody else waits for that, what waits
is bounded, and who goes away or has waited too long is forgotten."""

import base64
import hashlib

import pytest

from mqtt_wire import TIMEOUT_S, USER_PROPERTY, Connection, connect
from tokens import password_line, private_file, secret_file, token

# Some hundred milliseconds each, so that many of them are a minute.
ITERATIONS = 500000
LANE_JOBS_MAX = 128


def slow_line(user, password):
    salt = b"0123456789ab"
    hashed = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"{user}:$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(hashed).decode()}\n"


@pytest.fixture(scope="module")
def lines():
    return slow_line("slow", "secret") + password_line("quick", "secret")


@pytest.fixture
def guarded(serve, tmp_path, lines):
    passwords = private_file(tmp_path / "passwords", lines)
    return lambda *options: serve("--shards", "2", "--password-file", passwords, "--token-secret-file", secret_file(tmp_path),
                                  "--password-threads", "1", "--overload-refuse-ms", "60000", *options)


def guess(server, count, version=5, source=None, password=None):
    """Another password each, if none is given: clients with the same one wait for one verdict."""
    guessing = []
    for number in range(count):
        guessing.append(server.raw(version, source=source))
        guessing[-1].send(connect("c", version, user="slow", password=password or f"guess {number}"))
    return guessing


@pytest.mark.threads
def test_a_storm_of_wrong_passwords_holds_up_nobody_with_a_token(guarded, version):
    server = guarded("--connect-timeout-ms", "600000")
    with server.client("before", version, user="", password=token()) as before:
        guessing = guess(server, 30)
        server.wait_counter("passwords_waiting", lambda waiting: waiting > 20)
        for number in range(20):
            with server.client(f"c{number}", version, user="", password=token()) as client:
                client.expect_nothing_before_ping()
        before.expect_nothing_before_ping()
        # They came in while most of the others still waited.
        assert server.counter("passwords_checked") < 25
        assert guessing[0].packet().reason == 0x86
        for connection in guessing:
            connection.close()
        server.wait_counter("passwords_waiting", 0)
        server.wait_counter("handshakes_open", 0)


@pytest.mark.threads
def test_the_right_one_from_several_at_once(guarded, version):
    server = guarded("--connect-timeout-ms", "600000")
    coming = [server.raw(version) for _ in range(6)]
    for number, connection in enumerate(coming):
        # What comes behind it waits with it.
        connection.send(connect(f"c{number}", version, user="slow", password="secret") + b"\xc0\x00")
    for connection in coming:
        assert connection.packet().reason == 0
        assert connection.packet().kind == 13
    checked = server.counter("passwords_checked")
    assert 1 <= checked <= 6
    with server.client("again", version, user="slow", password="secret"):  # remembered
        assert server.counter("passwords_checked") == checked


@pytest.mark.threads
def test_one_verdict_for_all_with_the_same_password(guarded, version):
    """More than one address may have waiting; the first to ask goes away, and its verdict is theirs all the same."""
    server = guarded("--connect-timeout-ms", "600000")
    blocks = guess(server, 1)
    server.wait_counter("passwords_waiting", 1)
    for password, reason in (("secret", 0), ("wrong", {4: 4, 5: 0x86}[version])):
        first = guess(server, 1, password=password)[0]
        waiting = server.counter("passwords_waiting")
        coming = []
        for number in range(2 * LANE_JOBS_MAX):
            coming.append(server.raw(version))
            coming[-1].send(connect(f"c{number}", version, user="slow", password=password))
        server.wait_counter("passwords_waiting", lambda now, before=waiting: now > before)
        first.close()
        assert {connection.packet().reason for connection in coming} == {reason}
        for connection in coming:
            connection.close()
    assert server.counter("passwords_hashed") <= 5
    blocks[0].close()


def test_what_comes_while_it_waits_is_not_lost(guarded, version):
    server = guarded("--connect-timeout-ms", "600000")
    guess(server, 2)
    with server.raw(version) as connection:
        connection.send(connect("c", version, user="slow", password="secret"))
        server.wait_counter("passwords_waiting", lambda waiting: waiting > 0)
        connection.send(b"\xc0\x00")
        assert connection.packet().reason == 0
        connection.expect(b"\xd0\x00")


@pytest.mark.threads
def test_who_goes_away_is_forgotten(guarded):
    server = guarded()
    guessing = guess(server, 40)
    server.wait_counter("passwords_waiting", lambda waiting: waiting > 30)
    for number, connection in enumerate(guessing):
        if number % 2:
            connection.reset()
        else:
            connection.close()
    server.wait_counter("handshakes_open", 0)
    server.wait_counter("passwords_waiting", 0)
    # Theirs are not checked: one who comes now need not wait for them.
    with server.client("c", 5, user="quick", password="secret"):
        assert server.counter("passwords_checked") < 20


def test_who_has_waited_too_long_is_told_to_come_back(guarded, version):
    server = guarded("--connect-timeout-ms", "700")
    guessing = guess(server, 30, version)
    last = guessing[-1].packet()
    assert last.reason == {4: 3, 5: 0x89}[version]
    if version == 5:
        assert dict(last.pairs)[USER_PROPERTY][0] == "retry-after-ms"
    server.wait_counter("end_password_queue", lambda ended: ended > 0)


@pytest.mark.threads
def test_one_address_fills_its_own_lane_only(guarded):
    server = guarded("--connect-timeout-ms", "600000")
    guessing = guess(server, LANE_JOBS_MAX + 20)
    for connection in guessing[-10:]:
        got = connection.packet()
        assert got.reason == 0x89
        assert dict(got.pairs)[USER_PROPERTY][0] == "retry-after-ms"
    # Eight other addresses, of which one may have the same lane: the first of them comes in without waiting for that.
    others = [Connection(server.address, 5, source=f"127.0.9.{number}") for number in range(1, 9)]
    for number, connection in enumerate(others):
        connection.send(connect(f"q{number}", 5, user="quick", password="secret"))
    assert sum(comes_in(connection) for connection in others) >= 1
    assert server.counter("passwords_checked") < LANE_JOBS_MAX
    for connection in [*guessing, *others]:
        connection.close()


def comes_in(connection):
    try:
        return connection.packet(TIMEOUT_S / 10).reason == 0
    except TimeoutError:
        return False


def test_passwords_that_change_meanwhile(guarded, tmp_path, lines):
    """A verdict about the old file is nobody's: the new one is asked."""
    server = guarded("--admin", "http://127.0.0.1:0", "--connect-timeout-ms", "600000")
    guessing = guess(server, 3, password="changed")
    (tmp_path / "passwords").write_text(lines.replace(lines.splitlines()[0] + "\n", password_line("slow", "changed")))
    assert server.admin().post("/api/v1/reload").status == 200
    assert guessing[-1].packet().reason == 0
