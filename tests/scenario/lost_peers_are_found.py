"""Clients that are gone without a word, their packets dropped on the way, are found dead in time, with a keepalive or without:
what is shown as connected is connected, but for less than 0.7 %."""

import contextlib

import pytest

from mqtt_wire import Client
from namespaces import SERVER_ADDRESS, Namespaces

ALIVE, LOST = 270, 30
LIMIT = 0.007
STAYS, GOES = "10.213.0.3", "10.213.0.4"


@pytest.fixture
def namespaces():
    with Namespaces() as made:
        made.add_address(STAYS)
        made.add_address(GOES)
        yield made


def half_dead(counters):
    """Of those that are shown as connected and well, the part that is not there."""
    return (counters["clients_active"] - ALIVE) / counters["clients_active"]


@pytest.mark.parametrize("keepalive", [0, 2])
@pytest.mark.parametrize("traffic", [False, True])
def test_a_tenth_is_cut_off(serve, namespaces, keepalive, traffic):
    server = serve("--shards", "2", "--idle-probe-s", "1", "--grace-ms", "500", "--anonymous", "always",
                   prefix=namespaces.prefix, listen=[f"tcp://{SERVER_ADDRESS}:0"])
    address = SERVER_ADDRESS, server.port
    stay = namespaces.as_client(lambda: [Client(address, f"s{n}", source=STAYS, keepalive=0) for n in range(ALIVE)])
    go = namespaces.as_client(lambda: [Client(address, f"g{n}", source=GOES, keepalive=keepalive)
                                   for n in range(LOST)])
    if traffic:
        for client in [*stay, *go]:
            client.subscribe("news")
    server.wait_counter("connections_open", ALIVE + LOST)
    namespaces.cut(GOES)
    if traffic:
        stay[0].publish("news", b"x")
    # The last probe at 4 s, or one and a half keepalives, and the grace: all of them are found by then, on a slow machine too.
    server.wait_counter("clients_active", lambda count: count - ALIVE < LIMIT * count, timeout=10)
    counters = server.counters()
    assert half_dead(counters) < LIMIT
    server.wait_counter("connections_open", ALIVE)
    counters = server.counters()
    found = counters["end_peer_dead"] if keepalive == 0 else counters["end_keepalive_timeout"]
    assert found == LOST
    for client in stay:
        if traffic:
            assert client.message().payload == b"x"
        client.expect_nothing_before_ping()
    server.wait_counter("clients_active", ALIVE)
    for client in [*stay, *go]:
        with contextlib.suppress(OSError):
            client.close()


def test_a_session_of_one_that_is_lost_goes_on(serve, namespaces):
    """What it had under way is there when it comes back by another way."""
    server = serve("--idle-probe-s", "1", "--grace-ms", "500", "--anonymous", "always", prefix=namespaces.prefix,
                   listen=[f"tcp://{SERVER_ADDRESS}:0"])
    address = SERVER_ADDRESS, server.port

    def come(source):
        return Client(address, "same", source=source, clean=False, keepalive=0)

    lost = namespaces.as_client(lambda: come(GOES))
    lost.subscribe(("t", 1))
    namespaces.cut(GOES)
    back = namespaces.as_client(lambda: Client(address, "from", source=STAYS))
    back.hand_over("t", b"x")
    server.wait_counter("end_peer_dead", 1)
    server.wait_counter("sessions_offline", 1)
    client = namespaces.as_client(lambda: come(STAYS))
    assert client.connack.session_present
    assert client.take().payload == b"x"
    for connection in (lost, back, client):
        connection.close()
