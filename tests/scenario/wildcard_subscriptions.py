"""Which topics a filter matches. [MQTT-4.7]"""

import pytest

TOPICS = ["a", "b", "a/b", "a/b/c", "a/", "/a", "/", "//", "a//c", "$own/x", "$own", "a/$b", "sport", "sport/", "A", "ä/b",
          "x y/z"]

# filter -> the topics of TOPICS that it matches
MATCHES = {
    "a": {"a"},
    "A": {"A"},
    "+": {"a", "b", "sport", "A"},
    "#": {topic for topic in TOPICS if not topic.startswith("$")},
    "a/+": {"a/b", "a/", "a/$b"},
    "a/#": {"a", "a/b", "a/b/c", "a/", "a//c", "a/$b"},
    "+/b": {"a/b", "ä/b"},
    "+/+": {"a/b", "a/", "/a", "/", "a/$b", "sport/", "ä/b", "x y/z"},
    "/+": {"/a", "/"},
    "+/": {"a/", "/", "sport/"},
    "/": {"/"},
    "//": {"//"},
    "+/+/+": {"a/b/c", "//", "a//c"},
    "a/+/c": {"a/b/c", "a//c"},
    "a/b/#": {"a/b", "a/b/c"},
    "sport/#": {"sport", "sport/"},
    "sport/+": {"sport/"},
    "$own/#": {"$own/x", "$own"},
    "$own/+": {"$own/x"},
    "+/x": set(),
    "ä/+": {"ä/b"},
    "x y/z": {"x y/z"},
    "a/b/c/d": set(),
}


@pytest.mark.parametrize("text", MATCHES)
def test_filter(server, version, text):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        assert subscriber.subscribe(text) == [0]
        # The last message says that all before it have come: one publisher's messages keep their order.
        assert subscriber.subscribe("$end") == [0]
        for topic in TOPICS:
            publisher.publish(topic, topic)
        publisher.publish("$end")
        got = []
        while (message := subscriber.message()).topic != "$end":
            assert message.payload == message.topic.encode()
            got.append(message.topic)
        assert got == [topic for topic in TOPICS if topic in MATCHES[text]]


def test_overlapping_filters_deliver_at_least_once_and_in_order(server, version):
    """Once for each or once for all: the standard lets the server choose. [section 3.3.4]"""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        assert subscriber.subscribe("a/b", "a/+", "#") == [0, 0, 0]
        publisher.publish("a/b", b"1")
        publisher.publish("a/b", b"2")
        publisher.publish("end", b"3")
        got = []
        while (message := subscriber.message()).topic != "end":
            got.append(message.payload)
        assert got in ([b"1", b"2"], [b"1"] * 3 + [b"2"] * 3)
