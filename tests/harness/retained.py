"""Retained messages: set on a server, and as a new subscriber there gets them."""

from mqtt_wire import PUBACK, PUBLISH, acknowledge


def retain(server, topic, payload, qos=1, version=5, pairs=()):
    """Acknowledged: then all nodes that are alive have it."""
    with server.client("from", version) as client:
        client.publish(topic, payload, qos=qos, retain=True, packet_id=1 if qos else None, pairs=pairs)
        if qos:
            client.expect_kind(PUBACK)


def retained(server, filter_="#", version=5):
    """By topic, as a new subscriber gets them."""
    found = {}
    with server.client("reader", version) as client:
        client.subscribe((filter_, 1))
        client.subscribe("end")
        client.publish("end", b"")
        while (message := client.expect_kind(PUBLISH)).topic != "end":
            found[message.topic] = message.payload.decode()
            if message.qos:
                client.send(acknowledge(PUBACK, message.packet_id))
    return found
