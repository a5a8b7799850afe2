"""The server's packet identifiers: not 0, not in use, free again when the exchange has ended, and apart from the client's.
[MQTT-2.2.1-4, MQTT-2.2.1-2, MQTT-2.2.1-6; MQTT-2.3.1-4, MQTT-2.3.1-5, MQTT-2.3.1-7 of 3.1.1]"""

import pytest

from mqtt_wire import (PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, UNSUBACK, acknowledge, publish, subscribe,
                       unsubscribe)

BATCH = 500


def test_qos_0_has_none(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 0))
        publisher.hand_over("t", b"x", qos=2)
        subscriber.expect(publish("t", b"x", version))


@pytest.mark.threads
@pytest.mark.roost_only("mosquitto 2.0.11 gives identifiers that are in use")
def test_all_of_them_and_around(server, version):
    """As many messages as there are identifiers, while the first one stays unanswered: its identifier is not given again.
    The one behind the last waits until it is free."""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 1))
        publisher.hand_over("t", b"first")
        held = subscriber.message()
        seen = set()
        while len(seen) < 65534:
            count = min(BATCH, 65534 - len(seen))
            publisher.send(b"".join(publish("t", b"x", version, qos=1, packet_id=1 + i) for i in range(count)))
            for _ in range(count):
                got = subscriber.packet()
                assert got.kind == PUBLISH and got.packet_id not in (0, held.packet_id)
                assert got.packet_id not in seen
                seen.add(got.packet_id)
                subscriber.send(acknowledge(PUBACK, got.packet_id))
            for _ in range(count):
                assert publisher.packet().kind == PUBACK
        publisher.hand_over("t", b"last")
        subscriber.expect_nothing_before_ping()
        subscriber.accept(held)
        last = subscriber.message()
        assert (last.packet_id, last.payload) == (held.packet_id, b"last")
        subscriber.accept(last)
        subscriber.expect_nothing_before_ping()


def test_both_sides_use_the_same_number_for_different_exchanges(server, version):
    """An exchange of each side is under way with each number from 1 to 5, and each ends as it should."""
    with server.client("both", version) as client, server.client("from", version) as publisher:
        client.subscribe(("t", 2))
        for _ in range(5):
            publisher.hand_over("t", b"x", qos=2)
        messages = [client.message() for _ in range(5)]
        numbers = [message.packet_id for message in messages]
        for number in numbers:
            client.publish("other", b"y", qos=2, packet_id=number)
            assert client.expect_kind(PUBREC).packet_id == number
        for number in numbers:
            client.send(acknowledge(PUBREC, number))
            assert client.expect_kind(PUBREL).packet_id == number
        for number in numbers:
            assert client.release(number) == 0
            client.send(acknowledge(PUBCOMP, number))
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("number", [1, 256, 65535])
def test_suback_and_unsuback_have_the_request_s(server, version, number):
    """[MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-3.10.4-4, MQTT-3.10.4-5; MQTT-3.8.4-1, MQTT-3.8.4-2, MQTT-3.10.4-4 of 3.1.1]"""
    with server.client("to", version) as client:
        client.send(subscribe(number, "t", version=version))
        assert client.expect_kind(SUBACK).packet_id == number
        client.send(unsubscribe(number, "t", version=version))
        assert client.expect_kind(UNSUBACK).packet_id == number
        client.send(unsubscribe(number, "never", version=version))
        assert client.expect_kind(UNSUBACK).packet_id == number


def test_unsubscribe_with_identifier_0_is_a_protocol_error(server, version):
    """[MQTT-2.2.1-3; MQTT-2.3.1-1 of 3.1.1]"""
    with server.client("to", version) as client:
        client.send(unsubscribe(0, "t", version=version))
        client.expect_refusal(0x82)
