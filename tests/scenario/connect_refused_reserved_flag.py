"""A CONNECT that breaks its own rules is refused: by closing before version 5, with a reason in it.
[MQTT-3.1.2-3, MQTT-3.1.2-11 to -14]"""

import pytest

from mqtt_wire import Will, connect

FLAGS = {
    "connect_reserved": connect("x", 4, flags=0x03),
    "will_qos": connect("x", 4, flags=0x02 | 0x08),
    "will_retain": connect("x", 4, flags=0x02 | 0x20),
}


@pytest.mark.parametrize("name", FLAGS)
def test_3_1_1_is_closed(server, name):
    with server.raw(4) as connection:
        connection.send(FLAGS[name])
        connection.expect_close()
    server.wait_counter(f"end_{name}", 1)


@pytest.mark.parametrize("flags", [0x03, 0x02 | 0x08, 0x02 | 0x20])
def test_version_5_is_told_malformed_packet(server, flags):
    with server.raw(5) as connection:
        connection.send(connect("x", 5, flags=flags))
        connection.expect_connack_refusal(0x81)


def test_will_qos_3(server):
    with server.raw(5) as connection:
        connection.send(connect("x", 5, will=Will("t", b"p", qos=3)))
        connection.expect_connack_refusal(0x81)
