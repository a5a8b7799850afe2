"""User name and password: each is there when its flag says so, and only then; all fields come in their order.
[MQTT-3.1.2-16, MQTT-3.1.2-17, MQTT-3.1.2-18, MQTT-3.1.2-19, MQTT-3.1.2-9, MQTT-3.1.3-1, MQTT-3.1.3-3, MQTT-3.1.3-5;
MQTT-3.1.2-9, MQTT-3.1.2-11, MQTT-3.1.2-18, MQTT-3.1.2-19, MQTT-3.1.2-20, MQTT-3.1.2-21, MQTT-3.1.2-22, MQTT-3.1.3-1,
MQTT-3.1.3-3, MQTT-3.1.3-5 of 3.1.1]"""

import pytest

from mqtt_wire import CONNACK, Will, connect, packet, properties_if_5, string

FLAGS_AND_FIELDS = {
    "user": (0x80, [b"user"]),
    "user and password": (0xC0, [b"user", b"password"]),
    "will": (0x04, [b"topic", b"payload"]),
    "all": (0xC4, [b"topic", b"payload", b"user", b"password"]),
    "none": (0, []),
}


def bytes_of(version, flags, fields, client_id="x"):
    head = string("MQTT") + bytes([version, 2 | flags]) + b"\x00\x3c" + properties_if_5(version, ())
    will_properties = properties_if_5(version, ()) if flags & 4 else b""
    return packet(1, head + string(client_id) + will_properties + b"".join(string(field) for field in fields))


@pytest.mark.parametrize("name", FLAGS_AND_FIELDS)
def test_all_there(server, version, name):
    with server.raw(version) as connection:
        connection.send(bytes_of(version, *FLAGS_AND_FIELDS[name]))
        assert connection.expect_kind(CONNACK).reason == 0


@pytest.mark.parametrize("name", FLAGS_AND_FIELDS)
def test_one_too_many_and_one_too_few(server, version, name):
    flags, fields = FLAGS_AND_FIELDS[name]
    for wrong in ([*fields, b"more"], fields[:-1] if fields else None):
        if wrong is None:
            continue
        with server.raw(version) as connection:
            connection.send(bytes_of(version, flags, wrong))
            packets = connection.ends()
            assert len(packets) <= (version == 5) and all(got.reason in (0x81, 0x82) for got in packets)


def test_password_alone(server, version):
    """Version 5 allows it; 3.1.1 does not."""
    with server.raw(version) as connection:
        connection.send(bytes_of(version, 0x40, [b"password"]))
        if version == 5:
            assert connection.expect_kind(CONNACK).reason == 0
        else:
            connection.expect_close()


@pytest.mark.parametrize("client_id", ["a", "0123456789abcdefghijklm", "nopqrstuvwxyzABCDEFGHIJ", "KLMNOPQRSTUVWXYZ"])
def test_client_ids_of_the_plain_kind(server, version, client_id):
    with server.client(client_id, version) as client:
        client.expect_nothing_before_ping()


def test_the_id_tells_sessions_apart(server, version):
    """[MQTT-3.1.3-2; MQTT-3.1.3-2 of 3.1.1]"""
    with server.session("one", version) as one:
        one.subscribe(("t", 1))
        one.disconnect()
    with server.session("two", version) as two, server.session("one", version) as one:
        assert (two.connack.session_present, one.connack.session_present) == (0, 1)
        two.hand_over("t", b"x")
        assert one.take().payload == b"x"


@pytest.mark.parametrize("name", ["MQTTT", "mqtt", "MQ", "", "XQTT"])
def test_another_protocol_name(server, version, name):
    """[MQTT-3.1.2-1; MQTT-3.1.2-1 of 3.1.1]"""
    with server.raw(version) as connection:
        connection.send(connect("x", version, protocol=name))
        packets = connection.ends()
        assert len(packets) <= 1 and all(got.reason >= 0x80 or got.reason == 1 for got in packets)


@pytest.mark.parametrize("flags", [0x03, 0x02 | 0x08, 0x02 | 0x20, 0x02 | 0x04 | 0x18])
def test_flags_that_do_not_go_together(server, version, flags):
    """[MQTT-3.1.2-3, MQTT-3.1.2-11 to -13; MQTT-3.1.2-3, MQTT-3.1.2-13 to -15 of 3.1.1]"""
    fields = [b"topic", b"payload"] if flags & 4 else []
    with server.raw(version) as connection:
        connection.send(bytes_of(version, flags & ~2, fields))
        packets = connection.ends()
        assert len(packets) <= (version == 5) and all(got.reason == 0x81 for got in packets)


def test_will_topic_with_a_wildcard(server, version):
    """[MQTT-4.7.0-1; MQTT-4.7.1-1 of 3.1.1]"""
    with server.raw(version) as connection:
        connection.send(connect("x", version, will=Will("a/+", b"x")))
        packets = connection.ends()
        assert len(packets) <= (version == 5) and all(got.reason >= 0x80 for got in packets)
