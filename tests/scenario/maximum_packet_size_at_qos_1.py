"""A message that is too large for a client counts as delivered: it holds up nothing. [MQTT-3.1.2-24, MQTT-3.1.2-25]"""

import pytest

from mqtt_wire import MAXIMUM_PACKET_SIZE, RECEIVE_MAXIMUM


@pytest.mark.threads
@pytest.mark.roost_only("mosquitto 2.0.11 never sends what waits behind it")
@pytest.mark.parametrize("qos", [1, 2])
def test_it_takes_no_place_in_the_window(server, qos):
    pairs = [(MAXIMUM_PACKET_SIZE, 200), (RECEIVE_MAXIMUM, 1)]
    with server.client("small", 5, pairs=pairs) as small, server.client("from", 5) as publisher:
        small.subscribe(("t", qos))
        for number in range(10):
            publisher.hand_over("t", b"x" * 300, qos=qos)
            publisher.hand_over("t", str(number), qos=qos)
        for number in range(10):
            assert small.take().payload == str(number).encode()
        small.expect_nothing_before_ping()


def test_in_a_queue(server):
    """The size is the connection's: what fits the next one is not known when the message is put there."""
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        for size in (300, 10, 500, 20):
            publisher.hand_over("t", b"x" * size)
        with server.session("away", 5, pairs=[(MAXIMUM_PACKET_SIZE, 200)]) as client:
            assert [len(client.take().payload) for _ in range(2)] == [10, 20]
            client.expect_nothing_before_ping()
        with server.session("away", 5) as client:
            client.expect_nothing_before_ping()


def test_of_what_is_kept(server):
    with server.client("from", 5) as publisher, server.client("small", 5, pairs=[(MAXIMUM_PACKET_SIZE, 100)]) as small:
        publisher.hand_over("t/large", b"x" * 200, retain=True)
        publisher.hand_over("t/small", b"x", retain=True)
        small.subscribe(("t/+", 1))
        assert small.take().topic == "t/small"
        small.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto 2.0.11 ends a client for a filter that is none")
def test_reasons_in_words_are_left_out_where_they_do_not_fit(server):
    """Whatever the server says to a client that takes next to nothing fits.
    [MQTT-3.2.2-19, MQTT-3.2.2-20, MQTT-3.4.2-2, MQTT-3.4.2-3, MQTT-3.5.2-2, MQTT-3.5.2-3, MQTT-3.7.2-2, MQTT-3.7.2-3,
    MQTT-3.6.2-2, MQTT-3.6.2-3, MQTT-3.9.2-1, MQTT-3.9.2-2, MQTT-3.11.2-1, MQTT-3.11.2-2, MQTT-3.14.2-3, MQTT-3.14.2-4]"""
    with server.client("small", 5, pairs=[(MAXIMUM_PACKET_SIZE, 60)]) as small:
        assert len(small.connack.raw) <= 60
        small.hand_over("nobody", b"x", qos=1)
        small.hand_over("nobody", b"x", qos=2)
        small.subscribe("a#", "t")
        small.unsubscribe("never")
        small.subscribe(("t", 2))
        small.hand_over("t", b"x", qos=2)
        small.take()
        small.send(b"\x00\x00")
        for packet in small.ends():
            assert len(packet.raw) <= 60
