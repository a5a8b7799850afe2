"""Frames that break RFC 6455: the WebSocket is closed with the code that the standard has for it, the log names the fault, it is
counted, and nobody else notices. And frames that are unusual and in order."""

import contextlib

import pytest

from ends import PEACEFUL, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import CONNACK, PINGREQ_BYTES, PINGRESP_BYTES, Closed, connect, publish
from websocket_end import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, frame

pytestmark = [pytest.mark.roost_only("it looks at Roost's WebSockets"), pytest.mark.transports("ws", "wss")]

PROTOCOL, UNSUPPORTED = 1002, 1003


# name -> (bytes, error, close code)
BAD = {
    "not masked": (frame(BINARY, PINGREQ_BYTES, mask=None), "ws_mask", PROTOCOL),
    "a ping that is not masked": (frame(PING, b"x", mask=None), "ws_mask", PROTOCOL),
    "reserved bit 1": (frame(BINARY, PINGREQ_BYTES, reserved=4), "ws_reserved", PROTOCOL),
    "reserved bit 2": (frame(BINARY, PINGREQ_BYTES, reserved=2), "ws_reserved", PROTOCOL),
    "reserved bit 3": (frame(BINARY, PINGREQ_BYTES, reserved=1), "ws_reserved", PROTOCOL),
    **{f"opcode {opcode}": (frame(opcode, b"x"), "ws_reserved", PROTOCOL) for opcode in (3, 7, 11, 15)},
    "a ping of 126 bytes": (frame(PING, bytes(126)), "ws_control", PROTOCOL),
    "a pong of 126 bytes": (frame(PONG, bytes(126)), "ws_control", PROTOCOL),
    "a close of 126 bytes": (frame(CLOSE, close_payload(1000, bytes(124))), "ws_control", PROTOCOL),
    "a ping in two": (frame(PING, b"x", final=False), "ws_control", PROTOCOL),
    "a close in two": (frame(CLOSE, close_payload(1000), final=False), "ws_control", PROTOCOL),
    "a continuation without a start": (frame(CONTINUATION, PINGREQ_BYTES), "ws_continuation", PROTOCOL),
    "a start in the middle": (frame(BINARY, b"\xc0", final=False) + frame(BINARY, b"\x00"), "ws_continuation", PROTOCOL),
    "a continuation behind the last": (frame(BINARY, b"\xc0", final=False) + frame(CONTINUATION, b"\x00") + frame(CONTINUATION, PINGREQ_BYTES),
                                       "ws_continuation", PROTOCOL),
    "text": (frame(TEXT, b"hello"), "ws_text", UNSUPPORTED),
    "text of MQTT": (frame(TEXT, PINGREQ_BYTES), "ws_text", UNSUPPORTED),
    "text in two": (frame(TEXT, b"he", final=False) + frame(CONTINUATION, b"llo"), "ws_text", UNSUPPORTED),
    "a length of 16 bits that needs 7": (frame(BINARY, PINGREQ_BYTES, length_bytes=2), "ws_length", PROTOCOL),
    "a length of 64 bits that needs 16": (frame(BINARY, bytes(300), length_bytes=8), "ws_length", PROTOCOL),
    "a length of 2^63": (frame(BINARY, PINGREQ_BYTES, length_bytes=8, length=1 << 63), "ws_length", PROTOCOL),
    "a close of one byte": (frame(CLOSE, b"\x03"), "ws_close", PROTOCOL),
    **{f"a close with {code}": (frame(CLOSE, close_payload(code)), "ws_close", PROTOCOL) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000)},
}


def send(client, data):
    with contextlib.suppress(Closed, OSError):
        client.socket.send_raw(data)


@pytest.mark.parametrize("name", BAD)
def test_is_closed(server, name):
    data, error, code = BAD[name]
    with unnoticed(server), server.client("bad", 4) as client:
        who = name_of(client.socket)
        # What comes behind it in the same packet of TCP is not looked at.
        send(client, data + frame(BINARY, publish("bystander/own", b"behind")))
        assert all(packet.raw == PINGRESP_BYTES for packet in client.ends())
        assert client.socket.close_code == code
        assert '"bad"' in expect_end(server, error, who)
        server.wait_counter("connections_open", 1)


@pytest.mark.threads
@pytest.mark.parametrize("name", ["not masked", "reserved bit 1", "text", "a ping of 126 bytes", "a continuation without a start"])
def test_before_connect_too(server, name):
    data, error, code = BAD[name]
    with unnoticed(server), server.raw(4) as connection:
        who = name_of(connection.socket)
        send(connection, data)
        connection.expect_close()
        assert connection.socket.close_code == code
        expect_end(server, error, who)
        server.wait_counter("handshakes_open", 0)


def test_a_frame_longer_than_any_packet(server):
    """What MQTT says of it counts: the frame is no unit of its own, so that its length is nobody's limit."""
    with unnoticed(server), server.client("long", 5) as client:
        send(client, frame(BINARY, b"\x30\xff\xff\xff\x7f" + bytes(100), length_bytes=8, length=1 << 40))
        assert [packet.reason for packet in client.ends()] == [0x95]
        assert set(ends_of(server)) - PEACEFUL == {"end_packet_too_large"}


def test_fragments_without_end(server):
    """Empty ones, a hundred thousand: they cost nothing but their reading."""
    with unnoticed(server) as bystander, server.client("empty", 4) as client:
        send(client, frame(BINARY, b"\xc0", final=False))
        for _ in range(20):
            send(client, frame(CONTINUATION, b"", final=False) * 5000)
            bystander.expect_nothing_before_ping()
        send(client, frame(CONTINUATION, b"\x00"))
        client.expect(PINGRESP_BYTES)


def test_pings_whose_answers_are_not_read(serve):
    """Of those that the socket does not take the newest is kept, and no more."""
    server = serve("--stuck-timeout-ms", "60000")
    with unnoticed(server) as bystander, server.client("pings", 4, receive_buffer=4096) as client:
        before = server.resident_bytes()
        wire = client.socket.wire
        wire.settimeout(0)
        for _ in range(200):
            pings = client.socket.below.encode(frame(PING, bytes(125)) * 400)
            taken = False
            with contextlib.suppress(BlockingIOError):
                taken = wire.send(pings) == len(pings)
            if not taken:  # the rest would have to follow
                break
            bystander.expect_nothing_before_ping()
        assert server.resident_bytes() - before < 16 << 20


# ---- in order ----

@pytest.mark.threads
def test_frames_in_any_relation_to_packets(server):
    with server.client("any", 4) as client:
        client.socket.send_raw(frame(BINARY, PINGREQ_BYTES * 5000))  # many packets in one frame
        for _ in range(5000):
            client.expect(PINGRESP_BYTES)
        client.socket.send_raw(b"".join(frame(BINARY, bytes([byte])) for byte in PINGREQ_BYTES * 20))  # each byte by itself
        for _ in range(20):
            client.expect(PINGRESP_BYTES)
        # A packet in fragments, with empty ones and control frames between them.
        client.socket.send_raw(frame(BINARY, b"", final=False) + frame(CONTINUATION, b"\xc0", final=False) + frame(PING, b"in the middle")
                               + frame(CONTINUATION, b"", final=False) + frame(PONG, b"unasked") + frame(CONTINUATION, b"\x00"))
        client.expect(PINGRESP_BYTES)
        assert client.socket.pongs == [b"in the middle"]
        client.socket.send_raw(frame(BINARY, b"") * 10 + frame(BINARY, PINGREQ_BYTES))
        client.expect(PINGRESP_BYTES)


def test_cut_at_every_byte(server):
    """By TCP, heads of every length."""
    with server.client("cut", 4) as client:
        for size in (2, 200, 70000):
            data = frame(BINARY, PINGREQ_BYTES * (size // 2))
            for cut in [*range(0, 16), len(data) - 1]:
                client.socket.send_raw(data[:cut])
                client.socket.send_raw(data[cut:])
                for _ in range(size // 2):
                    client.expect(PINGRESP_BYTES)


@pytest.mark.threads
def test_connect_in_frames_of_a_byte(server, version):
    with server.raw(version) as connection:
        connection.socket.send_raw(b"".join(frame(BINARY, bytes([byte])) for byte in connect("bytes", version)))
        assert connection.packet().kind == CONNACK
        connection.expect_nothing_before_ping()


@pytest.mark.parametrize("payload", [b"", b"x", bytes(125)])
def test_ping_is_answered(server, payload):
    with server.client("pings", 4) as client:
        client.socket.send_raw(frame(PING, payload))
        client.expect_nothing_before_ping()
        assert client.socket.pongs == [payload]
    with server.raw(4) as connection:  # before CONNECT, too
        connection.socket.send_raw(frame(PING, payload) + frame(BINARY, connect("late", 4)))
        connection.expect_kind(CONNACK)
        assert connection.socket.pongs == [payload]


@pytest.mark.threads
@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999, None])
def test_close_is_answered(server, code):
    """With its own code; what was said before it counts."""
    with server.client("watch", 5) as watch, server.client("leaves", 5) as client:
        watch.subscribe("last")
        client.socket.send_raw(frame(BINARY, publish("last", b"word", 5)) + frame(CLOSE, close_payload(code, b"bye") if code else b""))
        assert client.ends() == []
        assert client.socket.close_code == code
        assert watch.message().payload == b"word"
        assert set(ends_of(server)) <= PEACEFUL


def test_what_comes_is_one_frame_a_write(server):
    """Not a frame for each few bytes: a message comes in one."""
    with server.client("reads", 4) as client:
        client.subscribe("t")
        before = client.socket.frames
        client.publish("t", b"x" * 1000)
        assert client.message().payload == b"x" * 1000
        assert client.socket.frames - before == 1
