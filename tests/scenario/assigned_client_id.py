"""A client without an id is given one: version 5 is told which. [MQTT-3.1.3-6, MQTT-3.1.3-7;
MQTT-3.1.3-6, MQTT-3.1.3-8 of 3.1.1]"""

import pytest

from mqtt_wire import ASSIGNED_CLIENT_ID, connect


def test_version_5_is_told_its_id(server):
    with server.client("", 5) as one, server.client("", 5) as two:
        first, second = (c.connack.properties[ASSIGNED_CLIENT_ID] for c in (one, two))
        assert first and second and first != second


def test_an_id_of_its_own_is_not_assigned(server):
    with server.client("mine", 5) as client:
        assert ASSIGNED_CLIENT_ID not in client.connack.properties


def test_the_assigned_id_is_the_session_s(server):
    with server.client("", 5) as first:
        with server.client(first.connack.properties[ASSIGNED_CLIENT_ID], 5):
            first.expect_refusal(0x8E)


def test_3_1_1_without_an_id_is_let_in_with_clean_session(server):
    with server.client("", 4) as one, server.client("", 4) as two:
        assert one.subscribe("a") == [0]
        two.publish("a", b"x")
        assert one.message().payload == b"x"


def test_3_1_1_without_an_id_and_clean_session_0_is_refused_with_code_2(server):
    with server.raw(4) as connection:
        connection.send(connect("", 4, clean=False))
        connection.expect(b"\x20\x02\x00\x02")
        connection.expect_close()


@pytest.mark.threads
def test_many_assigned_ids_differ(server):
    clients = [server.client("", 5) for _ in range(200)]
    assert len({client.client_id for client in clients}) == 200
    for client in clients:
        client.close()
