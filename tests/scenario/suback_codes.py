"""SUBACK says of each filter, in order, what became of it. [MQTT-3.9.3]"""

import pytest

from mqtt_wire import SUBSCRIBE, packet, properties, string, suback, subscribe

INVALID = ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+", "##", "++"]


def test_granted_is_what_was_asked(server, version):
    with server.client("to", version) as client:
        client.send(subscribe(513, ("a", 0), ("b", 1), ("c/#", 2), version=version))
        client.expect(suback(513, 0, 1, 2, version=version))


@pytest.mark.parametrize("text", INVALID)
def test_invalid_filter(server, version, text):
    with server.client("to", version) as client:
        client.send(subscribe(1, "good", text, "too", version=version))
        client.expect(suback(1, 0, 0x8F if version == 5 else 0x80, 0, version=version))
        client.publish("good", b"x")
        assert client.message().payload == b"x"


@pytest.mark.parametrize("text", ["$share//t", "$share/group", "$share/group/", "$share/gr+up/t", "$share/group/a#"])
def test_malformed_shared_subscription(server, version, text):
    """[MQTT-4.8.2-1, MQTT-4.8.2-2]"""
    with server.client("to", version) as client:
        client.send(subscribe(1, text, "t", version=version))
        client.expect(suback(1, 0x8F if version == 5 else 0x80, 0, version=version))


def test_without_a_filter_is_a_protocol_error(server, version):
    with server.client("to", version) as client:
        client.send(subscribe(1, version=version))
        client.expect_refusal(0x82)
    server.wait_counter("end_subscribe_empty", 1)


def test_qos_3_is_refused(server, version):
    with server.client("to", version) as client:
        client.send(subscribe(1, ("t", 3), version=version))
        client.expect_refusal(0x82)


@pytest.mark.parametrize("options", [0x40, 0x80])
def test_reserved_options(server, version, options):
    with server.client("to", version) as client:
        client.send(subscribe(1, ("t", options), version=version))
        client.expect_refusal(0x81)


def test_wrong_flags_of_the_fixed_header(server, version):
    """[MQTT-3.8.1-1]"""
    with server.client("to", version) as client:
        client.send(packet(SUBSCRIBE, b"\x00\x01" + (properties() if version == 5 else b"") + string("t") + b"\x00", 0))
        client.expect_refusal(0x81)
    server.wait_counter("end_flags_reserved", 1)


def test_packet_id_0(server, version):
    with server.client("to", version) as client:
        client.send(subscribe(0, "t", version=version))
        client.expect_refusal(0x82)


def test_hundreds_of_filters_in_one_packet(server, version):
    filters = [f"room/{i}/+" if i % 3 else f"room/{i}/x" for i in range(600)]
    with server.client("to", version) as client:
        client.send(subscribe(9, *filters, version=version))
        client.expect(suback(9, *[0] * 600, version=version))
        for i in (0, 1, 299, 599):
            client.publish(f"room/{i}/x", str(i))
            assert client.message().payload == str(i).encode()
