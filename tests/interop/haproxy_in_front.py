"""HAProxy in front, as Debian has it: TLS ended there or passed on, the PROXY protocol in both versions with what it says of the
client, WebSockets, and health checks of every kind, of which nothing is complained."""

import pytest

import certificates
import transports
from ends import ends_of
from front import Haproxy
from mqtt_wire import connect

WORDS = ["--proxy-from", "127.0.0.0/8", "--anonymous", "always", "--admin", "http://127.0.0.1:0", "--shards", "2", "--no-defer-accept"]


def front(bind, server, mode="tcp", backend=""):
    return Haproxy(f"frontend clients\n    bind 127.0.0.1:{{port}} {bind}\n    mode {mode}\n    default_backend roost\n"
                   f"backend roost\n    mode {mode}\n    {backend}\n    server {server}\n")


def own_name(client):
    host, port = client.socket.getsockname()[:2]
    return f"{host}:{port}"


def exchange(client):
    client.subscribe(("t", 1))
    for payload in (b"x", b"y" * 100000):
        assert client.hand_over("t", payload) == 0
        assert client.take().payload == payload


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c,unique-id"])
@pytest.mark.parametrize("ended", [True, False])
def test_the_client_is_itself(serve, send, ended, version):
    """Whether TLS is ended in front or goes through: log and API have the client's own address."""
    server = serve(*WORDS, listen=["tcp://127.0.0.1:0" if ended else "tls://127.0.0.1:0"])
    bind = "ssl crt {pem} alpn mqtt" if ended else ""
    with front(bind, f"one 127.0.0.1:{server.port} {send}") as haproxy:
        with server.client("through", version, to=transports.Address(*haproxy.address, [transports.Tls(alpn="mqtt")])) as client:
            name = own_name(client)
            seen = server.admin().client("through")
            assert seen["address"] == name
            exchange(client)
            client.send(connect("again", version))
            client.ends()
        assert f' {name}: client "through" ended: ' in server.lines[server.wait_line("ended: second CONNECT")]


def test_what_the_balancer_knows_of_tls(serve):
    """The name in the certificate that it has checked, and the version and cipher."""
    server = serve(*WORDS, listen=["tcp://127.0.0.1:0"])
    bind = "ssl crt {pem} ca-file {ca} verify required"
    with front(bind, f"one 127.0.0.1:{server.port} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority") as haproxy:
        layer = transports.Tls(identity=certificates.authority().client("sensor-99"))
        with server.client("shows", 5, to=transports.Address(*haproxy.address, [layer])) as client:
            exchange(client)
            assert server.admin().client("shows")["address"] == own_name(client)


@pytest.mark.parametrize("scheme, ended", [("ws", True), ("ws", False), ("wss", True)])
def test_websockets(serve, scheme, ended, version):
    """In HTTP mode, so that it reads the upgrade; and passes TLS on of its own, too."""
    server = serve(*WORDS, listen=[f"{scheme}://127.0.0.1:0/mqtt"])
    again = "ssl verify required ca-file {ca} sni str(localhost) verifyhost localhost " if scheme == "wss" else ""
    with front("ssl crt {pem}" if ended else "", f"one 127.0.0.1:{server.port} {again}send-proxy-v2", mode="http",
               backend="timeout tunnel 60s") as haproxy:
        layers = [*([transports.Tls()] if ended else []), transports.WebSocket(path="/mqtt")]
        with server.client("web", version, to=transports.Address(*haproxy.address, layers)) as client:
            assert server.admin().client("web")["address"] == own_name(client)
            exchange(client)


CHECKS = {
    "LOCAL": "send-proxy-v2 check inter 50ms",
    "LOCAL of version 2, by itself": "check check-send-proxy inter 50ms send-proxy-v2",
    "version 1": "send-proxy check inter 50ms",
}


@pytest.mark.parametrize("name", CHECKS)
def test_health_checks(serve, name):
    """Twenty times a second: none is refused, none is in the log, the server is up and clients come through."""
    server = serve(*WORDS, listen=["tcp://127.0.0.1:0"], log_level="info")
    with front("", f"one 127.0.0.1:{server.port} {CHECKS[name]}") as haproxy:
        server.wait_counter("connections_accepted", lambda value: value >= 10)
        with server.client("through", 5, to=transports.Address(*haproxy.address)) as client:
            exchange(client)
            assert server.admin().client("through")["address"] == own_name(client)
        server.wait_counter("connections_accepted", lambda value: value >= 30)
    assert not [line for line in server.lines if "refused a connection" in line], server.log()
    assert set(ends_of(server)) <= {"end_connection_lost", "end_closed_by_client"}


@pytest.mark.parametrize("scheme", ["tcp", "tls", "wss", "ws"])
def test_plain_checks(serve, scheme):
    """Of TCP, without a head: opened and closed again, by an address that is no proxy here."""
    server = serve("--shards", "2", "--no-defer-accept", listen=[f"{scheme}://127.0.0.1:0" + ("/mqtt" if "ws" in scheme else "")], log_level="info")
    with front("", f"one 127.0.0.1:{server.port} check inter 50ms") as haproxy:
        # It resets the connection before that is complete, where the kernel lets it: the server need not hear of it.
        haproxy.wait_check("L4OK")
        with server.client("in", 5) as client:
            exchange(client)
    assert not [line for line in server.lines if "refused a connection" in line], server.log()
    assert set(ends_of(server)) <= {"end_connection_lost", "end_closed_by_client"}


def test_a_check_of_tls(serve):
    """check-ssl: a handshake, and no word behind it."""
    server = serve("--shards", "2", "--no-defer-accept", listen=["tls://127.0.0.1:0"], log_level="info")
    with front("", f"one 127.0.0.1:{server.port} check check-ssl verify required ca-file {{ca}} verifyhost localhost inter 50ms") as haproxy:
        server.wait_counter("tls_handshakes_full", lambda value: value >= 1)
        server.wait_counter("connections_accepted", lambda value: value >= 10)
        haproxy.wait_check("L6OK")
    assert not [line for line in server.lines if "refused a connection" in line], server.log()


def test_a_check_of_http(serve):
    """httpchk on a WebSocket's port gets a proper answer."""
    server = serve("--shards", "2", "--no-defer-accept", listen=["ws://127.0.0.1:0/mqtt"], log_level="info")
    with front("", f"one 127.0.0.1:{server.port} check inter 50ms", backend="option httpchk GET /mqtt\n    http-check expect status 426") as haproxy:
        server.wait_counter("connections_accepted", lambda value: value >= 10)
        haproxy.wait_check("L7OK")
        with server.client("in", 5) as client:
            exchange(client)
