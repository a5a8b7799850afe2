"""PUBACK and PUBREC come when every shard has the message, wherever its subscribers are, and in the order of the PUBLISH
packets, whatever else is published in between. [MQTT-4.6.0-2, MQTT-4.6.0-3; MQTT-4.6.0-2, MQTT-4.6.0-3 of 3.1.1]"""

import pytest

from mqtt_wire import PUBACK, PUBREC

SUBSCRIBERS = 8  # of three shards, which all have some
ROUNDS = 40


@pytest.fixture
def three(serve):
    return serve("--shards", "3")


def subscribers_of(server):
    subscribers = [server.client(f"to-{i}", 5) for i in range(SUBSCRIBERS)]
    for i, subscriber in enumerate(subscribers):
        assert subscriber.subscribe((f"to/{i}", 1), ("all", 1)) == [1, 1]
    return subscribers


@pytest.mark.threads
def test_one_at_a_time(three, version):
    """Who waits for each acknowledgement gets it, also while nobody else does anything."""
    subscribers = subscribers_of(three)
    with three.client("from", version) as publisher:
        for i in range(SUBSCRIBERS):
            publisher.publish(f"to/{i}", b"x", qos=1, packet_id=i + 1)
            assert publisher.expect_kind(PUBACK).packet_id == i + 1
            assert subscribers[i].take().payload == b"x"
            publisher.publish("all", b"y", qos=2, packet_id=100 + i)
            assert publisher.expect_kind(PUBREC).packet_id == 100 + i
            publisher.release(100 + i)
            assert {subscriber.take().payload for subscriber in subscribers} == {b"y"}
    three.wait_counter("acks_waiting", 0)
    for subscriber in subscribers:
        subscriber.close()


@pytest.mark.threads
def test_in_the_order_of_the_messages(three, version):
    """To one shard, to all, to nobody, and refused: QoS 1 and 2 mixed, and all sent at once."""
    subscribers = subscribers_of(three)
    with three.client("from", version) as publisher:
        wanted = []
        for number in range(1, ROUNDS * 4 + 1):
            topic = [f"to/{number % SUBSCRIBERS}", "all", "nobody", "$SYS/not/yours"][number % 4]
            qos = 1 + number % 3 % 2
            publisher.publish(topic, b"%d" % number, qos=qos, packet_id=number)
            wanted.append((PUBACK if qos == 1 else PUBREC, number))
        got = [publisher.packet() for _ in wanted]
        assert [(packet.kind, packet.packet_id) for packet in got] == wanted
        if version == 5:
            assert {packet.reason for packet in got if packet.packet_id % 4 == 2} <= {0x00, 0x10}
            assert {packet.reason for packet in got if packet.packet_id % 4 == 3} == {0x87}
    for subscriber in subscribers:
        while subscriber.take().payload != b"%d" % (ROUNDS * 4 - 3):
            pass
        subscriber.close()


def test_who_left_meanwhile_is_not_told_again(three, version):
    """A session that goes on with another connection gets the acknowledgements of that connection alone."""
    subscribers = subscribers_of(three)
    for i in range(20):
        publisher = three.client("from", version, clean=False)
        publisher.publish("all", b"%d" % i, qos=1, packet_id=7)
        publisher.publish("all", b"%d" % i, qos=1, packet_id=8)
        publisher.close()
    with three.client("from", version, clean=False) as publisher:
        publisher.publish("nobody", b"", qos=1, packet_id=9)
        assert publisher.expect_kind(PUBACK).packet_id == 9
        publisher.expect_nothing_before_ping()
    three.wait_counter("acks_waiting", 0)
    for subscriber in subscribers:
        subscriber.close()
