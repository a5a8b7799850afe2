"""What becomes of clients while a gateway stops, is drained or replaced is told like anything else: a rule has it in its stream
afterwards, each event once and a client's in their order."""

import json
import signal

import pytest

from presence_bytes import on_the_wire
from redis_server import Redis
from rules import is_drained, wait_entries, wait_rule, works, write
from server import UPGRADE_TIMEOUT_S, UPGRADED, roost

pytestmark = [pytest.mark.roost_only("others have no such rules"), pytest.mark.transports("tcp")]
RULE = {"name": "presence", "topics": "$SYS/presence/#", "stream": "p", "fields": ["topic", "payload"]}
CLIENTS = 30


@pytest.fixture
def redis():
    one = Redis("--appendonly", "yes", "--appendfsync", "always")
    yield one
    one.close()


@pytest.fixture
def start(serve, tmp_path, redis):
    def begin():
        server = serve("--config", write(tmp_path, RULE, redis=redis.url), "--shards", "2", "--store", str(tmp_path / "store"),
                       "--admin", "http://127.0.0.1:0")
        wait_rule(server, "presence", works)
        return server

    return begin


def told(redis, count):
    """{client: [(event, reason), ...]}, in the stream's order."""
    found = {}
    for entry in wait_entries(redis, "p", count):
        payload = json.loads(entry[b"payload"])
        event = entry[b"topic"].decode().rpartition("/")[2]
        found.setdefault(payload["client"], []).append((event, payload.get("reason")))
    return found


def test_a_stop(start, redis):
    """The clients are ended when the rule works no more: their events wait in its session."""
    server = start()
    clients = [server.client(f"c-{number}") for number in range(CLIENTS)]
    server.stop()
    server = start()
    found = told(redis, 3 * CLIENTS)
    wait_rule(server, "presence", is_drained)
    assert found == {client.client_id: [("connected", None), ("disconnected", "SERVER_STOPPING"), ("session_ended", "SERVER_STOPPING")]
                     for client in clients}
    for client in clients:
        client.close()


def test_a_drain(start, redis):
    server = start()
    clients = [server.client(f"c-{number}") for number in range(CLIENTS)]
    assert roost("ctl", "--url", server.admin().url, "drain", "--no-wait", "--grace", "0", "--over", "1").returncode == 0
    for client in clients:
        client.ends()
    found = told(redis, 3 * CLIENTS)
    wait_rule(server, "presence", is_drained)
    assert found == {client.client_id: [("connected", None), ("disconnected", "DRAINED"), ("session_ended", "DRAINED")]
                     for client in clients}


def test_an_upgrade(start, redis):
    """Nobody is told to have gone for it, and connections go on counting."""
    server = start()
    clients = [server.client(f"c-{number}") for number in range(CLIENTS)]
    for client in clients:
        client.expect_nothing_before_ping()
    begin = len(server.lines)
    server.process.send_signal(signal.SIGUSR2)
    server.wait_line(UPGRADED, begin, timeout=UPGRADE_TIMEOUT_S)
    wanted = {}
    for client in clients:
        client.expect_nothing_before_ping()
        wanted[client.client_id] = on_the_wire(client)
        client.reset()
    found = told(redis, 3 * CLIENTS)
    wait_rule(server, "presence", is_drained)
    assert found == {client.client_id: [("connected", None), ("disconnected", "CONNECTION_LOST"), ("session_ended", "CONNECTION_LOST")]
                     for client in clients}
    for entry in wait_entries(redis, "p", 3 * CLIENTS):
        payload = json.loads(entry[b"payload"])
        if entry[b"topic"].endswith(b"/disconnected"):
            assert (payload["bytes_received"], payload["bytes_sent"]) == wanted[payload["client"]]
            assert payload["duration_s"] < 600


def test_take_overs_that_chase_each_other(start, redis):
    """Each connection's end stands before the next one's beginning."""
    server = start()
    older = None
    for _ in range(CLIENTS):
        newer = server.client("same")
        if older is not None:
            older.close()
        older = newer
    older.disconnect()
    found = told(redis, 3 * CLIENTS)["same"]
    wait_rule(server, "presence", is_drained)
    assert found[-2:] == [("disconnected", "CLOSED_BY_CLIENT"), ("session_ended", "CLOSED_BY_CLIENT")]
    assert found[:-2] == [("connected", None), ("disconnected", "TAKEN_OVER"), ("session_ended", "TAKEN_OVER")] * (CLIENTS - 1) + [
        ("connected", None)]
