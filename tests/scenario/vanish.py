"""Thousands of clients that go away at every stage of their coming leave nothing behind."""

import pytest

from mqtt_wire import connect, subscribe

CLIENTS = 2000
STAGES = ("accepted", "half a connect", "connect", "signed in", "subscribed", "half a publish")


def come_so_far(server, number, stage, version):
    connection = server.raw(version)
    data = connect(f"vanish-{number}", version)
    if stage == "half a connect":
        connection.send(data[:len(data) // 2])
    elif stage != "accepted":
        connection.send(data)
    if stage in ("signed in", "subscribed", "half a publish"):
        assert connection.packet().reason == 0
    if stage == "subscribed":
        connection.send(subscribe(1, "all", f"own/{number}", "wild/+/#", version=version))
    if stage == "half a publish":
        connection.send(b"\x30\x7f\x00\x03all")
    return connection


@pytest.mark.threads
@pytest.mark.parametrize("how", ["close", "reset"])
def test_counters_return_to_nothing(server, how):
    with server.client("bystander", 5) as bystander:
        for number in range(CLIENTS):
            connection = come_so_far(server, number, STAGES[number % len(STAGES)], 4 + number % 2)
            getattr(connection, how)()
        server.wait_counter("connections_open", 1)
        server.wait_counter("handshakes_open", 0)
        server.wait_counter("subscriptions_open", 0)
        bystander.publish("all", b"x")
        bystander.expect_nothing_before_ping()
    counters = server.counters()
    # A reset may undo a connection before the server has accepted it.
    assert counters["connections_accepted"] <= CLIENTS + 1
    if how == "close":
        assert counters["connections_accepted"] == CLIENTS + 1


def test_all_at_once(server):
    connections = [come_so_far(server, number, "subscribed", 4) for number in range(500)]
    for connection in connections:
        assert connection.packet().codes == [0, 0, 0]
    server.wait_counter("connections_open", 500)
    server.wait_counter("subscriptions_open", 1500)
    with server.client("from", 4) as publisher:
        for index, connection in enumerate(connections):
            if index % 2:
                connection.reset()
            if index % 50 == 0:
                publisher.publish("all", b"x" * 1000)
        server.wait_counter("connections_open", 251)
        publisher.expect_nothing_before_ping()
    for connection in connections[::2]:
        for _ in range(10):
            assert connection.packet().topic == "all"
        connection.expect_nothing_before_ping()
        connection.close()
    server.wait_counter("connections_open", 0)
    server.wait_counter("subscriptions_open", 0)
