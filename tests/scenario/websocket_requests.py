"""Requests on a WebSocket listener: which ones are let in, and what the others are told. Each refusal is a short, proper HTTP
response, is named in the log and counted by its cause."""

import contextlib

import pytest

import transports
from ends import SENTENCES, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import connect
from tls_end import HANDSHAKE, client_hello, record
from websocket_end import BINARY, Refused, frame, open_over, read_response, request

pytestmark = [pytest.mark.roost_only("it looks at Roost's WebSockets"), pytest.mark.transports("ws", "wss")]


def below(server):
    """What lies beneath the WebSocket, open."""
    return transports.connect(server.address, timeout=20, layers=server.address.layers[:-1])


# name -> (request, status, error)
REFUSED = {
    "another path": (request(path="/other"), 404, "ws_path"),
    "a path within it": (request(path="/mqtt/x"), 404, "ws_path"),
    "another method": (request(method="POST"), 405, "ws_no_upgrade"),
    "a page": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, "ws_no_upgrade"),
    "no upgrade": (b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n", 426, "ws_no_upgrade"),
    "an upgrade to something else": (request(leave_out=("Upgrade",), more=[("Upgrade", "h2c")]), 426, "ws_no_upgrade"),
    "no Connection field": (request(leave_out=("Connection",)), {400, 426}, {"ws_no_upgrade", "ws_request"}),
    "HTTP/1.0": (request(http="HTTP/1.0"), 426, "ws_no_upgrade"),
    "version 8": (request(version="8"), 426, "ws_version"),
    "version 0": (request(version="0"), 426, "ws_version"),
    "no version": (request(leave_out=("Sec-WebSocket-Version",)), {400, 426}, {"ws_version", "ws_request"}),
    "no key": (request(leave_out=("Sec-WebSocket-Key",)), 400, "ws_request"),
    "a short key": (request(key="dGVzdA=="), 400, "ws_request"),
    "a key that is no base64": (request(key="!" * 24), 400, "ws_request"),
    "no host": (request(leave_out=("Host",)), 400, "ws_request"),
    "no subprotocol": (request(protocol=None), 400, "ws_protocol"),
    "other subprotocols": (request(protocol="chat, MQTT, stomp"), 400, "ws_protocol"),
    "a field without a colon": (request(more=[]).replace(b"Upgrade: websocket", b"Upgrade websocket"), 400, "ws_request"),
    "a null in a field": (request(more=[("X", "a\0b")]), 400, "ws_request"),
    "a folded field": (request(more=[("X", "a\r\n b")]), 400, "ws_request"),
    "fields of 20 KB": (request(more=[("Cookie", "x" * 20000)]), 431, "ws_request"),
    "a body": (request(more=[("Content-Length", "5")]) + b"hello", {400, 413}, "ws_request"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused(server, name):
    data, statuses, errors = REFUSED[name]
    with unnoticed(server), contextlib.closing(below(server)) as end:
        who = name_of(end)
        with contextlib.suppress(OSError):
            end.sendall(data)
        response, body = read_response(end)
        assert response.status in (statuses if isinstance(statuses, set) else {statuses})
        assert response.http == "HTTP/1.1" and response.fields["connection"].lower() == "close"
        size = int(response.fields["content-length"])
        while len(body) < size:
            got = end.recv(4096)
            assert got, body
            body += got
        assert len(body) == size < 1000 and end.recv(100) == b""
        if response.status == 426:
            assert response.fields["upgrade"] == "websocket" and response.fields["sec-websocket-version"] == "13"
        if isinstance(errors, set):
            server.wait_line("refused a connection")
            errors = next(error for error in errors if f"end_{error}" in ends_of(server))
        expect_end(server, errors, who)
        server.wait_counter("handshakes_open", 0)


@pytest.mark.parametrize("name, options", [
    ("mqttv3.1", {"protocol": "mqttv3.1"}), ("among others", {"protocol": "chat, mqtt"}), ("a query", {"path": "/mqtt?token=x"}),
    ("no Origin", {}), ("any Origin, where none is named", {"origin": "https://example.org"}),
    ("capitals", {"leave_out": ("Upgrade", "Connection"), "more": [("upgrade", "WebSocket"), ("CONNECTION", "keep-alive, UPGRADE")]}),
    ("compression", {"more": [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]}),
    ("cookies", {"more": [("Cookie", "x" * 4000)]}),
])
def test_is_let_in(server, name, options):
    with contextlib.closing(below(server)) as end:
        response, rest = open_over(end, **options)
        assert rest == b""
        wanted = options.get("protocol", "mqtt")
        assert response.fields["sec-websocket-protocol"] == ("mqtt" if "mqtt" in wanted.split(", ") else wanted)
        # Compression costs memory for each client, and is declined.
        assert "sec-websocket-extensions" not in response.fields
        end.sendall(frame(BINARY, connect("in", 4)))
        assert end.recv(100) == b"\x82\x04\x20\x02\x00\x00"


def test_frames_right_behind_the_request(server):
    """A client that does not wait for the answer."""
    with contextlib.closing(below(server)) as end:
        end.sendall(request() + frame(BINARY, connect("eager", 4)))
        response, rest = read_response(end)
        assert response.status == 101
        while len(rest) < 6:
            rest += end.recv(100)
        assert rest == b"\x82\x04\x20\x02\x00\x00"


def test_cut_at_every_byte(server):
    data = request()
    with unnoticed(server):
        for cut in range(1, len(data), 3):
            with contextlib.closing(below(server)) as end:
                end.sendall(data[:cut])
                end.sendall(data[cut:])
                assert read_response(end)[0].status == 101
            with contextlib.closing(below(server)) as end:  # and the rest never comes
                end.sendall(data[:cut])
        server.wait_counter("handshakes_open", 0)


@pytest.mark.parametrize("given, origin, is_let_in", [
    (["https://example.org"], "https://example.org", True),
    (["https://example.org", "https://example.com:8443"], "https://example.com:8443", True),
    (["https://example.org"], "http://example.org", False),
    (["https://example.org"], "https://example.org.evil.example", False),
    (["https://example.org"], "https://evil.example", False),
    (["https://example.org"], "null", False),
    (["https://example.org"], None, True),
    (["*"], "https://evil.example", True),
])
def test_origins(serve, given, origin, is_let_in):
    """Where some are named pages of others may not open a WebSocket; what sends no Origin is no browser."""
    server = serve(*[word for one in given for word in ("--websocket-origin", one)])
    address = server.address.over(*server.address.layers[:-1], transports.WebSocket(path="/mqtt", origin=origin))
    if is_let_in:
        server.client("in", to=address).close()
        return
    with pytest.raises(Refused) as refused:
        server.raw(to=address)
    assert refused.value.response.status == 403
    expect_end(server, "ws_origin")


def test_a_path_of_its_own(serve, transport):
    server = serve(listen=[f"{transport}://127.0.0.1:0/other/place"])
    assert server.urls[0].endswith("/other/place")
    server.client("in").close()
    with pytest.raises(Refused):
        server.raw(to=server.address.over(*server.address.layers[:-1], transports.WebSocket(path="/mqtt")))


def test_a_slow_request(serve):
    server = serve("--connect-timeout-ms", "400", "--no-defer-accept")
    with unnoticed(server):
        ends = [below(server) for _ in range(10)]
        for number, end in enumerate(ends):
            end.sendall(request()[:number * 10])
        for end in ends:
            with contextlib.suppress(OSError):
                while end.recv(4096):
                    pass
            end.close()
        server.wait_counter("end_connect_timeout", len(ends))


@pytest.mark.parametrize("name, data, words", [
    ("MQTT", connect("plain"), "MQTT"), ("TLS", record(HANDSHAKE, client_hello(), 0x0301), "TLS"), ("noise", bytes(range(128, 160)), "WebSocket")])
def test_what_is_no_http(server, name, data, words):
    """MQTT or TLS on a WebSocket's port is told from noise."""
    with unnoticed(server), contextlib.closing(below(server)) as end:
        who = name_of(end)
        with contextlib.suppress(OSError):
            end.sendall(data)
        with contextlib.suppress(OSError):
            while end.recv(4096):
                pass
        line = server.lines[server.wait_line("refused a connection")]
        assert who in line and words in line, line
        assert any(sentence in line for sentence in SENTENCES.values())
