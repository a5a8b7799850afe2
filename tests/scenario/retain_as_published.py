"""Retain As Published keeps the flag as it came; without it deliveries to those who are there have none.
[MQTT-3.3.1-12, MQTT-3.3.1-13]"""

import pytest

from mqtt_wire import RETAIN_AS_PUBLISHED


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_with_and_without(server, qos):
    with server.client("as it came", 5) as one, server.client("without", 5) as two, server.client("from", 5) as publisher:
        one.subscribe(("t", qos | RETAIN_AS_PUBLISHED))
        two.subscribe(("t", qos))
        for retain in (True, False):
            publisher.hand_over("t", b"x", qos=qos, retain=retain)
            assert (one.take().retain, two.take().retain) == (retain, 0)


def test_what_is_kept_has_the_flag_in_any_case(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x", retain=True)
        for options in (0, RETAIN_AS_PUBLISHED):
            client.subscribe(("t", options))
            assert client.message().retain == 1


def test_through_a_session_s_queue(server):
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            client.subscribe(("t", 1 | RETAIN_AS_PUBLISHED), ("u", 1))
            client.disconnect()
        for topic, retain in (("t", True), ("t", False), ("u", True)):
            publisher.hand_over(topic, b"x", retain=retain)
        with server.session("away", 5) as client:
            assert [client.take().retain for _ in range(3)] == [1, 0, 0]


@pytest.mark.roost_only("mosquitto 2.0.11 keeps the replaced subscription's option")
def test_replacing_the_subscription_changes_it(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        for options in (RETAIN_AS_PUBLISHED, 0, RETAIN_AS_PUBLISHED):
            client.subscribe(("t", options | 0x20))
            publisher.hand_over("t", b"x", retain=True)
            assert client.message().retain == (options != 0)
