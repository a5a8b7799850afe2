"""A client's own Maximum Packet Size is kept: what is larger is dropped for it, and for no one else.
[MQTT-3.1.2-24, MQTT-3.1.2-25]"""

from mqtt_wire import MAXIMUM_PACKET_SIZE, connect, publish


def test_larger_messages_are_not_sent_to_it(server):
    with server.client("small", 5, pairs=[(MAXIMUM_PACKET_SIZE, 100)]) as small, server.client("any", 5) as other:
        fits = b"x" * (100 - len(publish("t", b"", 5)))
        assert len(publish("t", fits, 5)) == 100
        small.subscribe("t")
        other.subscribe("t")
        other.publish("t", fits + b"x")
        other.publish("t", fits)
        assert small.message().payload == fits
        assert [len(other.message().payload) for _ in range(2)] == [len(fits) + 1, len(fits)]
    server.wait_counter("messages_dropped_too_large", 1)


def test_properties_count_and_are_dropped_for_3_1_1(server):
    with server.client("small", 5, pairs=[(MAXIMUM_PACKET_SIZE, 100)]) as small, server.client("old", 4) as old, \
            server.client("from", 5) as publisher:
        small.subscribe("t")
        old.subscribe("t")
        publisher.publish("t", b"1", pairs=[(0x26, ("k", "v" * 100))])
        publisher.publish("t", b"2")
        assert small.message().payload == b"2"
        assert [old.message().payload for _ in range(2)] == [b"1", b"2"]


def test_0_is_a_protocol_error(server):
    """[section 3.1.2.11.4]"""
    with server.raw(5) as connection:
        connection.send(connect("x", 5, pairs=[(MAXIMUM_PACKET_SIZE, 0)]))
        connection.expect_connack_refusal(0x82)
