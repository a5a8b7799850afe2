"""Deliveries have the lower of the message's QoS and the subscription's, whichever version each side speaks.
[MQTT-3.8.4-7, MQTT-3.8.4-8, MQTT-4.3.1-1; MQTT-3.8.4-5, MQTT-3.8.4-6, MQTT-4.3.1-1 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import VERSIONS

LEVELS = (0, 1, 2)


@pytest.mark.threads
@pytest.mark.parametrize("sender, receiver", itertools.product(VERSIONS, VERSIONS))
def test_each_with_each(server, sender, receiver):
    with server.client("to", receiver) as subscriber, server.client("from", sender) as publisher:
        for granted in LEVELS:
            assert subscriber.subscribe((f"t/{granted}", granted)) == [granted]
        for granted, sent in itertools.product(LEVELS, LEVELS):
            publisher.hand_over(f"t/{granted}", str(sent), qos=sent)
            message = subscriber.take()
            assert (message.payload, message.qos, message.dup) == (str(sent).encode(), min(granted, sent), 0)


def test_the_new_qos_of_a_replaced_subscription_counts(server, version):
    """[MQTT-3.8.4-3; MQTT-3.8.4-3 of 3.1.1]"""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        for granted in (2, 0, 1):
            assert subscriber.subscribe(("t", granted)) == [granted]
            publisher.hand_over("t", b"x", qos=2)
            assert subscriber.take().qos == granted
        subscriber.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto 2.0.11 gives 3.1.1 the first match's")
def test_overlapping_subscriptions_give_the_highest(server, version):
    """Once with the highest, or once for each: the standard lets the server choose.
    [MQTT-3.3.4-2; MQTT-3.3.5-1 of 3.1.1]"""
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe(("a/b", 0), ("a/+", 2), ("a/#", 1))
        publisher.hand_over("a/b", b"x", qos=2)
        publisher.hand_over("a/b", b"end", qos=2)
        got = []
        while not got or got[-1][1] != b"end":
            message = subscriber.take()
            got.append((message.qos, message.payload))
        assert sorted(qos for qos, payload in got if payload == b"x") in ([2], [0, 1, 2])
