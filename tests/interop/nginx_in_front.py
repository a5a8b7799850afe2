"""nginx in front, as Debian has it: as an HTTP server that passes WebSockets on, with TLS ended there, and as a balancer of
connections (stream) with the PROXY protocol."""

import contextlib

import pytest

import transports
from front import Nginx
from mqtt_wire import connect
from websocket_end import Refused

HTTP = """http {
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {
        listen 127.0.0.1:{port} {listen};
        ssl_certificate {chain};
        ssl_certificate_key {key};
        location /mqtt {
            proxy_pass {upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            proxy_ssl_trusted_certificate {ca};
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_protocols TLSv1.2 TLSv1.3;
        }
    }
}
"""
STREAM = """stream {
    server {
        listen 127.0.0.1:{port} {listen};
        ssl_certificate {chain};
        ssl_certificate_key {key};
        proxy_pass 127.0.0.1:{roost};
        proxy_protocol {protocol};
    }
}
"""
WORDS = ["--proxy-from", "127.0.0.0/8", "--anonymous", "always", "--admin", "http://127.0.0.1:0", "--shards", "2"]


def exchange(client):
    client.subscribe(("t", 1))
    for payload in (b"x", b"y" * 100000):
        assert client.hand_over("t", payload) == 0
        assert client.take().payload == payload


@pytest.mark.parametrize("scheme, upstream", [("ws", "http"), ("wss", "https")])
@pytest.mark.parametrize("ended", [True, False])
def test_websockets(serve, scheme, upstream, ended, version):
    server = serve("--shards", "2", listen=[f"{scheme}://127.0.0.1:0/mqtt"])
    with Nginx(HTTP, listen="ssl" if ended else "", upstream=f"{upstream}://127.0.0.1:{server.port}") as nginx:
        layers = [*([transports.Tls()] if ended else []), transports.WebSocket(path="/mqtt")]
        with server.client("web", version, to=transports.Address(*nginx.address, layers)) as client:
            exchange(client)
            client.disconnect()
        server.wait_counter("connections_open", 0)


def test_what_is_refused_comes_through(serve):
    """nginx passes the answer on, as it is."""
    server = serve("--websocket-origin", "https://example.org", listen=["ws://127.0.0.1:0/mqtt"])
    with Nginx(HTTP, listen="", upstream=f"http://127.0.0.1:{server.port}") as nginx:
        for options, status in (({"origin": "https://evil.example"}, 403), ({"version": "8"}, 426), ({"protocol": None}, 400)):
            layer = transports.WebSocket(path="/mqtt", **options)
            with pytest.raises(Refused) as refused:
                transports.connect(transports.Address(*nginx.address, [layer]), timeout=20)
            assert refused.value.response.status == status
        layer = transports.WebSocket(path="/mqtt", origin="https://example.org")
        with server.client("in", 5, to=transports.Address(*nginx.address, [layer])) as client:
            exchange(client)


@pytest.mark.parametrize("scheme, ended", [("tcp", True), ("tcp", False), ("tls", False), ("wss", False)])
def test_the_client_is_itself(serve, scheme, ended, version):
    """As a balancer with PROXY of version 1, before or instead of TLS."""
    server = serve(*WORDS, listen=[f"{scheme}://127.0.0.1:0" + ("/mqtt" if "ws" in scheme else "")])
    with Nginx(STREAM, listen="ssl" if ended else "", roost=server.port, protocol="on") as nginx:
        layers = [transports.Tls()] if ended else server.address.layers
        with server.client("through", version, to=transports.Address(*nginx.address, layers)) as client:
            host, port = client.socket.getsockname()
            assert server.admin().client("through")["address"] == f"{host}:{port}"
            exchange(client)


def test_a_head_that_is_missing(serve):
    """Without `proxy_protocol on` the operator is told why nobody comes in."""
    server = serve(*WORDS, listen=["tcp://127.0.0.1:0"], log_level="info")
    with Nginx(STREAM, listen="", roost=server.port, protocol="off") as nginx:
        with contextlib.closing(transports.connect(nginx.address, timeout=20)) as wire:
            wire.sendall(connect("through"))
            assert wire.recv(100) == b""
    server.wait_line("refused a connection from 127.0.0.1:.*does not begin with a PROXY header")
    server.wait_counter("end_proxy_missing", 1)
