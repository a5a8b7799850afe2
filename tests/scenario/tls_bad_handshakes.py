"""What comes to a TLS port and is no handshake, or a broken one: each is refused with an alert where TLS has one for it, told in
the log in a sentence that names the cause, and counted by it. Who is there already notices nothing."""

import contextlib
import os
import socket
import ssl
from pathlib import Path

import pytest

import certificates
import transports
from ends import SENTENCES, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import Closed, connect
from tls_end import (ALERT, CHANGE_CIPHER_SPEC, DATA, DECODE_ERROR, HANDSHAKE, ILLEGAL_PARAMETER, RECORD_OVERFLOW, TLS12, UNEXPECTED_MESSAGE,
                     client_hello, handshake_message, plain_alert, record)

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls", "wss")]

HELLO = record(HANDSHAKE, client_hello(), 0x0301)


def open_wire(server, **options):
    return transports.connect(server.address, timeout=20, layers=(), **options)


def say(wire, data):
    with contextlib.suppress(OSError):
        wire.sendall(data)


# name -> (bytes, error, alerts of which one may come, None: none)
BAD = {
    "plain MQTT": (connect("plain"), "tls_plain_mqtt", {None}),
    "plain MQTT of version 5": (connect("plain", 5), "tls_plain_mqtt", {None}),
    "plain HTTP": (b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\n\r\n", "tls_plain_http", {None}),
    "plain HTTP, posted": (b"POST / HTTP/1.1\r\n\r\n", "tls_plain_http", {None}),
    "a PROXY head of nobody's": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + HELLO, "proxy_unexpected", {None}),
    "no TLS at all": (b"\x00\x01\x02\x03" * 20, "tls_not_tls", {None}),
    "a line of text": (b"EHLO example.org\r\n", "tls_not_tls", {None}),
    "SSL 2": (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40), "tls_version", {None}),
    "a record of 65,535 bytes": (record(HANDSHAKE, b"\x01" + bytes(60000), length=65535), "tls_record_length", {None, RECORD_OVERFLOW}),
    "an empty record": (record(HANDSHAKE, b"") + HELLO, "tls_record_length", {None}),
    "data before the handshake": (record(DATA, connect("early")), "tls_not_tls", {None, UNEXPECTED_MESSAGE}),
    "an alert before the handshake": (record(ALERT, b"\x02\x28"), "tls_not_tls", {None}),
    "a Finished for a hello": (record(HANDSHAKE, handshake_message(20, bytes(32))), "tls_not_tls", {None}),
    "a hello of nothing": (record(HANDSHAKE, handshake_message(1, b"")), "tls_handshake", {DECODE_ERROR}),
    "a hello with a rest": (record(HANDSHAKE, handshake_message(1, client_hello()[4:] + b"\0" * 7)), "tls_handshake", {DECODE_ERROR}),
    "a hello twice": (HELLO + record(HANDSHAKE, client_hello(), TLS12), "tls_record_type", {None}),  # its alert is sealed
    "a hello of 200 KB": (record(HANDSHAKE, handshake_message(1, bytes(16000), length=200000)) + record(HANDSHAKE, bytes(16384)) * 12,
                          "tls_handshake_bytes", {ILLEGAL_PARAMETER}),
    "a name that is none": (record(HANDSHAKE, client_hello(name=b"a" * 300)), "tls_handshake", {112, DECODE_ERROR}),
}


@pytest.mark.parametrize("name", BAD)
def test_is_refused(server, name):
    data, error, alerts = BAD[name]
    with unnoticed(server), open_wire(server) as wire:
        who = name_of(wire)
        say(wire, data)
        alert = plain_alert(wire)
        assert alert in alerts, alert
        expect_end(server, error, who)
        server.wait_counter("handshakes_open", 0)


def test_cut_at_every_byte_and_closed(server):
    """Nothing stays of them."""
    cuts = [*range(0, 60), *range(60, len(HELLO), 17)]
    with unnoticed(server):
        for size in cuts:
            for end in ("close", "reset"):
                wire = open_wire(server)
                say(wire, HELLO[:size])
                if end == "reset":
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                wire.close()
        server.wait_counter("handshakes_open", 0)
        assert sum(ends_of(server).values()) <= 2 * len(cuts)
        server.wait_counter("connections_open", 1)


@pytest.mark.parametrize("at", [0, 1, 3, 5, 6, 9, 11, 43, 44, 46, 80, 100])
def test_one_byte_is_wrong(server, at):
    """Wherever it is: the hello is refused, or the change had no meaning and the handshake goes on; never more than that."""
    with unnoticed(server):
        for flip in (0x01, 0x80, 0xFF):
            with open_wire(server) as wire:
                spoilt = bytearray(HELLO)
                spoilt[at] ^= flip
                say(wire, bytes(spoilt))
                wire.shutdown(socket.SHUT_WR)
                plain_alert(wire)
        server.wait_counter("handshakes_open", 0)


def test_random_bytes_behind_the_head(server):
    with unnoticed(server):
        for _ in range(50):
            with open_wire(server) as wire:
                say(wire, record(HANDSHAKE, os.urandom(200), 0x0301))
                wire.shutdown(socket.SHUT_WR)
                plain_alert(wire)
        server.wait_counter("handshakes_open", 0)


def hello_answered(server):
    """A wire whose hello was answered: the server waits for Finished."""
    wire = open_wire(server)
    wire.sendall(HELLO)
    assert wire.recv(1) == bytes([HANDSHAKE])
    return wire


@pytest.mark.parametrize("name, data", [
    ("noise for a Finished", record(CHANGE_CIPHER_SPEC, b"\1") + record(DATA, bytes(53))),
    ("no change cipher spec", record(CHANGE_CIPHER_SPEC, b"\2")),
    ("MQTT in the clear", connect("early")),
    ("an overlong record", record(DATA, b"", length=16384 + 257) + bytes(16384 + 257)),
    ("a record too short for its tag", record(DATA, bytes(8))),
])
def test_broken_behind_the_hello(server, name, data):
    with unnoticed(server), hello_answered(server) as wire:
        who = name_of(wire)
        say(wire, data)
        plain_alert(wire)
        line = server.lines[server.wait_line("refused a connection")]
        assert who in line and "TLS" in line and any(sentence in line for error, sentence in SENTENCES.items() if error.startswith("tls_"))
        ends = {key for key in ends_of(server) if key not in ("end_connection_lost",)}
        assert len(ends) == 1 and next(iter(ends)).startswith("end_tls_"), ends


@pytest.mark.parametrize("alert", [40, 42, 46, 48, 80])
def test_the_client_says_no(server, alert):
    """With an alert in the clear, as it may before it has keys."""
    with unnoticed(server), hello_answered(server) as wire:
        who = name_of(wire)
        say(wire, record(ALERT, bytes([2, alert])))
        plain_alert(wire)
        expect_end(server, "tls_certificate_refused" if alert in (42, 46, 48) else "tls_alert", who)


def test_a_client_that_leaves_in_the_handshake(server):
    with unnoticed(server):
        for _ in range(20):
            hello_answered(server).close()
        server.wait_counter("handshakes_open", 0)
        assert not [key for key in ends_of(server) if key not in ("end_connection_lost", "end_closed_by_client")]


# ---- slow ones ----

TIMEOUT_MS = 500


@pytest.mark.threads
@pytest.mark.parametrize("said", [0, 1, 5, 100, len(HELLO)])
def test_silent_in_the_middle(serve, said):
    """They end at the limit of handshakes, whatever they have said."""
    server = serve("--shards", "2", "--tls-handshake-timeout-ms", str(TIMEOUT_MS), "--no-defer-accept")
    with unnoticed(server):
        wires = [open_wire(server) for _ in range(10)]
        for wire in wires:
            say(wire, HELLO[:said])
        for wire in wires:
            with contextlib.suppress(OSError):
                while wire.recv(1 << 16):
                    pass
            wire.close()
        server.wait_counter("end_tls_handshake_timeout", len(wires))
        assert SENTENCES["tls_handshake_timeout"] in server.lines[server.wait_line("refused a connection")]
        server.wait_counter("handshakes_open", 0)


@pytest.mark.threads
def test_a_byte_at_a_time(serve):
    """Bytes buy no time. Each comes as the server has looked at the one before, or after a moment."""
    server = serve("--shards", "2", "--tls-handshake-timeout-ms", str(TIMEOUT_MS), "--no-defer-accept")
    with unnoticed(server), open_wire(server) as wire:
        who = name_of(wire)
        wire.settimeout(0.01)
        ended = False
        for byte in HELLO[:-1]:
            try:
                wire.sendall(bytes([byte]))
                if wire.recv(100) == b"":
                    ended = True
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended, "the whole hello was taken a byte at a time"
        expect_end(server, "tls_handshake_timeout", who)


def test_a_hello_a_byte_at_a_time_is_one(server):
    """Where it is in time it is as good as any."""
    class Slowly:
        def __init__(self, below):
            self.below = below

        def __getattr__(self, name):
            return getattr(self.below, name)

        def sendall(self, data):
            for byte in data:
                self.below.sendall(bytes([byte]))

    class SlowLayer:
        @staticmethod
        def open(below):
            return Slowly(below)

    with server.client("slow", 5, to=server.address.over(SlowLayer, *server.address.layers)) as client:
        client.expect_nothing_before_ping()


# ---- certificates of clients that are too large ----

def test_a_huge_certificate(serve):
    """Of 100 KB: the handshake ends before it was read."""
    huge = certificates.authority().client("huge", padding=100000)
    server = serve("--tls-client-certificates", "optional", "--tls-client-ca-file", certificates.authority().file)
    with unnoticed(server):
        before = server.resident_bytes()
        with contextlib.suppress(OSError, Closed):
            with server.client("huge", to=server.address.over(transports.Tls(identity=huge), *server.address.layers[1:])):
                pytest.fail("it came in")
        expect_end(server, "tls_handshake_bytes")
        assert server.resident_bytes() - before < 8 << 20


def test_a_large_certificate(serve):
    """Of 10 KB: such there are, with many names."""
    large = certificates.authority().client("large", [f"device-{number}.example.org" for number in range(400)])
    assert 8000 < len(ssl.PEM_cert_to_DER_cert(Path(large.chain).read_text())) < 16000
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", certificates.authority().file)
    with server.client("large", 5, to=server.address.over(transports.Tls(identity=large), *server.address.layers[1:])) as client:
        client.expect_nothing_before_ping()
