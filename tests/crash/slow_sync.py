"""A sync that takes long holds up those who wait for it, and nobody else: shards never wait for the disk."""

import time

import pytest

from disk import Disk
from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES, PUBACK, PUBLISH
from store import Stored

SYNC_MS = 10000
SOON_S = SYNC_MS / 1000 / 4  # of an exchange that waits for no disk, on a machine with much else to do; what waits takes all of it


@pytest.fixture
def slow(serve, tmp_path):
    disk = Disk(tmp_path / "store", tmp_path)
    stored = Stored(serve, disk.directory, "--shards", "2", "--admin", "http://127.0.0.1:0", prefix=disk.prefix)
    stored.disk = disk
    stored.start()
    return stored


def answers(client):
    begin = time.monotonic()
    client.send(PINGREQ_BYTES)
    client.expect(PINGRESP_BYTES)
    return time.monotonic() - begin


def test_nothing_else_stands_still(slow):
    """Clients whose keepalive is far shorter than the sync: one that waits for it, one that does not, one that comes."""
    server, admin = slow.server, slow.server.admin()
    with server.session("away", 5) as away:
        away.subscribe(("t", 1))
        away.disconnect()
    with server.client("other", 5, keepalive=2) as other, server.client("from", 5, keepalive=2) as publisher:
        other.subscribe("zero")
        begin, began = slow.disk.size(), time.monotonic()
        slow.disk.fail(f"sync delay {SYNC_MS} 1")
        publisher.publish("t", b"kept", qos=1, packet_id=9)
        waits, slowest = True, 0
        while waits and time.monotonic() - began < 2 * SYNC_MS / 1000:
            # QoS 0 from a client of the same server to another, and pings of all.
            sent = time.monotonic()
            publisher.publish("zero", b"x", qos=0)
            assert other.message().payload == b"x"
            slowest = max(slowest, time.monotonic() - sent, answers(other))
            publisher.send(PINGREQ_BYTES)
            packets = [publisher.packet()]
            if packets[0].kind == PUBACK:
                waits = False
                packets.append(publisher.packet())
            assert packets[-1].raw == PINGRESP_BYTES
            server.client("comes", 5).disconnect()
            assert admin.get("/health").status == 200
            time.sleep(0.02)  # the rate of the load
        took = time.monotonic() - began
        assert SYNC_MS / 1000 <= took < SYNC_MS / 1000 + 5, took
        assert slow.disk.wait_fault("sync", begin).result == 0
        assert slowest < SOON_S, slowest
    counters = server.counters()
    assert counters["end_keepalive_timeout"] == 0
    assert counters["connections_open"] == 0 or server.wait_counter("connections_open", 0) == 0
    server = slow.again("crash")
    with server.session("away", 5) as away:
        assert away.take().payload == b"kept"


def test_killed_meanwhile(slow):
    """Nobody was told that it is safe, and what was before is."""
    with slow.server.session("away", 5) as away:
        away.subscribe(("t", 1))
        away.disconnect()
    with slow.server.client("from", 5) as publisher:
        publisher.hand_over("t", b"before")
        begin = slow.disk.size()
        slow.disk.fail(f"sync delay {SYNC_MS} 1")
        publisher.publish("t", b"during", qos=1, packet_id=9)
        # The write is there, the sync has begun, and its record comes when it ends.
        slow.disk.wait(lambda record: record.kind == "write", begin)
        publisher.expect_nothing_before_ping()
        slow.server.crash()
    slow.disk.work()
    with slow.start().session("away", 5) as away:
        assert away.take().payload == b"before"
        assert [packet.payload for packet in until_ping(away)] in ([], [b"during"])


def until_ping(client):
    client.send(PINGREQ_BYTES)
    packets = []
    while (packet := client.packet()).raw != PINGRESP_BYTES:
        assert packet.kind == PUBLISH
        packets.append(client.accept(packet))
    return packets


def test_stopped_meanwhile(slow):
    """A clean stop waits for it, and the message that waited is there."""
    with slow.server.session("away", 5) as away:
        away.subscribe(("t", 1))
        away.disconnect()
    with slow.server.client("from", 5) as publisher:
        begin = slow.disk.size()
        slow.disk.fail("sync delay 3000 1")
        publisher.publish("t", b"during", qos=1, packet_id=9)
        slow.disk.wait(lambda record: record.kind == "write", begin)
        slow.server.stop()
        assert slow.disk.wait_fault("sync", begin).result == 0  # it has ended; its record comes then
    slow.disk.work()
    with slow.start().session("away", 5) as away:
        assert away.take().payload == b"during"
