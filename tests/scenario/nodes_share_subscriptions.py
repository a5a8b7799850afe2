"""Members of a shared subscription on several nodes: each message goes to one of them, and local ones go first, or not."""

import collections

import pytest

from cluster import Cluster
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def members(cluster, *nodes):
    clients = []
    for at, name in enumerate(nodes):
        client = cluster.nodes[name].client(f"member-{at}-{name}", 5)
        client.subscribe(("$share/g/t/+", 1))
        clients.append(client)
    for name in set(nodes):
        others = [other for other in cluster.nodes if other != name]
        cluster.wait("the group is known", lambda: all(cluster.peer(other, name)["filters"] >= 1 for other in others))
    return clients


def spread(server, clients, count):
    """How many of so many messages each gets; each has a filter of its own for the end."""
    with server.client("from", 5) as publisher:
        for number in range(count):
            publisher.hand_over(f"t/{number % 5}", str(number), qos=1)
    found = collections.Counter()
    for client in clients:
        client.subscribe((f"end/{client.client_id}", 1))
    with server.client("ends", 5) as publisher:
        for client in clients:
            while True:
                publisher.hand_over(f"end/{client.client_id}", b"", qos=1)
                message = client.take()
                if message.topic.startswith("end/"):
                    break
                found[client.client_id] += 1
    return found


def test_each_message_goes_to_one_member_anywhere(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b, c = cluster.start_all(3)
    clients = members(cluster, "b", "c")
    found = spread(a, clients, 100)
    assert sum(found.values()) == 100 and min(found.values()) >= 20, found
    for client in clients:
        client.close()


def test_local_members_go_first(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    clients = members(cluster, "a", "b", "b")
    found = spread(a, clients, 60)
    assert found == {"member-0-a": 60}
    clients[0].disconnect()
    cluster.wait("its end is known", lambda: cluster.peer("b", "a")["filters"] == 0)
    found = spread(a, clients[1:], 60)
    assert sum(found.values()) == 60 and len(found) == 2
    for client in clients[1:]:
        client.close()


def test_or_all_alike(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path, "--no-cluster-prefer-local")
    a, b = cluster.start_all(2)
    clients = members(cluster, "a", "b", "b")

    def alike():
        found = spread(a, clients, 90)
        assert sum(found.values()) == 90, found
        return all(20 <= of <= 40 for of in found.values())

    cluster.wait("how many members there are is known", alike)
    for client in clients:
        client.close()
