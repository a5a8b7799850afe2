"""A disk without room, or one that fails: new durable messages are refused, everything else goes on, operators see it, and it is
over by itself."""

import pytest

from disk import Disk
from mqtt_wire import CONNACK, PUBACK, PUBLISH, RECEIVE_MAXIMUM, SESSION_EXPIRY, connect
from server import roost
from store import Stored

FAULTS = {"full": (["write ENOSPC", "allocate ENOSPC"], "No space"), "broken": (["write EIO"], "Input/output error"),
          "broken at syncs": (["sync EIO"], "Input/output error")}


@pytest.fixture
def failing(serve, tmp_path):
    """With a session that has a message."""
    disk = Disk(tmp_path / "store", tmp_path)
    stored = Stored(serve, disk.directory, "--shards", "2", "--admin", "http://127.0.0.1:0", "--sys-interval-s", "1",
                    "--drain-ms", "1500", prefix=disk.prefix)
    stored.disk = disk
    stored.start()
    with stored.server.session("to", 5) as client:
        client.subscribe(("t", 1))
        client.disconnect()
    with stored.server.client("first", 5) as publisher:
        assert publisher.hand_over("t", b"before") == 0
    yield stored
    disk.work()


def find_out(stored, rules, words):
    """Returns when the store has met it; a message that was taken before waits for its acknowledgement."""
    begin = len(stored.server.lines)
    stored.disk.fail(*rules)
    stored.waiting = stored.server.client("waiting", 5)
    stored.waiting.publish("t", b"waiting", qos=1, packet_id=77)
    stored.server.wait_line(f"store: .*{words}", begin)


@pytest.mark.parametrize("name", FAULTS)
def test_what_goes_on_and_what_does_not(failing, name):
    server = failing.server
    with server.client("from", 5) as publisher, server.client("there", 5) as there, \
            server.session("to", 5, pairs=[(RECEIVE_MAXIMUM, 1)]) as to:
        there.subscribe(("zero", 0))
        publisher.hand_over("t", b"second")
        first = to.message()
        find_out(failing, *FAULTS[name])
        assert publisher.hand_over("t", b"refused") == 0x97
        assert publisher.hand_over("t", b"refused", qos=2) == 0x97
        publisher.publish("zero", b"x", qos=0)
        assert there.message().payload == b"x"
        failing.waiting.expect_nothing_before_ping()  # no acknowledgement either
        to.accept(first)
        assert [first.payload, to.take().payload] == [b"before", b"second"]
        # What was taken before the failure was found is passed on at once too.
        assert to.take().payload == b"waiting"
        begin = len(server.lines)
        failing.disk.work()
        assert failing.waiting.expect_kind(PUBACK).packet_id == 77
        server.wait_line("store: the device works again", begin)
        assert publisher.hand_over("t", b"after") == 0
        to.subscribe(("other", 0))  # with the answer all that it acknowledged is safe
    failing.waiting.close()
    with failing.again("crash").session("to", 5) as client:
        assert client.take().payload == b"after"
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("name", FAULTS)
def test_a_session_comes_back_when_it_is_over(failing, name):
    """Its CONNACK says that its new connection is in the store, as nothing is at the moment."""
    find_out(failing, *FAULTS[name])
    with failing.server.raw(5) as connection:
        connection.send(connect("to", 5, clean=False, pairs=[(SESSION_EXPIRY, 3600)]))
        failing.waiting.expect_nothing_before_ping()
        failing.disk.work()
        assert connection.expect_kind(CONNACK).session_present == 1
        assert connection.expect_kind(PUBLISH).payload == b"before"
    failing.waiting.close()


@pytest.mark.parametrize("name", FAULTS)
def test_operators_see_it(failing, name):
    rules, words = FAULTS[name]
    state = name.split()[0]
    find_out(failing, rules, words)
    server = failing.server
    admin = server.admin()
    assert f'roost_store_state{{state="{state}"}} 1' in admin.get("/metrics").text
    assert admin.get("/api/v1/stats").json["store"]["state"] == state
    assert admin.get("/api/v1/stats").json["store"]["failures"] >= 1
    # New clients are welcome still, as QoS 0 goes on.
    ready = admin.get("/ready")
    assert (ready.status, ready.json) == (200, {"status": "ready", "store": state})
    shown = roost("ctl", "--url", admin.url, "ready")
    assert state in shown.stdout, shown
    with server.client("watch") as watch:
        watch.subscribe("$SYS/broker/store/state")
        while watch.message().payload != state.encode():
            pass
    begin = len(server.lines)
    failing.disk.work()
    server.wait_line("store: the device works again", begin)
    assert 'roost_store_state{state="working"} 1' in admin.get("/metrics").text
    assert admin.get("/ready").json == {"status": "ready", "store": "working"}
    failing.waiting.close()


@pytest.mark.parametrize("name", FAULTS)
def test_killed_in_that_state(failing, name):
    find_out(failing, *FAULTS[name])
    failing.waiting.expect_nothing_before_ping()
    failing.server.crash()
    failing.waiting.close()
    failing.disk.work()
    with failing.start().session("to", 5) as client:
        assert client.take().payload == b"before"


@pytest.mark.parametrize("name", FAULTS)
def test_stopped_in_that_state(failing, name):
    """It waits for the disk as long as a stop may take, and says that something was not written."""
    find_out(failing, *FAULTS[name])
    assert failing.server.stop() < 10
    failing.waiting.close()
    assert [line for line in failing.server.lines if "could not be written" in line]
    failing.disk.work()
    with failing.start().session("to", 5) as client:
        assert client.take().payload == b"before"
