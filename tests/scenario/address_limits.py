"""What one address may have: connections, handshakes, new ones a second. Those over it are closed before a byte is read, the
others notice nothing, and what is given back may be taken again."""

import contextlib
import socket
import time

import pytest

from mqtt_wire import TIMEOUT_S, Client, Closed, Connection, connect


def come_from(server, source, client_id, version=4):
    """A client of this source address; None: it was turned away."""
    client = Connection.__new__(Client)
    client.version, client.buffer, client.kept, client.last_packet_id = version, bytearray(), [], 0
    client.socket = socket.create_connection(server.address, 20, (source, 0))
    try:
        client.send(connect(client_id, version))
        assert client.packet().reason == 0
        return client
    except Closed:
        client.close()
        return None


def come_when_there_is_room(server, source, client_id, version):
    """A place is given back at the end of the turn in which its connection ended, a moment behind the counters."""
    deadline = time.monotonic() + TIMEOUT_S
    while (client := come_from(server, source, client_id, version)) is None:
        assert time.monotonic() < deadline, "its place was not given back"
        time.sleep(0.01)
    return client


@pytest.mark.threads
def test_connections(serve, version):
    server = serve("--shards", "2", "--gates", "2", "--address-connections-max", "3")
    clients = [come_from(server, "127.0.0.2", f"c{number}", version) for number in range(3)]
    assert None not in clients
    assert come_from(server, "127.0.0.2", "c3", version) is None
    with contextlib.closing(come_from(server, "127.0.0.3", "d", version)) as other:
        other.expect_nothing_before_ping()
    for way in ("disconnect", "close", "reset"):
        for _ in range(5):
            leaves = clients.pop()
            getattr(leaves, way)()
            server.wait_counter("connections_open", 2)
            clients.append(come_when_there_is_room(server, "127.0.0.2", f"c-{way}", version))
            assert come_from(server, "127.0.0.2", "over", version) is None
    for client in clients:
        client.close()
    server.wait_counter("end_address_connections", lambda count: count >= 16)


def test_a_take_over_gives_its_place_back(serve, version):
    server = serve("--address-connections-max", "2")
    client = come_from(server, "127.0.0.2", "same", version)
    for _ in range(10):
        newer = come_when_there_is_room(server, "127.0.0.2", "same", version)
        client.ends()
        client.close()
        server.wait_counter("connections_open", 1)
        client = newer
    client.close()


def test_refused_ones_give_their_places_back(serve, version):
    server = serve("--address-connections-max", "2", "--anonymous", "never")
    for number in range(20):
        with server.raw(version) as connection:
            connection.send(connect("c", version))
            connection.expect_connack_refusal({4: 5, 5: 0x87}[version])
        server.wait_counter("end_not_authorized", number + 1)
    server.wait_counter("end_address_connections", 0)


@pytest.mark.threads
def test_slow_handshakes_take_no_place_of_others(serve, version):
    """One address holds all the handshakes that it may, and they end in time; others come in meanwhile."""
    server = serve("--handshakes-max", "64", "--address-handshakes-max", "10", "--connect-timeout-ms", "1500",
                   "--no-defer-accept")
    slow = []
    for _ in range(100):
        connection = Connection.__new__(Connection)
        connection.version, connection.buffer = version, bytearray()
        connection.socket = socket.create_connection(server.address, 20, ("127.0.0.2", 0))
        with contextlib.suppress(Closed):
            connection.send(connect("slow", version)[:7])
        slow.append(connection)
    server.wait_counter("end_address_handshakes", 90)
    for number in range(20):
        with contextlib.closing(come_from(server, "127.0.0.3", f"c{number}", version)) as client:
            client.expect_nothing_before_ping()
    server.wait_counter("end_connect_timeout", 10)
    server.wait_counter("handshakes_open", 0)
    for connection in slow:
        connection.close()
    with contextlib.closing(come_from(server, "127.0.0.2", "late", version)) as client:
        client.expect_nothing_before_ping()


def test_rate(serve, version):
    server = serve("--address-rate", "1", "--address-burst", "9")
    clients = [come_from(server, "127.0.0.2", f"c{number}", version) for number in range(30)]
    inside = [client for client in clients if client]
    assert 10 <= len(inside) < 30
    assert clients[:10] == inside[:10]
    server.wait_counter("end_address_rate", 30 - len(inside))
    with contextlib.closing(come_from(server, "127.0.0.3", "other", version)) as client:
        client.expect_nothing_before_ping()
    for client in inside:
        client.expect_nothing_before_ping()
        client.close()


def test_a_prefix_is_one_address(serve, version):
    server = serve("--address-connections-max", "2", "--address-bits-v4", "24")
    clients = [come_from(server, f"127.0.0.{number}", f"c{number}", version) for number in (2, 3, 4)]
    assert [client is not None for client in clients] == [True, True, False]
    with contextlib.closing(come_from(server, "127.0.1.2", "other", version)) as client:
        client.expect_nothing_before_ping()
    for client in clients[:2]:
        client.close()


def test_exempt(serve, version):
    server = serve("--address-connections-max", "1", "--address-exempt", "127.0.0.8/29")
    clients = [come_from(server, "127.0.0.8", f"c{number}", version) for number in range(5)]
    assert None not in clients
    others = [come_from(server, "127.0.0.7", f"d{number}", version) for number in range(2)]
    assert [client is not None for client in others] == [True, False]
    clients.append(others[0])
    for client in clients:
        client.close()
