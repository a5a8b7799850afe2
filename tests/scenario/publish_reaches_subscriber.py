"""A message comes out as it went in, whichever version each side speaks. [MQTT-3.3]"""

import itertools

import pytest

from mqtt_wire import (CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY,
                       VERSIONS, publish)

PAIRS = list(itertools.product(VERSIONS, VERSIONS))
PAYLOADS = [b"", b"x", bytes(range(256)), b"y" * 127, b"z" * 128, b"k" * 16384, b"m" * 200000]


@pytest.mark.threads
@pytest.mark.parametrize("sender, receiver", PAIRS)
def test_payload_and_topic(server, sender, receiver):
    with server.client("from", sender) as publisher, server.client("to", receiver) as subscriber:
        assert subscriber.subscribe("a/b") == [0]
        for payload in PAYLOADS:
            publisher.publish("a/b", payload)
            assert subscriber.packet().raw == publish("a/b", payload, version=receiver)


@pytest.mark.parametrize("receiver", VERSIONS)
def test_properties_go_with_it_to_version_5_only(server, receiver):
    pairs = [(PAYLOAD_FORMAT, 1), (MESSAGE_EXPIRY, 1000), (CONTENT_TYPE, "text/plain"), (RESPONSE_TOPIC, "re/ply"),
             (CORRELATION_DATA, b"\x00\x01"), (USER_PROPERTY, ("k", "1")), (USER_PROPERTY, ("k", "2"))]
    with server.client("from", 5) as publisher, server.client("to", receiver) as subscriber:
        subscriber.subscribe("t")
        publisher.publish("t", "häh", pairs=pairs)
        message = subscriber.message()
        assert (message.topic, message.payload) == ("t", "häh".encode())
        assert (message.qos, message.retain, message.dup) == (0, 0, 0)
        if receiver == 5:
            # User properties keep their order [MQTT-3.3.2-18].
            assert sorted(message.pairs, key=lambda pair: pair[0]) == sorted(pairs, key=lambda pair: pair[0])
        else:
            assert message.raw == publish("t", "häh")


@pytest.mark.parametrize("sender, receiver", PAIRS)
def test_publisher_may_be_its_own_subscriber(server, sender, receiver):
    with server.client("self", sender) as client, server.client("other", receiver) as other:
        client.subscribe("t")
        other.subscribe("t")
        client.publish("t", b"x")
        assert client.message().payload == b"x"
        assert other.message().payload == b"x"


@pytest.mark.threads
def test_each_of_many_subscribers_gets_it_once(serve):
    server = serve("--shards", "4")
    with server.client("from", 5) as publisher:
        subscribers = [server.client(f"to-{i}", VERSIONS[i % 2]) for i in range(64)]
        for subscriber in subscribers:
            subscriber.subscribe("news/+")
        publisher.publish("news/today", b"x")
        for subscriber in subscribers:
            message = subscriber.message()
            assert (message.topic, message.payload) == ("news/today", b"x")
        for subscriber in subscribers:
            subscriber.expect_nothing_before_ping()
            subscriber.close()


def test_with_no_subscriber_nothing_happens(server, version):
    with server.client("alone", version) as client:
        client.publish("nobody/there", b"x")
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("topic, reason", [("a/+", 0x90), ("#", 0x90), ("a\0b", 0x81), (b"\xff\xfe", 0x81), (b"\xed\xa0\x80", 0x81)])
def test_topic_that_is_no_topic_name_ends_the_publisher(server, version, topic, reason):
    with server.client("bad", version) as client:
        client.publish(topic, b"x")
        client.expect_refusal(reason)


def test_empty_topic_without_alias_ends_the_publisher(server, version):
    with server.client("bad", version) as client:
        client.publish("", b"x")
        client.expect_refusal(0x82)


@pytest.mark.parametrize("alias", [0, 33])
def test_topic_alias_beyond_what_was_offered(server, alias):
    """[MQTT-3.3.2-8, MQTT-3.3.2-9]"""
    with server.client("bad", 5) as client:
        client.publish("t", b"x", pairs=[(0x23, alias)])
        client.expect_refusal(0x94)
