"""The wall clock jumps while a server with a store is away. It is all that a start knows of the time that has passed: what expires
by it meanwhile is gone, nothing gets more time than it was given, and a store is never refused for it."""

import pytest

from fake_clock import FakeClock
from mqtt_wire import MESSAGE_EXPIRY
from store import ENDS, Stored

HOUR = 3600
SHORT_S, LONG_S = 600, 100000


@pytest.fixture
def clock(tmp_path):
    return FakeClock(tmp_path)


@pytest.fixture
def timed(serve, clock, tmp_path):
    """Sessions and messages that last for some minutes, and for more than a day."""
    timed = Stored(serve, tmp_path / "store", "--shards", "2", prefix=clock.prefix)
    server = timed.start()
    for name, seconds in (("short", SHORT_S), ("long", LONG_S)):
        with server.session(name, 5, expiry=seconds) as client:
            client.subscribe(("t", 1))
            client.disconnect()
    publish(server, "first")
    return timed


def publish(server, name):
    with server.client("from", 5) as publisher:
        for seconds in (SHORT_S, LONG_S):
            assert publisher.hand_over("t", f"{name} {seconds}", pairs=[(MESSAGE_EXPIRY, seconds)]) == 0


def waiting(server, name, count):
    """[(payload, what is left of its time)], taken."""
    with server.session(name, 5, expiry=LONG_S) as client:
        assert client.connack.session_present == 1
        found = [(message.payload.decode(), message.properties[MESSAGE_EXPIRY]) for message in (client.take() for _ in range(count))]
        client.expect_nothing_before_ping()
        client.subscribe(("other", 0))  # with the answer all that was taken is safe
        client.disconnect()
    return found


@pytest.mark.parametrize("end", ENDS)
def test_forward_and_back_again(timed, clock, end):
    getattr(timed.server, end)()
    clock.set(HOUR)
    server = timed.start()
    with server.session("short", 5) as client:
        assert client.connack.session_present == 0
    publish(server, "second")
    getattr(timed.server, end)()
    clock.set(0)
    found = waiting(timed.start(), "long", 3)
    assert [payload for payload, _ in found] == [f"first {LONG_S}", f"second {SHORT_S}", f"second {LONG_S}"]
    assert all(left <= int(payload.split()[1]) for payload, left in found), found
    assert found[0][1] <= LONG_S - HOUR + 60


@pytest.mark.parametrize("end", ENDS)
def test_back(timed, clock, end):
    """Nothing has expired, and nothing lasts longer than it was to."""
    getattr(timed.server, end)()
    clock.set(-HOUR)
    server = timed.start()
    publish(server, "second")
    for name in ("short", "long"):
        found = waiting(server, name, 4)
        assert [payload for payload, _ in found] == [f"{which} {seconds}" for which in ("first", "second")
                                                     for seconds in (SHORT_S, LONG_S)]
        assert all(0 < left <= int(payload.split()[1]) for payload, left in found), found


@pytest.mark.parametrize("end", ENDS)
def test_back_and_forward_again(timed, clock, end):
    """That is no time at all: deadlines go on by the clock that was ahead."""
    getattr(timed.server, end)()
    clock.set(-HOUR)
    publish(timed.start(), "second")
    getattr(timed.server, end)()
    clock.set(0)
    found = waiting(timed.start(), "long", 4)
    assert [payload for payload, _ in found] == [f"{which} {seconds}" for which in ("first", "second")
                                                 for seconds in (SHORT_S, LONG_S)]
    assert all(0 < left <= int(payload.split()[1]) for payload, left in found), found
