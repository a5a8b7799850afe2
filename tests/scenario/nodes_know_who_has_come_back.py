"""A client whose session ends with its connection takes itself over on its own node, which asks nobody; other nodes still find
it there, and it is told when it comes to one of them."""

import pytest

from cluster import Cluster
from nats_server import Nats


@pytest.fixture
def cluster(serve, tmp_path):
    nats = Nats()
    yield Cluster(serve, nats, tmp_path)
    nats.close()


# With each id another node may be its home.
@pytest.mark.parametrize("client_id", ["ann", "bob", "cyd", "dan"])
def test_a_connection_that_replaced_another_is_found(cluster, version, client_id):
    a, b = cluster.start_all(2)
    first = a.client(client_id, version)
    with a.client(client_id, version) as second, b.client(client_id, version) as third:
        first.ends()
        second.expect_refusal(0x8E)
        third.expect_nothing_before_ping()
    first.close()
    with a.client(client_id, version) as last:
        last.expect_nothing_before_ping()
    assert a.counter("sessions_moved_out") == 0
