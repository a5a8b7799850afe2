"""CONNACK is the server's first packet and comes once; behind a refusal nothing is looked at, and the connection ends.
[MQTT-3.1.4-1, MQTT-3.1.4-2, MQTT-3.1.4-5, MQTT-3.1.4-6, MQTT-3.2.0-1, MQTT-3.2.0-2, MQTT-3.2.2-1, MQTT-3.2.2-6,
MQTT-3.2.2-7, MQTT-3.2.2-8, MQTT-3.14.0-1; MQTT-3.1.4-1, MQTT-3.1.4-4, MQTT-3.1.4-5, MQTT-3.2.0-1, MQTT-3.2.2-4,
MQTT-3.2.2-5, MQTT-3.2.2-6 of 3.1.1]"""

import pytest

from mqtt_wire import (AUTH_METHOD, CONNACK, PINGRESP, RECEIVE_MAXIMUM, Will, connect, publish, subscribe)


def malformed(version):
    good = connect("x", version)
    return good[:-1] + b"\xff"


def refused_connects(version):
    long = connect("x" * 2000, version)
    if version == 4:
        return {"id too long": (long, {2}), "malformed": (malformed(4), set()), "level": (connect("x", 6), {1, 0x84})}
    return {"id too long": (long, {0x85}), "malformed": (malformed(5), {0x81}),
            "receive maximum 0": (connect("x", 5, pairs=[(RECEIVE_MAXIMUM, 0)]), {0x82}),
            "method": (connect("x", 5, pairs=[(AUTH_METHOD, "none")]), {0x8C}),
            "will topic": (connect("x", 5, will=Will("a/#", b"")), {0x90})}


def test_first_though_a_message_waits(server, version):
    with server.client("from", version) as publisher:
        with server.session("away", version) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        publisher.hand_over("t", b"x")
        with server.session("away", version) as client:
            assert client.connack.kind == CONNACK and client.connack.flags == 0
            assert client.connack.body[0] in (0, 1)
            assert client.take().payload == b"x"


def test_once(server, version):
    with server.raw(version) as connection:
        connection.send(connect("x", version) + b"\xc0\x00" * 3)
        assert [connection.packet().kind for _ in range(4)] == [CONNACK] + [PINGRESP] * 3


@pytest.mark.parametrize("level, name", [(level, name) for level in (4, 5) for name in refused_connects(level)])
@pytest.mark.roost_only("mosquitto 2.0.11 takes longer ids, and says less")
def test_a_refusal_and_what_follows_in_its_segment(server, level, name):
    data, reasons = refused_connects(level)[name]
    with server.client("watch", level) as watch:
        watch.subscribe("t", "end")
        with server.raw(level) as connection:
            connection.send(data + publish("t", b"x", level) + subscribe(1, "t", version=level))
            packets = connection.ends()
        assert [packet.kind for packet in packets] == [CONNACK] * len(packets)
        assert len(packets) == (1 if reasons else 0)
        assert all(packet.session_present == 0 and packet.reason in reasons for packet in packets)
        watch.publish("end", b"x")
        assert watch.message().topic == "end"


@pytest.mark.roost_only("mosquitto 2.0.11 takes longer ids")
def test_an_id_that_is_too_long(server, version):
    """[MQTT-3.1.3-8; MQTT-3.1.3-9 of 3.1.1]"""
    with server.raw(version) as connection:
        connection.send(connect("x" * 2000, version))
        connection.expect_connack_refusal(0x85 if version == 5 else 2)
