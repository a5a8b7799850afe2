"""Rules, keys and limits should be alike on all nodes. Where they are not, status and log name the node and what differs."""

import os
import signal

import pytest

from cluster import Cluster
from nats_server import Nats


@pytest.fixture
def cluster(serve, opening, tmp_path):
    return Cluster(serve, opening(Nats), tmp_path, "--shards", "2")


def faults(cluster, name, other):
    return cluster.peer(name, other)["fault"]


def test_limits(cluster):
    cluster.start("a", "--retained-max", "1000")
    cluster.start("b", "--retained-max", "2000", "--receive-max", "7")
    cluster.settle()
    said = "limits of clients, retained limits: not those of this node"
    cluster.wait("a names it", lambda: faults(cluster, "a", "b") == said)
    cluster.wait("b names it", lambda: faults(cluster, "b", "a") == said)
    cluster.nodes["a"].wait_line("node b: retained limits are not the same as here")


def test_rules_that_are_made_alike_again(cluster, tmp_path):
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_text("allow all a\n")
    theirs.write_text("allow all b\n")
    cluster.start("a", "--rule-file", str(ours))
    cluster.start("b", "--rule-file", str(theirs))
    cluster.settle()
    cluster.wait("a names it", lambda: faults(cluster, "a", "b") == "rules of access: not those of this node")
    theirs.write_text("allow all a\n")
    os.kill(cluster.nodes["b"].pid, signal.SIGHUP)
    cluster.wait("they are alike", lambda: faults(cluster, "a", "b") is None)
