"""A node that was away takes what it has missed of retained messages before it says that it has caught up; and what was set on
both sides of a split is the same afterwards: the later one."""

import pytest

from cluster import Cluster
from nats_server import Nats
from retained import retain, retained


@pytest.fixture
def nats(opening):
    return opening(Nats)


@pytest.fixture
def cluster(serve, nats, tmp_path):
    return Cluster(serve, nats, tmp_path, "--shards", "2", store=True)


def split(cluster, nats):
    nats.kill()
    cluster.wait_state("a", "b", "away")
    cluster.wait_state("b", "a", "away")


def heal(cluster, nats):
    nats.start()
    cluster.settle()


def test_a_node_that_was_off(cluster):
    a, b = cluster.start_all(2)
    retain(a, "t/stays", "before")
    retain(a, "t/goes", "before")
    b.stop()
    retain(a, "t/goes", "")
    retain(a, "t/comes", "after")
    b = cluster.start("b")
    cluster.settle()
    assert retained(b, "t/#") == retained(a, "t/#") == {"t/stays": "before", "t/comes": "after"}


def test_a_node_that_comes_first_with_many(cluster):
    a = cluster.start("a")
    for number in range(2000):
        retain(a, f"t/{number}", "x", qos=number % 100 == 0)
    cluster.start("b")
    cluster.settle()
    assert len(retained(cluster.nodes["b"], "t/#")) == len(retained(a, "t/#")) == 2000


def test_values_of_both_sides_of_a_split(cluster, nats):
    a, b = cluster.start_all(2)
    retain(a, "t/both", "before")
    retain(a, "t/gone", "before")
    split(cluster, nats)
    retain(a, "t/both", "earlier")
    retain(b, "t/gone", "")
    retain(a, "t/a", "a")
    retain(b, "t/b", "b")
    retain(b, "t/both", "later")
    heal(cluster, nats)
    wanted = {"t/both": "later", "t/a": "a", "t/b": "b"}
    cluster.wait("both have the same", lambda: retained(a, "t/#") == retained(b, "t/#") == wanted)


def test_a_store_from_before_there_was_a_cluster(serve, cluster):
    alone = serve("--store", str(cluster.folder / "a"), "--shards", "2")
    retain(alone, "t/old", "value")
    alone.stop()
    cluster.start_all(2)
    assert retained(cluster.nodes["b"], "t/#") == {"t/old": "value"}
    retain(cluster.nodes["b"], "t/old", "newer")
    assert retained(cluster.nodes["a"], "t/#") == {"t/old": "newer"}
