"""Records that break TLS behind the handshake, each in its own way: the client is ended with the alert that TLS has for it, the
log says why, it is counted, and nobody else notices. And records that are unusual and in order."""

import contextlib
import itertools
import socket
import ssl

import pytest

import transports
from ends import PEACEFUL, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import CONNACK, PINGREQ_BYTES, PINGRESP_BYTES, Packet, connect, publish
from tls_end import (ALERT, BAD_RECORD_MAC, CHANGE_CIPHER_SPEC, CLOSE_NOTIFY, DATA, DECODE_ERROR, HANDSHAKE, HELLO_REQUEST, ILLEGAL_PARAMETER,
                     KEY_UPDATE, NEW_SESSION_TICKET, RECORD_OVERFLOW, UNEXPECTED_MESSAGE, Records, client_hello, handshake_message,
                     record)

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls")]

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
SUITES_12 = ["ECDHE+AES128", "ECDHE+AES256", "ECDHE+CHACHA20"]
keys = itertools.count()


@pytest.fixture(params=list(VERSIONS))
def tls(request):
    return request.param


@pytest.fixture
def records(tmp_path):
    """records(server, "1.3"): a client's connection whose records are the test's own."""
    opened = []

    def open_records(server, tls, ciphers=None, signed_in=True):
        layer = transports.Tls(key_log=str(tmp_path / f"keys-{next(keys)}"), minimum=VERSIONS[tls], maximum=VERSIONS[tls], ciphers=ciphers)
        end = transports.connect(server.address, timeout=20, layers=(layer,))
        opened.append(end.wire)
        made = Records(end)
        if signed_in:
            made.send(made.seal(connect("hand-made", 5)))
            kind, content = next_data(made)
            assert content[0] >> 4 == CONNACK and content[3] == 0, content
        return made

    yield open_records
    for wire in opened:
        wire.close()


def next_data(records):
    while (got := records.next_record()) and got[0] != DATA:
        assert got[0] != ALERT, got
    return got


def send(records, *data):
    with contextlib.suppress(OSError):
        records.send(*data)


def spoil(records):
    return [records.seal(PINGREQ_BYTES, spoil=True)]


def out_of_order(records):
    first, second = records.seal(PINGREQ_BYTES), records.seal(PINGREQ_BYTES)
    return [second, first]


def again(records):
    one = records.seal(PINGREQ_BYTES)
    return [one, one]


# name -> (what is sent, error, alert)
BAD = {
    "a wrong tag": (spoil, "tls_record_tag", BAD_RECORD_MAC),
    "records in another order": (out_of_order, "tls_record_tag", BAD_RECORD_MAC),
    "a record twice": (again, "tls_record_tag", BAD_RECORD_MAC),
    "noise": (lambda r: [record(DATA, bytes(100))], "tls_record_tag", BAD_RECORD_MAC),
    "MQTT in the clear": (lambda r: [publish("t", b"x" * 300)], "tls_record_type", UNEXPECTED_MESSAGE),
    "longer than a record may be": (lambda r: [record(DATA, bytes(16384 + 257))], "tls_record_length", RECORD_OVERFLOW),
    "65,535 bytes": (lambda r: [record(DATA, bytes(65535))], "tls_record_length", RECORD_OVERFLOW),
    "too short for a tag": (lambda r: [record(DATA, bytes(10))], "tls_record_length", {BAD_RECORD_MAC, DECODE_ERROR, UNEXPECTED_MESSAGE}),
    "empty": (lambda r: [record(DATA, b"")], "tls_record_length", {BAD_RECORD_MAC, DECODE_ERROR, UNEXPECTED_MESSAGE}),
    "of an unknown type": (lambda r: [record(99, bytes(50))], "tls_record_type", UNEXPECTED_MESSAGE),
    "of another version": (lambda r: [record(DATA, bytes(50), 0x0203)], "tls_record_type", {UNEXPECTED_MESSAGE, 70}),
    "an alert that is none": (lambda r: [r.seal(b"\x02", ALERT)], {"tls_alert", "tls_message"}, {DECODE_ERROR, UNEXPECTED_MESSAGE, ILLEGAL_PARAMETER, None}),
    "a handshake message cut by data": (lambda r: [r.seal(b"\x18\x00", HANDSHAKE), r.seal(PINGREQ_BYTES)], "tls_message", {UNEXPECTED_MESSAGE, None}),
}
BAD_13 = {
    "nothing but padding": (lambda r: [r.seal(b"", kind=0, padding=20)], "tls_record_type", UNEXPECTED_MESSAGE),
    "16,385 bytes of content": (lambda r: [r.seal(bytes(16385))], "tls_record_length", RECORD_OVERFLOW),
    "of an unknown type within": (lambda r: [r.seal(b"x", kind=99)], "tls_record_type", UNEXPECTED_MESSAGE),
    "a change of ciphers": (lambda r: [record(CHANGE_CIPHER_SPEC, b"\1")], "tls_record_type", UNEXPECTED_MESSAGE),
    "a change of ciphers within": (lambda r: [r.seal(b"\1", CHANGE_CIPHER_SPEC)], "tls_record_type", UNEXPECTED_MESSAGE),
    "a KeyUpdate of another kind": (lambda r: [r.key_update(value=2)], "tls_message", ILLEGAL_PARAMETER),
    "a KeyUpdate that is too long": (lambda r: [r.seal(handshake_message(KEY_UPDATE, b"\0\0"), HANDSHAKE)], "tls_message", {DECODE_ERROR, UNEXPECTED_MESSAGE}),
    "data under the old keys": (lambda r: [old_keys(r)], "tls_record_tag", BAD_RECORD_MAC),
    "a hello": (lambda r: [r.seal(client_hello(), HANDSHAKE)], "tls_message", UNEXPECTED_MESSAGE),
    "a ticket from a client": (lambda r: [r.seal(handshake_message(NEW_SESSION_TICKET, bytes(50)), HANDSHAKE)], "tls_message", UNEXPECTED_MESSAGE),
    "an empty handshake message": (lambda r: [r.seal(b"", HANDSHAKE)], {"tls_message", "tls_record_length", "tls_record_type"}, UNEXPECTED_MESSAGE),
    "two messages, the last cut": (lambda r: [r.seal(handshake_message(KEY_UPDATE, b"\0") + b"\x18\0", HANDSHAKE)], "tls_message", UNEXPECTED_MESSAGE),
}
BAD_12 = {
    "a renegotiation": (lambda r: [r.seal(client_hello(supported=None), HANDSHAKE)], "tls_message", {100, UNEXPECTED_MESSAGE}),
    "a request for one, from a client": (lambda r: [r.seal(handshake_message(HELLO_REQUEST, b""), HANDSHAKE)], "tls_message", {100, UNEXPECTED_MESSAGE}),
    "a change of ciphers": (lambda r: [r.seal(b"\1", CHANGE_CIPHER_SPEC)], {"tls_record_type", "tls_message"}, UNEXPECTED_MESSAGE),
}


def old_keys(records):
    """A KeyUpdate, and behind it a record under the keys from before."""
    key, iv, sequence = records.write.aead, records.write.iv, records.write.sequence
    update = records.key_update()
    records.write.aead, records.write.iv, records.write.sequence = key, iv, sequence + 1
    return update + records.seal(PINGREQ_BYTES)


BAD_OF = {"1.2": {**BAD, **BAD_12}, "1.3": {**BAD, **BAD_13}}


def alert_of(records):
    """The description of the alert that the server sends at the end; None: there is none."""
    try:
        while (got := records.next_record()) and got[0] != ALERT:
            pass
    except ConnectionResetError:
        return None
    return got[1][1] if got else None


@pytest.mark.parametrize("protocol, name", [(protocol, name) for protocol, cases in BAD_OF.items() for name in cases])
def test_is_ended(server, records, protocol, name):
    make, error, alert = BAD_OF[protocol][name]
    with unnoticed(server):
        bad = records(server, protocol)
        who = name_of(bad.end)
        send(bad, *make(bad))
        said = alert_of(bad)
        assert said in (alert if isinstance(alert, set) else {alert}), said
        if isinstance(error, set):
            error = next(one for one in error if server.wait_line(r"ended: ") and f"end_{one}" in ends_of(server))
        line = expect_end(server, error, who)
        assert '"hand-made"' in line
        server.wait_counter("connections_open", 1)


@pytest.mark.threads
@pytest.mark.parametrize("name", ["a wrong tag", "longer than a record may be", "of an unknown type"])
def test_before_connect_too(server, records, tls, name):
    """Between the handshake and CONNECT they are the gate's."""
    make, error, alert = BAD[name]
    with unnoticed(server):
        bad = records(server, tls, signed_in=False)
        who = name_of(bad.end)
        send(bad, *make(bad))
        assert alert_of(bad) == alert
        expect_end(server, error, who)
        server.wait_counter("handshakes_open", 0)


@pytest.mark.threads
def test_mqtt_is_checked_inside(server, records, tls):
    """TLS is in order, and what is in it is not."""
    with unnoticed(server):
        bad = records(server, tls)
        send(bad, bad.seal(b"\x00\x00"))
        kind, content = next_data(bad)
        assert content[0] == 0xE0 and Packet(content[0], content[2:], 5).reason >= 0x80
        assert bad.next_record() == (ALERT, bytes([1, CLOSE_NOTIFY]))
        ends = {key: value for key, value in ends_of(server).items() if key not in PEACEFUL}
        assert ends == {"end_packet_type": 1}


# ---- in order ----

@pytest.mark.parametrize("ciphers", SUITES_12)
def test_each_suite_of_1_2(server, records, ciphers):
    good = records(server, "1.2", ciphers)
    for _ in range(20):
        good.send(good.seal(PINGREQ_BYTES))
        assert good.data(2) == PINGRESP_BYTES


def test_records_in_any_relation_to_packets(server, records, tls):
    """Bytes of packets one a record, many packets a record, empty records between them."""
    good = records(server, tls)
    good.send(*[good.seal(bytes([byte])) for byte in PINGREQ_BYTES * 20])
    assert good.data(40) == PINGRESP_BYTES * 20
    good.send(good.seal(PINGREQ_BYTES * 5000))
    assert good.data(10000) == PINGRESP_BYTES * 5000
    good.send(good.seal(b""), good.seal(PINGREQ_BYTES[:1]), good.seal(b""), good.seal(b""), good.seal(PINGREQ_BYTES[1:]), good.seal(b""))
    assert good.data(2) == PINGRESP_BYTES
    payload = publish("big", b"x" * 16000, 5)
    good.send(good.seal(payload[:16384]), good.seal(payload[16384:]) if payload[16384:] else b"", good.seal(PINGREQ_BYTES))
    assert good.data(2) == PINGRESP_BYTES


def test_records_cut_at_every_byte(server, records, tls):
    """By TCP: each byte comes by itself."""
    good = records(server, tls)
    for byte in good.seal(PINGREQ_BYTES):
        good.send(bytes([byte]))
    assert good.data(2) == PINGRESP_BYTES
    two = good.seal(PINGREQ_BYTES) + good.seal(PINGREQ_BYTES)
    for at in range(1, len(two)):
        good.send(two[:at])
        good.send(two[at:])
        assert good.data(4) == PINGRESP_BYTES * 2
        two = good.seal(PINGREQ_BYTES) + good.seal(PINGREQ_BYTES)
    good.send(two)
    assert good.data(4) == PINGRESP_BYTES * 2


def test_padding(server, records):
    good = records(server, "1.3")
    for padding in (0, 1, 255, 16000):
        good.send(good.seal(PINGREQ_BYTES, padding=padding))
        assert good.data(2) == PINGRESP_BYTES
    good.send(good.seal(PINGREQ_BYTES, padding=16384 - 2))
    assert good.data(2) == PINGRESP_BYTES


@pytest.mark.threads
def test_key_updates_both_ways(server, records):
    """The client's, those that ask for the server's, and many."""
    good = records(server, "1.3")
    for request in (False, True, True, False):
        good.send(good.key_update(request), good.seal(PINGREQ_BYTES))
        assert good.data(2) == PINGRESP_BYTES
    for _ in range(100):
        good.send(good.key_update(True), good.seal(PINGREQ_BYTES))
        assert good.data(2) == PINGRESP_BYTES
    good.send(b"".join(good.key_update(True) for _ in range(5)), good.seal(PINGREQ_BYTES))
    assert good.data(2) == PINGRESP_BYTES


def test_nothing_but_key_updates(server, records):
    """Each costs new keys, and none says anything: who sends nothing else is ended."""
    with unnoticed(server):
        bad = records(server, "1.3")
        who = name_of(bad.end)
        send(bad, b"".join(bad.key_update(True) for _ in range(2000)))
        assert alert_of(bad) in (UNEXPECTED_MESSAGE, None)
        expect_end(server, "tls_message", who)


def test_a_key_update_in_two_records(server, records):
    good = records(server, "1.3")
    message = handshake_message(KEY_UPDATE, b"\1")
    good.send(good.seal(message[:2], HANDSHAKE), good.seal(message[2:], HANDSHAKE))
    good.write.update()
    good.send(good.seal(PINGREQ_BYTES))
    assert good.data(2) == PINGRESP_BYTES


@pytest.mark.threads
def test_close_notify_is_answered(server, records, tls):
    """It ends the connection in order, and what was said before it counts."""
    with server.client("watch", 5) as watch:
        watch.subscribe("last")
        good = records(server, tls)
        good.send(good.seal(publish("last", b"word", 5)), good.seal(bytes([1, CLOSE_NOTIFY]), ALERT))
        assert watch.message().payload == b"word"
        assert alert_of(good) in (CLOSE_NOTIFY, None)
        assert set(ends_of(server)) <= PEACEFUL


@pytest.mark.threads
def test_a_fatal_alert(server, records, tls):
    with unnoticed(server):
        bad = records(server, tls)
        who = name_of(bad.end)
        bad.send(bad.seal(bytes([2, 80]), ALERT))
        assert alert_of(bad) is None
        expect_end(server, "tls_alert", who)


@pytest.mark.threads
def test_cut_without_close_notify(server, records, tls):
    """A connection that is lost, as over TCP: also in the middle of a record."""
    for number, cut in enumerate((0, 3, 5, 10, None), 1):
        good = records(server, tls)
        sealed = good.seal(PINGREQ_BYTES)
        good.send(sealed if cut is None else sealed[:cut])
        good.end.wire.close()
        server.wait_counter("end_connection_lost", number)
    server.wait_counter("connections_open", 0)


@pytest.mark.parametrize("signed_in", [False, True])
def test_cut_at_once_with_the_end(server, records, tls, signed_in):
    """A part of a record and the connection's end come to the server with one event."""
    for number, cut in enumerate((1, 5, 10), 1):
        cutter = records(server, tls, signed_in=signed_in)
        server.wait_counter("connections_open" if signed_in else "handshakes_open", 1)
        cutter.end.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        cutter.end.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        cutter.send(cutter.seal(PINGREQ_BYTES)[:cut])
        cutter.end.wire.shutdown(socket.SHUT_WR)  # this sends both
        server.wait_counter("end_connection_lost", number)
