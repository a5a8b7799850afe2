"""The server's QoS 1 deliveries: unacknowledged until PUBACK, sent again on the next connection and at no other time.
[MQTT-2.2.1-4, MQTT-3.3.1-1, MQTT-4.3.2-1, MQTT-4.3.2-2, MQTT-4.3.2-3, MQTT-4.4.0-1;
MQTT-2.3.1-4, MQTT-3.3.1-1, MQTT-4.3.2-1, MQTT-4.4.0-1, MQTT-4.6.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import PUBACK, acknowledge


def test_has_an_identifier_of_its_own_and_no_dup(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 1))
        for _ in range(10):
            publisher.hand_over("t", b"x")
        messages = [subscriber.message() for _ in range(10)]
        assert all(message.packet_id != 0 and message.dup == 0 for message in messages)
        assert len({message.packet_id for message in messages}) == 10


def test_is_not_sent_again_on_the_same_connection(server, version):
    with server.client("to", version, keepalive=1) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 1))
        publisher.hand_over("t", b"x")
        subscriber.message()
        for payload in (b"1", b"2", b"3"):
            publisher.hand_over("t", payload)
            assert subscriber.take().payload == payload
        subscriber.expect_nothing_before_ping()


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "reset", "disconnect", "take over"])
def test_is_sent_again_to_the_resumed_session(server, version, way):
    """With DUP, the same identifiers, and in the same order."""
    with server.client("from", version) as publisher:
        first = server.session("to", version)
        first.subscribe(("t", 1))
        for payload in (b"1", b"2", b"3"):
            publisher.hand_over("t", payload)
        before = [first.message() for _ in range(3)]
        first.send(acknowledge(PUBACK, before[1].packet_id))
        first.expect_nothing_before_ping()
        if way != "take over":
            getattr(first, way)()
        with server.session("to", version) as second:
            again = [second.take() for _ in range(2)]
            assert [(m.payload, m.packet_id, m.dup) for m in again] == \
                [(m.payload, m.packet_id, 1) for m in (before[0], before[2])]
            second.expect_nothing_before_ping()
        with server.session("to", version) as third:
            third.expect_nothing_before_ping()
        first.close()


@pytest.mark.threads
def test_new_messages_come_after_those_sent_again(server, version):
    with server.client("from", version) as publisher:
        with server.session("to", version) as first:
            first.subscribe(("t", 1))
            publisher.hand_over("t", b"1")
            first.message()
            first.disconnect()
        publisher.hand_over("t", b"2")
        with server.session("to", version) as second:
            messages = [second.message() for _ in range(2)]
            assert [(m.payload, m.dup) for m in messages] == [(b"1", 1), (b"2", 0)]
            assert messages[0].packet_id != messages[1].packet_id
            for message in messages:
                second.accept(message)


def test_what_was_never_sent_has_no_dup(server, version):
    with server.client("from", version) as publisher:
        with server.session("to", version) as first:
            first.subscribe(("t", 2))
            first.disconnect()
        for qos in (1, 2):
            publisher.hand_over("t", str(qos), qos=qos)
        with server.session("to", version) as second:
            messages = [second.take() for _ in range(2)]
            assert [(m.payload, m.qos, m.dup) for m in messages] == [(b"1", 1, 0), (b"2", 2, 0)]


def test_a_clean_start_forgets_it(server, version):
    with server.client("from", version) as publisher:
        with server.session("to", version) as first:
            first.subscribe(("t", 1))
            publisher.hand_over("t", b"1")
            first.message()
            first.disconnect()
        with server.session("to", version, clean=True) as second:
            second.expect_nothing_before_ping()


@pytest.mark.parametrize("reason", [0x10, 0x80, 0x83, 0x97])
def test_version_5_s_reason_ends_it_too(server, reason):
    """A refusal acknowledges as well. [MQTT-4.4.0-2]"""
    with server.client("from", 5) as publisher:
        with server.session("to", 5) as first:
            first.subscribe(("t", 1))
            publisher.hand_over("t", b"1")
            first.send(acknowledge(PUBACK, first.message().packet_id, reason))
            first.expect_nothing_before_ping()
            first.disconnect()
        with server.session("to", 5) as second:
            second.expect_nothing_before_ping()
