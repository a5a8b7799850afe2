"""Publishers wait for a subscriber that reads slowly on another node as for one on their own, so that nothing that was
acknowledged is lost; nobody else waits, and nobody waits for one that does not read."""

import time

import pytest

from bursts import PATIENT, Burst, assert_nothing_lost, numbers, read_all, reader
from cluster import Cluster
from mqtt_wire import RECEIVE_MAXIMUM
from nats_server import Nats

COUNT = 3000


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def known(cluster, node, filters):
    others = [name for name in cluster.nodes if name != node and cluster.nodes[name].process.poll() is None]
    cluster.wait("the filters are known", lambda: all(cluster.peer(other, node)["filters"] >= filters for other in others))


def dropped(server):
    return server.counter("messages_dropped_queue_full")


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("shards", ["1", "3"])
def test_a_slow_client_slows_its_publisher(serve, nats, tmp_path, qos, shards):
    cluster = Cluster(serve, nats, tmp_path, "--shards", shards, *PATIENT)
    a, b = cluster.start_all(2)
    clients = [reader(b, f"slow-{n}", f"t/{n}", qos=qos, kind="session", receive_buffer=4096) for n in range(3)]
    publishers = [a.client(f"from-{n}", 4) for n in range(3)]
    known(cluster, "b", 3)
    bursts = [Burst(publishers[n], f"t/{n}", COUNT, 2000, qos) for n in range(3)]
    for burst in bursts:
        burst.start()
    assert read_all(clients, COUNT) == [{0: list(range(COUNT))}] * 3
    for burst in bursts:
        burst.finish()
    assert_nothing_lost(b)
    assert a.counter("subscriber_pauses") > 0
    for client in clients + publishers:
        client.close()


def test_others_do_not_wait(serve, nats, tmp_path):
    """While one takes a hundred a second."""
    cluster = Cluster(serve, nats, tmp_path, "--shards", "2", *PATIENT)
    a, b = cluster.start_all(2)
    slow = reader(b, "slow", "slow", qos=1, kind="session", pairs=((RECEIVE_MAXIMUM, 10),))
    quick = b.client("quick", 5)
    quick.subscribe(("quick", 1))
    known(cluster, "b", 2)
    with a.client("from-1", 4) as held, a.client("from-2", 4) as free:
        burst = Burst(held, "slow", COUNT, 100, 1)
        burst.start()
        taken = 0
        for number in range(100):
            free.hand_over("quick", str(number), qos=1)
            assert int(quick.take().payload) == number
            numbers(slow, 10)
            taken += 10
        assert burst.is_alive()
        assert a.counter("subscriber_pauses") > 0
        rest = numbers(slow, COUNT - taken)
        assert rest == {0: list(range(taken, COUNT))}
        burst.finish()
    assert_nothing_lost(b)
    slow.close()
    quick.close()


def test_nobody_waits_for_one_that_does_not_read(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path, "--shards", "2", *PATIENT)
    a, b = cluster.start_all(2)
    stuck = reader(b, "stuck", "t", qos=1, kind="session", pairs=((RECEIVE_MAXIMUM, 10),))
    known(cluster, "b", 1)
    with a.client("from", 4) as publisher:
        burst = Burst(publisher, "t", COUNT, 100, 1)
        burst.start()
        burst.finish()
    b.wait_counter("congestions_stuck", 1)
    assert dropped(b) > 0
    stuck.close()


def test_the_subscribers_node_is_killed(serve, nats, tmp_path):
    """Those that wait go on, and what they publish waits for the node."""
    cluster = Cluster(serve, nats, tmp_path, "--shards", "2", "--queue-messages-max", "2000", store=True)
    a, b = cluster.start_all(2)
    slow = reader(b, "slow", "slow", qos=1, kind="session", pairs=((RECEIVE_MAXIMUM, 10),))
    known(cluster, "b", 1)
    with a.client("from", 4) as publisher:
        burst = Burst(publisher, "slow", COUNT, 100, 1)
        burst.start()
        deadline = time.monotonic() + 20
        while a.counter("subscriber_pauses") == 0:
            numbers(slow, 10)
            time.sleep(0.1)  # slower than anybody publishes
            assert time.monotonic() < deadline
        b.crash()
        burst.finish()


def test_what_waited_for_the_node_does_not_run_over_its_queues(serve, nats, tmp_path):
    """The spool is drained no faster than the slow one reads."""
    cluster = Cluster(serve, nats, tmp_path, "--shards", "2", store=True)
    a = cluster.start("a", "--queue-messages-max", "4000")
    b = cluster.start("b", *PATIENT)
    cluster.settle()
    slow = reader(b, "slow", "slow", qos=1, kind="session", receive_buffer=4096)
    known(cluster, "b", 1)
    nats.kill()
    cluster.wait_state("a", "b", "away")
    with a.client("from", 4) as publisher:
        burst = Burst(publisher, "slow", COUNT, 2000, 1)
        burst.start()
        burst.finish()
    cluster.wait("all wait", lambda: cluster.peer("a", "b")["waiting_messages"] >= COUNT)
    nats.start()
    assert numbers(slow, COUNT) == {0: list(range(COUNT))}
    assert_nothing_lost(b)
    slow.close()
