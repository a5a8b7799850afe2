"""After UNSUBACK nothing more comes for that filter. [MQTT-3.10]"""

import pytest

from mqtt_wire import unsuback, unsubscribe


@pytest.mark.threads
def test_nothing_comes_after_unsuback(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe("t", "end")
        publisher.publish("t", b"1")
        assert subscriber.message().payload == b"1"
        subscriber.unsubscribe("t")
        publisher.publish("t", b"2")
        publisher.publish("end", b"3")
        assert subscriber.message().payload == b"3"


def test_wildcard_filters_are_compared_as_text(server, version):
    with server.client("to", version) as subscriber, server.client("from", version) as publisher:
        subscriber.subscribe("a/+")
        subscriber.unsubscribe("a/b", "a/#", "+/+")
        publisher.publish("a/b", b"1")
        assert subscriber.message().payload == b"1"
        subscriber.unsubscribe("a/+")
        publisher.publish("a/b", b"2")
        subscriber.subscribe("end")
        publisher.publish("end", b"3")
        assert subscriber.message().payload == b"3"


def test_codes_of_version_5(server):
    with server.client("to", 5) as client:
        client.subscribe("t", "u")
        client.send(unsubscribe(77, "t", "never", "u", version=5))
        client.expect(unsuback(77, 0x00, 0x11, 0x00, version=5))
        client.send(unsubscribe(78, "t", version=5))
        client.expect(unsuback(78, 0x11, version=5))


def test_3_1_1_has_no_codes(server):
    with server.client("to", 4) as client:
        client.send(unsubscribe(258, "never", "t"))
        client.expect(b"\xb0\x02\x01\x02")


def test_without_a_filter_is_a_protocol_error(server, version):
    with server.client("to", version) as client:
        client.send(unsubscribe(1, version=version))
        client.expect_refusal(0x82)
    server.wait_counter("end_unsubscribe_empty", 1)


def test_others_keep_theirs(server, version):
    with server.client("a", version) as one, server.client("b", version) as two:
        one.subscribe("t")
        two.subscribe("t")
        one.unsubscribe("t")
        one.publish("t", b"x")
        assert two.message().payload == b"x"
        one.expect_nothing_before_ping()
