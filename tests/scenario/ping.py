"""PINGREQ is answered, as often as it is sent. [MQTT-3.12.4-1; MQTT-3.12.4-1 of 3.1.1]"""

from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES


def test_is_answered(server, version):
    with server.client("p", version) as client:
        client.send(PINGREQ_BYTES)
        client.expect(PINGRESP_BYTES)


def test_a_hundred_at_once(server, version):
    with server.client("p", version) as client:
        client.send(PINGREQ_BYTES * 100)
        for _ in range(100):
            client.expect(PINGRESP_BYTES)


def test_with_a_body_is_malformed(server, version):
    with server.client("p", version) as client:
        client.send(b"\xc0\x01\x00")
        client.expect_refusal(0x81)


def test_with_flags_is_malformed(server, version):
    with server.client("p", version) as client:
        client.send(b"\xc1\x00")
        client.expect_refusal(0x81)
