"""A packet above the server's limit ends its sender before it is read. [MQTT-3.2.2-15]"""

from mqtt_wire import MAXIMUM_PACKET_SIZE, publish, varint

LIMIT = 5000


def test_version_5_is_told_the_limit(serve):
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.client("a", 5) as client:
        assert client.connack.properties[MAXIMUM_PACKET_SIZE] == LIMIT


def test_exactly_the_limit_passes(serve, version):
    server = serve("--packet-bytes-max", str(LIMIT))
    payload = b"x" * (LIMIT - len(publish("t", b"x" * 4000, version)) + 4000)
    assert len(publish("t", payload, version)) == LIMIT
    with server.client("a", version) as client:
        client.subscribe("t")
        client.publish("t", payload)
        assert client.message().payload == payload


def test_one_byte_above_ends(serve, version):
    server = serve("--packet-bytes-max", str(LIMIT))
    payload = b"x" * (LIMIT - len(publish("t", b"x" * 4000, version)) + 4001)
    with server.client("a", version) as client, server.client("b", version) as bystander:
        client.publish("t", payload)
        client.expect_refusal(0x95)
        bystander.expect_nothing_before_ping()
    server.wait_counter("end_packet_too_large", 1)


def test_the_header_alone_is_enough(serve, version):
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.client("a", version) as client:
        client.send(b"\x30" + varint(268435455))
        client.expect_refusal(0x95)
    assert server.resident_bytes() < 1 << 30


def test_a_length_of_five_bytes_is_malformed(server, version):
    with server.client("a", version) as client:
        client.send(b"\x30\xff\xff\xff\xff\x01")
        client.expect_refusal(0x81)
    server.wait_counter("end_length_malformed", 1)


def test_a_connect_above_the_limit(serve):
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.raw(4) as connection:
        connection.send(b"\x10" + varint(LIMIT))
        connection.expect_close()
