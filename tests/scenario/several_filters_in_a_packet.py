"""SUBSCRIBE and UNSUBSCRIBE with several filters are as several of them with one answer, which has a code for each in
order. [MQTT-3.8.3-2, MQTT-3.8.3-5, MQTT-3.8.4-5, MQTT-3.8.4-6, MQTT-3.9.3-1, MQTT-3.9.3-2, MQTT-3.10.3-2, MQTT-3.10.4-1,
MQTT-3.10.4-2, MQTT-3.10.4-6, MQTT-3.11.3-1, MQTT-3.11.3-2; MQTT-3.8.3-3, MQTT-3.8.3-4, MQTT-3.8.4-4, MQTT-3.9.3-1,
MQTT-3.9.3-2, MQTT-3.10.3-2, MQTT-3.10.4-1, MQTT-3.10.4-2, MQTT-3.10.4-5, MQTT-3.10.4-6 of 3.1.1]"""

import pytest

from mqtt_wire import UNSUBACK, subscribe, unsubscribe


def test_a_code_for_each(server, version):
    with server.client("x", version) as client, server.client("from", version) as publisher:
        assert client.subscribe(("a", 2), ("b", 0), ("c", 1), ("a", 1)) == [2, 0, 1, 1]
        for topic, qos in (("a", 1), ("b", 0), ("c", 1)):
            publisher.hand_over(topic, b"x", qos=2)
            message = client.take()
            assert (message.topic, message.qos) == (topic, qos)


@pytest.mark.roost_only("mosquitto 2.0.11 ends the client")
def test_a_refusal_among_them(server, version):
    refused = 0x8F if version == 5 else 0x80
    with server.client("x", version) as client:
        assert client.subscribe(("a", 1), ("b#", 1), ("c", 2)) == [1, refused, 2]


def test_unsubscribed_one_by_one(server, version):
    with server.client("x", version) as client, server.client("from", version) as publisher:
        client.subscribe("a", "A", "+", "b/#", "end")
        client.send(unsubscribe(9, "a", "never", "b/+", "b/#", "+", version=version))
        got = client.expect_kind(UNSUBACK)
        assert got.packet_id == 9
        assert got.codes == ([0, 0x11, 0x11, 0, 0] if version == 5 else [])
        for topic in ("a", "x", "b/c", "A", "end"):
            publisher.publish(topic, b"x")
        assert [client.message().topic for _ in range(2)] == ["A", "end"]


def test_of_nothing_at_all(server, version):
    with server.client("x", version) as client:
        assert client.unsubscribe("never") == ([0x11] if version == 5 else [])


def test_no_filter(server, version):
    for packet in (subscribe(1, version=version), unsubscribe(1, version=version)):
        with server.client("x", version) as client:
            client.send(packet)
            client.expect_refusal(0x82)


@pytest.mark.parametrize("options", [0x03, 0x40, 0x80, 0xC1])
def test_options_that_are_none(server, version, options):
    with server.client("x", version) as client:
        client.send(subscribe(1, ("t", options), version=version))
        client.expect_refusal(0x82 if options == 0x03 else 0x81)


@pytest.mark.parametrize("options", [0x04, 0x08, 0x10, 0x20])
def test_options_of_version_5_in_3_1_1(server, options):
    with server.client("x", 4) as client:
        client.send(subscribe(1, ("t", options)))
        client.expect_close()
