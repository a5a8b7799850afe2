"""Strings are compared and passed on as they came, byte by byte. [MQTT-1.5.4-3, MQTT-4.7.3-4, MQTT-1.5.4-1, MQTT-1.5.4-2,
MQTT-1.5.7-1, MQTT-3.1.3-4, MQTT-3.1.3-11, MQTT-3.1.3-12, MQTT-3.3.2-19, MQTT-3.8.3-1, MQTT-3.10.3-1; MQTT-3.1.3-4,
MQTT-3.1.3-10, MQTT-3.1.3-11, MQTT-3.8.3-1, MQTT-3.10.3-1, MQTT-1.5.3-1, MQTT-1.5.3-2, MQTT-1.5.3-3, MQTT-4.7.3-4 of 3.1.1]"""

import pytest

from mqtt_wire import CONTENT_TYPE, USER_PROPERTY, Will, connect, publish, subscribe, unsubscribe

BOM = "\ufeff"
# Each pair would be the same after some normalisation.
PAIRS = [("t", BOM + "t"), ("\u00e9", "e\u0301"), ("t", "T"), ("a b", "a\u00a0b"), ("\u212b", "\u00c5"), ("t", "t ")]
ILL_FORMED = [b"\xc3\x28", b"\xff", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xc0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80",
              b"\xf8\x88\x80\x80\x80"]


def test_topics_that_only_look_the_same(server, version):
    for one, other in PAIRS:
        with server.client("to", version) as client, server.client("from", version) as publisher:
            client.subscribe(other)
            publisher.publish(one, b"one")
            publisher.publish(other, b"other")
            message = client.message()
            assert (message.topic, message.payload) == (other, b"other")
            assert client.unsubscribe(one) == ([0x11] if version == 5 else [])


def test_client_ids_that_only_look_the_same(server, version):
    with server.client("id", version) as one, server.client(BOM + "id", version) as other:
        one.expect_nothing_before_ping()
        other.expect_nothing_before_ping()


@pytest.mark.parametrize("where", ["client id", "user name", "will topic"])
def test_ill_formed_ones_in_connect(server, version, where):
    for data in (*ILL_FORMED, b"a\0b"):
        options = {"client id": {}, "user name": {"user": data}, "will topic": {"will": Will(data, b"x")}}[where]
        with server.raw(version) as connection:
            connection.send(connect(data if where == "client id" else "x", version, **options))
            packets = connection.ends()
            assert all(packet.reason >= 0x80 or version == 4 for packet in packets) and len(packets) <= 1


def test_ill_formed_topics_and_filters(server, version):
    for data in ILL_FORMED:
        for packet in (publish(data, b"x", version), subscribe(1, data, version=version),
                       unsubscribe(1, data, version=version)):
            with server.client("x", version) as client:
                client.send(packet)
                client.expect_refusal(0x81)


@pytest.mark.parametrize("pair", [(CONTENT_TYPE, None), (USER_PROPERTY, "name"), (USER_PROPERTY, "value")])
@pytest.mark.roost_only("mosquitto 2.0.11 does not look at each of them")
def test_ill_formed_ones_in_properties(server, pair):
    for data in ILL_FORMED:
        value = {None: data, "name": (data, "v"), "value": ("k", data)}[pair[1]]
        with server.client("from", 5) as client:
            client.publish("t", b"x", pairs=[(pair[0], value)])
            client.expect_refusal(0x81)


@pytest.mark.roost_only("mosquitto 2.0.11 refuses control characters, as it may")
def test_strange_ones_pass_as_they_are(server):
    text = BOM + "\U0001f426 \u202e\u0080" + "x" * 1000
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(text)
        publisher.publish(text, b"x", pairs=[(CONTENT_TYPE, text), (USER_PROPERTY, (text, text))])
        message = client.message()
        assert (message.topic, message.properties) == (text, {CONTENT_TYPE: text, USER_PROPERTY: (text, text)})
