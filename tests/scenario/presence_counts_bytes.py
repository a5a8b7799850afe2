"""Whoever hears of an end hears how many bytes the connection has carried, as the kernel counted them on the wire, however it
ended and whatever lay on top of TCP."""

import json
import socket

import pytest

from mqtt_wire import DISCONNECT
from presence_bytes import on_the_wire

pytestmark = pytest.mark.roost_only("the events are Roost's own")
DISCONNECTED = "$SYS/presence/disconnected"


def exchange(client):
    client.subscribe("echo")
    client.publish("echo", b"x" * 30000)
    assert client.message().payload == b"x" * 30000
    client.expect_nothing_before_ping()


def fin(client):
    client.socket.wire.shutdown(socket.SHUT_WR)


def reset(client):
    client.reset()


def silence(client):
    client.ends()


ENDS = pytest.mark.parametrize("end, reason", [(fin, "CONNECTION_LOST"), (reset, "CONNECTION_LOST"), (silence, "KEEPALIVE_TIMEOUT")],
                               ids=["fin", "reset", "silence"])


def told(watch):
    message = watch.take()
    assert message.topic == DISCONNECTED
    return json.loads(message.payload)


@ENDS
@pytest.mark.transports("tcp", "tls", "ws", "wss", "proxied")
def test_how_it_ends(serve, end, reason):
    server = serve("--shards", "2")
    with server.client("watch", 5) as watch:
        watch.subscribe((DISCONNECTED, 1))
        client = server.client("comes", 4, keepalive=1)
        exchange(client)
        sent, received = on_the_wire(client)
        assert sent > 30000 and received > 30000
        end(client)
        event = told(watch)
        assert (event["client"], event["reason"]) == ("comes", reason)
        assert (event["bytes_received"], event["bytes_sent"]) == (sent, received)
        client.close()


@ENDS
def test_sockets_beyond_the_table(serve, end, reason):
    server = serve("--connections", "1000", "--shards", "2", "--gates", "1", files_max=128)
    if not any("io_uring's tables" in line for line in server.lines):
        pytest.skip("the kernel, or its owner, has no io_uring for us")
    others = [server.client(f"c-{number}") for number in range(250)]
    with server.client("watch", 5) as watch:
        watch.subscribe((DISCONNECTED, 1))
        fixed = server.counter("connections_fixed")
        clients = [server.client(f"comes-{number}", 4, keepalive=1) for number in range(2)]
        server.wait_counter("connections_fixed", fixed + 2)
        for client in clients:
            exchange(client)
        wanted = {client.client_id: on_the_wire(client) for client in clients}
        for client in clients:
            end(client)
        for _ in clients:
            event = told(watch)
            assert event["reason"] == reason
            assert (event["bytes_received"], event["bytes_sent"]) == wanted[event["client"]]
    for client in (*others, *clients):
        client.close()


def test_an_older_connection_that_is_taken_over(serve):
    server = serve("--shards", "2")
    with server.client("watch", 5) as watch:
        watch.subscribe((DISCONNECTED, 1))
        older = server.client("same", 5)
        exchange(older)
        sent, received = on_the_wire(older)
        with server.client("same", 5):
            event = told(watch)
            assert event["reason"] == "TAKEN_OVER"
            assert (event["bytes_received"], event["bytes_sent"]) == (sent, received)
            assert older.packet().kind == DISCONNECT
        older.close()


@pytest.mark.transports("unix")
def test_a_unix_socket_has_none(serve):
    server = serve("--shards", "2")
    with server.client("watch", 5) as watch:
        watch.subscribe((DISCONNECTED, 1))
        server.client("comes", 5).disconnect()
        event = told(watch)
        assert not {"bytes_received", "bytes_sent"} & set(event)
        assert event["transport"] == "unix" and event["address"].startswith("unix:uid=")
