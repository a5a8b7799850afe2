"""A message reaches subscribers on every node of a cluster, once each, in order, and its publisher is answered when it is safe
with all of them."""

import pytest

from cluster import Cluster
from mqtt_wire import VERSIONS
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def settled(cluster, node, filters):
    """The other nodes know as many of its filters."""
    others = [name for name in cluster.nodes if name != node]
    cluster.wait("the filters are known", lambda: all(cluster.peer(other, node)["filters"] >= filters for other in others))


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("text", ["t/1", "t/+", "#"])
@pytest.mark.parametrize("level", VERSIONS)
def test_to_two_other_nodes(serve, nats, tmp_path, text, qos, level):
    cluster = Cluster(serve, nats, tmp_path)
    a, b, c = cluster.start_all(3)
    with a.client("from", 5) as publisher, b.client("b", level) as at_b, c.client("c", level) as at_c:
        for client in (at_b, at_c):
            client.subscribe((text, qos))
        settled(cluster, "b", 1)
        settled(cluster, "c", 1)
        for number in range(50):
            publisher.hand_over("t/1", str(number), qos=qos)
        for client in (at_b, at_c):
            for number in range(50):
                message = client.take()
                assert (message.topic, int(message.payload), message.qos) == ("t/1", number, qos)


def test_order_under_load(serve, nats, tmp_path):
    """From one publisher to one subscriber, with all of them on their own nodes, and shards."""
    cluster = Cluster(serve, nats, tmp_path, "--shards", "2")
    a, b = cluster.start_all(2)
    with b.client("to", 5) as to:
        to.subscribe(("x/#", 1))
        settled(cluster, "b", 1)
        publishers = [a.client(f"from-{number}", 5) for number in range(4)]
        for number in range(300):
            for at, publisher in enumerate(publishers):
                publisher.publish(f"x/{at}", str(number), qos=1, packet_id=number + 1)
        last = [-1] * len(publishers)
        for _ in range(300 * len(publishers)):
            message = to.take()
            at = int(message.topic.rpartition("/")[2])
            assert int(message.payload) == last[at] + 1
            last[at] += 1
        for publisher in publishers:
            publisher.close()


def test_a_request_does_not_overtake_the_subscription_for_its_answer(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    with b.client("answers", 5) as server:
        server.subscribe(("ask", 1))
        settled(cluster, "b", 1)
        for number in range(50):
            with a.client(f"asks-{number}", 5) as client:
                client.subscribe((f"answer/{number}", 1))
                client.publish("ask", str(number), qos=0)
                question = server.take()
                server.publish(f"answer/{question.payload.decode()}", b"yes", qos=0)
                assert client.take().payload == b"yes"


def test_properties_and_expiry_go_along(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    with a.client("from", 5) as publisher, b.client("to", 5) as to:
        to.subscribe(("t", 1))
        settled(cluster, "b", 1)
        publisher.hand_over("t", b"x", qos=1, pairs=[(0x26, ("name", "value")), (0x02, 100), (0x08, "reply")])
        message = to.take()
        assert message.properties[0x08] == "reply" and 90 <= message.properties[0x02] <= 100


def test_what_a_node_says_of_itself_stays_there(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    with b.client("to", 5) as to, a.client("from", 5) as publisher:
        to.subscribe(("$SYS/presence/connected", 0), ("t", 0), ("$SYS/#", 0))
        settled(cluster, "b", 2)
        with a.client("newcomer", 5):
            seen = []
            while not any("newcomer" in text for _, text in seen):
                message = to.take()
                seen.append((message.topic, message.payload.decode()))
        publisher.hand_over("t", b"x", qos=0)


def test_a_large_message(serve, nats, tmp_path):
    """Larger than NATS takes at once."""
    cluster = Cluster(serve, nats, tmp_path, "--packet-bytes-max", "8000000", "--queue-bytes-max", "8000000")
    a, b = cluster.start_all(2)
    with a.client("from", 5) as publisher, b.client("to", 5) as to:
        to.subscribe(("t", 1))
        settled(cluster, "b", 1)
        payload = bytes(range(256)) * 16384
        publisher.hand_over("t", payload, qos=1)
        assert to.take().payload == payload
