"""Packets that end too early, at each byte, and packets that are wrong, each in its own way: each costs its own
connection and no one else's, and each is counted."""

import itertools

import pytest

from mqtt_wire import (MESSAGE_EXPIRY, SESSION_EXPIRY, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS, USER_PROPERTY, Closed, Will,
                       connect, packet, properties, publish, string, subscribe, unsubscribe)


def whole_packets(version):
    pairs = [(USER_PROPERTY, ("key", "value"))]
    return {
        "connect": connect("cut", version, will=Will("w", b"gone", pairs=pairs), user="u", password="p",
                           pairs=[(SESSION_EXPIRY, 0), *pairs]),
        "publish": publish("a/b", b"payload", version, pairs=[(MESSAGE_EXPIRY, 5), *pairs]),
        "subscribe": subscribe(1, "a/+", "b/#", version=version, pairs=pairs),
        "unsubscribe": unsubscribe(2, "a/+", "b/#", version=version, pairs=pairs),
        "disconnect": packet(14, b"\x00" + properties(*pairs)) if version == 5 else b"\xe0\x00",
        "puback": b"\x40\x02\x00\x01",
        "ping": b"\xc0\x00",
    }


@pytest.mark.parametrize("kind", whole_packets(4))
def test_cut_and_closed(server, version, kind):
    """The rest never comes, because the connection ends."""
    data = whole_packets(version)[kind]
    with server.client("bystander", version) as bystander:
        bystander.subscribe("quiet")
        for size in range(len(data)):
            for end in ("close", "reset"):
                connection = server.raw(version) if kind == "connect" else server.client("", version)
                connection.send(data[:size])
                getattr(connection, end)()
        bystander.publish("quiet", b"x")
        assert bystander.message().payload == b"x"
        server.wait_counter("connections_open", 1)
        server.wait_counter("handshakes_open", 0)


@pytest.mark.parametrize("kind", ["connect", "publish", "subscribe", "unsubscribe"])
def test_cut_and_said_to_be_whole(server, version, kind):
    """The fixed header says that the packet ends where it was cut: some field is short. What a PUBLISH has behind its
    topic is payload, so that it may be cut there."""
    data = whole_packets(version)[kind]
    body = data[2:]
    assert data[1] == len(body)
    legal = 0
    with server.client("bystander", version) as bystander:
        for size in range(len(body)):
            connection = server.raw(version) if kind == "connect" else server.client("", version)
            connection.send(data[:1] + bytes([size]) + body[:size] + b"\xc0\x00")
            answers = connection.ends_or_pings()
            connection.close()
            legal += bool(answers)
            assert not answers or kind in ("publish", "subscribe", "unsubscribe"), f"cut at {size}"
        bystander.expect_nothing_before_ping()
    if kind == "publish":
        head = 2 + len("a/b") + (len(properties((MESSAGE_EXPIRY, 5), (USER_PROPERTY, ("key", "value")))) if version == 5 else 0)
        assert legal == len(body) - head
    elif kind != "connect":
        assert legal == 1, "between the first filter and the second"
    counters = server.counters()
    ends = sum(value for name, value in counters.items() if name.startswith("end_"))
    assert ends >= len(body) - legal
    server.wait_counter("connections_open", 0)


def corrupt_packets(version):
    none = properties() if version == 5 else b""
    both = {
        "reserved type": b"\x00\x00",
        "type of a server: connack": b"\x20\x02\x00\x00",
        "type of a server: suback": b"\x90\x03\x00\x01\x00",
        "type of a server: pingresp": b"\xd0\x00",
        "publish with a topic longer than the packet": packet(3, b"\xff\xfft"),
        "publish without a topic": packet(3, b""),
        "publish qos 3": packet(3, string("t") + b"\x00\x01" + none, 6),
        "subscribe with flags 0": packet(8, b"\x00\x01" + none + string("t") + b"\x00", 0),
        "subscribe with a filter longer than the packet": packet(8, b"\x00\x01" + none + b"\x00\x09t", 2),
        "subscribe without options": packet(8, b"\x00\x01" + none + string("t"), 2),
        "subscribe with a filter that is no UTF-8": packet(8, b"\x00\x01" + none + string(b"\xc3\x28") + b"\x00", 2),
        "subscribe with a null character": packet(8, b"\x00\x01" + none + string("a\0b") + b"\x00", 2),
        "unsubscribe with flags 0": packet(10, b"\x00\x01" + none + string("t"), 0),
        "pubrel with flags 0": b"\x60\x02\x00\x01",
        "ping with a body": b"\xc0\x02\x00\x00",
        "disconnect with flags": b"\xe1\x00",
        "remaining length of five bytes": b"\x30\x80\x80\x80\x80\x01",
    }
    if version == 4:
        return {**both, "auth": b"\xf0\x00", "disconnect with a body": b"\xe0\x01\x00"}
    return {
        **both,
        "unknown property": packet(3, string("t") + b"\x02\x7f\x00"),
        "property of another packet": packet(3, string("t") + properties((0x11, 5))),
        "property twice": packet(3, string("t") + properties((MESSAGE_EXPIRY, 1), (MESSAGE_EXPIRY, 2))),
        "property length beyond the packet": packet(3, string("t") + b"\x20\x02"),
        "property cut by its length": packet(3, string("t") + b"\x03\x02\x00\x00"),
        "property length of five bytes": packet(3, string("t") + b"\x80\x80\x80\x80\x01"),
        "payload format 2": packet(3, string("t") + properties((0x01, 2))),
        "topic alias 0": packet(3, string("t") + properties((TOPIC_ALIAS, 0))),
        "topic alias unknown": packet(3, string("") + properties((TOPIC_ALIAS, 1))),
        "response topic with a wildcard": packet(3, string("t") + properties((0x08, "a/+"))),
        "subscription identifier from a client": packet(3, string("t") + properties((SUBSCRIPTION_IDENTIFIER, 1))),
        "subscription identifier 0": subscribe(1, "t", version=5, pairs=[(SUBSCRIPTION_IDENTIFIER, 0)]),
        "user property that is no UTF-8": packet(3, string("t") + properties((USER_PROPERTY, (b"\xff", "v")))),
        "retain handling 3": packet(8, b"\x00\x01\x00" + string("t") + b"\x30", 2),
        "auth without a method in connect": b"\xf0\x00",
        "disconnect with an unknown reason": packet(14, b"\x7f"),
        "disconnect with a reason of the server's": packet(14, b"\x8b"),
        "disconnect that raises the session expiry": packet(14, b"\x00" + properties((SESSION_EXPIRY, 60))),
        "disconnect with trailing bytes": packet(14, b"\x00\x00\x00"),
    }


CASES = [(version, name) for version in (4, 5) for name in corrupt_packets(version)]


@pytest.mark.parametrize("level, name", CASES)
def test_corrupt(server, level, name):
    with server.client("bystander", level) as bystander, server.client("bad", level) as client:
        bystander.subscribe("t")
        client.send(corrupt_packets(level)[name])
        last = client.ends()
        if level == 5:
            assert [got.kind for got in last] == [14] and last[0].reason >= 0x80, last
        else:
            assert last == []
        bystander.expect_nothing_before_ping()
        counters = server.counters()
        ends = {key: value for key, value in counters.items() if key.startswith("end_") and value}
        assert sum(ends.values()) == 1, ends
        assert counters["connections_open"] == 1
        assert not set(ends) & {"end_connection_lost", "end_closed_by_client"}


def test_every_first_byte(server, version):
    """Each type with each set of flags, with nothing and with two bytes behind."""
    with server.client("bystander", version) as bystander:
        for first, body in itertools.product(range(256), (b"\x00", b"\x02\x00\x01")):
            with server.client("", version) as client:
                try:
                    client.send(bytes([first]) + body)
                    client.half_close()
                except (Closed, OSError):
                    pass
                client.ends()
        bystander.expect_nothing_before_ping()
        server.wait_counter("connections_open", 1)
