"""The same filter again replaces the subscription, with its options. [MQTT-3.8.4-3]"""

from mqtt_wire import VERSIONS

import pytest

NO_LOCAL = 0x04


def test_a_message_still_comes_once(server, version):
    with server.client("to", version) as client:
        for _ in range(3):
            assert client.subscribe("a/+", "t") == [0, 0]
        client.publish("t", b"1")
        client.publish("a/b", b"2")
        assert client.message().payload == b"1"
        assert client.message().payload == b"2"
        client.expect_nothing_before_ping()


def test_twice_in_one_packet(server, version):
    with server.client("to", version) as client:
        assert client.subscribe("t", "t") == [0, 0]
        client.publish("t", b"1")
        assert client.message().payload == b"1"
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("receiver", VERSIONS)
def test_one_unsubscribe_ends_it(server, receiver):
    with server.client("to", receiver) as client:
        client.subscribe("t")
        client.subscribe("t")
        client.unsubscribe("t")
        client.publish("t", b"1")
        client.expect_nothing_before_ping()


def test_options_are_replaced(server):
    with server.client("to", 5) as client:
        client.subscribe(("t", NO_LOCAL))
        client.publish("t", b"1")
        client.expect_nothing_before_ping()
        client.subscribe("t")
        client.publish("t", b"2")
        assert client.message().payload == b"2"
        client.subscribe(("t", NO_LOCAL))
        client.publish("t", b"3")
        client.expect_nothing_before_ping()
