"""A retained message is on every node of a cluster: it is set, replaced and taken away everywhere. [MQTT-3.3.1-5, MQTT-3.3.1-6]"""

import pytest

from cluster import Cluster
from mqtt_wire import MESSAGE_EXPIRY, PUBLISH
from nats_server import Nats
from retained import retain, retained


@pytest.fixture
def cluster(serve, opening, tmp_path):
    return Cluster(serve, opening(Nats), tmp_path, "--shards", "2", store=True)


def test_on_all_nodes(cluster, version):
    a, b, c = cluster.start_all(3)
    retain(a, "t/1", "one", version=version)
    retain(b, "t/2", "two", version=version)
    for server in (a, b, c):
        assert retained(server, "t/#", version) == {"t/1": "one", "t/2": "two"}
    retain(c, "t/1", "other", version=version)
    retain(c, "t/2", "", version=version)
    for server in (a, b, c):
        assert retained(server, "t/#", version) == {"t/1": "other"}


def test_without_a_subscriber_a_message_at_qos_0_goes_too(cluster):
    a, b = cluster.start_all(2)
    retain(a, "t", "value", qos=0)
    cluster.wait("it is on b", lambda: retained(b, "t") == {"t": "value"})


def test_what_is_left_of_its_life_goes_with_it(cluster):
    a, b = cluster.start_all(2)
    retain(a, "t", "value", pairs=[(MESSAGE_EXPIRY, 300)])
    with b.client("reader", 5) as client:
        client.subscribe("t")
        left = dict(client.expect_kind(PUBLISH).pairs)[MESSAGE_EXPIRY]
        assert 290 < left <= 300


def test_after_a_restart(cluster):
    a, b = cluster.start_all(2)
    retain(a, "t/1", "one")
    retain(a, "t/2", "two")
    retain(a, "t/2", "")
    b.crash()
    a.stop()
    b = cluster.start("b")
    b.wait_line("ready")
    assert retained(b, "t/#") == {"t/1": "one"}
