"""Rules and revocations with a Redis that Sentinels watch: they go to the master, whichever it is."""

import os
import signal
import threading
from functools import partial

import pytest

import certificates
from mqtt_wire import PUBACK
from redis_cluster import Watched, info, wait_until
from redis_server import Redis, free_port
from rules import is_drained, payloads, wait_rule, works, write

pytestmark = pytest.mark.roost_only("others have no such rules")

RULE = {"name": "all", "topics": "t/#", "stream": "s", "fields": ["payload"]}


@pytest.fixture
def watched(opening):
    return partial(opening, Watched)


@pytest.fixture
def start(serve, tmp_path):
    def begin(url, wait=True, **options):
        config = write(tmp_path, RULE, redis=url, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / "store"), "--admin", "http://127.0.0.1:0")
        if wait:
            wait_rule(server, "all", works)
        return server

    return begin


class Load(threading.Thread):
    """Publishes the numbers from 0 on until it is ended. `count` are acknowledged."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client, self.count, self.ending = server.client("load", 5), 0, threading.Event()
        self.start()

    def run(self):
        while not self.ending.is_set():
            self.client.publish("t/x", b"%d" % self.count, qos=1, packet_id=self.count % 60000 + 1)
            assert self.client.packet().kind == PUBACK
            self.count += 1
            self.ending.wait(0.002)

    def wait_more(self, count):
        wanted = self.count + count
        wait_until(lambda: self.count >= wanted, "nothing is acknowledged any more")

    def end(self):
        self.ending.set()
        self.join()
        self.client.close()


def arrived(redis):
    return [int(payload) for payload in payloads(redis, "s")]


def test_the_master_is_killed_under_load(watched, start):
    """Its replica takes over, rules and revocations find it. With min-replicas-to-write and one replica nothing is lost that
    the replica did not have: what it is not told in time is refused, or not confirmed."""
    watched = watched()
    server = start(watched.url())
    server.wait_line("redis: in step")
    load = Load(server)
    load.wait_more(100)
    before = load.count
    victim = watched.master()
    victim.kill()
    lost = server.wait_line("rules: redis: main: .*trying again")
    master = wait_until(lambda: (found := watched.master()) is not victim and found, "nobody takes over")
    load.wait_more(50)
    load.end()
    wait_rule(server, "all", is_drained)
    there = list(dict.fromkeys(arrived(master)))
    missing = sorted(set(range(load.count)) - set(there))
    assert there == sorted(there)
    # What the old master had confirmed and not passed on: of the last moments.
    assert all(before - 50 < number < before + 50 for number in missing), missing
    server.wait_line("redis: in step", lost)
    master.revoke("client", "mallory")
    server.wait_counter("redis_revocations", lambda value: value >= 1)


def test_another_master_is_named(watched, start):
    """The old one would go on taking entries, which it loses when it becomes a replica: a Sentinel is listened to, and what
    comes from then on is all at the new one."""
    watched = watched()
    server = start(watched.url())
    load = Load(server)
    load.wait_more(50)
    old = watched.master()
    began = load.count
    watched.sentinels[0].redis.ask(("SENTINEL", "FAILOVER", "main"))
    server.wait_line("rules: redis: main: the Sentinels have named another master; trying again")
    named = load.count
    load.wait_more(50)
    load.end()
    master = wait_until(lambda: (found := watched.master()) is not old and found, "nobody takes over")
    wait_rule(server, "all", is_drained)
    there = list(dict.fromkeys(arrived(master)))
    assert there == sorted(there)
    assert all(began - 50 < number < named for number in set(range(load.count)) - set(there))


def test_a_master_that_has_become_a_replica(watched, start):
    """It refuses what is sent there, and is left for whom the Sentinels name: nothing is lost."""
    watched = watched()
    server = start(watched.url(watched.sentinels[0]))
    watched.sentinels[0].redis.kill()  # nobody tells of another master
    load = Load(server)
    load.wait_more(50)
    old, new = watched.nodes
    old.ask(("CLIENT", "PAUSE", 60000, "WRITE"))
    wait_until(lambda: info(new, "master_repl_offset") == info(old, "master_repl_offset"), "the replica lags")
    new.ask(("REPLICAOF", "NO", "ONE"))
    old.ask(("REPLICAOF", "127.0.0.1", new.port))
    old.ask(("CLIENT", "UNPAUSE"))
    server.wait_line("rules: redis: main: READONLY: it is not the master any more; trying again")
    load.wait_more(20)
    load.end()
    wait_rule(server, "all", lambda rule: rule["backlog_messages"] >= 20 and rule["state"] == "waiting")


def test_sentinels_that_are_gone_or_hang(watched, start):
    """Each is asked in turn. One with a password of its own is told it."""
    watched = watched(0, 1, sentinel_password="p@ss")
    watched.sentinel_password = "p%40ss"
    gone, pretender = free_port(), Redis()
    try:
        url = watched.url().replace("//", f"//127.0.0.1:{gone},127.0.0.1:{pretender.port},")
        server = start(url)
        load = Load(server)
        load.wait_more(20)
        load.end()
        wait_rule(server, "all", is_drained)
        assert arrived(watched.nodes[0]) == list(range(load.count))
    finally:
        pretender.close()


@pytest.mark.threads
def test_all_over_tls(watched, start):
    """To the Sentinels and to the master, whose certificates are checked."""
    watched = watched(0, 1, tls=True)
    server = start(watched.url(), redis_ca_file=certificates.authority().file)
    load = Load(server)
    load.wait_more(20)
    load.end()
    wait_rule(server, "all", is_drained)
    assert arrived(watched.nodes[0]) == list(range(load.count))


def test_a_sentinel_over_tls_that_is_not_known(watched, start):
    watched = watched(0, 1, tls=True)
    server = start(watched.url(), wait=False, redis_ca_file=certificates.stranger().file)
    server.wait_line("rules: redis: main: Sentinel .*TLS: .*certificate")


def test_a_sentinel_that_knows_no_such_master(watched, start):
    watched = watched(0, 1)
    server = start(watched.url().replace("/main", "/other"), wait=False)
    server.wait_line("rules: redis: other: Sentinel .*: it knows no master of this name")


def test_the_master_hangs(watched, start):
    """It is given up after its time, and another is the master by then."""
    watched = watched()
    server = start(watched.url())
    load = Load(server)
    load.wait_more(50)
    victim = watched.master()
    os.kill(victim.process.pid, signal.SIGSTOP)
    try:
        master = wait_until(lambda: (found := watched_master(watched, victim)) is not victim and found, "nobody takes over")
        wait_rule(server, "all", lambda rule: rule["retries"] > 0 and works(rule), timeout=40)
        load.wait_more(20)
        load.end()
        wait_rule(server, "all", is_drained)
        there = list(dict.fromkeys(arrived(master)))
        assert there == sorted(there) and len(there) >= load.count - 50
    finally:
        os.kill(victim.process.pid, signal.SIGCONT)


def watched_master(watched, hung):
    """Without asking the one that hangs."""
    port = int(watched.sentinels[0].redis.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))[0][1])
    return hung if port == hung.port else watched.master()
