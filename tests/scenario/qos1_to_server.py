"""A client's QoS 1 messages: each is acknowledged once, under its own identifier, and passed on.
[MQTT-2.2.1-5, MQTT-3.3.4-1, MQTT-4.3.2-4, MQTT-4.3.2-5; MQTT-2.3.1-6, MQTT-3.3.4-1, MQTT-4.3.2-2, MQTT-4.6.0-2 of 3.1.1]"""

import pytest

from mqtt_wire import PUBACK, acknowledge


@pytest.mark.threads
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65535])
def test_is_acknowledged_and_delivered(server, version, packet_id):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        assert subscriber.subscribe(("t", 1)) == [1]
        publisher.publish("t", b"x", qos=1, packet_id=packet_id)
        assert publisher.expect_kind(PUBACK).packet_id == packet_id
        message = subscriber.take()
        assert (message.topic, message.payload, message.qos, message.dup, message.retain) == ("t", b"x", 1, 0, 0)


def test_3_1_1_has_the_two_byte_form(server):
    with server.client("from", 4) as publisher:
        publisher.publish("nobody", b"x", qos=1, packet_id=77)
        publisher.expect(acknowledge(PUBACK, 77))


def test_version_5_is_told_success_even_if_nobody_wants_it(server):
    """0x00, or 0x10 where no one subscribes. [section 3.4.2.1]"""
    with server.client("from", 5) as publisher:
        assert publisher.hand_over("nobody", b"x") in (0x00, 0x10)


def test_acknowledgements_come_in_the_order_of_the_messages(server, version):
    numbers = [9, 3, 1, 65535, 2, 7]
    with server.client("from", version) as publisher:
        for number in numbers:
            publisher.publish("t", b"x", qos=1, packet_id=number)
        assert [publisher.expect_kind(PUBACK).packet_id for _ in numbers] == numbers


def test_after_its_puback_an_identifier_means_a_new_message(server, version):
    """DUP or not: QoS 1 has no memory of what it acknowledged."""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 1))
        for payload, dup in ((b"1", False), (b"2", False), (b"3", True)):
            publisher.publish("t", payload, qos=1, packet_id=5, dup=dup)
            assert publisher.expect_kind(PUBACK).packet_id == 5
            assert subscriber.take().payload == payload


def test_dup_does_not_travel(server, version):
    """[MQTT-3.3.1-3; MQTT-3.3.1-3 of 3.1.1]"""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("t", 2))
        for qos in (1, 2):
            publisher.hand_over("t", b"x", qos=qos, dup=True)
            assert subscriber.take().dup == 0


def test_identifier_0_is_a_protocol_error(server, version):
    """[MQTT-2.2.1-3; MQTT-2.3.1-1 of 3.1.1]"""
    with server.client("from", version) as publisher:
        publisher.publish("t", b"x", qos=1, packet_id=0)
        publisher.expect_refusal(0x82)
