"""A packet above the server's limit ends its sender before it is read. [MQTT-3.2.2-15] Before version 5, which has no word for
the limit, a PUBLISH at QoS 1 or 2 is acknowledged and left out: who is cut off for it sends it again for ever."""

import pytest

from mqtt_wire import MAXIMUM_PACKET_SIZE, PUBACK, PUBCOMP, PUBREC, PUBREL, acknowledge, publish, varint

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


@pytest.mark.parametrize("qos", [1, 2])
def test_version_5_is_told_why_it_ends(serve, qos):
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.client("a", 5) as client:
        client.publish("t", b"x" * LIMIT, qos=qos)
        client.expect_refusal(0x95)


def complete(client, qos, packet_id):
    assert client.expect_kind({1: PUBACK, 2: PUBREC}[qos]).packet_id == packet_id
    if qos == 2:
        client.send(acknowledge(PUBREL, packet_id))
        assert client.expect_kind(PUBCOMP).packet_id == packet_id


@pytest.mark.roost_only("mosquitto ends the client")
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("size", [LIMIT - 9, 2 * LIMIT, 16 * LIMIT - 20])
def test_3_1_1_gets_an_acknowledgement_and_goes_on(serve, qos, size):
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.client("watch", 4) as watch, server.client("a", 4) as client:
        watch.subscribe("#")
        for packet_id in range(1, 4):
            client.publish("large", b"x" * size, qos=qos, packet_id=packet_id)
            complete(client, qos, packet_id)
            client.publish("small", b"y", qos=1, packet_id=9)
            client.expect_kind(PUBACK)
            assert watch.message().topic == "small"
        watch.expect_nothing_before_ping()
    assert server.counter("messages_skipped") == server.counter("messages_refused") == 3


@pytest.mark.roost_only("mosquitto ends the client")
@pytest.mark.parametrize("topic", ["t", "x" * 4000, "y" * 65535])
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 6, 7, 9, 100, 4010, 65530, 65544, 70000])
def test_however_it_comes_in_parts(serve, topic, cut):
    """What is behind it is read from its first byte on."""
    server = serve("--packet-bytes-max", str(LIMIT), "--shards", "1")
    large = publish(topic, b"\x30" * (16 * LIMIT - 10 - len(topic)), qos=1, packet_id=7)
    behind = publish("t", b"behind", qos=1, packet_id=8)
    with server.client("a", 4) as client:
        client.send(large[:cut])
        # The answer to it may come as soon as its head is there: only a ping's answer says that this part was read.
        with server.client("other", 4) as other:
            other.expect_nothing_before_ping()
        client.send(large[cut:] + behind)
        assert client.expect_kind(PUBACK).packet_id == 7
        assert client.expect_kind(PUBACK).packet_id == 8
        client.send(large + behind)
        assert client.expect_kind(PUBACK).packet_id == 7
        assert client.expect_kind(PUBACK).packet_id == 8
        client.send(large)
        assert client.expect_kind(PUBACK).packet_id == 7
        client.expect_nothing_before_ping()


@pytest.mark.roost_only("mosquitto ends the client")
def test_what_is_skipped_is_not_kept(serve):
    """50 clients send 15 MB each, all but the last byte."""
    server = serve("--shards", "1")
    large = publish("t", b"x" * (15 << 20), qos=1, packet_id=7)
    with server.client("first", 4) as client:
        client.send(large)
        client.expect_kind(PUBACK)
    before = server.resident_bytes()
    clients = [server.client(str(number), 4) for number in range(50)]
    for client in clients:
        client.send(large[:-1])
        client.expect_kind(PUBACK)
    assert server.resident_bytes() - before < 20 << 20
    for client in clients:
        client.send(large[-1:])
        client.expect_nothing_before_ping()
        client.close()


def test_far_too_large_ends(serve):
    server = serve("--packet-bytes-max", str(LIMIT))
    for qos in (1, 2):
        with server.client("a", 4) as client:
            client.send(bytes([0x30 | qos << 1]) + varint(16 * LIMIT) + b"\0\1t")
            client.expect_close()
    server.wait_counter("end_packet_too_large", 2)


@pytest.mark.parametrize("body", [b"\xff\xff", b"\0\1t\0\0"])
def test_a_head_that_is_malformed_ends(serve, body):
    """A topic that is longer than the packet, and packet identifier 0."""
    server = serve("--packet-bytes-max", str(LIMIT))
    with server.client("a", 4) as client:
        client.send(b"\x32" + varint(LIMIT + 1) + body)
        client.expect_close()
