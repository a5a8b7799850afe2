"""A node that is stopped, replaced or started anew loses nothing that was acknowledged, neither what it sends to others nor what
they send to it; and one that is gone for good is forgotten when somebody says so."""

import os
import signal
import threading

import pytest

from cluster import Cluster
from nats_server import Nats
from server import UPGRADE_TIMEOUT_S, UPGRADED, roost


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


@pytest.fixture
def cluster(serve, nats, tmp_path):
    made = Cluster(serve, nats, tmp_path, store=True)
    made.start_all(2)
    return made


def durable(cluster, name, client_id, topic):
    with cluster.nodes[name].session(client_id, 5) as client:
        client.subscribe((topic, 1))
    others = [other for other in cluster.nodes if other != name]
    cluster.wait("the filter is known", lambda: all(cluster.peer(other, name)["filters"] >= 1 for other in others))


def got(server, client_id, last):
    with server.session(client_id, 5) as client:
        found = []
        while not found or found[-1] != last:
            found.append(client.take().payload.decode())
    return found


class Publisher(threading.Thread):
    """Publishes numbers at QoS 1, one after another, until it is told to stop. acknowledged: those that were."""

    def __init__(self, server, topic):
        super().__init__()
        self.client, self.topic, self.stops, self.acknowledged = server.client("publisher", 5), topic, threading.Event(), []
        self.start()

    def run(self):
        number = 0
        while not self.stops.is_set():
            number += 1
            if self.client.hand_over(self.topic, f"{number}", qos=1) < 0x80:
                self.acknowledged.append(f"{number}")

    def finish(self):
        self.stops.set()
        self.join()
        self.client.hand_over(self.topic, "last", qos=1)
        self.client.close()
        return [*self.acknowledged, "last"]


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_node_is_replaced_under_load(cluster, who):
    """Of both ends."""
    durable(cluster, "b", "to", "t")
    publisher = Publisher(cluster.nodes["a"], "t")
    for _ in range(3):
        start = len(cluster.nodes[who].lines)
        assert roost("ctl", "--url", cluster.nodes[who].admin().url, "upgrade").returncode == 0
        cluster.nodes[who].wait_line(UPGRADED, start, UPGRADE_TIMEOUT_S)
        cluster.settle()
    acknowledged = publisher.finish()
    found = got(cluster.nodes["b"], "to", "last")
    assert list(dict.fromkeys(found)) == acknowledged


def test_who_waits_is_remembered(cluster):
    """b is away, and a is started anew meanwhile: it does not know what b wants, and keeps everything for it."""
    durable(cluster, "b", "to", "t")
    cluster.nodes["b"].crash()
    cluster.wait_state("a", "b", "away")
    with cluster.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "before", qos=1)
    cluster.nodes["a"].crash()
    cluster.start("a")
    cluster.wait_state("a", "b", "away")
    assert cluster.peer("a", "b")["waiting_messages"] == 1
    with cluster.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "meanwhile", qos=1)
        publisher.hand_over("t/other", "of no interest", qos=1)
        cluster.start("b")
        cluster.settle()
        cluster.wait("nothing waits", lambda: cluster.peer("a", "b")["waiting_messages"] == 0)
        publisher.hand_over("t", "last", qos=1)
    assert got(cluster.nodes["b"], "to", "last") == ["before", "meanwhile", "last"]


def test_a_node_that_is_gone_for_good_is_forgotten(cluster):
    durable(cluster, "b", "to", "t")
    admin = cluster.nodes["a"].admin()
    assert admin.request("DELETE", "/api/v1/nodes/b").status == 409
    assert admin.request("DELETE", "/api/v1/nodes/z").status == 404
    cluster.nodes["b"].crash()
    cluster.wait_state("a", "b", "away")
    with cluster.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "dropped", qos=1)
        assert "b" in roost("ctl", "--url", admin.url, "forget-node", "b").stdout
        assert cluster.states("a") == {}
        assert admin.get("/api/v1/clients/%24roost%2Fnode%2Fb").status == 404
        publisher.hand_over("t", "dropped, too", qos=1)
        cluster.start("b")  # it was not gone for good
        cluster.settle()
        cluster.wait("its filter is known", lambda: cluster.peer("a", "b")["filters"] >= 1)
        publisher.hand_over("t", "last", qos=1)
    assert got(cluster.nodes["b"], "to", "last") == ["last"]


def test_a_spool_that_somebody_ends_is_made_anew(cluster):
    """What waited is lost then, and what is published next waits."""
    durable(cluster, "b", "to", "t")
    cluster.nodes["b"].crash()
    cluster.wait_state("a", "b", "away")
    with cluster.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "lost", qos=1)
        assert cluster.nodes["a"].admin().request("DELETE", "/api/v1/clients/%24roost%2Fnode%2Fb").status < 300
        publisher.hand_over("t", "kept", qos=1)
        cluster.start("b")
        cluster.settle()
        publisher.hand_over("t", "last", qos=1)
    assert got(cluster.nodes["b"], "to", "last") == ["kept", "last"]


def test_a_forgotten_node_stays_forgotten(cluster):
    """What waited for it is not made anew, and so a node that starts does not remember it."""
    admin = cluster.nodes["a"].admin()
    cluster.nodes["b"].crash()
    cluster.wait_state("a", "b", "away")
    assert roost("ctl", "--url", admin.url, "forget-node", "b").returncode == 0
    with cluster.nodes["a"].client("from", 5) as publisher:
        for _ in range(20):
            publisher.hand_over("t", "for nobody", qos=1)
    # The thread that would make it has had many turns since.
    cluster.wait("figures were told", lambda: cluster.nodes["a"].admin().get("/ready").status == 200)
    assert admin.get("/api/v1/clients/%24roost%2Fnode%2Fb").status == 404
    cluster.nodes["a"].crash()
    cluster.start("a")
    cluster.settle("a")
    assert cluster.states("a") == {}


def test_a_node_that_was_forgotten_too_early_comes_back(cluster):
    """It was only paused, and goes on as the same run: for the others it begins anew."""
    durable(cluster, "b", "to", "t")
    paused = cluster.nodes["b"].process.pid
    os.kill(paused, signal.SIGSTOP)
    try:
        cluster.wait_state("a", "b", "away")
        assert roost("ctl", "--url", cluster.nodes["a"].admin().url, "forget-node", "b").returncode == 0
    finally:
        os.kill(paused, signal.SIGCONT)
    cluster.wait("it is back", lambda: cluster.states("a").get("b") == "alive")
    cluster.settle()
    cluster.wait("its filter is known", lambda: cluster.peer("a", "b")["filters"] >= 1)
    with cluster.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "last", qos=1)
    assert got(cluster.nodes["b"], "to", "last") == ["last"]


def test_a_cluster_that_an_upgrade_brings_waits_for_a_restart(serve, nats, tmp_path):
    """The memory of the program before was not kept for a cluster: the new one says so, and serves alone."""
    config = tmp_path / "roost.yaml"
    config.write_text("log_level: debug\n")
    server = serve("--config", str(config), "--admin", "http://127.0.0.1:0")
    with server.client("there") as client:
        config.write_text(f"log_level: debug\nnode: a\ncluster:\n  nats: {nats.url}\n  name: test\n")
        assert "upgraded from" in server.upgrade()
        server.wait_line("cluster-nats has no effect until a restart")
        client.expect_nothing_before_ping()
        status = server.admin().get("/api/v1/nodes").json
        assert status["nodes"] == [] and "serves alone" in status["fault"]


def test_a_node_alone_serves_and_says_so(serve, nats, tmp_path):
    nats.kill()
    alone = Cluster(serve, nats, tmp_path)
    alone.start("a")
    server = alone.nodes["a"]
    with server.client("to", 5) as subscriber, server.client("from", 5) as publisher:
        subscriber.subscribe(("t", 1))
        publisher.hand_over("t", "hello", qos=1)
        assert subscriber.take().payload == b"hello"
    alone.wait("it is ready alone", lambda: server.admin().get("/ready").status == 200)
    status = alone.status("a")
    assert not status["nats_connected"] and "NATS is away" in status["fault"]
    nats.start()
    alone.wait("NATS is back", lambda: alone.status("a")["nats_connected"])
