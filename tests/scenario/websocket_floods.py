"""Frames without content, more than anyone needs: they never become work for the gate without end, and nobody else notices."""

import contextlib
import signal
import socket

import pytest

import transports
from ends import expect_end, name_of, unnoticed
from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES
from websocket_end import BINARY, CONTINUATION, PING, PONG, frame, open_over

pytestmark = [pytest.mark.roost_only("it looks at Roost's WebSockets"), pytest.mark.transports("ws", "wss")]

EMPTY = frame(BINARY) * 1000
FRAGMENTS = frame(BINARY, final=False) + frame(CONTINUATION, final=False) * 998 + frame(CONTINUATION)
PINGS = frame(PING, b"ping") * 1000


def below(server):
    """What lies beneath the WebSocket, open."""
    return transports.connect(server.address, timeout=20, layers=server.address.layers[:-1])


@contextlib.contextmanager
def asleep(server):
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


@pytest.mark.transports("ws")
@pytest.mark.parametrize("flood", [EMPTY, FRAGMENTS, PINGS], ids=["empty", "fragments", "pings"])
def test_before_connect(server, flood):
    """All of it is there at once when the gate looks: it reads some, and then no more."""
    with unnoticed(server), contextlib.closing(below(server)) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        who = name_of(end)
        open_over(end)
        with asleep(server):
            end.setblocking(False)
            rest = memoryview(flood * 1000)
            with contextlib.suppress(BlockingIOError):
                while rest:
                    rest = rest[end.send(rest):]
            assert rest
        expect_end(server, "connect_withheld", who)


@pytest.mark.parametrize("data", [EMPTY, FRAGMENTS, PINGS, frame(PONG) * 1000], ids=["empty", "fragments", "pings", "pongs"])
def test_signed_in(server, data):
    with unnoticed(server) as bystander, server.client("flooding", 4) as client:
        for _ in range(50):
            client.socket.send_raw(data)
        assert bystander.hand_over("bystander/own", b"meanwhile") == 0
        assert bystander.take().payload == b"meanwhile"
        # It is served as ever when it has something to say.
        client.socket.send_raw(frame(BINARY, PINGREQ_BYTES))
        assert client.packet().raw == PINGRESP_BYTES
