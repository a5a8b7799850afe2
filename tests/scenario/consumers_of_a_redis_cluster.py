"""A consumer reads its stream where it is: on a node of a cluster, also while its slot moves and when a replica takes over, or
on the master that Sentinels name."""

import time

import pytest

from consumers import add, wait_consumer, wait_settled, waits, works, write
from redis_cluster import Cluster, Watched, wait_until
from redis_server import RedisError

pytestmark = pytest.mark.roost_only("others have no such consumers")

ORDERS = {"name": "orders", "stream": "in"}


@pytest.fixture
def start(serve, tmp_path):
    def begin(url, *items):
        config = write(tmp_path, *items, redis=url)
        server = serve("--config", config, "--shards", "2", "--admin", "http://127.0.0.1:0")
        for item in items:
            wait_consumer(server, item["name"], works)
        return server

    return begin


def subscriber(server):
    client = server.client("to", 5)
    client.subscribe(("t/#", 1))
    return client


def entries(numbers):
    return [{"topic": f"t/{n}", "payload": n} for n in numbers]


def take_until(client, last):
    got = []
    while not got or got[-1] != last:
        got.append(int(client.take().payload))
    return list(dict.fromkeys(got))


def test_streams_and_dead_letters_on_their_nodes(opening, start):
    cluster = opening(Cluster, 3, 0)
    streams = [cluster.key_of(node, f"in{number}-") for number, node in enumerate(cluster.nodes)]
    server = start(cluster.url(), *({"name": f"c{n}", "stream": stream} for n, stream in enumerate(streams)))
    with subscriber(server) as client:
        for n, stream in enumerate(streams):
            add(cluster, stream, {"topic": f"t/{n}", "payload": n}, {"payload": "of nothing"})
        assert sorted(int(client.take().payload) for _ in streams) == [0, 1, 2]
    wait_until(lambda: cluster.ask(("XLEN", "roost:dead"))[0] == 3, "the dead letters are not there")
    for stream in streams:
        wait_settled(cluster, stream)


def test_the_slot_moves(opening, start):
    """Back and forth, with entries in between: before, while it is open, when the stream has moved, afterwards."""
    cluster = opening(Cluster, 3, 0)
    server = start(cluster.url(), {**ORDERS, "batch": 20})
    added = 0

    def add_some():
        """To whichever node takes them."""
        nonlocal added
        for _ in range(30):
            for node in cluster.nodes:
                try:
                    add(node, "in", {"topic": "t/x", "payload": added})
                    added += 1
                    break
                except RedisError:  # it is there no more, or not yet
                    continue

    with subscriber(server) as client:
        for _ in range(3):
            add_some()
            source = cluster.owner("in")
            target = next(node for node in cluster.nodes if node is not source)
            for _ in cluster.move(cluster.slot("in"), source, target):
                add_some()
        add_some()
        assert added > 200 and take_until(client, added - 1) == [*range(added)]
    wait_settled(cluster, "in")


def test_nodes_that_send_it_round_in_circles(opening, start):
    """As a migration that was given up leaves them: each says that the other has the slot. It waits for a while as where
    Redis refuses, rather than asking them without an end, and can be stopped."""
    cluster = opening(Cluster, 3, 0)
    server = start(cluster.url(), ORDERS)
    slot, owner = cluster.slot("in"), cluster.owner("in")
    other = next(node for node in cluster.nodes if node is not owner)
    with subscriber(server) as client:
        owner.ask(("DEL", "in"), ("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(other)))
        wait_consumer(server, "orders", lambda one: waits(one) and "MOVED" in one["last_error"])
        owner.ask(("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(owner)))
        add(owner, "in", *entries(range(3)))
        assert take_until(client, 2) == list(range(3))
        owner.ask(("DEL", "in"), ("CLUSTER", "SETSLOT", slot, "NODE", cluster.id_of(other)))
    server.stop()


def test_a_slot_that_is_half_open(opening, start):
    """Its node sends what it does not have to one that takes nothing of it, and sends it back: that is no way to go on."""
    cluster = opening(Cluster, 2, 0)
    server = start(cluster.url(), ORDERS)
    source = cluster.owner("in")
    target = next(node for node in cluster.nodes if node is not source)
    source.ask(("CLUSTER", "SETSLOT", cluster.slot("in"), "MIGRATING", cluster.id_of(target)), ("DEL", "in"))
    consumer = wait_consumer(server, "orders", lambda one: waits(one) and one["retries"] >= 3)
    assert consumer["last_error"].startswith(("ASK ", "MOVED "))
    source.ask(("CLUSTER", "SETSLOT", cluster.slot("in"), "STABLE"))
    with subscriber(server) as client:
        add(source, "in", *entries(range(10)))
        assert take_until(client, 9) == [*range(10)]


def test_a_replica_takes_over(opening, start):
    """What the master had told its replica is there; the group with it."""
    cluster = opening(Cluster, 3, 1)
    server = start(cluster.url(), ORDERS)
    with subscriber(server) as client:
        add(cluster, "in", *entries(range(20)))
        assert take_until(client, 19) == list(range(20))
        wait_settled(cluster, "in")
        time.sleep(0.5)  # replication does not say when it is done
        cluster.owner("in").kill()
        wait_consumer(server, "orders", waits)
        wait_until(lambda: cluster.owner("in"), "no replica has taken over")
        cluster.wait_ok()
        add(cluster, "in", *entries(range(20, 40)))
        assert take_until(client, 39)[-20:] == list(range(20, 40))
    wait_consumer(server, "orders", works)


def test_the_master_that_sentinels_name(opening, start):
    watched = opening(Watched)
    server = start(watched.url(), ORDERS)
    with subscriber(server) as client:
        old = watched.master()
        add(old, "in", *entries(range(20)))
        assert take_until(client, 19) == list(range(20))
        wait_settled(old, "in")
        time.sleep(0.5)
        old.kill()
        wait_until(lambda: watched.master() not in (None, old), "no replica has taken over")
        add(watched.master(), "in", *entries(range(20, 40)))
        assert take_until(client, 39)[-20:] == list(range(20, 40))
