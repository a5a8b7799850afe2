"""`--overlapping-subscriptions` says what a client gets of a message that several of its subscriptions match: a copy for each,
which is the default, or one with the highest QoS and all Subscription Identifiers.
[MQTT-3.3.4-2, MQTT-3.3.4-3, MQTT-3.3.4-4, MQTT-3.3.4-5; MQTT-3.3.5-1 of 3.1.1]"""

import pytest

from mqtt_wire import MESSAGE_EXPIRY, SUBSCRIPTION_IDENTIFIER, USER_PROPERTY

NO_LOCAL, RETAIN_AS_PUBLISHED = 0x04, 0x08
FILTERS = (("a/b", 0), ("a/+", 2), ("a/#", 1))
# The publisher is on the subscriber's shard, or on another one.
PUBLISHERS = [f"from-{number}" for number in range(4)]


@pytest.fixture
def one(serve):
    return serve("--shards", "2", "--overlapping-subscriptions", "one")


def identifiers(message):
    return sorted(value for identifier, value in message.pairs if identifier == SUBSCRIPTION_IDENTIFIER)


def number_all(client, numbers, *filters):
    for number, filter_ in zip(numbers, filters):
        client.subscribe(filter_, pairs=[(SUBSCRIPTION_IDENTIFIER, number)] if number else ())


def test_a_copy_for_each_is_the_default(server):
    with server.client("to", 5) as client, server.client("from", 4) as publisher:
        number_all(client, (1, 2, 3), *FILTERS)
        publisher.hand_over("a/b", b"x", qos=2)
        got = [client.take() for _ in range(3)]
        assert sorted((message.qos, identifiers(message)) for message in got) == [(0, [1]), (1, [3]), (2, [2])]
        client.expect_nothing_before_ping()


@pytest.mark.threads
@pytest.mark.parametrize("name", PUBLISHERS)
def test_one_at_the_highest_qos(one, version, name):
    with one.client("to", version) as client, one.client("other", version) as other, one.client(name, 4) as publisher:
        client.subscribe(*FILTERS)
        other.subscribe(("a/#", 0), ("a/b", 1))
        for qos in (0, 1, 2):
            publisher.hand_over("a/b", b"x", qos=qos)
            assert (client.take().qos, other.take().qos) == (qos, min(qos, 1))
        publisher.hand_over("a/c", b"y", qos=2)
        assert (client.take().qos, other.take().qos) == (2, 0)
        client.expect_nothing_before_ping()
        other.expect_nothing_before_ping()


@pytest.mark.threads
@pytest.mark.parametrize("name", PUBLISHERS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("sender", [4, 5])
def test_all_identifiers_come_with_it(one, name, qos, size, sender):
    pairs = [(USER_PROPERTY, ("k", "v")), (MESSAGE_EXPIRY, 100)] if sender == 5 else ()
    with one.client("to", 5) as client, one.client("other", 5) as other, one.client(name, sender) as publisher:
        number_all(client, (1, 0, 300, 300, 268435455), ("a/b", 0), ("a/+", 1), ("a/#", 2), ("#", 0), ("+/b", 2))
        number_all(other, (0, 7), ("a/b", 2), ("a/#", 1))
        for number in range(3):
            payload = bytes([number]) * size
            publisher.hand_over("a/b", payload, qos=qos, pairs=pairs)
            for receiver, numbers in ((client, [1, 300, 300, 268435455]), (other, [7])):
                message = receiver.take()
                assert (message.topic, message.payload, message.qos) == ("a/b", payload, qos)
                assert identifiers(message) == numbers
                if sender == 5:
                    assert message.properties[USER_PROPERTY] == ("k", "v")
                    assert message.properties[MESSAGE_EXPIRY] in range(90, 101)
        client.expect_nothing_before_ping()


@pytest.mark.threads
@pytest.mark.parametrize("name", PUBLISHERS)
def test_through_a_session_s_queue(one, version, name):
    with one.session("away", version) as client:
        if version == 5:
            number_all(client, (1, 2, 3), *FILTERS)
        else:
            client.subscribe(*FILTERS)
        client.disconnect()
    with one.client(name, 5) as publisher:
        for number in range(10):
            publisher.hand_over("a/b", str(number), qos=1)
    with one.session("away", version) as client:
        for number in range(10):
            message = client.take()
            assert (message.payload, message.qos) == (str(number).encode(), 1)
            assert version != 5 or identifiers(message) == [1, 2, 3]
        client.expect_nothing_before_ping()


def test_more_filters_than_are_walked(one, version):
    """A session's many subscriptions are found in a table, and a message with many routes goes in slices of a turn."""
    levels = "a/b/c/d/e/f".split("/")
    filters = ["/".join("+" if bits >> level & 1 else name for level, name in enumerate(levels)) for bits in range(64)]
    with one.client("to", version) as client, one.client("from", version) as publisher:
        for first in range(0, 64, 16):
            client.subscribe(*((filter_, number % 3) for number, filter_ in enumerate(filters[first:first + 16])))
        for number in range(3):
            publisher.hand_over("a/b/c/d/e/f", str(number), qos=2)
            message = client.take()
            assert (message.payload, message.qos) == (str(number).encode(), 2)
        client.unsubscribe(*filters[1:])
        publisher.hand_over("a/b/c/d/e/f", b"last", qos=2)
        assert (client.take().payload, client.kept) == (b"last", [])
        client.expect_nothing_before_ping()


@pytest.mark.threads
def test_no_local_leaves_out_its_own_filter_only(one):
    with one.client("me", 5) as me, one.client("you", 5) as you:
        number_all(me, (1, 2, 3), ("t", NO_LOCAL | 2), ("+", 1), ("#", NO_LOCAL | 2))
        me.publish("t", b"mine", qos=2, packet_id=5)
        me.answer(5, 5)
        message = me.take()
        assert (message.payload, message.qos, identifiers(message)) == (b"mine", 1, [2])
        assert me.release(5) == 0
        you.hand_over("t", b"yours", qos=2)
        message = me.take()
        assert (message.payload, message.qos, identifiers(message)) == (b"yours", 2, [1, 2, 3])
        me.expect_nothing_before_ping()


def test_retain_as_published_of_any(one):
    with one.client("to", 5) as client, one.client("from", 5) as publisher:
        client.subscribe(("t", 0), ("+", RETAIN_AS_PUBLISHED))
        publisher.hand_over("t", b"x", retain=True)
        assert client.take().retain == 1
        client.expect_nothing_before_ping()


@pytest.mark.threads
def test_a_shared_one_brings_its_own(one):
    with one.client("to", 5) as client, one.client("from", 5) as publisher:
        number_all(client, (1, 2, 3), ("t", 1), ("+", 0), ("$share/g/t", 1))
        publisher.hand_over("t", b"x")
        assert sorted(identifiers(client.take()) for _ in range(2)) == [[1, 2], [3]]
        client.expect_nothing_before_ping()


def test_from_the_next_reload_on(serve, tmp_path):
    file = tmp_path / "roost.yaml"
    file.write_text("overlapping_subscriptions: copies\n")
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0")
    with server.client("to") as client, server.client("from") as publisher:
        client.subscribe("t", "#")
        for word, copies in (("copies", 2), ("one", 1)):
            file.write_text(f"overlapping_subscriptions: {word}\n")
            server.admin().post("/api/v1/reload")
            publisher.publish("t", b"x")
            assert [client.message().payload for _ in range(copies)] == [b"x"] * copies
            client.expect_nothing_before_ping()
