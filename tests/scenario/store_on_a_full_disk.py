"""A store without room takes no more than it can keep, and loses nothing that it took. When there is room again it goes on by
itself."""

import contextlib

import pytest

from mqtt_wire import CONNACK, PUBACK, PUBREC, SESSION_EXPIRY, connect
from store import Stored, fill, small_disk

SIZE = 256 << 20
UNDER_WAY = 20  # messages of 100 KB


@pytest.fixture
def full(serve, tmp_path):
    """A store whose disk is full, with a session that has one message; and how to make room again."""
    with small_disk(tmp_path / "disk", SIZE) as disk:
        stored = Stored(serve, disk / "store", "--shards", "2", "--store-full", "refuse")
        stored.disk = disk
        stored.start()
        with stored.server.session("to", 5) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        with stored.server.client("first", 5) as publisher:
            assert publisher.hand_over("t", b"before") == 0
        yield stored
        # Its disk goes before the fixture of the server comes to it.
        if stored.server.process.poll() is None:
            stored.server.stop()


def fill_up(stored):
    """Returns once the store has found it out."""
    stored.ballast = fill(stored.disk)
    begin = len(stored.server.lines)
    with stored.server.client("filler", 5) as publisher:
        number = 0
        while publisher.hand_over(f"r/{number}", b"x" * 100000, retain=True) not in (0x97,):
            number += 1
            assert number < SIZE // 100000, "the disk does not fill up"
    stored.server.wait_line(r"store: .*No space", begin)
    return number


def make_room(stored):
    begin = len(stored.server.lines)
    stored.ballast.unlink()
    stored.server.wait_line(r"store: .*works again", begin)


def test_publishers_are_told(full):
    fill_up(full)
    with full.server.client("from", 5) as publisher:
        assert publisher.hand_over("t", b"x") == 0x97
        assert publisher.hand_over("t", b"x", qos=2) == 0x97
        assert publisher.hand_over("t", b"x", qos=0) == 0
        assert publisher.hand_over("r/0", b"", qos=0, retain=True) == 0
        publisher.expect_nothing_before_ping()
        make_room(full)
        while publisher.hand_over("t", b"after") == 0x97:
            pass
    assert full.server.counter("store_refused_messages") >= 2
    server = full.again("stop")
    with server.session("to", 5) as client:
        assert [client.take().payload for _ in range(2)] == [b"before", b"after"]


def test_sessions_and_subscriptions(full, version):
    fill_up(full)
    with full.server.raw(version) as connection:
        connection.send(connect("new", version, clean=False, pairs=[(SESSION_EXPIRY, 100)] if version == 5 else []))
        assert connection.expect_kind(CONNACK).reason == (0x97 if version == 5 else 3)
    with full.server.client("brief", version) as client:
        assert client.subscribe(("t", 1)) == [1]
    with full.server.session("to", 5) as client:
        assert client.connack.session_present == 1
        assert client.subscribe(("other", 1)) == [0x97]
        assert client.take().payload == b"before"
    assert full.server.counter("store_refused_sessions") >= 1
    assert full.server.counter("store_refused_subscriptions") >= 1


def test_who_cannot_be_told_waits(full):
    """A client of 3.1.1 is not read from until there is room, and its keepalive does not end it meanwhile."""
    fill_up(full)
    with full.server.client("from", 4, keepalive=1) as publisher:
        publisher.publish("t", b"waited", qos=1, packet_id=5)
        full.server.wait_counter("store_pauses", lambda value: value > 20)
        make_room(full)
        got = publisher.expect_kind(PUBACK)
        assert got.packet_id == 5


def test_all_wait_where_the_operator_wants_it(full):
    full.options = ("--shards", "2", "--store-full", "hold")
    full.again("stop")
    full.ballast = fill(full.disk)
    with full.server.client("from", 5) as publisher, full.server.client("other", 5) as other:
        number = answered = 0
        while full.server.counter("store_pauses") == 0:
            # No more under way than sockets hold: who is not read from cannot be written to for ever.
            if number - answered == UNDER_WAY:
                with contextlib.suppress(TimeoutError):
                    got = publisher.packet(0.1)
                    assert (got.kind, got.packet_id) == (PUBREC, answered % 60000 + 1) and got.reason in (0, 0x10)
                    answered += 1
                continue
            publisher.publish(f"r/{number}", b"x" * 100000, qos=2, packet_id=number % 60000 + 1, retain=True)
            number += 1
        other.publish("o", b"x", qos=0)
        other.expect_nothing_before_ping()
        make_room(full)
        for _ in range(answered, number):
            assert publisher.answer(PUBREC, _ % 60000 + 1).reason in (0, 0x10)


def test_nothing_that_was_acknowledged_is_lost(full):
    """Killed while the disk is full."""
    kept = fill_up(full)
    full.server.crash()
    full.ballast.unlink()
    server = full.start()
    with server.client("watch", 5) as client:
        client.subscribe(("r/+", 1))
        topics = {client.take().topic for _ in range(kept)}
        assert topics == {f"r/{number}" for number in range(kept)}
    with server.session("to", 5) as client:
        assert client.take().payload == b"before"


def test_what_is_needless_gives_its_room_back(full):
    """More goes through a session's queue than the disk takes, and the oldest is dropped: nobody has to make room."""
    begin = len(full.server.lines)
    with full.server.client("from", 5) as publisher:
        for _ in range(SIZE // 100000 * 3 // 2):
            publisher.hand_over("t", b"x" * 100000)
        full.server.wait_line(r"store: .*works again", begin)
        while publisher.hand_over("t", b"after") == 0x97:
            pass
