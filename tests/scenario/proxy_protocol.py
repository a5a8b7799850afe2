"""Connections that a balancer passes on with the PROXY protocol: the address that limits, logs and the API see is the client's
own. From configured networks a head is required, and from all others refused. Each fault is named in the log and counted."""

import contextlib
import socket

import pytest

import listeners
import proxy_heads as proxy
import transports
from ends import PEACEFUL, SENTENCES, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import CONNACK, Connection, Refused, connect
from tls_end import HANDSHAKE, client_hello, record

pytestmark = [pytest.mark.roost_only("it looks at Roost's proxies")]

# Whoever comes through a balancer is a stranger, even if that is on this machine.
ANYONE = ["--anonymous", "always"]
FROM_LOOPBACK = ["--proxy-from", "127.0.0.0/8", *ANYONE]
SCHEMES = ["tcp", "tls", "ws", "wss"]
CLIENT = "192.0.2.7"

HEADS = {
    "v1": proxy.v1(CLIENT),
    "v1 of version 6": proxy.v1("2001:db8::7", target="2001:db8::1"),
    "v2": proxy.v2(CLIENT),
    "v2 of version 6": proxy.v2("2001:db8::7"),
    "v2 with a checksum": proxy.v2(CLIENT, tlvs=proxy.tlv(proxy.AUTHORITY, "mqtt.example.org"), checksum=True),
    "v2 with TLVs": proxy.v2(CLIENT, tlvs=proxy.tlv(proxy.NOOP, bytes(200)) + proxy.tlv(0xEE, b"x") + proxy.tlv_ssl(common_name="sensor-17")),
}


@pytest.fixture
def proxied(serve):
    """proxied("wss", options...): a server whose one listener takes connections from loopback through a balancer."""
    def start(scheme="tcp", *options, **named):
        url = listeners.url_for(scheme)
        return serve("--shards", "2", "--admin", "http://127.0.0.1:0", *FROM_LOOPBACK, *options, listen=[url], **named)

    return start


def through(server, head):
    return server.address.over(transports.Proxied(head), *server.address.layers)


@pytest.mark.threads
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["v1", "v2", "v2 of version 6"])
def test_the_client_is_who_it_says(proxied, scheme, name):
    server = proxied(scheme)
    address = "[2001:db8::7]:40000" if "version 6" in name else f"{CLIENT}:40000"
    with server.client("told", 5, to=through(server, HEADS[name])) as client:
        assert server.admin().client("told")["address"] == address
        client.send(connect("again", 5))
        client.ends()
        assert f'{address}: client "told" ended: ' in server.lines[server.wait_line("ended:")]


@pytest.mark.parametrize("name", HEADS)
def test_cut_at_every_byte(proxied, name):
    """Each way of cutting gives the same; and where the rest never comes, nothing stays."""
    server = proxied("tcp", "--no-defer-accept")
    head = HEADS[name]
    hello = connect("cut", 4)
    whole = head + hello
    with unnoticed(server, to=through(server, HEADS["v2"])):
        cuts = [*range(1, min(len(whole), 140)), *range(140, len(whole), 37)]
        for cut in cuts:
            with Connection(server.address, 4) as connection:
                connection.send(whole[:cut])
                connection.send(whole[cut:])
                assert connection.expect_kind(CONNACK).reason == 0
            for end in ("close", "reset"):
                connection = Connection(server.address, 4)
                connection.send(head[:cut])
                getattr(connection, end)()
        with Connection(server.address, 4) as connection:  # each byte by itself
            for byte in whole:
                connection.send(bytes([byte]))
            assert connection.expect_kind(CONNACK).reason == 0
        server.wait_counter("handshakes_open", 0)
        server.wait_counter("connections_open", 1)
        assert set(ends_of(server)) <= PEACEFUL | {"end_taken_over"}


BAD = {
    "missing: MQTT": (connect("direct"), "proxy_missing"),
    "missing: TLS": (record(HANDSHAKE, client_hello(), 0x0301), "proxy_missing"),
    "missing: HTTP": (b"GET / HTTP/1.1\r\n\r\n", "proxy_missing"),
    "missing: noise": (bytes(range(200, 232)), "proxy_missing"),
    "a line that does not end": (b"PROXY TCP4 " + b"1" * 120, "proxy_malformed"),
    "a line that ends in a line feed": (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n", "proxy_malformed"),
    "an address that is none": (b"PROXY TCP4 192.0.2.777 192.0.2.1 1 2\r\n", "proxy_malformed"),
    "an address of the other version": (b"PROXY TCP4 2001:db8::7 192.0.2.1 1 2\r\n", "proxy_malformed"),
    "a port that is none": (b"PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n", "proxy_malformed"),
    "a port with a zero in front": (b"PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n", "proxy_malformed"),
    "a field too few": (b"PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n", "proxy_malformed"),
    "a field too many": (b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n", "proxy_malformed"),
    "two blanks": (b"PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n", "proxy_malformed"),
    "another protocol": (b"PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", "proxy_malformed"),
    "small letters": (b"proxy tcp4 192.0.2.7 192.0.2.1 1 2\r\n", "proxy_missing"),
    "version 3": (proxy.v2(CLIENT, version=3), "proxy_malformed"),
    "version 1 in version 2's form": (proxy.v2(CLIENT, version=1), "proxy_malformed"),
    "another command": (proxy.v2(CLIENT, command=2), "proxy_malformed"),
    "too short for its addresses": (proxy.v2(CLIENT, length=11), "proxy_malformed"),
    "longer than any": (proxy.v2(CLIENT, length=65535) + bytes(5000), "proxy_malformed"),
    "a TLV beyond the end": (proxy.v2(CLIENT, tlvs=b"\x02\x00\x09abc"), "proxy_malformed"),
    "half a TLV": (proxy.v2(CLIENT, tlvs=b"\x02\x00"), "proxy_malformed"),
    "a TLV of TLS that is too short": (proxy.v2(CLIENT, tlvs=proxy.tlv(proxy.SSL, b"\1")), "proxy_malformed"),
    "a wrong checksum": (proxy.v2(CLIENT, tlvs=proxy.tlv(proxy.CRC32C, b"\1\2\3\4")), "proxy_checksum"),
}


@pytest.mark.parametrize("name", BAD)
def test_is_refused(proxied, name):
    data, error = BAD[name]
    server = proxied()
    with unnoticed(server, to=through(server, HEADS["v2"])), Connection(server.address, 4) as connection:
        who = name_of(connection.socket)
        connection.send(data)
        connection.expect_close()
        expect_end(server, error, who)
        server.wait_counter("handshakes_open", 0)


@pytest.mark.parametrize("name", ["v1", "v2"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_from_strangers(serve, scheme, name):
    """A head that anybody could send says nothing: refused, and the address in the log is the sender's own."""
    server = serve("--proxy-from", "10.0.0.0/8", listen=[listeners.url_for(scheme)])
    with unnoticed(server), transports.connect(server.address, timeout=20, layers=()) as wire:
        who = name_of(wire)
        wire.sendall(HEADS[name])
        with contextlib.suppress(OSError):
            while wire.recv(4096):
                pass
        line = expect_end(server, "proxy_unexpected", who)
        assert CLIENT not in line


def test_both_kinds_of_networks(serve):
    """From some a head is required, and from others there is none."""
    server = serve("--proxy-from", "127.1.0.0/16", "--proxy-from", "127.2.0.1", *ANYONE)
    with server.client("direct", source="127.0.0.9") as direct:
        direct.expect_nothing_before_ping()
        for source in ("127.1.0.1", "127.1.255.7", "127.2.0.1"):
            server.client(source, source=source, to=through(server, HEADS["v2"])).close()
        with Connection(server.address, 4, source="127.2.0.1") as missing:
            missing.send(connect("direct"))
            missing.expect_close()
        expect_end(server, "proxy_missing")


@pytest.mark.threads
def test_limits_are_of_the_clients_address(proxied):
    """Not of the balancer's, from which all come."""
    server = proxied("tcp", "--address-connections-max", "2")
    with contextlib.ExitStack() as stack:
        for number in range(6):
            head = proxy.v2(f"192.0.2.{1 + number // 2}")
            stack.enter_context(server.client(f"c{number}", to=through(server, head)))
        with Connection(through(server, proxy.v2("192.0.2.1")), 4) as late:
            late.send(connect("late"))
            late.ends()
        assert "192.0.2.1:40000" in server.lines[server.wait_line("refused a connection")]
        server.client("another", to=through(server, proxy.v2("192.0.2.9"))).close()


def test_denied_networks_are_the_clients(proxied):
    server = proxied("tcp", "--address-denied", "192.0.2.0/24")
    with Connection(through(server, HEADS["v2"]), 4) as denied:
        with contextlib.suppress(Exception):
            denied.send(connect("denied"))
        denied.expect_close()
    assert f"{CLIENT}:40000" in server.lines[server.wait_line("refused a connection")]
    assert ends_of(server) == {"end_address_denied": 1}
    server.client("other", to=through(server, proxy.v2("198.51.100.1"))).close()


@pytest.mark.parametrize("head", [proxy.v2(command=proxy.LOCAL), proxy.v2(None), proxy.v1(family="UNKNOWN"), proxy.unix_head(),
                                  b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"])
def test_no_address_told(proxied, head):
    """LOCAL, UNKNOWN and unix: the client is served, and comes from where the socket says."""
    server = proxied()
    with server.client("local", to=through(server, head)) as client:
        assert server.admin().client("local")["address"] == name_of(client.socket)


@pytest.mark.parametrize("head, comes_in", [
    (proxy.v2("127.0.0.1"), True), (proxy.v2(command=proxy.LOCAL), True), (proxy.v2(CLIENT), False), (proxy.v2(None), False),
    (proxy.v1(family="UNKNOWN"), False), (proxy.unix_head(), False)])
@pytest.mark.parametrize("scheme", ["tcp", "unix"])
def test_who_is_on_this_machine(serve, scheme, head, comes_in):
    """Such clients need not sign in. Of one whose address the balancer does not tell, nobody knows where it is."""
    server = serve("--proxy-from", "127.0.0.0/8", "--proxy-from", "unix", "--anonymous", "loopback", listen=[listeners.url_for(scheme)])
    with Connection(through(server, head), 4) as client:
        client.send(connect("anonymous", 4))
        client.expect(bytes([CONNACK << 4, 2, 0, 0 if comes_in else 5]))


@pytest.mark.threads
@pytest.mark.parametrize("head", [b"", proxy.v2(command=proxy.LOCAL), proxy.v2(command=proxy.LOCAL, tlvs=proxy.tlv(proxy.NOOP, b"x"))])
def test_health_checks_are_no_faults(proxied, head):
    """A connection that is opened and closed, with a LOCAL head or without a word: no warning, and no fault is counted."""
    server = proxied("tcp", "--no-defer-accept", log_level="info")
    for end in ("close", "reset"):
        for _ in range(20):
            check = socket.create_connection(server.address, 20)
            check.sendall(head)
            if end == "reset":
                check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            check.close()
    server.wait_counter("connections_accepted", 40)
    server.wait_counter("handshakes_open", 0)
    assert set(ends_of(server)) <= {"end_connection_lost"}
    assert not [line for line in server.lines if "refused a connection" in line]


def test_a_head_that_never_ends(proxied):
    server = proxied("tcp", "--connect-timeout-ms", "400", "--no-defer-accept")
    with unnoticed(server, to=through(server, HEADS["v2"])):
        for size in (0, 1, 12, 20):
            with Connection(server.address, 4) as connection:
                connection.send(HEADS["v2"][:size])
                connection.expect_close()
        server.wait_counter("end_connect_timeout", 4)
        assert SENTENCES["connect_timeout"] in server.lines[server.wait_line("refused a connection")]


def test_two_heads(proxied):
    """The second is the client's, and no MQTT."""
    server = proxied()
    with Connection(through(server, HEADS["v2"]), 4) as connection:
        connection.send(proxy.v2("198.51.100.66"))
        connection.expect_close()
    line = server.lines[server.wait_line("refused a connection")]
    assert f"{CLIENT}:40000" in line and "198.51.100.66" not in line


RULES = "allow publish up/%u/#\nallow subscribe up/%u/#\n"


@pytest.fixture
def behind_tls(serve, tmp_path):
    """behind_tls("user"): a server behind a balancer that has ended TLS, and tells whose certificate it has checked."""
    def start(what):
        (tmp_path / "rules").write_text(RULES)
        entry = {"url": "tcp://127.0.0.1:0", "proxy_from": "127.0.0.1", "tls_identity_as": what}
        return serve(*listeners.configured(entry), "--rule-file", str(tmp_path / "rules"), "--no-allow-by-default", "--anonymous", "never",
                     listen=[])

    return start


def test_the_name_in_its_certificate_is_the_user(behind_tls):
    server = behind_tls("user")
    head = proxy.v2(CLIENT, tlvs=proxy.tlv_ssl(common_name="alice"))
    with server.client("device", 5, to=through(server, head)) as client:
        assert client.subscribe(("up/alice/x", 1)) == [1]
        assert client.subscribe("up/mallory/x")[0] >= 0x80


def test_the_name_in_its_certificate_is_the_client_id(behind_tls):
    server = behind_tls("client-id")
    head = proxy.v2(CLIENT, tlvs=proxy.tlv_ssl(common_name="alice"))
    server.client("alice", 5, to=through(server, head)).close()
    with pytest.raises(Refused):
        server.client("bob", 5, to=through(server, head))


@pytest.mark.parametrize("head", [
    proxy.v2(CLIENT),
    proxy.v2(CLIENT, tlvs=proxy.tlv_ssl(common_name="alice", verified=False)),
], ids=["without a certificate", "of one that is not trusted"])
def test_nobody_without_such_a_name(behind_tls, head):
    server = behind_tls("user")
    with pytest.raises(Refused):
        server.client("device", 5, to=through(server, head))
