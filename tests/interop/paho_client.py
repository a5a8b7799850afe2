"""Eclipse Paho for Python, in both versions. [MQTT-7.0.0-2 of 3.1.1]"""

import queue

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TIMEOUT_S = 20
PROTOCOLS = {4: mqtt.MQTTv311, 5: mqtt.MQTTv5}


class Paho:
    """A client whose callbacks fill queues."""

    def __init__(self, server, version, client_id=""):
        self.connected, self.subscribed, self.messages = queue.Queue(), queue.Queue(), queue.Queue()
        self.unsubscribed, self.disconnected = queue.Queue(), queue.Queue()
        self.mqtt = mqtt.Client(client_id, protocol=PROTOCOLS[version])
        if version == 5:
            self.mqtt.on_connect = lambda client, data, flags, reason, properties: self.connected.put((reason, properties))
            self.mqtt.on_disconnect = lambda client, data, reason, properties=None: self.disconnected.put(reason)
            self.mqtt.on_subscribe = lambda client, data, mid, codes, properties: self.subscribed.put([c.value for c in codes])
            self.mqtt.on_unsubscribe = lambda client, data, mid, properties, codes: self.unsubscribed.put(codes)
        else:
            self.mqtt.on_connect = lambda client, data, flags, code: self.connected.put((code, None))
            self.mqtt.on_disconnect = lambda client, data, code: self.disconnected.put(code)
            self.mqtt.on_subscribe = lambda client, data, mid, codes: self.subscribed.put(list(codes))
            self.mqtt.on_unsubscribe = lambda client, data, mid: self.unsubscribed.put(None)
        self.mqtt.on_message = lambda client, data, message: self.messages.put(message)
        self.mqtt.connect("127.0.0.1", server.port, keepalive=30)
        self.mqtt.loop_start()
        self.reason, self.properties = self.connected.get(timeout=TIMEOUT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def subscribe(self, *filters, qos=0):
        self.mqtt.subscribe([(text, mqtt.SubscribeOptions(qos=qos)) if self.mqtt._protocol == mqtt.MQTTv5 else (text, qos)
                             for text in filters])
        return self.subscribed.get(timeout=TIMEOUT_S)

    def message(self):
        return self.messages.get(timeout=TIMEOUT_S)


@pytest.mark.parametrize("sender", PROTOCOLS)
@pytest.mark.parametrize("receiver", PROTOCOLS)
def test_hello(server, sender, receiver):
    with Paho(server, sender) as publisher, Paho(server, receiver) as subscriber:
        assert subscriber.subscribe("a/+", "b/#") == [0, 0]
        publisher.mqtt.publish("a/x", "one")
        publisher.mqtt.publish("b/x/y", b"\x00\x01")
        first, second = subscriber.message(), subscriber.message()
    assert (first.topic, first.payload, first.qos, first.retain) == ("a/x", b"one", 0, 0)
    assert (second.topic, second.payload) == ("b/x/y", b"\x00\x01")


def test_it_reads_the_properties_of_connack(server):
    with Paho(server, 5) as client:
        assert client.reason.value == 0
        assert not hasattr(client.properties, "MaximumQoS") and not hasattr(client.properties, "RetainAvailable")
        assert getattr(client.properties, "ReceiveMaximum", 65535) == 65535
        assert client.properties.TopicAliasMaximum == 32
        assert client.properties.AssignedClientIdentifier


def test_user_properties_come_through(server):
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("a", "1"), ("b", "2"), ("a", "3")]
    properties.ContentType = "text/plain"
    properties.MessageExpiryInterval = 60
    with Paho(server, 5) as publisher, Paho(server, 5) as subscriber:
        subscriber.subscribe("t")
        publisher.mqtt.publish("t", "x", properties=properties)
        message = subscriber.message()
    assert message.properties.UserProperty == [("a", "1"), ("b", "2"), ("a", "3")]
    assert message.properties.ContentType == "text/plain"


def test_unsubscribe(server, version):
    with Paho(server, version) as client:
        client.subscribe("t", "u")
        client.mqtt.unsubscribe("t")
        client.unsubscribed.get(timeout=TIMEOUT_S)
        client.mqtt.publish("t", "1")
        client.mqtt.publish("u", "2")
        assert client.message().payload == b"2"


def test_thousand_messages_in_order(server, version):
    with Paho(server, version) as publisher, Paho(server, version) as subscriber:
        subscriber.subscribe("t")
        for number in range(1000):
            publisher.mqtt.publish("t", str(number))
        assert [int(subscriber.message().payload) for _ in range(1000)] == list(range(1000))


def test_requests_are_answered(server, version):
    """At QoS 1, by a client that acknowledges the request and then publishes its answer."""
    with Paho(server, version) as asking, Paho(server, version) as answering:
        answering.mqtt.on_message = lambda client, data, message: client.publish("answer", message.payload, qos=1)
        answering.subscribe("question", qos=1)
        asking.subscribe("answer", qos=1)
        for number in range(20):
            asking.mqtt.publish("question", str(number), qos=1)
            assert asking.message().payload == str(number).encode()


def test_take_over_is_told(server):
    with Paho(server, 5, "same") as first:
        first.mqtt.reconnect_delay_set(min_delay=60, max_delay=60)
        with Paho(server, 5, "same"):
            reason = first.disconnected.get(timeout=TIMEOUT_S)
            assert getattr(reason, "value", reason) == 0x8E
