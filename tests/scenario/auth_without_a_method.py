"""No method of enhanced authentication is configured: who asks for one is refused, and who sends AUTH all the same is ended.
[MQTT-4.12.0-1, MQTT-4.12.0-6, MQTT-4.12.0-7, MQTT-3.15.1-1, MQTT-4.12.0-4]"""

import pytest

from mqtt_wire import AUTH, AUTH_DATA, AUTH_METHOD, auth, connect, packet


@pytest.mark.parametrize("pairs", [[(AUTH_METHOD, "SCRAM-SHA-1")], [(AUTH_METHOD, "X"), (AUTH_DATA, b"x")]])
def test_a_method_in_connect_is_refused(server, pairs):
    with server.raw(5) as connection:
        connection.send(connect("x", 5, pairs=pairs))
        connection.expect_connack_refusal(0x8C)


@pytest.mark.roost_only("mosquitto 2.0.11 closes without a word, which the standard allows")
def test_data_without_a_method_is_a_protocol_error(server):
    """[section 3.1.2.11.10]"""
    with server.raw(5) as connection:
        connection.send(connect("x", 5, pairs=[(AUTH_DATA, b"x")]))
        connection.expect_connack_refusal(0x82)


def test_no_method_is_named_where_none_was_asked_for(server):
    with server.client("plain", 5) as client:
        assert not {AUTH_METHOD, AUTH_DATA} & set(client.connack.properties)
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("reason", [0x00, 0x18, 0x19])
def test_auth_is_a_protocol_error(server, reason):
    with server.client("plain", 5) as client:
        client.send(auth(reason, [(AUTH_METHOD, "X")]))
        client.expect_refusal(0x82)


@pytest.mark.parametrize("flags", [1, 2, 8])
def test_auth_with_flags_is_malformed(server, flags):
    with server.client("plain", 5) as client:
        client.send(packet(AUTH, b"\x18\x00", flags))
        client.expect_refusal(0x81)


def test_before_version_5_there_is_no_such_packet(server):
    with server.client("plain", 4) as client:
        client.send(packet(AUTH, b""))
        client.expect_close()
