"""What comes at QoS 1 and 2 while a session's client is away waits for it, in order.
[MQTT-3.1.2-5, MQTT-3.1.2-23, MQTT-4.5.0-1, MQTT-4.1.0-1; MQTT-3.1.2-4, MQTT-3.1.2-5, MQTT-4.1.0-1, MQTT-4.5.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import USER_PROPERTY


@pytest.fixture
def away(server, version):
    """The name of a session that subscribes to t/# at QoS 2, and whose client has left."""
    with server.session("away", version) as client:
        assert client.subscribe(("t/#", 2)) == [2]
        client.disconnect()
    return "away"


@pytest.mark.threads
def test_in_order(server, version, away):
    with server.client("from", version) as publisher:
        for number in range(50):
            publisher.hand_over(f"t/{number % 3}", str(number), qos=1 + number % 2)
    with server.session(away, version) as client:
        assert client.connack.session_present == 1
        got = [client.take() for _ in range(50)]
        assert [int(message.payload) for message in got] == list(range(50))
        assert all((m.topic, m.qos, m.dup, m.retain) == (f"t/{i % 3}", 1 + i % 2, 0, 0) for i, m in enumerate(got))
        client.expect_nothing_before_ping()


def test_subscriptions_are_there_without_asking(server, version, away):
    with server.session(away, version) as client, server.client("from", version) as publisher:
        publisher.hand_over("t/x", b"now", qos=2)
        assert client.take().payload == b"now"


def test_an_unsubscribed_filter_gets_no_more(server, version, away):
    """What waits already may still come. [section 3.10.4]"""
    with server.client("from", version) as publisher:
        with server.session(away, version) as client:
            client.unsubscribe("t/#")
            client.disconnect()
        publisher.hand_over("t/x", b"late")
        with server.session(away, version) as client:
            client.expect_nothing_before_ping()


def test_large_messages_and_their_properties(server, version, away):
    pairs = [(USER_PROPERTY, ("k", str(i))) for i in range(20)]
    payloads = [bytes([i]) * 60000 for i in range(4)]
    with server.client("from", 5) as publisher:
        for payload in payloads:
            publisher.hand_over("t/large", payload, qos=2, pairs=pairs)
    with server.session(away, version) as client:
        for payload in payloads:
            message = client.take()
            assert message.payload == payload
            assert message.pairs == (pairs if version == 5 else [])


def test_each_of_several_sessions_has_its_own(server, version):
    names = [f"away-{i}" for i in range(8)]
    for name in names:
        with server.session(name, version) as client:
            client.subscribe((f"to/{name}", 1), ("all", 2))
            client.disconnect()
    with server.client("from", version) as publisher:
        for name in names:
            publisher.hand_over(f"to/{name}", name)
            publisher.hand_over("all", name, qos=2)
    for name in names:
        with server.session(name, version) as client:
            got = [client.take().payload.decode() for _ in range(len(names) + 1)]
            assert sorted(got) == sorted([*names, name])
            client.expect_nothing_before_ping()


def test_through_several_connections(server, version, away):
    """Taken one at a time, each on a connection of its own."""
    with server.client("from", version) as publisher:
        for number in range(5):
            publisher.hand_over("t/x", str(number))
    for number in range(5):
        with server.session(away, version) as client:
            assert client.take().payload == str(number).encode()
            client.disconnect()
    with server.session(away, version) as client:
        client.expect_nothing_before_ping()


def test_its_own_messages_wait_too(server, version, away):
    """A publisher that is its own subscriber and leaves before it took what it sent."""
    with server.session(away, version) as client:
        client.publish("t/mine", b"x", qos=1)
        client.disconnect()
    with server.session(away, version) as client:
        assert client.take().payload == b"x"
