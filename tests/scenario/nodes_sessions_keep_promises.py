"""What goes with a session to another node beside its messages, and who does not get it: wills, other users, clients that come to all
nodes at once, a node that dies or gets another program meanwhile."""

import threading
import time

import pytest

from cluster import Cluster
from mqtt_wire import FOREVER, RECEIVE_MAXIMUM, SESSION_EXPIRY, WILL_DELAY, Closed, Will, let_pass
from nats_server import Nats
from server import roost
from tokens import secret_file, token

MANY = 30000


@pytest.fixture
def cluster(serve, tmp_path):
    nats = Nats()
    yield Cluster(serve, nats, tmp_path)
    nats.close()


def lasting(node, client_id, **options):
    """Its session outlives the connection. Not through session(), whose end is a DISCONNECT that drops the will."""
    return node.client(client_id, 5, clean=False, pairs=((SESSION_EXPIRY, FOREVER),), **options)


def test_a_will_without_delay_comes_once(cluster):
    """The connection that is taken over from another node ends without DISCONNECT: as on one node [MQTT-3.1.4-3]."""
    a, b = cluster.start_all(2)
    with b.client("watcher", 5) as watcher:
        watcher.subscribe(("will", 1))
        with lasting(a, "c", will=Will("will", b"gone", 1)) as first:
            with lasting(b, "c") as second:
                first.expect_refusal(0x8E)
                assert second.connack.session_present
                assert watcher.take().payload == b"gone"
                watcher.expect_nothing_before_ping()


def test_a_delayed_will_goes_with_its_session(cluster):
    """It is dropped by the client's return, wherever that is, and the will of the next connection counts from then on."""
    a, b = cluster.start_all(2)
    with b.client("watcher", 5) as watcher:
        watcher.subscribe(("will", 1))
        lasting(a, "c", will=Will("will", b"first", 1, pairs=((WILL_DELAY, 1),))).reset()
        second = lasting(b, "c", will=Will("will", b"second", 1, pairs=((WILL_DELAY, 1),)))
        assert second.connack.session_present
        let_pass(1.5)
        watcher.expect_nothing_before_ping()
        second.reset()
        assert watcher.take(timeout=10).payload == b"second"
        watcher.expect_nothing_before_ping()


def test_all_nodes_at_once(cluster):
    """Of connections that begin on three nodes at once one stays, and the session with it."""
    nodes = cluster.start_all(3)
    with nodes[0].session("c", 5) as client:
        client.subscribe(("t", 1))
    for number in range(10):
        clients, lock = [], threading.Lock()

        def come(node):
            try:
                client = node.session("c", 5)
            except Closed:
                return
            with lock:
                clients.append(client)

        threads = [threading.Thread(target=come, args=(node,)) for node in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with nodes[number % 3].client("p", 5) as publisher:
            publisher.hand_over("t", b"%d" % number, qos=1)
        took = [client for client in clients if stays(client, b"%d" % number)]
        assert len(took) == 1, number
        for client in clients:
            client.close()


def stays(client, payload):
    """Whether it gets the message; the others are told 0x8E. What was sent within a second of a move may come twice, and so may come
    here what an earlier connection had."""
    while True:
        packet = client.packet()
        if packet.kind == 14:
            assert packet.reason == 0x8E
            return False
        client.accept(packet)
        if packet.payload == payload:
            return True


def test_a_node_that_dies(cluster):
    """Its session is a new one elsewhere, and what it had comes behind when the node is back."""
    cluster.store = True
    a, b = cluster.start_all(2)
    with a.session("c", 5) as client:
        client.subscribe(("t", 1))
    with a.client("p", 5) as publisher:
        publisher.hand_over("t", b"before", qos=1)
    a.crash()
    began = time.monotonic()
    with b.session("c", 5) as client:
        assert not client.connack.session_present
        assert time.monotonic() - began < 6
        cluster.start("a")
        assert client.take(timeout=20).payload == b"before"
        cluster.settle()
        cluster.nodes["a"].wait_counter("sessions_moved_out", 1)  # until then a message may come by both ways
        with cluster.nodes["a"].client("p", 5) as publisher:
            publisher.hand_over("t", b"after", qos=1)
        assert client.take(timeout=10).payload == b"after"
        client.expect_nothing_before_ping()


def test_another_user_does_not_get_it(serve, tmp_path):
    """As on one node: the session that is there ends, and the other user begins one."""
    nats = Nats()
    cluster = Cluster(serve, nats, tmp_path, "--token-secret-file", secret_file(tmp_path))
    a, b = cluster.start_all(2)
    with a.session("c", 5, user="", password=token(sub="ada")) as first:
        first.subscribe(("t", 1))
        with b.session("c", 5, user="", password=token(sub="bob")) as second:
            first.expect_refusal(0x8E)
            assert not second.connack.session_present
    nats.close()


def test_a_large_session_holds_nobody_up(cluster):
    """While tens of thousands of messages move, others on both nodes are served."""
    a, b = cluster.start_all(2, "--queue-messages-max", "100000", "--queue-bytes-max", "100000000")
    with a.session("c", 5) as client:
        client.subscribe(("t", 1))
    with a.client("p", 5) as publisher:
        for number in range(MANY):
            publisher.publish("t", b"%d" % number, qos=1, packet_id=number % 60000 + 1)
            if number % 500 == 499:
                for _ in range(500):
                    publisher.expect_kind(4)
    longest = []
    over = threading.Event()

    def others(node):
        with node.client(f"o-{node.port}", 5) as other:
            while not over.is_set():
                began = time.monotonic()
                other.expect_nothing_before_ping()
                longest.append(time.monotonic() - began)

    threads = [threading.Thread(target=others, args=(node,)) for node in (a, b)]
    for thread in threads:
        thread.start()
    with b.session("c", 5, pairs=((RECEIVE_MAXIMUM, 1000),)) as client:
        assert client.connack.session_present
        for number in range(MANY):
            assert client.take().payload == b"%d" % number
    over.set()
    for thread in threads:
        thread.join()
    print(f"longest PINGRESP of others: {max(longest) * 1000:.1f} ms")
    assert max(longest) < 1


def test_another_program_while_sessions_move(cluster):
    a, b = cluster.start_all(2)
    for number in range(20):
        with a.session(f"c{number}", 5) as client:
            client.subscribe(("t", 1))
    upgrade = threading.Thread(target=a.upgrade)
    upgrade.start()
    there = []
    for number in range(20):
        with b.session(f"c{number}", 5) as client:
            there.append(client.connack.session_present)
    upgrade.join()
    cluster.settle()
    with a.client("p", 5) as publisher:
        publisher.hand_over("t", b"all", qos=1)
    for number in range(20):
        with a.session(f"c{number}", 5) as client:
            assert client.connack.session_present, (number, there)
            assert client.take().payload == b"all"


def test_a_drained_node_gives_its_sessions_away(cluster):
    """Clients are sent off, come to another node, and find what they had."""
    a, b = cluster.start_all(2)
    clients = [a.session(f"c{number}", 5) for number in range(10)]
    for client in clients:
        client.subscribe(("t", 1))
    begun = roost("ctl", "--url", a.admin().url, "drain", "--no-wait", "--grace", "0", "--over", "1")
    assert begun.returncode == 0, begun.stderr
    for number, client in enumerate(clients):
        client.expect_refusal(0x8B)
        with b.session(f"c{number}", 5) as moved:
            assert moved.connack.session_present, number
    a.wait_counter("sessions_moved_out", 10)
    with b.client("p", 5) as publisher:
        publisher.hand_over("t", b"all", qos=1)
    for number in range(10):
        with b.session(f"c{number}", 5) as client:
            assert client.take().payload == b"all"
            client.expect_nothing_before_ping()
