"""Whoever asks one node of a cluster is told of the clients of all, and acts on them; and is told how the nodes are doing."""

import pytest

from cluster import Cluster
from nats_server import Nats
from server import roost


@pytest.fixture
def cluster(serve, nats, tmp_path):
    made = Cluster(serve, nats, tmp_path)
    made.start_all(3)
    return made


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def listed(cluster, name, query=""):
    """All pages of the list."""
    clients, cursor = {}, ""
    while cursor is not None:
        page = cluster.nodes[name].admin().get(f"/api/v1/clients?limit=2{query}{cursor}").json
        clients |= {client["client_id"]: client["node"] for client in page["clients"] if not client["client_id"].startswith("$roost/")}
        cursor = page["next"] and f"&cursor={page['next']}"
    return clients


def test_clients_of_all_nodes_are_listed(cluster):
    with cluster.nodes["a"].client("at-a", 4), cluster.nodes["b"].client("at-b", 5), cluster.nodes["c"].client("at-c", 5), \
            cluster.nodes["c"].client("also-at-c", 5):
        everybody = {"at-a": "a", "at-b": "b", "at-c": "c", "also-at-c": "c"}
        for name in cluster.nodes:
            assert listed(cluster, name) == everybody
        assert listed(cluster, "a", "&node=c") == {"at-c": "c", "also-at-c": "c"}
        assert listed(cluster, "a", "&node=a") == {"at-a": "a"}
        assert listed(cluster, "b", "&prefix=at-") == {"at-a": "a", "at-b": "b", "at-c": "c"}
        shown = roost("ctl", "--url", cluster.nodes["b"].admin().url, "clients").stdout
        assert all(f"{node} " in line for client, node in everybody.items() for line in shown.splitlines() if line.endswith(f" {client}"))


def test_a_client_is_found_from_any_node(cluster):
    with cluster.nodes["b"].client("at-b", 5) as client:
        client.subscribe(("a/filter", 1))
        for name in cluster.nodes:
            found = cluster.nodes[name].admin().get("/api/v1/clients/at-b")
            assert (found.status, found.json["node"], found.json["subscription_list"][0]["filter"]) == (200, "b", "a/filter")
        assert cluster.nodes["a"].admin().get("/api/v1/clients/nobody").status == 404


def test_and_ended(cluster):
    with cluster.nodes["b"].session("at-b", 5) as client:
        assert cluster.nodes["c"].admin().request("POST", "/api/v1/clients/at-b/disconnect").json["node"] == "b"
        assert client.ends()
    assert cluster.nodes["c"].admin().request("POST", "/api/v1/clients/at-b/disconnect").status == 404
    assert cluster.nodes["a"].admin().get("/api/v1/clients/at-b").json["state"] == "offline"
    assert cluster.nodes["a"].admin().request("DELETE", "/api/v1/clients/at-b").status == 200
    assert cluster.nodes["b"].admin().get("/api/v1/clients/at-b").status == 404


def test_a_list_goes_on_where_a_node_is_gone(cluster):
    with cluster.nodes["a"].client("at-a", 5), cluster.nodes["c"].client("at-c", 5):
        cluster.nodes["b"].crash()
        cluster.wait_state("a", "b", "away")
        assert listed(cluster, "a") == {"at-a": "a", "at-c": "c"}
        answer = cluster.nodes["a"].admin().get("/api/v1/clients?node=b")
        assert answer.status == 503 and "b is not there" in answer.json["error"]


def test_a_page_of_nowhere(cluster):
    for cursor in ("@", "@nobody", "@a/b:1.1", "@" + "x" * 200):
        assert cluster.nodes["a"].admin().get(f"/api/v1/clients?cursor={cursor}").status in (400, 503)


def test_how_nodes_are_doing(cluster):
    shown = roost("ctl", "--url", cluster.nodes["a"].admin().url, "nodes").stdout
    assert "node a, NATS at nats://" in shown and shown.count(" alive ") == 2
    metrics = cluster.nodes["a"].admin().get("/metrics").text
    assert 'roost_peer_state{peer="b",state="alive"} 1' in metrics and "roost_cluster_connected 1" in metrics


def test_alone(serve):
    server = serve("--admin", "http://127.0.0.1:0")
    assert server.admin().get("/api/v1/nodes").json["cluster"] is False
    assert "in no cluster" in roost("ctl", "--url", server.admin().url, "nodes").stdout
    assert server.admin().get("/api/v1/clients?node=a").status == 400
    assert not any(line.startswith(("roost_cluster_", "roost_peer_")) for line in server.admin().get("/metrics").text.splitlines())
