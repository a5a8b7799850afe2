"""What is revoked in a Redis Cluster: keys on all masters are read, messages come from any node, and neither slots that
move nor a master that is lost lift anything."""

import os
import signal
from functools import partial

import pytest

from mqtt_wire import CONNACK, Connection, connect
from redis_cluster import Cluster, wait_until

pytestmark = pytest.mark.roost_only("others know no revocations")

BANNED = 0x8A
IN_STEP = r"redis: in step"
MANY = 60


@pytest.fixture
def cluster(opening):
    return partial(opening, Cluster)


def revoke(cluster, name):
    """The key alone."""
    cluster.ask(("SET", f"roost:revoked:client:{name}", ""))


def follow(serve, cluster, rescan_s=1):
    return serve("--shards", "2", "--redis", cluster.url(cluster.nodes[0]), "--redis-rescan-s", str(rescan_s))


def answer(server, name):
    with Connection(server.address, 5) as connection:
        connection.send(connect(name, 5))
        return connection.expect_kind(CONNACK).reason


def wait_scans(server, more=1):
    wanted = server.counter("redis_scans") + more
    server.wait_counter("redis_scans", lambda value: value >= wanted)


def test_keys_of_all_masters_and_messages_of_any_node(serve, cluster):
    cluster = cluster(3, 0)
    for number in range(MANY):
        revoke(cluster, f"early-{number}")
    server = follow(serve, cluster, 3600)
    server.wait_line(f"in step, {MANY} revocations")
    for number, node in enumerate(cluster.nodes):
        with server.client(f"live-{number}", 5) as live:
            node.ask(("PUBLISH", "roost:revoked", f"client 60 live-{number}"))
            live.expect_refusal(0x98)
    cluster.nodes[2].ask(("PUBLISH", "roost:lifted", "client live-0"))
    server.wait_counter("redis_lifted", 1)
    assert answer(server, "early-7") == BANNED and answer(server, "live-0") == 0


def test_slots_that_move_lift_nothing(serve, cluster):
    """Read again and again while keys go from node to node: each is in force all the while."""
    cluster = cluster(3, 0)
    for number in range(MANY):
        revoke(cluster, f"{{tag}}{number}")
    server = follow(serve, cluster)
    server.wait_line(f"in step, {MANY} revocations")
    key = "roost:revoked:client:{tag}0"
    for _ in range(2):
        source = cluster.owner(key)
        target = next(node for node in cluster.masters if node is not source)
        for number, _ in enumerate(cluster.move(cluster.slot(key), source, target)):
            if number == MANY // 2:
                wait_scans(server, 2)
        wait_scans(server, 2)
    assert server.counter("redis_lifted") == 0 and server.counter("redis_losses") == 0
    assert all(answer(server, f"{{tag}}{number}") == BANNED for number in (0, MANY - 1))
    cluster.ask(("DEL", key))
    server.wait_counter("redis_lifted", 1)


def test_a_master_is_lost(serve, cluster):
    """What was known stays in force; a replica takes over, and all is in step again."""
    cluster = cluster(3, 1, node_timeout_ms=1000)
    for number in range(MANY):
        revoke(cluster, f"c-{number}")
    server = follow(serve, cluster)
    server.wait_line(f"in step, {MANY} revocations")
    victim = cluster.owner("roost:revoked:client:c-0")
    victim.kill()
    lost = server.wait_line("redis: .*trying again")
    assert answer(server, "c-0") == BANNED
    wait_until(lambda: cluster.owner("roost:revoked:client:c-0") not in (victim, None), lambda: f"no replica takes over: {cluster}")
    server.wait_line(f"in step, {MANY} revocations", lost)
    assert server.counter("redis_lifted") == 0


def test_a_master_hangs(serve, cluster):
    cluster = cluster(3, 0, node_timeout_ms=60000)
    revoke(cluster, "mallory")
    server = follow(serve, cluster)
    server.wait_line("in step, 1 revocations")
    os.kill(cluster.nodes[1].process.pid, signal.SIGSTOP)
    try:
        hung = server.wait_line("redis: .*no answer in.*trying again")
        assert answer(server, "mallory") == BANNED
    finally:
        os.kill(cluster.nodes[1].process.pid, signal.SIGCONT)
    server.wait_line(IN_STEP, hung)
