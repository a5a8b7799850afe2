"""A client's QoS 2 messages: taken over at PUBREC, passed on once, forgotten at PUBREL.
[MQTT-2.2.1-5, MQTT-3.3.4-1, MQTT-4.3.3-8, MQTT-4.3.3-10, MQTT-4.3.3-11, MQTT-4.3.3-12;
MQTT-2.3.1-6, MQTT-4.3.3-2, MQTT-4.6.0-3 of 3.1.1]"""

import pytest

from mqtt_wire import PUBCOMP, PUBREC, PUBREL, acknowledge


def repeat(publisher, payload, packet_id, dup=True):
    publisher.publish("t", payload, qos=2, packet_id=packet_id, dup=dup)
    return publisher.answer(PUBREC, packet_id).reason


@pytest.mark.threads
def test_the_whole_exchange(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        assert subscriber.subscribe(("t", 2)) == [2]
        publisher.publish("t", b"x", qos=2, packet_id=300)
        assert publisher.expect_kind(PUBREC).packet_id == 300
        publisher.send(acknowledge(PUBREL, 300))
        publisher.expect(acknowledge(PUBCOMP, 300))
        message = subscriber.take()
        assert (message.topic, message.payload, message.qos, message.dup) == ("t", b"x", 2, 0)


@pytest.mark.roost_only("mosquitto 2.0.11 ends who repeats a message twice")
def test_repeated_before_pubrel_it_is_delivered_once(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 2))
        for dup in (False, True, True):
            assert repeat(publisher, b"x", 7, dup) in (0, 0x10)
        assert publisher.release(7) == 0
        publisher.hand_over("t", b"end", qos=2)
        assert [subscriber.take().payload for _ in range(2)] == [b"x", b"end"]


def test_after_pubcomp_the_identifier_means_a_new_message(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 2))
        for payload in (b"1", b"2"):
            repeat(publisher, payload, 7, dup=payload == b"2")
            publisher.release(7)
            assert subscriber.take().payload == payload


def test_several_at_once_are_told_apart(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 2))
        for number in (3, 1, 2):
            publisher.publish("t", str(number), qos=2, packet_id=number)
        assert [publisher.answer(PUBREC, number).packet_id for number in (3, 1, 2)] == [3, 1, 2]
        repeat(publisher, b"1", 1)
        for number in (2, 3, 1):
            publisher.release(number)
        repeat(publisher, b"4", 1, dup=False)
        publisher.release(1)
        assert sorted(subscriber.take().payload for _ in range(4)) == [b"1", b"2", b"3", b"4"]


@pytest.mark.roost_only("mosquitto 2.0.11 says success, which the standard allows")
def test_pubrel_of_nothing_is_answered(server, version):
    """The client may repeat it: version 5 is told that there was no such identifier. [section 3.7.2.1]"""
    with server.client("from", version) as publisher:
        publisher.send(acknowledge(PUBREL, 99))
        got = publisher.expect_kind(PUBCOMP)
        assert (got.packet_id, got.reason) == (99, 0x92 if version == 5 else 0)


@pytest.mark.parametrize("flags", [0, 1, 3, 6, 10])
def test_pubrel_with_other_flags_is_malformed(server, version, flags):
    """[MQTT-3.6.1-1; MQTT-3.6.1-1 of 3.1.1]"""
    with server.client("from", version) as publisher:
        publisher.publish("t", b"x", qos=2, packet_id=1)
        publisher.expect_kind(PUBREC)
        publisher.send(bytes([PUBREL << 4 | flags]) + acknowledge(PUBREL, 1)[1:])
        publisher.expect_refusal(0x81)


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "reset", "disconnect", "take over"])
def test_once_through_a_reconnect(server, version, way):
    """Received, the connection is lost before PUBREL, and the client repeats it on the next one. [MQTT-4.4.0-1]"""
    with server.client("to", version) as subscriber:
        subscriber.subscribe(("t", 2))
        first = server.session("from", version)
        first.publish("t", b"x", qos=2, packet_id=7)
        first.answer(PUBREC, 7)
        if way != "take over":
            getattr(first, way)()
        with server.session("from", version) as second:
            assert second.connack.session_present == 1
            repeat(second, b"x", 7)
            second.release(7)
            second.hand_over("t", b"end", qos=2)
        assert [subscriber.take().payload for _ in range(2)] == [b"x", b"end"]
        first.close()


def test_pubrel_on_the_next_connection_ends_it(server, version):
    with server.client("to", version) as subscriber:
        subscriber.subscribe(("t", 2))
        with server.session("from", version) as first:
            first.publish("t", b"x", qos=2, packet_id=7)
            first.answer(PUBREC, 7)
        with server.session("from", version) as second:
            assert second.release(7) == 0
            repeat(second, b"new", 7, dup=False)
            second.release(7)
        assert [subscriber.take().payload for _ in range(2)] == [b"x", b"new"]


def test_a_clean_start_forgets_it(server, version):
    """Whether the first was passed on at PUBREC or would have been at PUBREL is the server's choice."""
    with server.client("to", version) as subscriber:
        subscriber.subscribe(("t", 2))
        with server.session("from", version) as first:
            first.publish("t", b"1", qos=2, packet_id=7)
            first.answer(PUBREC, 7)
        with server.session("from", version, clean=True) as second:
            repeat(second, b"2", 7, dup=False)
            second.release(7)
        got = [subscriber.take().payload]
        if got == [b"1"]:
            got = [subscriber.take().payload]
        assert got == [b"2"]
