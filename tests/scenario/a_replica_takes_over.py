"""With cluster-replicas 1 a node's store is on a second node before anything is acknowledged, and that node takes over. Each test
kills a node as the loss of its machine does: nothing of it comes back."""

import threading

import pytest

from cluster import Cluster
from mqtt_wire import Closed
from nats_server import Nats

IN_STEP = "replica {}: in step"
TAKEN_OVER = "copy of node {}: "
TAKEOVER_S = 5
SUBSCRIBERS = 8


@pytest.fixture
def cluster(serve, tmp_path):
    nats = Nats()
    yield Cluster(serve, nats, tmp_path, "--cluster-replicas", "1", "--cluster-takeover-s", str(TAKEOVER_S), "--shards", "2", store=True)
    nats.close()


def in_step(cluster, name, other):
    cluster.wait(f"{other} is in step with {name}", lambda: IN_STEP.format(other) in cluster.nodes[name].log(200))


def start_two(cluster):
    cluster.start_all(2)
    in_step(cluster, "a", "b")
    in_step(cluster, "b", "a")
    return cluster.nodes["a"], cluster.nodes["b"]


def taken_over(cluster, by, name):
    cluster.wait(f"{by} takes {name} over", lambda: f"{TAKEN_OVER.format(name)}" in cluster.nodes[by].log(200)
                 and "sessions taken over" in cluster.nodes[by].log(200))


def offline(client_id, server, *filters):
    with server.session(client_id, 5) as client:
        client.subscribe(*filters)
        client.disconnect()


def waiting(client_id, server):
    """Payloads that wait for the session, which must be there."""
    payloads = []
    with server.session(client_id, 5) as client:
        assert client.connack.session_present
        while True:
            try:
                payloads.append(client.take(timeout=1).payload)
            except TimeoutError:
                return payloads


class Publisher(threading.Thread):
    """Publishes at QoS 1 until the node is gone; knows what was acknowledged."""

    def __init__(self, server, number):
        super().__init__()
        self.server, self.number, self.acknowledged = server, number, []

    def run(self):
        try:
            with self.server.client(f"from-{self.number}", 5) as client:
                for i in range(100000):
                    payload = b"%d-%d" % (self.number, i)
                    client.hand_over(f"t/{self.number}", payload)
                    self.acknowledged.append(payload)
        except (Closed, OSError):
            pass


def test_what_was_acknowledged_waits_on_the_other_node(cluster):
    a, b = start_two(cluster)
    for i in range(SUBSCRIBERS):
        offline(f"to-{i}", a, (f"t/{i}", 1))
    publishers = [Publisher(a, i) for i in range(SUBSCRIBERS)]
    for publisher in publishers:
        publisher.start()
    cluster.wait("some are acknowledged", lambda: all(len(publisher.acknowledged) > 50 for publisher in publishers))
    a.crash()
    for publisher in publishers:
        publisher.join()
    taken_over(cluster, "b", "a")
    for publisher in publishers:
        got = waiting(f"to-{publisher.number}", b)
        missing = set(publisher.acknowledged) - set(got)
        assert not missing, f"{len(missing)} of {len(publisher.acknowledged)} are lost"
        assert got[:len(publisher.acknowledged)] == publisher.acknowledged


def test_a_replica_that_is_killed_holds_nobody_up_for_long(cluster):
    a, b = start_two(cluster)
    offline("to", a, ("t", 1))
    with a.client("from", 5) as client:
        client.hand_over("t", b"both")
        b.crash()
        assert client.hand_over("t", b"alone") == 0
        a.wait_line("PUBACK means this node's own store alone")
    cluster.start("b")
    cluster.wait("b is in step again", lambda: a.log(400).count(IN_STEP.format("b")) == 2)
    assert waiting("to", a) == [b"both", b"alone"]


def test_a_node_that_comes_back_ends_what_was_taken_over(cluster):
    """What it had stored is the other node's by then."""
    a, b = start_two(cluster)
    offline("to", a, ("t", 1))
    with a.client("from", 5) as client:
        client.hand_over("t", b"once")
        client.disconnect()
    a.crash()
    taken_over(cluster, "b", "a")
    a = cluster.start("a")
    cluster.wait("a is told", lambda: "node b has taken this node's sessions over" in a.log(200))
    cluster.wait("a has ended them", lambda: a.admin().get("/api/v1/clients?node=a&prefix=to").json["clients"] == [])
    assert waiting("to", b) == [b"once"]
    in_step(cluster, "a", "b")


def test_a_session_of_many_parts(cluster):
    """Far more than one piece of what nodes hand to their shards."""
    a, b = start_two(cluster)
    offline("to", a, ("t", 1))
    sent = [b"%d" % i + bytes(20000) for i in range(40)]
    with a.client("from", 5) as client:
        for payload in sent:
            client.hand_over("t", payload)
        client.disconnect()
    a.crash()
    taken_over(cluster, "b", "a")
    assert waiting("to", b) == sent
