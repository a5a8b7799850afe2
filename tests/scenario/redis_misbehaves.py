"""A Redis that was there and does not work any more: it hangs, answers with errors, sends garbage or without an end, or is
full. What was revoked stays so, others come in or not as configured, and when it is well again it is followed again."""

import os
import signal

import pytest

from mqtt_wire import CONNACK, Connection, connect
from redis_server import Redis, Relay

BANNED = 0x8A
SERVER_BUSY = 0x89
IN_STEP = r"redis: in step"
OTHERS_COME_IN = {"allow": 0, "refuse": SERVER_BUSY}
RESIDENT_BYTES_MAX = 400 << 20  # a sanitizer's own included


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


@pytest.fixture(params=["allow", "refuse"])
def policy(request):
    return request.param


def follow(serve, url, policy, revoked=1):
    server = serve("--shards", "2", "--redis", url, "--redis-unavailable", policy, "--redis-rescan-s", "3600")
    server.wait_line(f"in step, {revoked} revocations")
    return server


def answer(server, name):
    """The CONNACK's code."""
    with Connection(server.address, 5) as connection:
        connection.send(connect(name, 5))
        return connection.expect_kind(CONNACK).reason


def check_lost(server, policy):
    """As configured for those who are not known to be revoked; those who are stay out."""
    assert answer(server, "other") == OTHERS_COME_IN[policy]
    assert answer(server, "mallory") in (BANNED, OTHERS_COME_IN["refuse"])
    assert policy == "refuse" or answer(server, "mallory") == BANNED
    assert server.counter("redis_connected") == 0


def check_back(server, redis, since):
    """In step again: what is revoked from here on is heard of at once."""
    server.wait_line(IN_STEP, since)
    assert answer(server, "mallory") == BANNED
    with server.client("live", 5) as live:
        redis.revoke("client", "live", 60)
        live.expect_refusal(0x98)


@pytest.mark.threads
def test_hangs(serve, redis, policy):
    """It keeps its connections, and says nothing on them any more."""
    redis.write("client", "mallory")
    server = follow(serve, redis.url, policy)
    with server.client("stays", 5) as client:
        os.kill(redis.process.pid, signal.SIGSTOP)
        try:
            lost = server.wait_line("redis: .*no answer in.*trying again|redis: .*temporarily unavailable.*trying again")
            check_lost(server, policy)
        finally:
            os.kill(redis.process.pid, signal.SIGCONT)
        client.expect_nothing_before_ping()
        check_back(server, redis, lost)


@pytest.mark.threads
@pytest.mark.parametrize("garbage", [b"HTTP/1.1 200 OK\r\n\r\n", bytes(range(256)), b"+OK\r\n", b":1\r\n", b"*-7\r\n",
                                     b"$99999999999999999999\r\n", b"*1\r\n" * 100],
                         ids=["http", "bytes", "word", "number", "negative", "huge", "nested"])
def test_garbage(serve, redis, relay, policy, garbage):
    redis.write("client", "mallory")
    server = follow(serve, relay.url, policy)
    relay.say(garbage)
    lost = server.wait_line("redis: .*trying again")
    server.wait_counter("redis_losses", 1)
    check_back(server, redis, lost)


@pytest.mark.parametrize("announced", [b"$1000000000\r\n", b"*1000000000\r\n", b"*2\r\n$7\r\nmessage\r\n$1000000000\r\n"])
def test_answer_without_an_end(serve, redis, relay, policy, announced):
    """It costs no more memory than an answer may have."""
    redis.write("client", "mallory")
    server = follow(serve, relay.url, policy)
    relay.say(announced)
    for _ in range(100):
        relay.say(b"x" * (1 << 20))
    lost = server.wait_line("redis: .*trying again")
    assert server.resident_bytes() < RESIDENT_BYTES_MAX
    check_back(server, redis, lost)


@pytest.mark.parametrize("answer_with, told", [(b"-ERR out of order\r\n", "out of order"),
                                               (b"-" + b"x" * 100000 + b"\r\n", "xxx")], ids=["short", "long"])
def test_errors(serve, redis, relay, answer_with, told):
    redis.write("client", "mallory")
    server = follow(serve, relay.url, "allow")
    relay.say(answer_with)
    lost = server.wait_line(f"redis: .*{told}.*trying again")
    check_back(server, redis, lost)


@pytest.mark.threads
def test_wants_a_password_all_at_once(serve, redis, policy):
    redis.write("client", "mallory")
    server = follow(serve, redis.url, policy)
    redis.ask(("CONFIG", "SET", "requirepass", "secret"), ("CLIENT", "KILL", "TYPE", "pubsub"))
    lost = server.wait_line("redis: .*NOAUTH.*trying again")
    check_lost(server, policy)
    redis.ask(("CONFIG", "SET", "requirepass", ""))
    check_back(server, redis, lost)


def test_full_of_clients(serve, redis, policy):
    redis.write("client", "mallory")
    redis.ask(("CONFIG", "SET", "maxclients", "1"))
    server = serve("--shards", "2", "--redis", redis.url, "--redis-unavailable", policy)
    lost = server.wait_line("redis: .*max number of clients.*trying again")
    assert answer(server, "other") == OTHERS_COME_IN[policy]
    redis.ask(("CONFIG", "SET", "maxclients", "100"))
    check_back(server, redis, lost)


def test_full_of_data(serve, redis):
    """It takes no new keys; what it has is still read, and what is said on its channels still heard."""
    redis.write("client", "mallory")
    server = follow(serve, redis.url, "refuse")
    redis.ask(("CONFIG", "SET", "maxmemory", "1"))
    with pytest.raises(AssertionError, match="OOM"):
        redis.write("client", "live")
    with server.client("live", 5) as live:
        redis.ask(("PUBLISH", "roost:revoked", "client 60 live"))
        live.expect_refusal(0x98)
    assert answer(server, "live") == answer(server, "mallory") == BANNED
    assert server.counter("redis_losses") == 0
