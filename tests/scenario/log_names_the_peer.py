"""The log says from where those come who are refused or ended, in front of anything that they have said themselves, and what
it was that no MQTT client sends. Programs that shut out addresses by the log read it."""

import socket

import pytest

from mqtt_wire import Connection, connect
from tokens import password_line, private_file


def name_of(connection):
    host, port = connection.socket.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def test_a_wrong_password(serve, version, tmp_path):
    server = serve("--password-file", private_file(tmp_path / "passwords", password_line("alice", "secret")), log_level="info")
    with server.raw(version, source="127.0.0.9") as connection:
        name = name_of(connection)
        connection.send(connect("c", version, user="alice", password="guess"))
        assert connection.packet().reason != 0
        line = server.lines[server.wait_line("refused a connection")]
    assert f"refused a connection from {name}: user is not known, or the password is wrong" in line
    assert name.startswith("127.0.0.9:")


def test_of_version_6(serve, version):
    server = serve(listen=["tcp://[::1]:0"], log_level="info")
    with Connection(("::1", server.port), version, socket.AF_INET6) as connection:
        name = name_of(connection)
        connection.send(b"\x00")
        connection.expect_close()
        assert f"from {name}: " in server.lines[server.wait_line("refused a connection")]


def test_where_all_places_are_taken(serve, version):
    server = serve("--connections", "1", log_level="info")
    with server.client("first", version), server.raw(version) as late:
        name = name_of(late)
        late.send(connect("late", version))
        assert late.packet().reason != 0
        assert f"refused a connection from {name}: server holds" in server.lines[server.wait_line("refused a connection")]


BEGINNINGS = {
    "tls_unexpected": [b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x16\x03\x03"],
    "http_unexpected": [b"GET / HTTP/1.1\r\n\r\n", b"POST /x HTTP/1.0\r\n", b"HEAD / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                        b"CONNECT example.com:443 HTTP/1.1\r\n"],
    "proxy_unexpected": [b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12)],
}


@pytest.mark.parametrize("error, first", [(error, first) for error, several in BEGINNINGS.items() for first in several])
def test_other_protocols_are_named(serve, error, first):
    server = serve(log_level="info")
    with server.raw(4) as connection:
        name = name_of(connection)
        connection.send(first)
        connection.expect_close()
        line = server.lines[server.wait_line("refused a connection")]
    word = error.split("_")[0].upper()
    assert f"from {name}: " in line and word in line
    server.wait_counter(f"end_{error}", 1)


@pytest.mark.parametrize("first", [b"GO", b"\x16\x04", b"PROX", b"\r\n", b"\xe0\x00"])
def test_what_only_looks_like_it_is_not(serve, first):
    server = serve()
    with server.raw(4) as connection:
        connection.send(first)
        connection.expect_close()
    counters = server.counters()
    assert sum(counters.get(f"end_{error}", 0) for error in BEGINNINGS) == 0


def test_a_client_that_is_ended(serve, version):
    server = serve("--shards", "2", log_level="info")
    with server.client('x" ended', version) as client:
        name = name_of(client)
        client.send(connect("again", version))
        client.ends()
        line = server.lines[server.wait_line("ended:")]
    assert f' {name}: client "x" ended" ended: ' in line


@pytest.mark.parametrize("shards", ["1", "2"])
def test_a_client_that_is_gone_by_then(serve, version, shards):
    """A reset behind its fault hides nobody."""
    server = serve("--shards", shards, log_level="info")
    for number in range(20):
        client = server.client(f"c{number}", version)
        name = name_of(client)
        client.send(connect("again", version))
        client.reset()
        assert f' {name}: client ' in server.lines[server.wait_line(f'client "c{number}" ended: second CONNECT')]


def test_a_client_whose_socket_is_in_fixed_files(serve, version):
    server = serve("--shards", "1", "--connections", "1000", "--no-defer-accept", files_max=100)
    clients = [server.client(f"c{number}", version) for number in range(90)]
    if server.counter("connections_fixed") == 0:
        pytest.skip("the kernel has no fixed files for us")
    last = clients[-1]
    name = name_of(last)
    last.send(connect("again", version))
    last.ends()
    assert f' {name}: client "c89" ended: ' in server.lines[server.wait_line('client "c89" ended:')]
    for client in clients:
        client.close()
