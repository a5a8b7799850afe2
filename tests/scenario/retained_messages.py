"""The last retained message of each topic is kept for those who subscribe later.
[MQTT-3.3.1-5, MQTT-3.3.1-6, MQTT-3.3.1-7, MQTT-3.3.1-8, MQTT-3.3.1-12;
MQTT-3.3.1-5, MQTT-3.3.1-6, MQTT-3.3.1-7, MQTT-3.3.1-8, MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11, MQTT-3.3.1-12 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import RETAIN_AVAILABLE, VERSIONS


def keep(publisher, topic, payload, qos=1):
    assert publisher.hand_over(topic, payload, qos=qos, retain=True) in (0, 0x10)


def kept(client, *filters):
    """{topic: payload} of what is kept for these filters, each with the flag."""
    client.subscribe(*filters, "$end")
    client.publish("$end", b"")
    found = {}
    while (message := client.take()).topic != "$end":
        assert message.retain == 1 and message.topic not in found
        found[message.topic] = message.payload
    client.unsubscribe("$end", *(item if isinstance(item, str) else item[0] for item in filters))
    return found


@pytest.mark.threads
@pytest.mark.parametrize("sender, receiver", itertools.product(VERSIONS, VERSIONS))
def test_at_every_qos(server, sender, receiver):
    """The QoS that it came with is kept too."""
    with server.client("from", sender) as publisher, server.client("to", receiver) as client:
        for qos in (0, 1, 2):
            keep(publisher, f"t/{qos}", str(qos), qos)
        publisher.expect_nothing_before_ping()
        client.subscribe(("t/+", 2))
        got = sorted((m.topic, m.payload, m.qos, m.retain, m.dup) for m in (client.take() for _ in range(3)))
        assert got == [(f"t/{qos}", str(qos).encode(), qos, 1, 0) for qos in (0, 1, 2)]


def test_version_5_is_not_told_that_it_is_missing(server):
    with server.client("to", 5) as client:
        assert client.connack.properties.get(RETAIN_AVAILABLE, 1) == 1


def test_the_last_one_counts(server, version):
    with server.client("from", version) as publisher, server.client("to", version) as client:
        for payload in (b"1", b"2", b"3"):
            keep(publisher, "t", payload)
        assert kept(client, "t") == {"t": b"3"}


def test_those_who_are_there_get_it_without_the_flag(server, version):
    """[MQTT-3.3.1-12; MQTT-3.3.1-9 of 3.1.1]"""
    with server.client("from", version) as publisher, server.client("to", version) as client:
        client.subscribe(("t", 1))
        keep(publisher, "t", b"x")
        message = client.take()
        assert (message.payload, message.retain) == (b"x", 0)


def test_an_empty_one_deletes_and_is_delivered(server, version):
    with server.client("from", version) as publisher, server.client("there", version) as there, \
            server.client("to", version) as client:
        keep(publisher, "t", b"x")
        there.subscribe(("other", 1), ("t", 1))
        assert there.take().payload == b"x"
        keep(publisher, "t", b"")
        message = there.take()
        assert (message.payload, message.retain) == (b"", 0)
        assert kept(client, "t") == {}
        keep(publisher, "never", b"")
        assert kept(client, "never") == {}


def test_without_the_flag_nothing_is_touched(server, version):
    with server.client("from", version) as publisher, server.client("to", version) as client:
        keep(publisher, "t", b"kept")
        publisher.hand_over("t", b"passing")
        publisher.hand_over("t", b"")
        publisher.hand_over("u", b"passing")
        assert kept(client, "#") == {"t": b"kept"}


FILTERS = {
    "a": {"a"},
    "a/b": {"a/b"},
    "+": {"a", "b"},
    "a/+": {"a/b", "a/c", "a/"},
    "a/#": {"a", "a/b", "a/c", "a/b/c", "a/"},
    "+/b/#": {"a/b", "a/b/c", "/b"},
    "+/+": {"a/b", "a/c", "a/", "/b"},
    "#": {"a", "b", "a/b", "a/c", "a/b/c", "a/", "/b"},
    "$own/#": {"$own/x"},
    "+/x": set(),
    "a/b/c/d": set(),
}


@pytest.mark.threads
def test_wildcards(server, version):
    topics = {topic for found in FILTERS.values() for topic in found}
    with server.client("from", version) as publisher, server.client("to", version) as client:
        for topic in topics:
            keep(publisher, topic, topic)
        for text, found in FILTERS.items():
            assert kept(client, text) == {topic: topic.encode() for topic in found}, text


def test_hundreds_of_them(server, version):
    """More than go out in one turn, to a client that takes them one at a time."""
    with server.client("from", version) as publisher, server.client("to", version) as client:
        for number in range(700):
            publisher.publish(f"many/{number}", str(number), retain=True)
        publisher.hand_over("many/700", "700", retain=True)
        client.subscribe(("many/+", 1))
        got = {(message.topic, message.payload) for message in (client.take() for _ in range(701))}
        assert got == {(f"many/{number}", str(number).encode()) for number in range(701)}


def test_they_outlive_their_publisher_s_session(server, version):
    """[MQTT-3.1.2-7 of 3.1.1]"""
    with server.client("from", version) as publisher:
        keep(publisher, "t", b"x")
        publisher.disconnect()
    server.client("from", version, clean=True).disconnect()
    with server.client("to", version) as client:
        assert kept(client, "t") == {"t": b"x"}


def test_the_granted_qos_bounds_theirs(server, version):
    with server.client("from", version) as publisher, server.client("to", version) as client:
        keep(publisher, "t", b"x", 2)
        for granted in (0, 1, 2):
            client.subscribe(("t", granted))
            message = client.take()
            assert (message.qos, message.retain) == (granted, 1)


def test_large_ones(server, version):
    with server.client("from", version) as publisher, server.client("to", version) as client:
        keep(publisher, "t", b"x" * 300000, 2)
        assert kept(client, ("t", 2)) == {"t": b"x" * 300000}


def test_more_than_the_receive_maximum(server):
    with server.client("from", 5) as publisher, server.client("to", 5, pairs=[(0x21, 3)]) as client:
        for number in range(10):
            keep(publisher, f"t/{number}", b"x")
        client.subscribe(("t/+", 1))
        window = [client.message() for _ in range(3)]
        client.expect_nothing_before_ping()
        for message in window:
            client.accept(message)
        assert len({client.take().topic for _ in range(7)}) == 7
