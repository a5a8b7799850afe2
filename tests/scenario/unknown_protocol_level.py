"""A protocol level that we do not speak is refused in the oldest words there are: what a version that nobody knows reads
behind its first four bytes, nobody knows either. [MQTT-3.1.2-2; MQTT-3.1.2-2 of 3.1.1]"""

import pytest

from mqtt_wire import connect


@pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 7, 127, 0x83, 0x85, 0xff])
def test_gets_return_code_1(server, level):
    with server.raw(4) as connection:
        connection.send(connect("old", 4).replace(b"MQTT\x04", b"MQTT" + bytes([level])))
        connection.expect(b"\x20\x02\x00\x01")
        connection.expect_close()
    server.wait_counter("end_protocol_level", 1)


def test_another_protocol_s_name_is_closed_without_an_answer(server):
    with server.raw(4) as connection:
        connection.send(connect("odd", 4, protocol="HTTP"))
        connection.expect_close()
    server.wait_counter("end_protocol_name", 1)
