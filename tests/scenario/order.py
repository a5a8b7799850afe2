"""A publisher's messages come to each subscriber in the order in which they were sent, for each topic and QoS.
[MQTT-4.2.0-1, MQTT-4.6.0-5, MQTT-4.6.0-6; MQTT-4.6.0-1, MQTT-4.6.0-5, MQTT-4.6.0-6, MQTT-7.1.1-1 of 3.1.1]"""

import pytest

from mqtt_wire import PUBLISH, VERSIONS, publish

COUNT = 600


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_to_many_at_once(serve, qos):
    """Several subscribers, some across shards, some with a small window."""
    server = serve("--shards", "4")
    clients = [server.client(f"to-{i}", VERSIONS[i % 2], pairs=[(0x21, 1 + i)] if i % 2 else ()) for i in range(6)]
    with server.client("from", 4) as publisher:
        for client in clients:
            client.subscribe(("t/+", qos))
        for begin in range(0, COUNT, 50):
            for number in range(begin, begin + 50):
                publisher.hand_over(f"t/{number % 3}", str(number), qos=qos)
            for client in clients:
                got = [client.take() for _ in range(50)]
                for topic in range(3):
                    numbers = [int(m.payload) for m in got if m.topic == f"t/{topic}"]
                    assert numbers == [n for n in range(begin, begin + 50) if n % 3 == topic]
    for client in clients:
        client.close()


@pytest.mark.threads
def test_sent_without_waiting(server, version):
    """All in one go, at QoS 1, to one who acknowledges as they come."""
    with server.client("to", version) as client, server.client("from", version) as publisher:
        client.subscribe(("t", 1))
        publisher.send(b"".join(publish("t", str(n), version, qos=1, packet_id=1 + n) for n in range(COUNT)))
        assert [int(client.take().payload) for _ in range(COUNT)] == list(range(COUNT))


def test_sent_again_in_the_order_of_sending(server, version):
    with server.client("from", version) as publisher:
        with server.session("to", version) as client:
            client.subscribe(("t", 2))
            for number in range(20):
                publisher.hand_over("t", str(number), qos=1 + number % 2)
            before = [client.message() for _ in range(20)]
            client.disconnect()
        with server.session("to", version) as client:
            again = [client.take() for _ in range(20)]
            assert [m.payload for m in again] == [m.payload for m in before]
            assert all(m.kind == PUBLISH and m.dup == 1 for m in again)
