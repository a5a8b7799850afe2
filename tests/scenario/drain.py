"""A drain empties a server without a storm: `ready` says no first, clients end evenly over the time and are told where to go,
and no new ones are let in until it is cancelled."""

import json
import subprocess
import time

import pytest

from mqtt_wire import DISCONNECT, SERVER_REFERENCE, Closed, Will, connect
from server import ROOST, roost

pytestmark = pytest.mark.roost_only("it looks at Roost's admin side")


def ctl(server, *words):
    return roost("ctl", "--url", server.admin().url, *words)


def drain(server, *words):
    """Without waiting for its end."""
    begun = ctl(server, "drain", "--no-wait", "--json", *words)
    assert begun.returncode == 0, begun.stderr
    return json.loads(begun.stdout)


def state(server):
    return server.admin().get("/api/v1/drain").json


def test_ready_says_no_before_anything_else(administered):
    with administered.client("there", 5) as there:
        assert ctl(administered, "ready").returncode == 0
        assert drain(administered, "--grace", "3600")["state"] == "announced"
        ready = ctl(administered, "ready")
        assert ready.returncode == 1 and "drained" in ready.stderr
        there.expect_nothing_before_ping()
        with administered.client("new") as new:
            new.expect_nothing_before_ping()


@pytest.mark.transports("tcp", "tls", "ws", "wss")
@pytest.mark.parametrize("words, reason", [((), 0x8B), (("--server-reference", "other.example:1883"), 0x9C),
                                           (("--server-reference", "other.example:1883", "--moved"), 0x9D)])
def test_clients_are_told(administered, words, reason):
    server = administered
    watch = server.client("watch", 5)
    watch.subscribe("will")
    old = server.client("old", 4)
    # Its session goes on, elsewhere or later: its will is none of the drain's business.
    new = server.session("new", 5, will=Will("will", b"x"))
    drain(server, "--grace", "0", "--over", "1", *words)
    assert [packet for packet in old.ends() if packet.kind != 3] == []
    for client in (new, watch):
        (told,) = client.ends()
        assert (told.kind, told.reason) == (DISCONNECT, reason)
        assert told.properties.get(SERVER_REFERENCE) == ("other.example:1883" if words else None)
    server.wait_counter("connections_open", 0)
    assert state(server)["state"] == "drained"
    with server.raw(5) as late:
        late.send(connect("late", 5))
        refusal = late.packet()
        assert refusal.reason == (0x88 if reason == 0x8B else reason)
        assert refusal.properties.get(SERVER_REFERENCE) == ("other.example:1883" if words else None)
    with server.raw(4) as late:
        late.send(connect("late", 4))
        late.expect_connack_refusal(3)
    assert ctl(server, "drain", "--cancel").returncode == 0
    with server.session("new", 5) as back:
        assert back.connack.session_present == 1
    assert ctl(server, "ready").returncode == 0


def test_evenly_over_the_time(administered):
    """Of 200 clients, those that end in the first half of the time are about as many as in the second."""
    server = administered
    clients = [server.client(f"c-{n}", 5) for n in range(200)]
    began = time.monotonic()
    with subprocess.Popen([ROOST, "ctl", "--url", server.admin().url, "drain", "--grace", "0", "--over", "4"],
                          stdout=subprocess.PIPE, text=True) as shown:
        lines = shown.stdout.read().splitlines()
        assert shown.wait() == 0
    assert time.monotonic() - began >= 3.9
    assert lines[0].startswith("draining: ") and lines[-1].startswith("drained: 0 of ")
    left = [int(line.split()[1]) for line in lines]
    assert left == sorted(left, reverse=True)
    assert 40 < left[2] < 160, lines
    for client in clients:
        client.close()


def test_what_was_promised_comes_first(administered):
    """A client that has output to read gets the time to read it."""
    server = administered
    with server.client("slow", 5, receive_buffer=4096) as slow, server.client("from") as publisher:
        slow.subscribe(("t", 0))
        for n in range(40):
            publisher.hand_over("t", b"%d " % n + b"." * 20000, qos=1)
        drain(server, "--grace", "0", "--over", "1")
        publisher.ends()
        got = []
        with pytest.raises(Closed):
            while True:
                packet = slow.packet()
                got.append(int(packet.payload.split()[0]) if packet.kind == 3 else packet.reason)
        assert got == [*range(40), 0x8B]


def test_one_at_a_time_and_no_upgrade_meanwhile(administered):
    server = administered
    with server.client("there") as there:
        drain(server, "--over", "3600", "--grace", "3600")
        again = ctl(server, "drain")
        assert again.returncode == 1 and "drained already" in again.stderr
        refused = ctl(server, "upgrade")
        assert refused.returncode == 1 and "being drained" in refused.stderr
        server.process.send_signal(1)  # a reload leaves it as it is
        server.wait_line("reloaded")
        assert state(server)["state"] == "announced"
        assert ctl(server, "drain", "--cancel").returncode == 0
        assert state(server)["state"] == "none"
        there.expect_nothing_before_ping()


def test_a_stop_does_not_wait_for_it(administered):
    with administered.client("there", 5):
        drain(administered, "--over", "3600", "--grace", "0")
        assert administered.stop() < 20


@pytest.mark.parametrize("words", [("--over", "0"), ("--over", "x"), ("--grace", "-1"), ("now",)])
def test_arguments_that_are_wrong(administered, words):
    assert ctl(administered, "drain", *words).returncode == 2
    assert state(administered)["state"] == "none"


def test_moved_wants_to_know_where(administered):
    refused = ctl(administered, "drain", "--moved")
    assert refused.returncode == 1 and "server_reference" in refused.stderr
