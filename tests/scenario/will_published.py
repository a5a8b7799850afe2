"""A will is published when its client's connection ends without the client's own DISCONNECT, and not when it ends with it.
[MQTT-3.1.2-7, MQTT-3.1.2-8, MQTT-3.1.2-10, MQTT-3.1.2-14, MQTT-3.1.2-15, MQTT-3.14.4-3, MQTT-3.1.2-22;
MQTT-3.1.2-8, MQTT-3.1.2-9, MQTT-3.1.2-10, MQTT-3.1.2-12, MQTT-3.1.2-16, MQTT-3.1.2-17, MQTT-3.1.2-24,
MQTT-3.14.4-3 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import (CONTENT_TYPE, CORRELATION_DATA, DISCONNECT_BYTES, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RESPONSE_TOPIC,
                       USER_PROPERTY, VERSIONS, Will, connect, disconnect)


@pytest.fixture
def watch(server):
    with server.client("watch", 5) as client:
        client.subscribe(("will/#", 2), ("end", 2))
        yield client


def nothing_came(watch):
    """What was published before comes before the end."""
    watch.hand_over("end", b"", qos=2)
    assert watch.take().topic == "end"


WAYS = {
    "closed": lambda client: client.close(),
    "reset": lambda client: client.reset(),
    "half closed": lambda client: client.half_close(),
    "malformed": lambda client: client.send(b"\x00\x00"),
}


@pytest.mark.threads
@pytest.mark.parametrize("name", [*WAYS, pytest.param("second connect", marks=pytest.mark.roost_only(
    "mosquitto 2.0.11 forgets the will"))])
def test_when_the_connection_ends_otherwise(server, version, watch, name):
    client = server.client("ends", version, will=Will("will/x", b"gone", qos=1))
    if name == "second connect":
        client.send(connect("ends", version))
    else:
        WAYS[name](client)
    message = watch.take()
    assert (message.topic, message.payload, message.qos, message.retain) == ("will/x", b"gone", 1, 0)
    client.close()


def test_when_the_keepalive_runs_out(server, version, watch):
    with server.client("silent", version, keepalive=1, will=Will("will/x", b"gone")):
        assert watch.take().payload == b"gone"


def test_when_another_connection_takes_over_with_a_clean_start(server, version, watch):
    """The session ends, and so does the connection."""
    with server.client("same", version, will=Will("will/x", b"gone")), server.client("same", version):
        assert watch.take().payload == b"gone"


def test_not_after_disconnect(server, version, watch):
    server.client("leaves", version, will=Will("will/x", b"gone")).disconnect()
    nothing_came(watch)


def test_not_without_one(server, version, watch):
    client = server.client("ends", version)
    client.send(b"\x00\x00")
    client.ends()
    client.close()
    nothing_came(watch)


def test_once(server, version, watch):
    """Published, it is no part of the session any more."""
    server.session("same", version, will=Will("will/x", b"gone")).reset()
    assert watch.take().payload == b"gone"
    server.session("same", version).reset()
    server.session("same", version).disconnect()
    nothing_came(watch)


def test_each_connection_has_its_own(server, version, watch):
    server.session("same", version, will=Will("will/x", b"1")).disconnect()
    server.session("same", version, will=Will("will/x", b"2")).reset()
    assert watch.take().payload == b"2"


@pytest.mark.parametrize("reason", [0x04, *(pytest.param(reason, marks=pytest.mark.roost_only(
    "mosquitto 2.0.11 publishes it for 0x04 only")) for reason in (0x80, 0x81, 0x90))])
def test_disconnect_with_any_reason_but_0(server, watch, reason):
    """0x04 asks for it, and only 0x00 forgets it. [section 3.14.2.1]"""
    client = server.client("leaves", 5, will=Will("will/x", str(reason)))
    client.disconnect(reason)
    assert watch.take().payload == str(reason).encode()


def test_disconnect_with_reason_0_in_words(server, watch):
    client = server.client("leaves", 5, will=Will("will/x", b"gone"))
    client.send(disconnect(0))
    client.expect_close()
    nothing_came(watch)


@pytest.mark.parametrize("qos, retain", itertools.product((0, 1, 2), (False, True)))
def test_qos_and_retain(server, version, watch, qos, retain):
    server.client("ends", version, will=Will("will/x", b"gone", qos=qos, retain=retain)).reset()
    message = watch.take()
    assert (message.qos, message.retain) == (qos, 0)
    with server.client("late", version) as late:
        late.subscribe(("will/x", 2), "$end")
        late.publish("$end")
        messages = [late.take()]
        if retain:
            assert (messages[0].payload, messages[0].qos, messages[0].retain) == (b"gone", qos, 1)
            messages = [late.take()]
        assert messages[0].topic == "$end"


def test_an_empty_retained_one_deletes(server, version, watch):
    watch.hand_over("will/x", b"kept", retain=True)
    assert watch.take().payload == b"kept"
    server.client("ends", version, will=Will("will/x", b"", retain=True)).reset()
    assert watch.take().payload == b""
    with server.client("late", version) as late:
        late.subscribe("will/x")
        late.expect_nothing_before_ping()


@pytest.mark.parametrize("receiver", VERSIONS)
def test_all_properties(server, receiver):
    """User properties in order. [MQTT-3.1.3-10]"""
    pairs = [(PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 1000), (CONTENT_TYPE, "text/plain"), (RESPONSE_TOPIC, "re/ply"),
             (CORRELATION_DATA, b"\x00\x01"), (USER_PROPERTY, ("k", "2")), (USER_PROPERTY, ("a", "1")),
             (USER_PROPERTY, ("k", "1"))]
    with server.client("to", receiver) as client:
        client.subscribe("will/x")
        server.client("ends", 5, will=Will("will/x", "häh".encode(), pairs=pairs)).reset()
        message = client.take()
        assert message.payload == "häh".encode()
        expected = pairs if receiver == 5 else []
        assert sorted(message.pairs, key=lambda pair: pair[0]) == sorted(expected, key=lambda pair: pair[0])


def test_waits_for_those_who_are_away(server, version):
    with server.session("away", version) as client:
        client.subscribe(("will/x", 1))
        client.disconnect()
    with server.client("watch", 5) as watch:
        watch.subscribe("will/x")
        server.client("ends", version, will=Will("will/x", b"gone", qos=2)).reset()
        watch.take()
    with server.session("away", version) as client:
        message = client.take()
        assert (message.payload, message.qos) == (b"gone", 1)


def test_comes_after_what_its_client_published(server, version, watch):
    client = server.client("ends", version, will=Will("will/x", b"last", qos=1))
    for number in range(20):
        client.publish("will/x", str(number), qos=1, packet_id=1 + number)
    client.half_close()
    assert [watch.take().payload for _ in range(21)] == [str(number).encode() for number in range(20)] + [b"last"]
    client.close()


def test_disconnect_in_the_segment_of_other_packets(server, version, watch):
    client = server.client("leaves", version, will=Will("will/x", b"gone"))
    client.send(b"\xc0\x00" + DISCONNECT_BYTES)
    client.ends()
    client.close()
    nothing_came(watch)


def test_a_refused_connect_leaves_none(server, watch):
    with server.raw(5) as connection:
        connection.send(connect("x", 5, will=Will("will/x", b"gone"), pairs=[(0x15, "no such method")]))
        connection.expect_connack_refusal(0x8C)
    nothing_came(watch)
