"""What comes on the cluster's subjects and is not of a node is counted and has no effect: garbage, datagrams of other runs, replays."""

import os
import random

import pytest

from cluster import Cluster
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def test_garbage(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print("SEED", seed)
    numbers = random.Random(seed)
    starts = [b"", b"RL", b"RL\1", b"RH\1", b"RP", b"RL\1\0" + bytes(36), b"RH\1\0" + bytes(60)]
    for _ in range(60):
        data = numbers.choice(starts) + numbers.randbytes(numbers.randrange(300))
        nats.publish(numbers.choice(["roost.test.all", "roost.test.node.a", "roost.test.node.b"]), data)
    assert cluster.states("a")["b"] == cluster.states("b")["a"] == "alive"
    with b.client("to", 5) as to, a.client("from", 5) as publisher:
        to.subscribe(("t", 1))
        cluster.wait("the filter is known", lambda: cluster.peer("a", "b")["filters"] >= 1)
        publisher.hand_over("t", "hello", qos=1)
        assert to.take().payload == b"hello"
