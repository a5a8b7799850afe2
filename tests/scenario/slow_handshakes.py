"""Connections that say their CONNECT a byte at a time, or nothing, from many addresses: each is ended in time, and whoever
says his at once comes in, also where they have taken every place that a gate has."""

import contextlib

import pytest

from mqtt_wire import Connection, connect

PLACES = 16
SLOW = 4 * PLACES
TIMEOUT_MS = 400


def slow_ones(server, version, said):
    slow = []
    for number in range(SLOW):
        connection = Connection(server.address, version, source=f"127.0.{1 + number // 200}.{1 + number % 200}")
        with contextlib.suppress(OSError):
            connection.socket.sendall(connect("slow", version)[:said])
        slow.append(connection)
    return slow


@pytest.mark.threads
@pytest.mark.parametrize("said", [0, 1, 9])
@pytest.mark.parametrize("defer", ["--defer-accept", "--no-defer-accept"])
def test_every_place_is_taken(serve, version, said, defer):
    server = serve("--shards", "2", "--handshakes-max", str(PLACES), "--connect-timeout-ms", str(TIMEOUT_MS), defer)
    with server.client("before", version) as before:
        slow = slow_ones(server, version, said)
        # In no more than the slow ones ahead of it are given: it need not be told how long, the wire's own limit says.
        with server.client("quick", version) as quick:
            quick.expect_nothing_before_ping()
            before.expect_nothing_before_ping()
        for connection in slow:
            connection.expect_close()
            connection.close()
        server.wait_counter("end_connect_timeout", SLOW)
        server.wait_counter("handshakes_open", 0)
        for number in range(PLACES):
            server.client(f"later-{number}", version).disconnect()


@pytest.mark.threads
def test_a_byte_at_a_time_from_all_of_them(serve, version):
    """Their bytes are looked at, and buy no time."""
    server = serve("--shards", "2", "--handshakes-max", str(PLACES), "--connect-timeout-ms", str(TIMEOUT_MS),
                   "--no-defer-accept")
    packet = connect("x" * 200, version)
    slow = slow_ones(server, version, 1)
    waiting = list(slow)
    for byte in packet[1:-1]:
        for connection in list(waiting):
            connection.socket.settimeout(0.002)
            try:
                connection.socket.sendall(bytes([byte]))
                if connection.socket.recv(1) == b"":
                    waiting.remove(connection)
            except TimeoutError:
                pass
            except OSError:
                waiting.remove(connection)
        if not waiting:
            break
    assert not waiting
    server.wait_counter("end_connect_timeout", SLOW)
    with server.client("quick", version) as quick:
        quick.expect_nothing_before_ping()
    for connection in slow:
        connection.close()
