"""A second connection takes a session over while messages are under way in both directions: nothing is lost, and nothing
at QoS 2 comes twice. [MQTT-3.1.4-3, MQTT-4.4.0-1; MQTT-3.1.4-2, MQTT-4.4.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import PUBREC, PUBREL, acknowledge


@pytest.mark.threads
def test_a_hundred_times(server, version):
    """Each connection takes one message and leaves the rest under way for the next, which takes the session over."""
    with server.client("from", version) as publisher:
        client = server.session("to", version)
        client.subscribe(("t", 2))
        for number in range(100):
            publisher.hand_over("t", str(number), qos=2)
        for number in range(100):
            message = client.take()
            assert message.payload == str(number).encode()
            following = server.session("to", version)
            assert following.connack.session_present == 1
            client.close()
            client = following
        client.expect_nothing_before_ping()
        client.close()


def test_the_first_is_told_and_gets_no_more(server, version):
    with server.client("from", version) as publisher:
        first = server.session("to", version)
        first.subscribe(("t", 1))
        second = server.session("to", version)
        first.expect_refusal(0x8E)
        publisher.hand_over("t", b"x")
        assert second.take().payload == b"x"
        first.close()
        second.close()


def test_both_directions(server, version):
    with server.client("other", version) as other:
        other.subscribe(("from/it", 2))
        first = server.session("it", version)
        first.subscribe(("to/it", 2))
        other.hand_over("to/it", b"down", qos=2)
        down = first.message()
        first.send(acknowledge(PUBREC, down.packet_id))
        first.expect_kind(PUBREL)
        first.publish("from/it", b"up", qos=2, packet_id=down.packet_id)
        first.expect_kind(PUBREC)
        second = server.session("it", version)
        assert second.expect_kind(PUBREL).packet_id == down.packet_id
        second.send(acknowledge(7, down.packet_id))
        second.publish("from/it", b"up", qos=2, packet_id=down.packet_id, dup=True)
        second.expect_kind(PUBREC)
        second.release(down.packet_id)
        second.hand_over("from/it", b"end", qos=2)
        assert [other.take().payload for _ in range(2)] == [b"up", b"end"]
        second.expect_nothing_before_ping()
        first.close()
        second.close()
