"""Each answer has one of its own packet's reason codes; the harness looks at every packet that it reads in any test.
[MQTT-3.2.2-8, MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1, MQTT-3.9.3-2, MQTT-3.11.3-2, MQTT-3.14.2-1;
MQTT-3.9.3-2 of 3.1.1]"""

import pytest

from mqtt_wire import (DISCONNECT, PUBREL, Packet, acknowledge, packet, properties)


def test_of_a_client_that_does_all_sorts_of_things(server, version):
    with server.client("x", version) as client:
        client.subscribe(("t", 2), ("u/+", 1), ("v", 0))
        for qos in (0, 1, 2):
            for topic in ("t", "u/x", "v", "nobody"):
                client.hand_over(topic, b"x", qos=qos)
        for _ in range(9):
            client.take()
        client.unsubscribe("t", "never")
        assert client.release(77) in (0, 0x92)
        client.send(b"\x00\x00")
        assert all(got.kind == DISCONNECT for got in client.ends())


@pytest.mark.parametrize("kind, reason", [(2, 0x01), (4, 0x11), (5, 0x92), (PUBREL, 0x80), (7, 0x10), (14, 0x11)])
def test_the_harness_does_look(kind, reason):
    body = bytes([0, reason]) + properties() if kind == 2 else bytes([reason]) if kind == 14 else b"\x00\x01" + bytes([reason])
    with pytest.raises(AssertionError):
        Packet(kind << 4 | 2 * (kind == PUBREL), body, 5)


def test_and_lets_pass_what_is_right():
    assert Packet(0x40, acknowledge(4, 1, 0x10)[2:], 5).reason == 0x10
    assert Packet(0x90, packet(9, b"\x00\x01\x00\x02\x8f")[2:], 5).codes == [2, 0x8F]
