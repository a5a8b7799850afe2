"""What a topic name and a topic filter may be. [MQTT-3.3.2-1, MQTT-3.3.2-2, MQTT-3.3.2-3, MQTT-4.7.0-1, MQTT-4.7.1-1,
MQTT-4.7.1-2, MQTT-4.7.3-1, MQTT-4.7.3-2, MQTT-4.7.3-3; MQTT-3.3.2-1, MQTT-3.3.2-2, MQTT-3.3.2-3, MQTT-4.7.1-1,
MQTT-4.7.1-2, MQTT-4.7.1-3, MQTT-4.7.3-1, MQTT-4.7.3-2, MQTT-4.7.3-3 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, RESPONSE_TOPIC, acknowledge, subscribe

WILDCARDS = ["#", "+", "a/#", "a/+/b", "a+"]
NO_NAMES = [*WILDCARDS, "a\0b"]
LEVELS_MAX = 128
NO_FILTERS = ["a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "/#/"]
FILTERS = {"#": "a", "+": "a", "a/#": "a/b/c", "+/b/#": "a/b", "/+": "/a", "+/+": "/a", "a/+/c": "a//c", " ": " ", "/": "/"}


def test_no_name(server, version):
    with server.client("watch", version) as watch:
        watch.subscribe("#")
        for name, qos in [*itertools.product(["", "a\0b"], (0, 1, 2)), *((name, 0) for name in WILDCARDS)]:
            with server.client("x", version) as client:
                client.publish(name, b"x", qos=qos)
                packets = client.ends()
                assert len(packets) <= (version == 5) and all(packet.reason >= 0x80 for packet in packets), name
        watch.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto ends the client")
@pytest.mark.parametrize("qos", [1, 2])
def test_no_name_is_answered(server, version, qos):
    """Who sends wildcards, or more levels than there may be, at QoS 1 or 2 is told so; before version 5 there is no way to say
    it: it is acknowledged and left out. Otherwise he would come back with it for ever."""
    names = [*WILDCARDS, "/" * LEVELS_MAX]
    with server.client("watch", version) as watch, server.client("x", version) as client:
        watch.subscribe("#")
        for name in names:
            client.publish(name, b"x", qos=qos, packet_id=5, retain=True)
            answer = client.expect_kind({1: PUBACK, 2: PUBREC}[qos])
            assert (answer.packet_id, answer.reason) == (5, 0x90 if version == 5 else 0), name
            if qos == 2 and version == 4:
                client.send(acknowledge(PUBREL, 5))
                client.expect_kind(PUBCOMP)
        client.publish("/" * (LEVELS_MAX - 1), b"fits", qos=qos, packet_id=5)
        assert watch.message().payload == b"fits"
        watch.expect_nothing_before_ping()
    assert server.counter("messages_refused") == len(names)


def test_too_many_levels_at_qos_0_end(server, version):
    with server.client("x", version) as client:
        client.publish("/" * LEVELS_MAX, b"x")
        client.expect_refusal(0x90)


@pytest.mark.roost_only("mosquitto 2.0.11 takes it")
def test_no_response_topic(server):
    """[MQTT-3.3.2-13, MQTT-3.3.2-14]"""
    for name in NO_NAMES:
        with server.client("x", 5) as client:
            client.publish("t", b"x", pairs=[(RESPONSE_TOPIC, name)])
            packets = client.ends()
            assert len(packets) == 1 and packets[0].reason in (0x81, 0x82, 0x90), name


@pytest.mark.roost_only("mosquitto 2.0.11 ends the client")
def test_no_filter(server, version):
    with server.client("x", version) as client:
        for text in NO_FILTERS:
            assert client.subscribe(text, "t") == [0x8F if version == 5 else 0x80, 0], text


def test_filters(server, version):
    for text, topic in FILTERS.items():
        with server.client("x", version) as client:
            assert client.subscribe(text) == [0]
            client.publish(topic, b"x")
            assert client.message().topic == topic


def test_as_long_as_can_be(server, version):
    name = "x" * 65535
    with server.client("x", version) as client:
        client.subscribe((name, 1))
        client.hand_over(name, b"x")
        assert client.take().topic == name


def test_no_filter_with_a_null_character(server, version):
    with server.client("x", version) as client:
        client.send(subscribe(1, "a\0b", version=version))
        client.expect_refusal(0x81)
