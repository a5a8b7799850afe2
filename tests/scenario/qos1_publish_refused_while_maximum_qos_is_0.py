"""Maximum QoS 0 was announced: who publishes above it is ended, not quietly taken. [MQTT-3.2.2-11]"""

import pytest


@pytest.mark.parametrize("qos", [1, 2])
def test_is_refused(server, version, qos):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe("t")
        publisher.publish("t", b"x", qos=qos)
        publisher.expect_refusal(0x9B)
        subscriber.expect_nothing_before_ping()
    assert server.counter("end_publish_qos_limit") == 1


def test_qos_3_is_malformed(server, version):
    with server.client("from", version) as publisher:
        publisher.publish("t", b"x", qos=3)
        publisher.expect_refusal(0x81)
    assert server.counter("end_publish_qos") == 1


def test_dup_at_qos_0_is_malformed(server, version):
    with server.client("from", version) as publisher:
        publisher.publish("t", b"x", dup=True)
        publisher.expect_refusal(0x81)
    assert server.counter("end_publish_dup") == 1
