"""A delivery carries the identifiers of the subscriptions that it is for.
[MQTT-3.3.4-3, MQTT-3.3.4-4, MQTT-3.3.4-5]"""

import pytest

from mqtt_wire import SUBSCRIPTION_ID_AVAILABLE, SUBSCRIPTION_IDENTIFIER, USER_PROPERTY, subscribe


def identifiers(message):
    return [value for identifier, value in message.pairs if identifier == SUBSCRIPTION_IDENTIFIER]


def numbered(client, number, *filters):
    return client.subscribe(*filters, pairs=[(SUBSCRIPTION_IDENTIFIER, number)] if number else ())


def test_the_client_is_not_told_that_they_are_missing(server):
    with server.client("to", 5) as client:
        assert client.connack.properties.get(SUBSCRIPTION_ID_AVAILABLE, 1) == 1


@pytest.mark.threads
@pytest.mark.parametrize("number", [1, 127, 128, 16384, 268435455])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_one_of_any_size(server, number, qos):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        assert numbered(client, number, ("t", qos), ("w/+", qos)) == [qos, qos]
        for topic in ("t", "w/x"):
            publisher.hand_over(topic, b"x", qos=qos, pairs=[(USER_PROPERTY, ("k", "v"))])
            message = client.take()
            assert identifiers(message) == [number]
            assert message.properties[USER_PROPERTY] == ("k", "v")


def test_none_where_none_was_given(server):
    with server.client("to", 5) as client, server.client("other", 5) as other, server.client("from", 5) as publisher:
        client.subscribe("t")
        numbered(other, 7, "t")
        publisher.publish("t", b"x")
        assert (identifiers(client.message()), identifiers(other.message())) == ([], [7])


def test_the_last_subscribe_counts(server):
    """[MQTT-3.8.4-3]"""
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        for number in (1, 2, None, 3):
            numbered(client, number, "t")
            publisher.publish("t", b"x")
            assert identifiers(client.message()) == ([number] if number else [])


def test_of_each_matching_subscription(server):
    """Together in one copy, or each in its own."""
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        numbered(client, 1, ("a/b", 1))
        numbered(client, 2, ("a/+", 1), ("a/#", 1))
        client.subscribe(("#", 1))
        publisher.hand_over("a/b", b"x")
        publisher.hand_over("end", b"x")
        got = []
        while (message := client.take()).topic != "end":
            got.append(identifiers(message))
        if len(got) == 1:
            assert set(got[0]) == {1, 2}
        else:
            assert sorted(got) == [[], [1], [2], [2]]


def test_of_what_is_kept(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x", retain=True)
        numbered(client, 9, "t")
        message = client.message()
        assert (message.retain, identifiers(message)) == (1, [9])


def test_through_a_session_s_queue(server):
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            numbered(client, 5, ("t", 1))
            client.disconnect()
        publisher.hand_over("t", b"x")
        with server.session("away", 5) as client:
            message = client.message()
            assert identifiers(message) == [5]
            client.disconnect()
        with server.session("away", 5) as client:
            message = client.take()
            assert (message.dup, identifiers(message)) == (1, [5])
            publisher.hand_over("t", b"y")
            assert identifiers(client.take()) == [5]


def test_of_a_shared_subscription(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        numbered(client, 3, ("$share/group/t", 1))
        publisher.hand_over("t", b"x")
        assert identifiers(client.take()) == [3]


def test_3_1_1_gets_none(server):
    """Though its session was begun by version 5."""
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            numbered(client, 5, ("t", 1))
            client.disconnect()
        publisher.hand_over("t", b"x")
        with server.session("away", 4) as client:
            assert client.take().payload == b"x"


def test_0_is_a_protocol_error(server):
    """[section 3.8.2.1.2]"""
    with server.client("to", 5) as client:
        client.send(subscribe(1, "t", version=5, pairs=[(SUBSCRIPTION_IDENTIFIER, 0)]))
        client.expect_refusal(0x82)


def test_two_are_a_protocol_error(server):
    with server.client("to", 5) as client:
        client.send(subscribe(1, "t", version=5, pairs=[(SUBSCRIPTION_IDENTIFIER, 1), (SUBSCRIPTION_IDENTIFIER, 2)]))
        client.expect_refusal(0x82)


@pytest.mark.roost_only("mosquitto 2.0.11 takes it")
def test_a_client_sends_none_with_its_messages(server):
    """[MQTT-3.3.4-6]"""
    with server.client("to", 5) as client:
        client.publish("t", b"x", pairs=[(SUBSCRIPTION_IDENTIFIER, 1)])
        client.expect_refusal(0x82)
