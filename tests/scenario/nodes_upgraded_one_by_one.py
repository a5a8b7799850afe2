"""A node whose program is replaced keeps its clients' connections, and joins the others again with the filters that they have."""

import pytest

from cluster import Cluster
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def test_filters_outlive_the_program(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path, store=True)
    a, b = cluster.start_all(2)
    filters = ("exact/1", "wild/+", "$share/g/shared")
    with a.client("at-a", 5) as at_a, b.client("at-b", 5) as at_b:
        for client in (at_a, at_b):
            client.subscribe(*((text, 1) for text in filters))
        for server in (b, a):
            server.upgrade()
            cluster.settle()
            for one, other in (("a", "b"), ("b", "a")):
                cluster.wait("the filters are known", lambda: cluster.peer(one, other)["filters"] == 3)
            with a.client("from-a", 5) as from_a, b.client("from-b", 5) as from_b:
                for publisher in (from_a, from_b):
                    for topic in ("exact/1", "wild/x"):
                        publisher.hand_over(topic, b"x", qos=1)
                        assert [client.take().topic for client in (at_a, at_b)] == [topic, topic]
                from_a.hand_over("shared", b"x", qos=1)  # local members go first
                assert at_a.take().topic == "shared"
                from_b.hand_over("shared", b"x", qos=1)
                assert at_b.take().topic == "shared"
        at_a.unsubscribe(*filters)
        cluster.wait("they have ended", lambda: cluster.peer("b", "a")["filters"] == 0)
