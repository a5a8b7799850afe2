"""A protocol level that we do not speak is refused in words that its client may understand. [MQTT-3.1.2-2]"""

import pytest

from mqtt_wire import connect


@pytest.mark.parametrize("level", [0, 1, 2, 3, 132])
def test_levels_before_5_get_return_code_1(server, level):
    with server.raw(4) as connection:
        connection.send(connect("old", 4).replace(b"MQTT\x04", b"MQTT" + bytes([level])))
        connection.expect(b"\x20\x02\x00\x01")
        connection.expect_close()
    assert server.counter("end_protocol_level") == 1


@pytest.mark.parametrize("level", [6, 7, 127])
def test_levels_after_5_get_reason_0x84(server, level):
    with server.raw(5) as connection:
        connection.send(connect("new", 5).replace(b"MQTT\x05", b"MQTT" + bytes([level])))
        connection.expect(b"\x20\x03\x00\x84\x00")
        connection.expect_close()
    assert server.counter("end_protocol_level") == 1


def test_another_protocol_s_name_is_closed_without_an_answer(server):
    with server.raw(4) as connection:
        connection.send(connect("odd", 4, protocol="HTTP"))
        connection.expect_close()
    assert server.counter("end_protocol_name") == 1
