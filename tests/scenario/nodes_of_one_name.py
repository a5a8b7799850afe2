"""Of two nodes with one name the one that came first stays in the cluster. The other serves alone, says so, and joins when the name is
free."""

import pytest

from cluster import AWAY_MS, Cluster
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def test_the_later_one_stays_out_until_the_name_is_free(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    first, other = cluster.start_all(2)
    # Of two that are about as old it may be either.
    cluster.wait("the first is clearly older", lambda: cluster.peer("b", "a")["state_seconds"] >= 3)
    second = serve("--cluster-nats", nats.url, "--cluster-name", "test", "--node", "a", "--cluster-timeout-ms", str(AWAY_MS),
                   "--admin", "http://127.0.0.1:0")
    cluster.wait("the second says so", lambda: "name" in (second.admin().get("/api/v1/nodes").json["fault"] or ""))
    assert cluster.states("b")["a"] == "alive" and cluster.states("a")["b"] == "alive"
    with second.client("one", 5) as client:
        client.subscribe(("t", 0))
        client.publish("t", "here")
        assert client.take().payload == b"here"
    first.stop()
    cluster.nodes["a"] = second
    cluster.settle()
