"""The wall clock is set while clients are there. It decides who may sign in, as tokens and revocations name a time of day; all
that counts seconds (keepalive, sessions, messages, what is left of a token that was good) goes on as if nothing had happened."""

import contextlib
import datetime
import time

import pytest

from fake_clock import FakeClock
from mqtt_wire import CONNACK, MESSAGE_EXPIRY, TIMEOUT_S, Connection, connect
from redis_server import Redis
from server import roost
from tokens import secret_file, token

HOUR = 3600
# Longer than a test, shorter than the jump.
WHILE_S = 600


@pytest.fixture
def clock(tmp_path):
    return FakeClock(tmp_path)


@pytest.fixture
def start(serve, clock, tmp_path):
    secret = secret_file(tmp_path)

    def run(*options):
        return serve("--shards", "2", "--token-secret-file", secret, "--token-leeway-s", "0", "--anonymous", "never",
                     "--admin", "http://127.0.0.1:0", *options, prefix=clock.prefix)

    return run


def refusal(server, version=5, **claims):
    """The CONNACK's code; 0: it was let in."""
    with Connection(server.address, version) as connection:
        connection.send(connect("asks", version, user="", password=token(left_s=10 * HOUR, **claims)))
        return connection.expect_kind(CONNACK).reason


def stamped_hours(server, begin):
    """How many hours the server's clock was off when it wrote the next line of its log from `begin` on."""
    line = server.lines[server.wait_line(r"^\d{4}-\d\d-\d\dT", begin)]
    stamp = datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00"))
    return round((stamp.timestamp() - time.time()) / HOUR)


def await_hours(server, hours):
    """libfaketime looks at its file once in a while. Each client that comes and goes makes a line in the log."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        begin = len(server.lines)
        refusal(server)
        if stamped_hours(server, begin) == hours:
            return
        assert time.monotonic() < deadline, "the server's clock does not follow"


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_what_counts_seconds_goes_on(start, clock, jump, version):
    server = start()
    good = {"user": "", "password": token(left_s=10 * HOUR)}
    with contextlib.ExitStack() as stack:
        def come(name, version=version, **options):
            return stack.enter_context(server.client(name, version, **{**good, **options}))

        away = server.session("away", version, expiry=WHILE_S, **good)
        away.subscribe(("t", 1))
        away.disconnect()
        away.close()
        publisher = come("from", 5)
        for topic in ("t", "kept"):
            publisher.hand_over(topic, b"x", retain=topic == "kept", pairs=[(MESSAGE_EXPIRY, WHILE_S)])
        quiet = come("quiet", keepalive=WHILE_S)
        # Good for less than the jump, and its session goes on for as long as was left of it.
        short = come("short", password=token(left_s=WHILE_S))
        ends = come("ends", password=token(left_s=4))
        silent = come("silent", keepalive=1)

        clock.set(jump)
        await_hours(server, jump // HOUR)
        quiet.expect_nothing_before_ping()
        short.expect_nothing_before_ping()
        back = stack.enter_context(server.session("away", version, expiry=WHILE_S, **good))
        assert back.connack.session_present
        message = back.take()
        assert message.payload == b"x"
        if version == 5:
            assert WHILE_S - 60 < message.properties[MESSAGE_EXPIRY] <= WHILE_S
        reader = come("reader")
        reader.subscribe("kept")
        assert reader.message().payload == b"x"
        # What is due after seconds is due after these.
        server.wait_counter("end_keepalive_timeout", 1)
        server.wait_counter("end_sign_in_expired", 1)
        for ended in (silent, ends):
            ended.ends()
        for there in (quiet, short, publisher, back, reader):
            there.expect_nothing_before_ping()
        counters = server.counters()
        assert counters["sessions_expired"] == counters["messages_expired"] == 0
        assert counters["connections_open"] == 5


def test_tokens_are_good_by_the_wall_clock(start, clock, version):
    bad = {4: 5, 5: 0x87}[version]
    server = start()
    now = int(time.time())
    soon, later = {"exp": now + WHILE_S}, {"nbf": now - 60}
    assert [refusal(server, version, **claims) for claims in (soon, later)] == [0, 0]
    clock.set(HOUR)
    await_hours(server, 1)
    assert [refusal(server, version, **claims) for claims in (soon, later)] == [bad, 0]
    clock.set(-HOUR)
    await_hours(server, -1)
    assert [refusal(server, version, **claims) for claims in (soon, later)] == [0, bad]
    clock.set(0)
    await_hours(server, 0)
    assert [refusal(server, version, **claims) for claims in (soon, later)] == [0, 0]
    counters = server.counters()
    assert counters["end_token_expired"] == counters["end_token_not_yet"] == 1


def test_revocations_end_by_the_wall_clock(start, clock, version, tmp_path):
    banned = {4: 5, 5: 0x8A}[version]
    server = start("--revocation-file", str(tmp_path / "revoked"))
    ended = roost("ctl", "--url", server.admin().url, "revoke", "user", "mallory", str(WHILE_S))
    assert ended.returncode == 0, ended.stderr
    for hours, wanted in ((0, banned), (-1, banned), (1, 0), (0, banned)):
        clock.set(hours * HOUR)
        await_hours(server, hours)
        assert refusal(server, version, sub="mallory") == wanted


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_redis_says_how_long(start, clock, jump, version):
    """Its revocations have no time of day, and outlast a jump."""
    redis = Redis()
    try:
        redis.write("user", "mallory", WHILE_S)
        server = start("--redis", redis.url, "--redis-rescan-s", "3600")
        server.wait_line(r"redis: in step, 1 revocation")
        clock.set(jump)
        server.wait_counter("redis_scans", 2)
        assert refusal(server, version, sub="mallory") == {4: 5, 5: 0x8A}[version]
        assert refusal(server, version, sub="alice") == 0
        redis.ask(("DEL", "roost:revoked:user:mallory"), ("PUBLISH", "roost:lifted", "user mallory"))
        deadline = time.monotonic() + TIMEOUT_S
        while refusal(server, version, sub="mallory") != 0:
            assert time.monotonic() < deadline, "it was not lifted"
            time.sleep(0.02)
        assert server.counter("redis_scans") == 2
    finally:
        redis.close()
