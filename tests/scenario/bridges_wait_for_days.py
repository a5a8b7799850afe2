"""A broker that is away for long: what the bridge has taken waits in the store, over restarts and crashes, and goes up in its
order; what is more than the queue holds is dropped, as the configuration says, and publishers wait for nothing."""

import time

import pytest

from bridges import Mosquitto, free_port, is_drained, wait_bridge, waits, write
from mqtt_wire import PUBACK, publish
from server import roost

pytestmark = pytest.mark.roost_only("others are told otherwise what to bridge")

MANY = 100000
WINDOW = 2000


@pytest.fixture
def begin(serve, tmp_path):
    def begin(bridge, **options):
        config = write(tmp_path, bridge, **options)
        return serve("--config", config, "--shards", "2", "--store", str(tmp_path / "data"), "--admin", "http://127.0.0.1:0",
                     log_level="info")

    return begin


def publish_many(server, first, count, payload=b""):
    """In windows, all of them acknowledged."""
    with server.client("from", 5) as sender:
        for at in range(first, first + count, WINDOW):
            numbers = range(at, min(at + WINDOW, first + count))
            sender.send(b"".join(publish("t", b"%d" % n + payload, version=5, qos=1, packet_id=n - at + 1) for n in numbers))
            for _ in numbers:
                assert sender.expect_kind(PUBACK).reason < 0x80


def wait_alone(server):
    """Until the bridge waits and its session here has no connection: nothing is in flight, which would be dropped last."""
    wait_bridge(server, "hq", waits)
    server.wait_counter("connections_internal", 0)


def backlog(count):
    return lambda bridge: waits(bridge) and bridge["backlog_messages"] == count


def test_very_many_messages_wait_and_go_up_in_order(opening, begin):
    broker = opening(Mosquitto)
    broker.stop()
    bridge = {"name": "hq", "url": broker.url, "up": ["t qos=1"], "inflight": 5000}
    server = begin(bridge)
    wait_bridge(server, "hq", waits)
    third = MANY // 4
    publish_many(server, 0, third)
    server.stop()
    server = begin(bridge)
    publish_many(server, third, third)
    server.crash()
    server = begin(bridge)
    wait_bridge(server, "hq", backlog(2 * third))
    publish_many(server, 2 * third, third)
    server.upgrade()
    publish_many(server, 3 * third, third)
    wait_bridge(server, "hq", backlog(MANY))
    broker.start()
    with broker.client("to") as receiver:
        receiver.subscribe(("t", 0))
        got = [int(receiver.take().payload) for _ in range(MANY)]
    assert got == list(range(MANY))
    bridge = wait_bridge(server, "hq", is_drained)
    assert bridge["sent"] == MANY and bridge["dropped_messages"] == 0


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
def test_a_full_queue_drops(opening, begin, policy):
    broker = opening(Mosquitto)
    broker.stop()
    server = begin({"name": "hq", "url": broker.url, "up": ["t qos=1"], "queue_messages": 1000, "when_full": policy},
                   queue_messages_max=10000)
    wait_alone(server)
    with server.client("here", 5) as here:
        here.subscribe(("t", 1))
        publish_many(server, 0, 3000)
        assert [int(here.take().payload) for _ in range(3000)] == list(range(3000))
    bridge = wait_bridge(server, "hq", backlog(1000))
    assert bridge["dropped_messages"] == 2000
    broker.start()
    with broker.client("to") as receiver:
        receiver.subscribe(("t", 0))
        got = [int(receiver.take().payload) for _ in range(1000)]
    assert got == (list(range(2000, 3000)) if policy == "drop_oldest" else list(range(1000)))


def test_bytes_count_too_and_a_reload_changes_the_bounds(opening, begin, tmp_path):
    broker = opening(Mosquitto)
    broker.stop()
    bridge = {"name": "hq", "url": broker.url, "up": ["t qos=1"], "queue_bytes": 1 << 20}
    server = begin(bridge)
    wait_alone(server)
    publish_many(server, 0, 2000, payload=b" " * 1000)
    full = wait_bridge(server, "hq", waits)
    assert 900 < full["backlog_messages"] < 1040 and full["dropped_messages"] == 2000 - full["backlog_messages"]
    write(tmp_path, {**bridge, "queue_messages": 100, "queue_bytes": 2 << 20})
    server.admin().post("/api/v1/reload")
    publish_many(server, 2000, 200, payload=b" " * 1000)
    # The reload opens the session again, and what is in flight then stays beyond the bounds.
    kept = wait_bridge(server, "hq", lambda one: waits(one) and one["backlog_messages"] in (100, 101))["backlog_messages"]
    broker.start()
    with broker.client("to") as receiver:
        receiver.subscribe(("t", 0))
        got = [int(receiver.take().payload) for _ in range(kept)]
    assert got[-100:] == list(range(2100, 2200))


def test_an_operator_drops_what_waits(opening, begin):
    """And the bridge takes messages again, though the broker is away."""
    port = free_port()
    server = begin({"name": "hq", "url": f"mqtt://127.0.0.1:{port}", "up": ["t qos=2"]})
    wait_bridge(server, "hq", waits)
    publish_many(server, 0, 10)
    wait_bridge(server, "hq", backlog(10))
    ended = roost("ctl", "--url", server.admin().url, "end-session", "$roost/bridge/hq")
    assert ended.returncode == 0, ended
    deadline = time.monotonic() + 30
    while wait_bridge(server, "hq", waits)["backlog_messages"] != 1:
        publish_many(server, 0, 1)
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_bridge_takes_messages_before_it_was_ever_connected(opening, begin):
    port = free_port()
    server = begin({"name": "hq", "url": f"mqtt://127.0.0.1:{port}", "up": ["t qos=2"]})
    bridge = wait_bridge(server, "hq", waits)
    assert bridge["last_error"] == "Connection refused" and bridge["connections"] == 0 and bridge["version"] is None
    publish_many(server, 0, 10)
    wait_bridge(server, "hq", backlog(10))
    server.crash()
    server = begin({"name": "hq", "url": f"mqtt://127.0.0.1:{port}", "up": ["t qos=2"]})
    wait_bridge(server, "hq", backlog(10))
