"""The server's QoS 2 deliveries: PUBLISH until PUBREC, PUBREL until PUBCOMP, each sent again on the next connection.
[MQTT-4.3.3-1, MQTT-4.3.3-2, MQTT-4.3.3-3, MQTT-4.3.3-4, MQTT-4.3.3-5, MQTT-4.3.3-6, MQTT-4.4.0-1;
MQTT-4.3.3-1, MQTT-4.4.0-1, MQTT-4.6.0-4 of 3.1.1]"""

import pytest

from mqtt_wire import PUBCOMP, PUBREC, PUBREL, acknowledge


def begin(server, version, publisher, payload=b"x"):
    """A client with one delivery under way that it has not answered, and that delivery."""
    client = server.session("to", version)
    client.subscribe(("t", 2))
    publisher.hand_over("t", payload, qos=2)
    return client, client.message()


def test_the_whole_exchange(server, version):
    with server.client("from", version) as publisher:
        client, message = begin(server, version, publisher)
        assert (message.qos, message.dup, message.payload) == (2, 0, b"x")
        client.send(acknowledge(PUBREC, message.packet_id))
        client.expect(acknowledge(PUBREL, message.packet_id))
        client.send(acknowledge(PUBCOMP, message.packet_id))
        client.expect_nothing_before_ping()
        client.disconnect()
        with server.session("to", version) as again:
            again.expect_nothing_before_ping()


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "reset", "disconnect", "take over"])
def test_publish_is_sent_again_before_pubrec(server, version, way):
    with server.client("from", version) as publisher:
        first, message = begin(server, version, publisher)
        if way != "take over":
            getattr(first, way)()
        with server.session("to", version) as second:
            again = second.take()
            assert (again.payload, again.packet_id, again.dup, again.qos) == (b"x", message.packet_id, 1, 2)
        with server.session("to", version) as third:
            third.expect_nothing_before_ping()
        first.close()


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "reset", "disconnect", "take over"])
def test_pubrel_is_sent_again_after_pubrec(server, version, way):
    """And never the PUBLISH."""
    with server.client("from", version) as publisher:
        first, message = begin(server, version, publisher)
        first.send(acknowledge(PUBREC, message.packet_id))
        first.expect_kind(PUBREL)
        if way != "take over":
            getattr(first, way)()
        with server.session("to", version) as second:
            assert second.expect_kind(PUBREL).packet_id == message.packet_id
            second.send(acknowledge(PUBCOMP, message.packet_id))
            second.expect_nothing_before_ping()
        with server.session("to", version) as third:
            third.expect_nothing_before_ping()
        first.close()


def test_pubrec_repeated_is_answered_again(server, version):
    with server.client("from", version) as publisher:
        client, message = begin(server, version, publisher)
        for _ in range(2):
            client.send(acknowledge(PUBREC, message.packet_id))
            assert client.expect_kind(PUBREL).packet_id == message.packet_id
        client.send(acknowledge(PUBCOMP, message.packet_id))
        client.expect_nothing_before_ping()
        client.close()


def test_states_are_kept_in_order(server, version):
    """Three under way in three states: what is sent again comes in the order in which it was sent."""
    with server.client("from", version) as publisher:
        first, one = begin(server, version, publisher, b"1")
        publisher.hand_over("t", b"2", qos=2)
        publisher.hand_over("t", b"3", qos=2)
        two, three = first.message(), first.message()
        first.send(acknowledge(PUBREC, two.packet_id))
        first.expect_kind(PUBREL)
        first.disconnect()
        with server.session("to", version) as second:
            packets = [second.packet() for _ in range(3)]
            assert [(p.kind, p.packet_id) for p in packets if p.kind == PUBREL] == [(PUBREL, two.packet_id)]
            assert [(p.payload, p.packet_id, p.dup) for p in packets if p.kind != PUBREL] == \
                [(b"1", one.packet_id, 1), (b"3", three.packet_id, 1)]


@pytest.mark.roost_only("mosquitto 2.0.11 answers such a PUBREC with PUBREL")
def test_a_refusing_pubrec_ends_it(server):
    """[MQTT-4.4.0-2, MQTT-4.3.3-4]"""
    with server.client("from", 5) as publisher:
        client, message = begin(server, 5, publisher)
        client.send(acknowledge(PUBREC, message.packet_id, 0x83))
        client.expect_nothing_before_ping()
        client.disconnect()
        with server.session("to", 5) as again:
            again.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto 2.0.11 says success")
def test_pubrec_of_nothing_in_version_5(server):
    """It may have been ours before we lost it: PUBREL says that there is no such identifier, or the client is told that it
    is wrong. [section 3.6.2.1]"""
    with server.client("to", 5) as client:
        client.send(acknowledge(PUBREC, 99))
        got = client.packet()
        assert (got.kind, got.reason) in ((PUBREL, 0x92), (14, 0x82))


def test_qos_2_completes_after_unsubscribe(server, version):
    """[MQTT-3.10.4-3; MQTT-3.10.4-3 of 3.1.1]"""
    with server.client("from", version) as publisher:
        client, message = begin(server, version, publisher)
        client.unsubscribe("t")
        client.accept(message)
        publisher.hand_over("t", b"late", qos=2)
        client.expect_nothing_before_ping()
        client.close()


def test_qos_1_completes_after_unsubscribe_on_the_next_connection(server, version):
    """[MQTT-3.10.4-3; MQTT-3.10.4-3 of 3.1.1]"""
    with server.client("from", version) as publisher:
        with server.session("to", version) as first:
            first.subscribe(("t", 1))
            publisher.hand_over("t", b"x")
            first.message()
            first.unsubscribe("t")
            first.disconnect()
        with server.session("to", version) as second:
            assert second.take().payload == b"x"
