"""No more of QoS 1 and 2 is under way to a client than it said it takes; all else goes on.
[MQTT-3.3.4-9, MQTT-3.3.4-10, MQTT-4.9.0-1, MQTT-4.9.0-2, MQTT-4.9.0-3]"""

import pytest

from mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAXIMUM, SUBACK, acknowledge, connect, subscribe


def limited(server, maximum, **options):
    return server.session("to", 5, pairs=[(RECEIVE_MAXIMUM, maximum)], **options)


@pytest.mark.threads
@pytest.mark.roost_only("mosquitto 2.0.11 sends one more than it may")
@pytest.mark.parametrize("maximum", [1, 2, 7])
def test_qos_1_waits_for_puback(server, maximum):
    with limited(server, maximum) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 1))
        for number in range(20):
            publisher.hand_over("t", str(number))
        window = [client.message() for _ in range(maximum)]
        for number in range(maximum, 20):
            client.expect_nothing_before_ping()
            client.accept(window.pop(0))
            window.append(client.message())
            assert window[-1].payload == str(number).encode()


def test_qos_2_waits_for_pubcomp(server):
    with limited(server, 1) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 2))
        for payload in (b"1", b"2"):
            publisher.hand_over("t", payload, qos=2)
        first = client.message()
        client.send(acknowledge(PUBREC, first.packet_id))
        client.expect_kind(PUBREL)
        client.expect_nothing_before_ping()
        client.send(acknowledge(PUBCOMP, first.packet_id))
        assert client.take().payload == b"2"


@pytest.mark.roost_only("mosquitto 2.0.11 goes on with PUBREL")
def test_a_refusing_pubrec_makes_room(server):
    with limited(server, 1) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 2))
        for payload in (b"1", b"2"):
            publisher.hand_over("t", payload, qos=2)
        client.send(acknowledge(PUBREC, client.message().packet_id, 0x97))
        assert client.take().payload == b"2"


def test_qos_0_and_answers_go_on(server):
    with limited(server, 1) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 1), ("quick", 0))
        for payload in (b"1", b"2"):
            publisher.hand_over("t", payload)
        first = client.message()
        publisher.hand_over("quick", b"0")
        publisher.hand_over("quick", b"1", qos=1)
        assert [client.message().payload for _ in range(2)] == [b"0", b"1"]
        client.send(subscribe(9, "more", version=5))
        assert client.expect_kind(SUBACK).packet_id == 9
        client.publish("elsewhere", b"x", qos=1, packet_id=10)
        assert client.expect_kind(PUBACK).packet_id == 10
        client.expect_nothing_before_ping()
        client.accept(first)
        assert client.take().payload == b"2"


@pytest.mark.roost_only("mosquitto 2.0.11 sends all again at once")
def test_it_is_the_connection_s_not_the_session_s(server):
    """What is sent again counts against the maximum of the connection that it is sent on."""
    with server.client("from", 5) as publisher:
        with limited(server, 10) as first:
            first.subscribe(("t", 1))
            for number in range(5):
                publisher.hand_over("t", str(number))
            for _ in range(5):
                first.message()
            first.disconnect()
        with limited(server, 2) as second:
            window = [second.message() for _ in range(2)]
            second.expect_nothing_before_ping()
            for number in range(2, 5):
                second.accept(window.pop(0))
                window.append(second.message())
            assert [m.payload for m in window] == [b"3", b"4"]
            assert all(m.dup == 1 for m in window)


@pytest.mark.roost_only("mosquitto 2.0.11 closes without a word, which the standard allows")
def test_0_is_a_protocol_error(server):
    """[section 3.1.2.11.3]"""
    with server.raw(5) as connection:
        connection.send(connect("x", 5, pairs=[(RECEIVE_MAXIMUM, 0)]))
        connection.expect_connack_refusal(0x82)


def test_3_1_1_has_the_server_s_own_window(serve):
    server = serve("--shards", "2", "--inflight-max", "3")
    with server.client("to", 4) as client, server.client("from", 4) as publisher:
        client.subscribe(("t", 1))
        for number in range(10):
            publisher.hand_over("t", str(number))
        window = [client.message() for _ in range(3)]
        client.expect_nothing_before_ping()
        for number in range(3, 10):
            client.accept(window.pop(0))
            window.append(client.message())
        assert [m.payload for m in window] == [b"7", b"8", b"9"]


@pytest.mark.roost_only("mosquitto 2.0.11 takes a larger maximum in place of its own")
def test_the_server_s_window_bounds_a_larger_maximum(serve):
    server = serve("--shards", "2", "--inflight-max", "3")
    with limited(server, 50) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 1))
        for number in range(10):
            publisher.hand_over("t", str(number))
        for _ in range(3):
            client.message()
        client.expect_nothing_before_ping()
