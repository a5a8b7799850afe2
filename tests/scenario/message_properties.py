"""What version 5 adds to a message travels with it, unchanged, at each QoS, live, kept or waiting.
[MQTT-2.2.2-1, MQTT-3.3.2-4, MQTT-3.3.2-15, MQTT-3.3.2-16, MQTT-3.3.2-17, MQTT-3.3.2-18, MQTT-3.3.2-20]"""

import pytest

from mqtt_wire import (CONTENT_TYPE, CORRELATION_DATA, PAYLOAD_FORMAT, RESPONSE_TOPIC, USER_PROPERTY, publish)

PAIRS = [(PAYLOAD_FORMAT, 1), (CONTENT_TYPE, "text/plain; charset=\u00fc"), (RESPONSE_TOPIC, "re/ply"),
         (CORRELATION_DATA, bytes(range(256))), (USER_PROPERTY, ("b", "1")), (USER_PROPERTY, ("a", "2")),
         (USER_PROPERTY, ("b", "1")), (USER_PROPERTY, ("", "")), (USER_PROPERTY, ("a", "1"))]


def same(pairs):
    user = [value for identifier, value in pairs if identifier == USER_PROPERTY]
    rest = {identifier: value for identifier, value in pairs if identifier != USER_PROPERTY}
    return user == [value for identifier, value in PAIRS if identifier == USER_PROPERTY] and \
        rest == {identifier: value for identifier, value in PAIRS if identifier != USER_PROPERTY}


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_live(server, qos):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", qos))
        publisher.hand_over("t", b"x", qos=qos, pairs=PAIRS)
        assert same(client.take().pairs)


def test_kept(server):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x", retain=True, pairs=PAIRS)
        client.subscribe(("t", 1))
        assert same(client.take().pairs)


@pytest.mark.parametrize("qos", [1, 2])
def test_waiting_and_sent_again(server, qos):
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            client.subscribe(("t", qos))
            client.disconnect()
        publisher.hand_over("t", b"x", qos=qos, pairs=PAIRS)
        with server.session("away", 5) as client:
            assert same(client.message().pairs)
            client.disconnect()
        with server.session("away", 5) as client:
            message = client.take()
            assert message.dup == 1 and same(message.pairs)


def test_none_is_a_length_of_0(server):
    with server.client("to", 5) as client, server.client("from", 4) as publisher:
        client.subscribe("t")
        publisher.publish("t", b"x")
        client.expect(publish("t", b"x", 5))


def test_more_than_a_hundred_user_properties(server):
    pairs = [(USER_PROPERTY, (f"key {number % 7}", str(number) * 50)) for number in range(150)]
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 1))
        publisher.hand_over("t", b"x", pairs=pairs)
        assert client.take().pairs == pairs
