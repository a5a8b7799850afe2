"""Before CONNECT there is no MQTT: the connection is closed without a word. [MQTT-3.1.0-1; MQTT-3.1.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import AUTH, DISCONNECT_BYTES, PINGREQ_BYTES, packet, publish, subscribe

FIRST = {
    "publish": publish("t", b"x"),
    "subscribe": subscribe(1, "t"),
    "ping": PINGREQ_BYTES,
    "disconnect": DISCONNECT_BYTES,
    "auth": packet(AUTH, b""),
    "connack": b"\x20\x02\x00\x00",
    "reserved type": b"\x00\x00",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
}


@pytest.mark.parametrize("name", FIRST)
def test_is_closed(server, name):
    with server.raw() as connection:
        connection.send(FIRST[name])
        connection.expect_close()
    counters = server.counters()
    assert counters["connections_open"] == 0
    ends = {key: value for key, value in counters.items() if key.startswith("end_") and value}
    assert sum(ends.values()) == 1, ends
    if name in ("publish", "subscribe", "ping", "disconnect"):
        assert ends == {"end_not_connect": 1}
