"""What is published for a node while it is away waits, and comes when it is back: before what is newer, and nothing that was
acknowledged is lost. What it does not take holds up nobody who publishes to others."""

import signal
import threading

import pytest

from cluster import Cluster
from mqtt_wire import PUBACK
from nats_server import Nats


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


@pytest.fixture
def three(serve, nats, tmp_path):
    cluster = Cluster(serve, nats, tmp_path, store=True)
    cluster.start_all(3)
    return cluster


def known(cluster, node, filters):
    others = [name for name in cluster.nodes if name != node and cluster.nodes[name].process.poll() is None]
    cluster.wait("the filters are known", lambda: all(cluster.peer(other, node)["filters"] >= filters for other in others))


def durable(cluster, name, client_id, *filters):
    """A session on that node with these filters, without a connection."""
    with cluster.nodes[name].session(client_id, 5) as client:
        client.subscribe(*filters)
        known(cluster, name, len(filters))


def got(server, client_id, last):
    """All that the session gets up to this payload."""
    with server.session(client_id, 5) as client:
        found = []
        while not found or found[-1] != last:
            found.append(client.take().payload.decode())
    return found


@pytest.mark.parametrize("qos", [1, 2])
def test_killed_and_started_again(three, qos):
    durable(three, "b", "to", ("t", qos))
    with three.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "before", qos=qos)
        three.nodes["b"].crash()
        for number in range(20):
            assert publisher.hand_over("t", f"{number}", qos=qos) < 0x80  # the first ones wait until b counts as away
        three.wait_state("a", "b", "away")
        for number in range(20, 40):
            assert publisher.hand_over("t", f"{number}", qos=qos) < 0x80
        publisher.hand_over("t", "lost", qos=0)
        three.start("b")
        three.settle()
        publisher.hand_over("t", "after", qos=qos)
    assert got(three.nodes["b"], "to", "after") == ["before", *map(str, range(40)), "after"]
    assert three.peer("a", "b")["waiting_messages"] == 0


def test_killed_under_load(three):
    """What was acknowledged comes, at least once; in order."""
    durable(three, "b", "to", ("t", 1))
    acknowledged = []
    with three.nodes["a"].client("from", 5) as publisher:
        for number in range(1, 401):
            publisher.publish("t", f"{number}", qos=1, packet_id=number)
            if number == 200:
                three.nodes["b"].crash()
        while len(acknowledged) < 400:
            acknowledged.append(publisher.answer(PUBACK, len(acknowledged) + 1).packet_id)
        three.start("b")
        three.settle()
        publisher.hand_over("t", "after", qos=1)
    found = got(three.nodes["b"], "to", "after")
    first_times = list(dict.fromkeys(found))
    assert first_times == [*map(str, range(1, 401)), "after"]


def test_the_publishers_node_is_killed_too(three):
    """What waits is in its store."""
    durable(three, "b", "to", ("t", 1))
    three.nodes["b"].crash()
    three.wait_state("a", "b", "away")
    with three.nodes["a"].client("from", 5) as publisher:
        for number in range(10):
            publisher.hand_over("t", f"{number}", qos=1)
    three.nodes["a"].crash()
    three.start("a")
    three.settle("a", "c")  # it has not heard of b
    with three.nodes["a"].client("from", 5) as publisher:
        for number in range(10, 20):
            publisher.hand_over("t", f"{number}", qos=1)
    three.start("b")
    three.settle()
    with three.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "after", qos=1)
    assert got(three.nodes["b"], "to", "after") == [*map(str, range(20)), "after"]


def test_nats_killed_and_back(three, nats):
    durable(three, "b", "to", ("t", 1))
    with three.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("t", "before", qos=1)
        nats.kill()
        three.wait_state("a", "b", "away")
        for number in range(20):
            publisher.hand_over("t", f"{number}", qos=1)
        nats.start()
        three.settle()
        publisher.hand_over("t", "after", qos=1)
    assert got(three.nodes["b"], "to", "after") == ["before", *map(str, range(20)), "after"]


def test_a_node_that_stands_still_holds_up_nobody_else(three):
    durable(three, "b", "b", ("both/#", 1), ("b/#", 1))
    durable(three, "c", "c", ("both/#", 1), ("c/#", 1))
    three.nodes["b"].process.send_signal(signal.SIGSTOP)
    try:
        with three.nodes["a"].client("from", 5) as publisher:
            for number in range(500):
                publisher.hand_over("c/1", f"{number}", qos=1)
            for number in range(10):
                publisher.hand_over("both/1", f"both {number}", qos=1)
            publisher.hand_over("c/1", "end", qos=1)
    finally:
        three.nodes["b"].process.send_signal(signal.SIGCONT)
    assert len(got(three.nodes["c"], "c", "end")) == 511
    three.settle()
    with three.nodes["a"].client("from", 5) as publisher:
        publisher.hand_over("b/1", "end", qos=1)
    assert got(three.nodes["b"], "b", "end") == [*(f"both {number}" for number in range(10)), "end"]


def test_members_of_a_shared_subscription_elsewhere_take_over(three):
    with three.nodes["b"].client("at-b", 5) as at_b, three.nodes["c"].client("at-c", 5) as at_c, \
            three.nodes["a"].client("from", 5) as publisher:
        for client in (at_b, at_c):
            client.subscribe(("$share/g/t", 1))
        known(three, "b", 1)
        known(three, "c", 1)
        three.nodes["b"].crash()
        taker = threading.Thread(target=lambda: taken.extend(int(at_c.take(60).payload) for _ in range(100)))
        taken = []
        taker.start()
        for number in range(100):
            publisher.hand_over("t", f"{number}", qos=1)
        taker.join()
        assert sorted(taken) == list(range(100))
