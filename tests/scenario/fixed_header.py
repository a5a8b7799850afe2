"""A packet's first bytes: its flags have their one value, its length its shortest form; else the connection ends.
[MQTT-1.5.5-1, MQTT-2.1.3-1, MQTT-3.3.1-2, MQTT-3.3.1-4, MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1, MQTT-3.14.1-1,
MQTT-4.13.1-1; MQTT-2.2.2-1, MQTT-2.2.2-2, MQTT-3.3.1-2, MQTT-3.3.1-4, MQTT-3.6.1-1, MQTT-3.8.1-1, MQTT-3.10.1-1,
MQTT-3.14.1-1, MQTT-4.8.0-1 of 3.1.1]"""

import pytest

from mqtt_wire import (DISCONNECT, PINGREQ, PUBACK, PUBCOMP, PUBREC, PUBREL, SUBSCRIBE, UNSUBSCRIBE, acknowledge, disconnect,
                       publish, subscribe, unsubscribe)

FLAGS = {PUBACK: 0, PUBREC: 0, PUBREL: 2, PUBCOMP: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}


def whole(kind, version):
    if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        return acknowledge(kind, 1)
    if kind == SUBSCRIBE:
        return subscribe(1, "t", version=version)
    if kind == UNSUBSCRIBE:
        return unsubscribe(1, "t", version=version)
    return bytes([kind << 4, 0])


@pytest.mark.parametrize("kind", FLAGS)
@pytest.mark.roost_only("mosquitto 2.0.11 looks at some of them only")
def test_wrong_flags(server, version, kind):
    for flags in set(range(16)) - {FLAGS[kind]}:
        with server.client("x", version) as client:
            client.send(bytes([kind << 4 | flags]) + whole(kind, version)[1:])
            client.expect_refusal(0x81)


@pytest.mark.parametrize("options", [{"qos": 3, "packet_id": 1}, {"dup": True}])
@pytest.mark.roost_only("mosquitto 2.0.11 takes DUP at QoS 0")
def test_publish_with_qos_3_or_dup_at_qos_0(server, version, options):
    with server.client("to", version) as watch, server.client("x", version) as client:
        watch.subscribe("t")
        client.publish("t", b"x", **options)
        client.expect_refusal(0x81)
        watch.expect_nothing_before_ping()


@pytest.mark.parametrize("length", [b"\x80\x00", b"\x82\x80\x00", b"\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\x7f"])
@pytest.mark.roost_only("mosquitto 2.0.11 takes longer forms")
def test_lengths_that_are_not_shortest(server, version, length):
    with server.client("x", version) as client:
        client.send(b"\xc0" + length)
        client.expect_refusal(0x81)


def test_types_that_a_client_does_not_send(server, version):
    for first in (0x00, 0x20, 0x90, 0xB0, 0xD0, *([0xF0] if version == 4 else [])):
        with server.client("x", version) as client:
            client.send(bytes([first, 2, 0, 1]))
            packets = client.ends()
            assert len(packets) <= (version == 5)
            assert all(packet.kind == DISCONNECT and packet.reason >= 0x80 for packet in packets)


@pytest.mark.parametrize("reason", [0x04, 0x80, 0x82, 0x93, 0x97])
def test_who_says_disconnect_is_closed_and_heard_no_more(server, reason):
    """[MQTT-4.13.2-1, MQTT-3.14.4-1, MQTT-3.14.4-2, MQTT-3.14.2-1]"""
    with server.client("watch", 5) as watch, server.client("x", 5) as client:
        watch.subscribe("t", "end")
        client.send(disconnect(reason) + publish("t", b"late", 5))
        client.expect_close()
        watch.publish("end", b"x")
        assert watch.message().topic == "end"


def test_whom_the_server_ends_it_tells_and_closes(server):
    """[MQTT-4.13.2-1, MQTT-3.14.4-1, MQTT-3.14.4-2]"""
    with server.client("x", 5) as client:
        client.send(b"\x00\x00" + b"\xc0\x00" * 10)
        packets = client.ends()
        assert [packet.kind for packet in packets] in ([DISCONNECT], []) and all(p.reason >= 0x80 for p in packets)
