"""The program is not replaced while the store's device fails or does not answer: that would hold up clients. It is when the
device works again."""

import signal

import pytest

from disk import Disk
from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES, PUBACK
from server import UPGRADED
from store import Stored

# Longer than the attempt, and than the time that the store is given to catch up.
SYNC_MS = 8000


@pytest.fixture
def stored(serve, tmp_path):
    """With a session that is away."""
    disk = Disk(tmp_path / "store", tmp_path)
    stored = Stored(serve, disk.directory, "--shards", "2", prefix=disk.prefix)
    stored.disk = disk
    stored.start()
    with stored.server.session("to", 5) as client:
        client.subscribe(("t", 1))
        client.disconnect()
    yield stored
    disk.work()


def refusal(server):
    begin = len(server.lines)
    server.process.send_signal(signal.SIGUSR2)
    line = server.lines[server.wait_line(UPGRADED, begin)]
    assert "not upgraded" in line, line
    return line


def was_refused(waiting):
    """Whether the store knew of the fault before the message came, and did not take it."""
    waiting.send(PINGREQ_BYTES)
    packet = waiting.packet()
    if packet.kind == PUBACK:
        assert packet.reason == 0x97
        waiting.expect(PINGRESP_BYTES)
        return True
    assert packet.raw == PINGRESP_BYTES
    return False


def check_upgraded_now(stored, waiting, refused=False):
    stored.disk.work()
    if not refused:
        assert waiting.expect_kind(PUBACK).packet_id == 77
    while refused and waiting.hand_over("t", b"waiting") != 0:
        pass
    stored.server.upgrade()
    with stored.server.session("to", 5) as client:
        assert client.take().payload == b"waiting"
        client.disconnect()
    with stored.again("crash").session("to", 5) as client:
        assert client.connack.session_present == 1


@pytest.mark.parametrize("rule, words", [("write EIO", "the store is broken: Input/output error"),
                                         ("write ENOSPC", "the store is full: No space left on device")])
def test_a_device_that_fails(stored, rule, words):
    with stored.server.client("from", 5) as waiting:
        begin = len(stored.server.lines)
        stored.disk.fail(rule, rule.replace("write", "allocate"))
        waiting.publish("t", b"waiting", qos=1, packet_id=77)
        stored.server.wait_line("store .*: a write failed", begin)
        assert words in refusal(stored.server)
        check_upgraded_now(stored, waiting, was_refused(waiting))


def test_a_device_that_does_not_answer(stored):
    with stored.server.client("from", 5) as waiting, stored.server.client("other", 5) as other:
        begin = stored.disk.size()
        stored.disk.fail(f"sync delay {SYNC_MS} 1")
        waiting.publish("t", b"waiting", qos=1, packet_id=77)
        stored.disk.wait(lambda record: record.kind == "write" and record.name.endswith(".log"), begin)
        assert "the store's device has not synced what was told" in refusal(stored.server)
        other.expect_nothing_before_ping()
        check_upgraded_now(stored, waiting)
