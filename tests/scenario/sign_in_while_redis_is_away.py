"""Users are in a Redis that is not there, or does not work any more: who has to be asked about is refused and told when to come
back, or comes in by what is kept of him, as configured; all others notice nothing, and when it is well again all is."""

import os
import signal

import pytest

from mqtt_wire import CONNACK, USER_PROPERTY, Connection, connect
from redis_server import Redis, Relay
from redis_users import BAD, answer, put, wait_answer
from tokens import secret_file, token

UNAVAILABLE = {4: 3, 5: 0x88}
BUSY = {4: 3, 5: 0x89}
CONNECTED = r"redis: users: connected"
LOST = r"redis: users: .*trying again"
STORM = 2000


@pytest.fixture
def redis():
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def relay(redis):
    opened = Relay(redis.port)
    yield opened
    opened.close()


@pytest.fixture
def start(serve, redis, tmp_path):
    def run(*options, url=redis.url, line=CONNECTED):
        server = serve("--shards", "2", "--redis", url, "--auth-redis", "roost:user:{user}", "--redis-rescan-s", "3600",
                       "--token-secret-file", secret_file(tmp_path), *options)
        server.wait_line(line)
        return server

    return run


def comes_back(server, redis, version, since):
    server.wait_line(CONNECTED, since)
    put(redis, "new")
    wait_answer(server, 0, "new", version=version)
    assert answer(server, "nobody", version=version) == BAD[version]


def test_it_is_not_there_at_the_start(start, redis, version):
    redis.kill()
    server = start(line=LOST)
    assert answer(server, "alice", version=version) == UNAVAILABLE[version]
    assert answer(server, "", token(), version=version) == 0
    redis.start()
    comes_back(server, redis, version, 0)


def test_who_is_refused_is_told_when_to_come_back(start, redis):
    redis.kill()
    server = start(line=LOST)
    with Connection(server.address, 5) as connection:
        connection.send(connect("c", 5, user="alice", password="secret"))
        refusal = connection.expect_kind(CONNACK)
    assert refusal.reason == UNAVAILABLE[5]
    name, value = dict(refusal.pairs)[USER_PROPERTY]
    assert name == "retry-after-ms" and int(value) >= 2000


@pytest.mark.threads
def test_killed(start, redis, version):
    put(redis, "alice")
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice:
        assert answer(server, "bob", version=version) == BAD[version]
        redis.kill()
        lost = server.wait_line(LOST)
        # What was kept could have been changed since.
        assert answer(server, "alice", version=version) == UNAVAILABLE[version]
        assert answer(server, "bob", version=version) == UNAVAILABLE[version]
        alice.expect_nothing_before_ping()
        redis.start()
        comes_back(server, redis, version, lost)
        alice.expect_nothing_before_ping()
    assert server.counter("authority_refused") >= 2


def test_what_is_kept_may_do_for_a_time(start, redis, version):
    put(redis, "alice")
    put(redis, "bob", disabled="1")
    server = start("--auth-stale-s", "3600")
    assert answer(server, "alice", version=version) == 0
    assert answer(server, "bob", version=version) != 0
    assert answer(server, "carol", version=version) == BAD[version]
    redis.kill()
    lost = server.wait_line(LOST)
    assert answer(server, "alice", version=version) == 0
    assert answer(server, "alice", "wrong", version=version) == BAD[version]
    assert answer(server, "bob", version=version) not in (0, UNAVAILABLE[version])
    # A refusal is not kept for that: carol may be there by now.
    assert answer(server, "carol", version=version) == UNAVAILABLE[version]
    redis.start()
    comes_back(server, redis, version, lost)


def test_what_is_kept_does_not_outlast_a_reload_that_says_so(start, redis, tmp_path, version):
    put(redis, "alice")
    file = tmp_path / "roost.yaml"
    file.write_text("auth_stale_s: 3600\n")
    server = start("--config", str(file))
    assert answer(server, "alice", version=version) == 0
    redis.kill()
    lost = server.wait_line(LOST)
    assert answer(server, "alice", version=version) == 0
    file.write_text("auth_stale_s: 0\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_line(r"\breloaded\b", lost)
    assert answer(server, "alice", version=version) == UNAVAILABLE[version]


@pytest.mark.threads
def test_hangs(start, redis, version):
    put(redis, "alice")
    server = start()
    with server.client("stays", version, user="", password=token()) as stays, \
            Connection(server.address, version) as waiting:
        os.kill(redis.process.pid, signal.SIGSTOP)
        try:
            waiting.send(connect("w", version, user="alice", password="secret"))
            server.wait_counter("authority_waiting", 1)
            # Others come in and are served meanwhile.
            stays.expect_nothing_before_ping()
            assert answer(server, "", token(), version=version) == 0
            assert waiting.expect_kind(CONNACK).reason == UNAVAILABLE[version]
            lost = server.wait_line("redis: users: .*no answer in.*trying again")
            assert answer(server, "alice", version=version) == UNAVAILABLE[version]
        finally:
            os.kill(redis.process.pid, signal.SIGCONT)
        comes_back(server, redis, version, lost)
        stays.expect_nothing_before_ping()
    server.wait_counter("authority_waiting", 0)


@pytest.mark.threads
@pytest.mark.parametrize("garbage", [b"HTTP/1.1 200 OK\r\n\r\n", bytes(range(256)), b"+OK\r\n", b":1\r\n", b"*-7\r\n",
                                     b"$99999999999999999999\r\n", b"-ERR out of order\r\n",
                                     b"*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n"],
                         ids=["http", "bytes", "word", "number", "negative", "huge", "error", "message"])
def test_garbage(start, redis, relay, version, garbage):
    put(redis, "alice")
    server = start(url=relay.url)
    assert answer(server, "alice", version=version) == 0
    relay.say(garbage)
    lost = server.wait_line(LOST)
    comes_back(server, redis, version, lost)


def test_the_connection_that_tells_of_changes_is_lost(start, redis, version):
    put(redis, "alice")
    server = start()
    assert answer(server, "alice", version=version) == 0
    redis.ask(("CLIENT", "KILL", "TYPE", "pubsub"))
    lost = server.wait_line(LOST)
    put(redis, "alice", "other")
    comes_back(server, redis, version, lost)
    assert answer(server, "alice", version=version) == BAD[version]
    assert answer(server, "alice", "other", version=version) == 0


def storm(server, user_of, version):
    coming = [Connection(server.address, version) for _ in range(STORM)]
    for number, connection in enumerate(coming):
        connection.send(connect(f"c{number}", version, user=user_of(number), password="secret"))
    return coming


@pytest.mark.threads
def test_many_with_the_same_user(start, redis, version):
    put(redis, "alice")
    server = start()
    os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        coming = storm(server, lambda _: "alice", version)
        server.wait_counter("authority_waiting", lambda waiting: waiting > STORM // 2)
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)
    answers = [connection.expect_kind(CONNACK).reason for connection in coming]
    for connection in coming:
        connection.close()
    assert set(answers) == {0}
    counters = server.counters()
    assert counters["authority_asked"] == 1 and counters["passwords_hashed"] <= 2


@pytest.mark.threads
def test_many_with_different_users(start, redis, version):
    for number in range(STORM):
        put(redis, f"u{number}")
    server = start()
    with server.client("stays", version, user="", password=token()) as stays:
        coming = storm(server, lambda number: f"u{number}", version)
        stays.expect_nothing_before_ping()
        answers = [connection.expect_kind(CONNACK).reason for connection in coming]
        stays.expect_nothing_before_ping()
    for connection in coming:
        connection.close()
    # Of one address so many passwords wait to be checked, and no more.
    assert set(answers) <= {0, BUSY[version]}
    assert answers.count(0) >= 128
    for number in range(0, STORM, 100):
        assert answer(server, f"u{number}", version=version) == 0
    assert server.counter("authority_asked") == STORM


@pytest.mark.threads
def test_a_storm_while_it_is_stopped(start, redis, version):
    server = start()
    with server.client("stays", version, user="", password=token()) as stays:
        os.kill(redis.process.pid, signal.SIGSTOP)
        try:
            coming = storm(server, lambda number: f"u{number}", version)
            stays.expect_nothing_before_ping()
            assert answer(server, "", token(), version=version) == 0
            answers = [connection.expect_kind(CONNACK).reason for connection in coming]
        finally:
            os.kill(redis.process.pid, signal.SIGCONT)
    for connection in coming:
        connection.close()
    assert set(answers) == {UNAVAILABLE[version]}
