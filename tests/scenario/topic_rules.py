"""What a topic name and a topic filter may be. [MQTT-3.3.2-1, MQTT-3.3.2-2, MQTT-3.3.2-3, MQTT-4.7.0-1, MQTT-4.7.1-1,
MQTT-4.7.1-2, MQTT-4.7.3-1, MQTT-4.7.3-2, MQTT-4.7.3-3; MQTT-3.3.2-1, MQTT-3.3.2-2, MQTT-3.3.2-3, MQTT-4.7.1-1,
MQTT-4.7.1-2, MQTT-4.7.1-3, MQTT-4.7.3-1, MQTT-4.7.3-2, MQTT-4.7.3-3 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import RESPONSE_TOPIC, subscribe

NO_NAMES = ["#", "+", "a/#", "a/+/b", "a+", "a\0b"]
NO_FILTERS = ["a#", "#/a", "a/#/b", "a+", "+a", "a/b+/c", "##", "++", "/#/"]
FILTERS = {"#": "a", "+": "a", "a/#": "a/b/c", "+/b/#": "a/b", "/+": "/a", "+/+": "/a", "a/+/c": "a//c", " ": " ", "/": "/"}


def test_no_name(server, version):
    with server.client("watch", version) as watch:
        watch.subscribe("#")
        for name, qos in itertools.product([*NO_NAMES, ""], (0, 1, 2)):
            with server.client("x", version) as client:
                client.publish(name, b"x", qos=qos)
                packets = client.ends()
                assert len(packets) <= (version == 5) and all(packet.reason >= 0x80 for packet in packets), name
        watch.expect_nothing_before_ping()


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
