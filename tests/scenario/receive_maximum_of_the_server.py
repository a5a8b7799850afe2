"""The server says how many QoS 2 messages a client may have under way, and ends a client that goes beyond.
[MQTT-3.3.4-7; section 3.2.2.3.3]"""

import pytest

from mqtt_wire import PUBREC, RECEIVE_MAXIMUM


@pytest.fixture
def small(serve):
    return serve("--shards", "2", "--receive-max", "5")


def test_it_is_told(small):
    with small.client("from", 5) as client:
        assert client.connack.properties[RECEIVE_MAXIMUM] == 5


def test_as_many_are_taken(small):
    with small.client("from", 5) as client:
        for _ in range(3):
            for number in range(1, 6):
                client.publish("t", b"x", qos=2, packet_id=number)
            for number in range(1, 6):
                assert client.expect_kind(PUBREC).packet_id == number
            for number in range(1, 6):
                client.release(number)


def test_one_more_ends_the_client(small):
    with small.client("from", 5) as client:
        for number in range(1, 7):
            client.publish("t", b"x", qos=2, packet_id=number)
        packets = client.ends()
        assert [packet.kind for packet in packets[:-1]] == [PUBREC] * 5
        assert packets[-1].reason == 0x93


def test_a_repeated_one_is_not_one_more(small):
    with small.client("from", 5) as client:
        for number in (1, 2, 3, 4, 5, 5, 1):
            client.publish("t", b"x", qos=2, packet_id=number)
            assert client.expect_kind(PUBREC).packet_id == number
        client.expect_nothing_before_ping()


def test_qos_1_is_answered_at_once_and_never_too_many(small):
    with small.client("from", 5) as client:
        for _ in range(100):
            client.publish("t", b"x", qos=1)
        for _ in range(100):
            client.expect_kind(4)


def test_3_1_1_is_not_told_and_not_ended(small):
    """It has no such word; what it has under way is bounded all the same, by waiting or by ending it."""
    with small.client("from", 4) as client:
        for number in range(1, 6):
            client.publish("t", b"x", qos=2, packet_id=number)
            assert client.expect_kind(PUBREC).packet_id == number
        client.expect_nothing_before_ping()
