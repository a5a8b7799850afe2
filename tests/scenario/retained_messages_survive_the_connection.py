"""What a session is owed of retained messages comes with its next connection. [MQTT-3.3.1-9, MQTT-4.4.0-1; MQTT-3.3.1-6 of 3.1.1]"""

import pytest

from mqtt_wire import PUBACK, PUBLISH, RECEIVE_MAXIMUM, SUBACK, acknowledge, subscribe


@pytest.fixture
def server(serve):
    """Before version 5 no client bounds its window: without this all would be sent before the connection is cut."""
    return serve("--inflight-max", "100")


def retain(server, count):
    with server.client("from", 4) as publisher:
        for number in range(count):
            publisher.publish(f"t/{number}", str(number), qos=1, retain=True, packet_id=1 + number % 60000)
        for _ in range(count):
            publisher.expect_kind(PUBACK)


def come(server, version, receive_max, clean=False):
    pairs = [(RECEIVE_MAXIMUM, receive_max)] if version == 5 else []
    return server.session("to", version, clean=clean, expiry=300, pairs=pairs)


def take(client, count, found):
    """Takes and acknowledges so many messages."""
    for _ in range(count):
        message = client.expect_kind(PUBLISH)
        assert message.retain == 1 and (message.dup or message.topic not in found)
        found.add(message.topic)
        client.send(acknowledge(PUBACK, message.packet_id))


def take_rest(client, count, found):
    while len(found) < count:
        take(client, 1, found)
    client.expect_nothing_before_ping()


@pytest.mark.parametrize("count, taken", [(120, 0), (120, 15), (3000, 100)])
def test_after_a_cut(server, version, count, taken):
    retain(server, count)
    found = set()
    with come(server, version, 10, clean=True) as client:
        client.close()
    client = come(server, version, 10)
    client.send(subscribe(1, ("t/#", 1), version=version))
    client.expect_kind(SUBACK)
    take(client, taken, found)
    client.close()
    with come(server, version, 10) as client:
        assert client.connack.session_present
        take_rest(client, count, found)
    server.wait_counter("retained_owed", 0)


def test_at_a_take_over(server, version):
    retain(server, 500)
    found = set()
    older = come(server, version, 10)
    older.subscribe(("t/#", 1))
    take(older, 20, found)
    with come(server, version, 10) as client:
        take_rest(client, 500, found)
    older.close()


def test_unsubscribing_ends_it(server, version):
    """[MQTT-3.10.4-2]"""
    retain(server, 500)
    with come(server, version, 10) as client:
        client.subscribe(("t/#", 1))
    found = set()
    with come(server, version, 10) as client:
        client.unsubscribe("t/#")
        client.subscribe("end")
        client.publish("end", b"")
        while (message := client.expect_kind(PUBLISH)).topic != "end":
            found.add(message.topic)
            client.send(acknowledge(PUBACK, message.packet_id))
    assert len(found) < 200  # what was sent, or queued to be sent
    server.wait_counter("retained_owed", 0)


def test_a_session_that_ends_is_owed_nothing(server, version):
    retain(server, 500)
    with server.client("to", version, clean=True) as client:
        client.send(subscribe(1, ("t/#", 1), version=version))
        client.expect_kind(SUBACK)
    server.wait_counter("connections_open", 0)
    server.wait_counter("retained_owed", 0)
