"""What a client asks to be told, and asks not to be told. [MQTT-3.1.2-28, MQTT-3.1.2-29]"""

import pytest

from mqtt_wire import (PUBACK, PUBCOMP, PUBREC, REASON_STRING, REQUEST_PROBLEM, REQUEST_RESPONSE,
                       RESPONSE_INFORMATION, SUBACK, UNSUBACK, USER_PROPERTY, connect)


def provoke(client):
    """Every answer that may carry a reason in words."""
    client.hand_over("nobody", b"x", qos=1)
    client.hand_over("$SYS/none", b"x", qos=1)
    client.hand_over("nobody", b"x", qos=2)
    client.subscribe("a#", "t")
    client.unsubscribe("never")


@pytest.mark.roost_only("mosquitto 2.0.11 ends a client for a filter that is none")
def test_no_words_where_none_are_wanted(server):
    """Beside PUBLISH, CONNACK and DISCONNECT."""
    with server.client("curt", 5, pairs=[(REQUEST_PROBLEM, 0)]) as client:
        seen = []
        answer = client.answer
        client.answer = lambda kind, number: seen.append(answer(kind, number)) or seen[-1]
        provoke(client)
        assert {packet.kind for packet in seen} == {PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK}
        for packet in seen:
            assert not {REASON_STRING, USER_PROPERTY} & set(packet.properties)


def test_disconnect_may_have_them(server):
    with server.client("curt", 5, pairs=[(REQUEST_PROBLEM, 0)]) as client:
        client.send(connect("curt", 5))
        client.expect_refusal(0x82)


@pytest.mark.parametrize("pairs", [[], [(REQUEST_RESPONSE, 0)]])
def test_response_information_only_for_those_who_ask(serve, pairs):
    server = serve("--shards", "2", "--response-information", "answers/here")
    with server.client("a", 5, pairs=pairs) as client:
        assert RESPONSE_INFORMATION not in client.connack.properties
    with server.client("b", 5, pairs=[(REQUEST_RESPONSE, 1)]) as client:
        assert client.connack.properties[RESPONSE_INFORMATION] == "answers/here"
    with server.raw(4) as connection:
        connection.send(connect("c", 4))
        connection.expect(b"\x20\x02\x00\x00")


def test_without_one_there_is_none(server):
    with server.client("a", 5, pairs=[(REQUEST_RESPONSE, 1)]) as client:
        assert RESPONSE_INFORMATION not in client.connack.properties


@pytest.mark.parametrize("identifier", [REQUEST_PROBLEM, REQUEST_RESPONSE])
@pytest.mark.roost_only("mosquitto 2.0.11 takes any value")
def test_2_is_a_protocol_error(server, identifier):
    with server.raw(5) as connection:
        connection.send(connect("x", 5, pairs=[(identifier, 2)]))
        connection.expect_connack_refusal(0x82)
