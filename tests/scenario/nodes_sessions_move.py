"""A session lives on one node and follows its client: what it had goes with it, the older connection is told, and nothing is
left behind."""

import socket
import time

import pytest

from cluster import Cluster
from mqtt_wire import PUBREC, PUBREL, acknowledge
from nats_server import Nats


@pytest.fixture
def cluster(serve, tmp_path):
    nats = Nats()
    yield Cluster(serve, nats, tmp_path)
    nats.close()


def test_queue_and_subscriptions_follow(cluster, version):
    a, b = cluster.start_all(2)
    with a.session("c", version) as first:
        first.subscribe(("t/#", 1))
        first.disconnect()
    with a.client("p", 5) as publisher:
        for number in range(300):
            publisher.hand_over("t/1", b"%d" % number, qos=1)
    with b.session("c", version) as second:
        assert second.connack.session_present
        for number in range(300):
            assert second.take().payload == b"%d" % number
        with b.client("q", 5) as publisher:
            publisher.hand_over("t/2", b"new", qos=1)
        assert second.take().payload == b"new"
    assert b.counter("sessions_moved_in") == 1


def test_the_older_one_is_told(cluster):
    a, b = cluster.start_all(2)
    for _ in range(3):
        with a.session("c", 5) as first, b.session("c", 5) as second:
            first.expect_refusal(0x8E)
            second.expect_nothing_before_ping()


def test_a_session_that_ends_with_its_connection(cluster):
    a, b = cluster.start_all(2)
    with a.client("c", 4) as first:
        first.subscribe(("t", 1))
        with b.client("c", 4) as second:
            first.ends()
            assert not second.connack.session_present
            second.expect_nothing_before_ping()


def test_a_clean_start_ends_what_was_there(cluster):
    a, b = cluster.start_all(2)
    with a.session("c", 5) as first:
        first.subscribe(("t", 1))
        with b.client("c", 5) as second:
            first.expect_refusal(0x8E)
            assert not second.connack.session_present
    with a.session("c", 5) as third:
        assert not third.connack.session_present


def test_from_node_to_node(cluster):
    nodes = cluster.start_all(3)
    with nodes[0].session("c", 5) as client:
        client.subscribe(("t", 1))
    for number in range(30):
        with nodes[(number + 1) % 3].session("c", 5) as client:
            assert client.connack.session_present, number


def test_qos_2_half_way(cluster):
    """What was sent and not acknowledged is sent again with its identifier; what was released goes on with PUBREL."""
    a, b = cluster.start_all(2)
    with a.session("c", 5) as first, a.client("p", 5) as publisher:
        first.subscribe(("t", 2))
        publisher.hand_over("t", b"one", qos=2)
        publisher.hand_over("t", b"two", qos=2)
        one, two = first.message(), first.message()
        first.send(acknowledge(PUBREC, one.packet_id))
        first.answer(PUBREL, one.packet_id)
        # From the client: PUBREC has come, and PUBREL goes to the other node.
        first.publish("u", b"mine", qos=2, packet_id=77)
        first.answer(PUBREC, 77)
    with b.session("c", 5) as second:
        assert second.connack.session_present
        got = [second.packet(), second.packet()]
        assert [packet.kind for packet in got] == [PUBREL, 3]
        assert got[0].packet_id == one.packet_id
        assert (got[1].payload, got[1].packet_id, got[1].dup) == (b"two", two.packet_id, 1)
        second.release(77)


def test_with_a_store(serve, tmp_path):
    """The session is stored where it went, and nowhere else."""
    nats = Nats()
    cluster = Cluster(serve, nats, tmp_path, store=True)
    a, b = cluster.start_all(2)
    with a.session("c", 5) as client:
        client.subscribe(("t", 1))
    with a.client("p", 5) as publisher:
        for number in range(50):
            publisher.hand_over("t", b"%d" % number, qos=1)
    with b.session("c", 5) as client:
        assert client.connack.session_present
        assert client.message().payload == b"0"
    a.wait_counter("sessions_moved_out", 1)
    for name in ("a", "b"):
        cluster.nodes[name].stop()
        cluster.start(name)
    cluster.settle()
    with cluster.nodes["a"].session("c", 5) as client:
        assert client.connack.session_present
        for number in range(50):
            assert client.take().payload == b"%d" % number
        client.expect_nothing_before_ping()
    nats.close()


def test_again_and_again(cluster):
    a, b = cluster.start_all(2)
    times = []
    with a.session("c", 5) as client:
        client.subscribe(("t", 1))
    for number in range(200):
        began = time.monotonic()
        with (b, a)[number % 2].session("c", 5) as client:
            times.append(time.monotonic() - began)
            assert client.connack.session_present
    times.sort()
    print(f"take-over: p50 {times[100] * 1000:.2f} ms, p99 {times[197] * 1000:.2f} ms")
    assert times[100] < 1


def test_two_nodes_at_once(cluster):
    """Clients of one id at two nodes in the same millisecond, again and again: one of each two remains, and no more."""
    cluster.start_all(2)
    rounds, ids = 10, [f"one-{number}" for number in range(40)]
    packets = [bytes((0x10, 12 + len(name), 0, 4)) + b"MQTT" + bytes((4, 2, 0, 60, 0, len(name))) + name.encode() for name in ids]
    for _ in range(rounds):
        sockets = []
        for packet in packets:
            pair = [socket.create_connection(("127.0.0.1", cluster.nodes[name].port)) for name in ("a", "b")]
            for connection in pair:
                connection.sendall(packet)
            sockets += pair

        def connected():
            found = [client["client_id"] for name in ("a", "b")
                     for client in cluster.nodes[name].admin().get("/api/v1/clients?limit=1000&state=connected&node=" + name).json["clients"]
                     if client["client_id"].startswith("one-")]
            return sorted(found)

        cluster.wait("one of each two remains", lambda: connected() == sorted(ids), timeout=10)
        for connection in sockets:
            connection.close()
        cluster.wait("they have gone", lambda: connected() == [], timeout=10)
