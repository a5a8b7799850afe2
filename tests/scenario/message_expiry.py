"""A message that waited says how much of its time is left, and one whose time is over is not delivered.
[MQTT-3.3.2-5, MQTT-3.3.2-6, MQTT-4.3.3-7, MQTT-4.3.3-13]"""

import pytest

from mqtt_wire import MESSAGE_EXPIRY, PUBLISH, RECEIVE_MAXIMUM, WILL_DELAY, Will, acknowledge, let_pass


def lasting(seconds):
    return [(MESSAGE_EXPIRY, seconds)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_of_one_that_did_not_wait(server, qos):
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", qos))
        publisher.hand_over("t", b"x", qos=qos, pairs=lasting(100))
        assert client.take().properties[MESSAGE_EXPIRY] in range(90, 101)


@pytest.mark.threads
def test_in_a_session_s_queue(server, version):
    with server.client("from", 5) as publisher:
        with server.session("away", version) as client:
            client.subscribe(("t", 2))
            client.disconnect()
        for qos in (1, 2):
            publisher.hand_over("t", b"short", qos=qos, pairs=lasting(1))
            publisher.hand_over("t", b"long", qos=qos, pairs=lasting(100))
            publisher.hand_over("t", b"always", qos=qos)
        let_pass(2.1)
        with server.session("away", version) as client:
            got = [client.take() for _ in range(4)]
            assert [message.payload for message in got] == [b"long", b"always"] * 2
            if version == 5:
                assert [MESSAGE_EXPIRY in message.properties for message in got] == [True, False] * 2
                assert all(90 <= got[i].properties[MESSAGE_EXPIRY] <= 98 for i in (0, 2))
            client.expect_nothing_before_ping()


def test_of_what_is_kept(server, version):
    with server.client("from", 5) as publisher, server.client("to", version) as client:
        publisher.hand_over("t/short", b"x", retain=True, pairs=lasting(1))
        publisher.hand_over("t/long", b"x", retain=True, pairs=lasting(100))
        let_pass(2.1)
        client.subscribe("t/+")
        message = client.message()
        assert message.topic == "t/long"
        if version == 5:
            assert 90 <= message.properties[MESSAGE_EXPIRY] <= 98
        client.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto 2.0.11 never sends what waits behind it")
def test_behind_a_full_window(server):
    with server.client("to", 5, pairs=[(RECEIVE_MAXIMUM, 1)]) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 1))
        publisher.hand_over("t", b"first")
        publisher.hand_over("t", b"short", pairs=lasting(1))
        publisher.hand_over("t", b"long", pairs=lasting(100))
        first = client.message()
        let_pass(2.1)
        client.accept(first)
        message = client.take()
        assert message.payload == b"long" and 90 <= message.properties[MESSAGE_EXPIRY] <= 98


@pytest.mark.roost_only("mosquitto 2.0.11 drops what was sent already")
def test_once_sent_it_is_sent_again_however_old(server):
    """And its exchange is completed."""
    with server.client("from", 5) as publisher:
        with server.session("to", 5) as client:
            client.subscribe(("t", 2))
            publisher.hand_over("t", b"x", qos=2, pairs=lasting(1))
            sent = client.message()
            client.disconnect()
        let_pass(2.1)
        with server.session("to", 5) as client:
            again = client.take()
            assert (again.payload, again.packet_id, again.dup) == (b"x", sent.packet_id, 1)


@pytest.mark.roost_only("mosquitto 2.0.11 takes 0 for never")
def test_0_is_over_at_once_for_those_who_are_away(server):
    with server.client("from", 5) as publisher:
        with server.session("away", 5) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        publisher.hand_over("t", b"x", pairs=lasting(0))
        let_pass(1.1)
        publisher.hand_over("t", b"end")
        with server.session("away", 5) as client:
            assert client.take().payload == b"end"


def test_a_will_s_time_begins_when_it_is_published(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("will")
        will = Will("will", b"gone", pairs=[(WILL_DELAY, 1), (MESSAGE_EXPIRY, 100)])
        server.session("ends", 5, will=will).reset()
        assert watch.message().properties[MESSAGE_EXPIRY] in range(90, 101)


def test_qos_2_completes_though_its_message_is_over(server):
    """As a receiver the server answers all the same."""
    with server.client("from", 5) as publisher:
        publisher.publish("t", b"x", qos=2, packet_id=5, pairs=lasting(1))
        publisher.answer(5, 5)
        let_pass(1.1)
        publisher.publish("t", b"x", qos=2, packet_id=5, dup=True, pairs=lasting(1))
        publisher.answer(5, 5)
        assert publisher.release(5) == 0


def test_an_acknowledged_one_does_not_come_again(server):
    with server.client("from", 5) as publisher:
        with server.session("to", 5) as client:
            client.subscribe(("t", 1))
            publisher.hand_over("t", b"x", pairs=lasting(100))
            got = client.message()
            assert got.kind == PUBLISH
            client.send(acknowledge(4, got.packet_id))
            client.disconnect()
        with server.session("to", 5) as client:
            client.expect_nothing_before_ping()
