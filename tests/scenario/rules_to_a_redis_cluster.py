"""Rules that send to a Redis Cluster: each stream goes to the node that has it, in its order, while slots move, while a
replica takes over, and whatever else is away; what has nothing to do with it goes on."""

import os
import signal
import threading
import time
from functools import partial

import pytest

import certificates
from mqtt_wire import PUBACK
from redis_cluster import Cluster, wait_until
from redis_server import Redis, free_port
from rules import is_drained, payloads, wait_entries, wait_rule, works, write
from server import roost

pytestmark = pytest.mark.roost_only("others have no such rules")

# A stream for each second level.
RULE = {"name": "all", "topics": "t/#", "stream": "s{topic.2}", "fields": ["payload"]}
STREAMS = 24


@pytest.fixture
def cluster(opening):
    return partial(opening, Cluster)


@pytest.fixture
def start(serve, tmp_path):
    def begin(url, *rules, wait=True, **options):
        config = write(tmp_path, *(rules or (RULE,)), redis=url, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / "store"), "--admin", "http://127.0.0.1:0")
        if wait:
            wait_rule(server, "all", works)
            wait_until(lambda: shown(server)["connected"], f"not all masters are connected: {server.log()}")
        return server

    return begin


def shown(server):
    return server.admin().get("/api/v1/rules").json["redis"]


def publish(client, numbers, streams=range(STREAMS)):
    """A message of each number to each stream, and waits until all are acknowledged."""
    sent = 0
    for number in numbers:
        for stream in streams:
            sent += 1
            client.publish(f"t/{stream}", b"%d" % number, qos=1, packet_id=sent % 60000 + 1)
    for _ in range(sent):
        assert client.packet().kind == PUBACK


class Load(threading.Thread):
    """Publishes the numbers from 0 on to streams, a round each few ms, until it is ended. `rounds` are acknowledged."""

    def __init__(self, server, streams=range(STREAMS)):
        super().__init__(daemon=True)
        self.client, self.streams, self.rounds, self.ending = server.client("load", 5), streams, 0, threading.Event()
        self.at = []
        self.start()

    def run(self):
        while not self.ending.is_set():
            publish(self.client, [self.rounds], self.streams)
            self.at.append(time.monotonic())
            self.rounds += 1
            self.ending.wait(0.005)

    def wait_more(self, rounds):
        wanted = self.rounds + rounds
        wait_until(lambda: self.rounds >= wanted, "nothing is acknowledged any more")

    def end(self):
        self.ending.set()
        self.join()
        self.client.close()


def numbers(cluster, stream):
    return [int(payload) for payload in payloads(cluster, f"s{stream}")]


def check_all(cluster, rounds, streams=range(STREAMS), once=False):
    """Each stream has all of them in their order; but for repetitions, where once is not true."""
    for stream in streams:
        there = wait_until(lambda: numbers(cluster, stream), f"nothing is in s{stream}")
        assert (there if once else list(dict.fromkeys(there))) == list(range(rounds)), f"s{stream}"


def test_each_stream_is_on_its_node(cluster, start):
    """In its order, and each entry once. What is dead goes to the node of roost:dead."""
    cluster = cluster(3, 0)
    cluster.ask(("SET", "s5", "no stream"))
    server = start(cluster.url())
    with server.client("from", 5) as client:
        publish(client, range(50))
    rule = wait_rule(server, "all", is_drained)
    check_all(cluster, 50, [stream for stream in range(STREAMS) if stream != 5], once=True)
    assert sorted(int(payload) for payload in payloads(cluster, "roost:dead")) == list(range(50))
    assert rule["entries"] == 50 * STREAMS and rule["dead_letters"] == 50
    assert {cluster.owner(f"s{stream}").port for stream in range(STREAMS)} == {node.port for node in cluster.nodes}
    redis = shown(server)
    assert redis["kind"] == "cluster" and redis["redirects"] == 0 and redis["slots_covered"] == 16384
    assert sorted(node["address"] for node in redis["nodes"]) == sorted(f"127.0.0.1:{node.port}" for node in cluster.nodes)
    assert all(node["connected"] and node["last_error"] is None for node in redis["nodes"])
    text = roost("ctl", "--url", server.admin().url, "streams").stdout
    assert "3 of 3 servers are connected" in text
    metrics = server.admin().get("/metrics").text
    assert f'roost_redis_node_connected{{node="127.0.0.1:{cluster.nodes[0].port}"}} 1' in metrics


def test_seeds_that_are_gone(cluster, start):
    """The first server that tells is believed; afterwards any node is asked, and a node that was new takes part."""
    cluster = cluster(3, 0, node_timeout_ms=500)
    gone = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    url = cluster.url(cluster.nodes[0]).replace("//", f"//{gone[0]},") + f",{gone[1]}"
    server = start(url)
    slot = cluster.slot("s1")
    source, target = cluster.owner("s1"), cluster.masters[0] if cluster.owner("s1") is not cluster.masters[0] else cluster.masters[1]
    for _ in cluster.move(slot, source, target):
        pass
    with server.client("from", 5) as client:
        publish(client, range(5))
    wait_rule(server, "all", is_drained)
    check_all(cluster, 5, once=True)


def test_slots_move_while_messages_flow(cluster, start):
    """MOVED and ASK are followed: of streams that are there already, and of those that are made half way."""
    cluster = cluster(3, 0)
    server = start(cluster.url(cluster.nodes[0]))
    load = Load(server, range(6))
    load.wait_more(5)
    for stream in range(6):
        source = cluster.owner(f"s{stream}")
        target = next(node for node in cluster.masters if node is not source)
        for _ in cluster.move(cluster.slot(f"s{stream}"), source, target):
            load.wait_more(3)
        load.wait_more(3)
    load.end()
    wait_rule(server, "all", is_drained)
    check_all(cluster, load.rounds, range(6), once=True)
    assert shown(server)["redirects"] >= 6


def test_new_streams_of_a_slot_that_moves(cluster, start):
    """The node that gives the slot up sends each stream that it does not have to the one that takes it."""
    cluster = cluster(3, 0)
    server = start(cluster.url(), {**RULE, "stream": "{{tag}}s{topic.2}"})
    source = cluster.owner("{tag}")
    target = next(node for node in cluster.masters if node is not source)
    with server.client("from", 5) as client:
        publish(client, range(3), range(4))
        wait_rule(server, "all", is_drained)
        steps = cluster.move(cluster.slot("{tag}"), source, target)
        assert next(steps) == "opened"
        publish(client, range(3, 6), range(8))
        wait_rule(server, "all", is_drained)
        for _ in steps:
            publish(client, [6], range(8, 9))
        publish(client, range(7, 9), range(8))
    wait_rule(server, "all", is_drained)
    for stream in range(4):
        assert [int(payload) for payload in payloads(target, f"{{tag}}s{stream}")] == [*range(6), 7, 8]
    for stream in range(4, 8):
        assert [int(payload) for payload in payloads(target, f"{{tag}}s{stream}")] == [3, 4, 5, 7, 8]
    assert shown(server)["redirects"] >= 4


def test_a_master_is_killed_and_its_replica_takes_over(cluster, start):
    """All that was acknowledged is there, in its order, but for what the master had confirmed and not told its replica: that
    is what replication of Redis may lose, and some milliseconds old."""
    cluster = cluster(3, 1, node_timeout_ms=1000)
    server = start(cluster.url())
    load = Load(server)
    load.wait_more(30)
    victim = cluster.owner("s1")
    killed = time.monotonic()
    victim.kill()
    wait_until(lambda: cluster.owner("s1") not in (victim, None), lambda: f"no replica takes over: {cluster}")
    load.wait_more(30)
    load.end()
    wait_rule(server, "all", is_drained)
    for stream in range(STREAMS):
        there = list(dict.fromkeys(numbers(cluster, stream)))
        lost = sorted(set(range(load.rounds)) - set(there))
        assert there == sorted(there)
        assert all(killed - 0.5 < load.at[number] < killed + 0.1 for number in lost), (stream, lost)
    victim.start()
    cluster.wait_ok()
    with server.client("from", 5) as client:
        publish(client, [load.rounds])
    wait_rule(server, "all", is_drained)


def test_streams_of_other_masters_go_on(cluster, start):
    """While one is away that nobody takes over for, and while one hangs."""
    cluster = cluster(3, 0, "--cluster-require-full-coverage", "no", node_timeout_ms=60000)
    server = start(cluster.url())
    victim = cluster.owner("s1")
    owners = {stream: cluster.owner(f"s{stream}") for stream in range(STREAMS)}
    on_others = {stream: node for stream, node in owners.items() if node is not victim}
    rounds = 0
    with server.client("from", 5) as client:
        for stop, go_on in ((lambda: os.kill(victim.process.pid, signal.SIGSTOP), lambda: os.kill(victim.process.pid, signal.SIGCONT)),
                            (victim.kill, victim.start)):
            stop()
            publish(client, range(rounds, rounds + 10))
            publish(client, range(rounds + 10, rounds + 20))
            rounds += 20
            for stream, node in on_others.items():
                wait_entries(node, f"s{stream}", rounds)
            rule = wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 20 * (STREAMS - len(on_others)))
            assert rule["state"] in ("working", "waiting")
            go_on()
            wait_rule(server, "all", is_drained, timeout=60)
    check_all(cluster, rounds)


def test_all_nodes_stop_and_start(cluster, start):
    cluster = cluster(3, 0, node_timeout_ms=1000)
    server = start(cluster.url())
    with server.client("from", 5) as client:
        publish(client, range(10))
        wait_rule(server, "all", is_drained)
        for node in cluster.nodes:
            node.kill()
        publish(client, range(10, 30))
        rule = wait_rule(server, "all", lambda rule: rule["state"] == "waiting" and rule["backlog_messages"] == 20 * STREAMS)
        assert rule["last_error"]
        assert not shown(server)["connected"]
        for node in cluster.nodes:
            node.start()
        publish(client, range(30, 40))
    wait_rule(server, "all", is_drained)
    check_all(cluster, 40)


def test_one_master_is_full(cluster, start):
    """What is for it waits, in its order; what is for others goes on."""
    cluster = cluster(3, 0)
    server = start(cluster.url())
    full = cluster.owner("s1")
    with server.client("from", 5) as client:
        publish(client, range(5))
        wait_rule(server, "all", is_drained)
        full.ask(("CONFIG", "SET", "maxmemory", "1"))
        publish(client, range(5, 15))
        rule = wait_rule(server, "all", lambda rule: rule["state"] == "waiting" and "OOM" in (rule["last_error"] or ""))
        for stream in range(STREAMS):
            if cluster.owner(f"s{stream}") is not full:
                wait_entries(cluster, f"s{stream}", 15)
        assert rule["retries"] > 0
        full.ask(("CONFIG", "SET", "maxmemory", "0"))
    wait_rule(server, "all", is_drained)
    check_all(cluster, 15, once=True)


@pytest.mark.threads
def test_tls_and_a_user_with_few_rights(cluster, start):
    cluster = cluster(3, 0, tls=True)
    for node in cluster.nodes:
        node.ask(("ACL", "SETUSER", "roost", "on", ">secret", "~s*", "~roost:dead", "resetchannels", "-@all", "+multi", "+exec", "+xadd",
                  "+cluster|slots", "+asking"))
    server = start(cluster.url(user="roost:secret@"), redis_ca_file=certificates.authority().file)
    with server.client("from", 5) as client:
        publish(client, range(5))
    wait_rule(server, "all", is_drained)
    check_all(cluster, 5, once=True)


def test_the_table_of_who_is_online(cluster, serve):
    """Its keys have a hash tag, so that all are on one node, wherever that goes."""
    cluster = cluster(3, 0)
    key = "{online}:gw-1"
    server = serve("--redis", cluster.url(cluster.nodes[0]), "--presence-table", "{online}", "--node", "gw-1", "--admin", "http://127.0.0.1:0")
    with server.client("c-1", 5), server.client("c-2", 5):
        def online():
            return sorted(cluster.ask(("HKEYS", key))[0])
        wait_until(lambda: online() == [b"c-1", b"c-2"], "they are not in the table")
        source = cluster.owner(key)
        target = next(node for node in cluster.masters if node is not source)
        for _ in cluster.move(cluster.slot(key), source, target):
            pass
        with server.client("c-3", 5):
            wait_until(lambda: online() == [b"c-1", b"c-2", b"c-3"], "the table is not where the slot is")
        assert cluster.owner(key) is target


def test_a_table_whose_keys_are_on_several_nodes():
    answer = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--redis", "redis+cluster://127.0.0.1", "--presence-table", "online")
    assert answer.returncode == 2 and "write {online}, with the braces" in answer.stderr


@pytest.mark.parametrize("url, told", [
    ("redis+cluster://", "there is no host"),
    ("redis+cluster://a:1,b:0", 'server 2, "b:0"'),
    ("redis+cluster://a/1", "database 0 alone"),
    ("redis+sentinel://a,b", "the name of the master"),
])
def test_urls_that_are_none(url, told):
    answer = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--redis", url)
    assert answer.returncode == 2 and told in answer.stderr, answer.stderr


def test_what_is_no_cluster(start):
    """It is said, and what waits is safe."""
    redis = Redis()
    try:
        server = start(f"redis+cluster://127.0.0.1:{redis.port}", wait=False)
        server.wait_line("the cluster's slots are not known: .*cluster support disabled")
        wait_rule(server, "all", lambda rule: rule["state"] == "waiting")
        with server.client("from", 5) as client:
            publish(client, range(2))
        wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 2 * STREAMS)
    finally:
        redis.close()
