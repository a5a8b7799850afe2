"""The server names topics by number to those who asked for it, from 1 to the client's maximum, and to no others.
[MQTT-3.1.2-26, MQTT-3.1.2-27, MQTT-3.3.2-7, MQTT-3.3.2-8, MQTT-3.3.2-11]"""

import random

import pytest

from mqtt_wire import TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM


class Aliases:
    """What a client with this maximum may make of the numbers that it sees on one connection."""

    def __init__(self, maximum):
        self.maximum, self.topics, self.used = maximum, {}, 0

    def topic(self, message):
        number = message.properties.get(TOPIC_ALIAS)
        if number is None:
            assert message.topic, "neither a topic nor an alias"
            return message.topic
        assert 1 <= number <= self.maximum
        if message.topic:
            self.topics[number] = message.topic
        else:
            assert number in self.topics, "an alias that was never set"
            self.used += 1
        return self.topics[number]


@pytest.mark.threads
@pytest.mark.parametrize("maximum", [1, 3, 10, 65535])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_has_its_topic(server, maximum, qos):
    choice = random.Random(maximum)
    with server.client("to", 5, pairs=[(TOPIC_ALIAS_MAXIMUM, maximum)]) as client, \
            server.client("from", 5) as publisher:
        client.subscribe(("t/#", qos))
        aliases = Aliases(maximum)
        for _ in range(200):
            topic = f"t/{choice.randrange(20)}/{'x' * 20}"
            publisher.hand_over(topic, topic, qos=qos)
            message = client.take()
            assert aliases.topic(message) == message.payload.decode()


@pytest.mark.roost_only("mosquitto 2.0.11 uses none, as it may")
def test_it_does_use_them(server):
    """A topic that comes again and again is named by its number."""
    with server.client("to", 5, pairs=[(TOPIC_ALIAS_MAXIMUM, 10)]) as client, server.client("from", 5) as publisher:
        client.subscribe("a/long/topic/name")
        aliases = Aliases(10)
        for _ in range(20):
            publisher.publish("a/long/topic/name", b"x")
            assert aliases.topic(client.message()) == "a/long/topic/name"
        assert aliases.used >= 10


@pytest.mark.parametrize("pairs", [[], [(TOPIC_ALIAS_MAXIMUM, 0)]])
def test_none_where_none_is_allowed(server, pairs):
    with server.client("to", 5, pairs=pairs) as client, server.client("from", 5) as publisher:
        client.subscribe("t")
        for _ in range(20):
            publisher.publish("t", b"x")
            message = client.message()
            assert message.topic == "t" and TOPIC_ALIAS not in message.properties


def test_a_publisher_s_alias_does_not_travel(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe("t")
        publisher.publish("t", b"x", pairs=[(TOPIC_ALIAS, 1)])
        publisher.publish("", b"x", pairs=[(TOPIC_ALIAS, 1)])
        for _ in range(2):
            message = client.message()
            assert message.topic == "t" and TOPIC_ALIAS not in message.properties


def test_a_new_connection_knows_none(server):
    """What was sent under an alias, and is sent again, has its topic or an alias that was set anew."""
    pairs = [(TOPIC_ALIAS_MAXIMUM, 5)]
    with server.client("from", 5) as publisher:
        with server.session("to", 5, pairs=pairs) as first:
            first.subscribe(("t", 1))
            for number in range(5):
                publisher.hand_over("t", str(number))
            for _ in range(5):
                first.message()
            first.disconnect()
        with server.session("to", 5, pairs=pairs) as second:
            aliases = Aliases(5)
            for number in range(5):
                message = second.take()
                assert (aliases.topic(message), message.payload) == ("t", str(number).encode())
        with server.session("to", 4) as third:
            publisher.hand_over("t", b"x")
            assert third.take().topic == "t"
