"""`roost doctor --redis` says whether a Redis keeps what rules send to it."""

import json

import pytest

from redis_cluster import Cluster, Watched, end_all, wait_until
from redis_server import Redis, free_port
from server import roost

KEEPS = ("--appendonly", "yes", "--appendfsync", "always")


def look(*options, url=None, json_=False):
    redis = Redis(*options)
    try:
        return roost("doctor", "--redis", (url or "{}").format(redis.url), *(["--json"] if json_ else []))
    finally:
        redis.close()


def test_all_is_well():
    answer = look(*KEEPS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "it keeps what rules send to it" in answer.stdout
    report = json.loads(look(*KEEPS, json_=True).stdout)
    assert report["good"] and report["warnings"] == [] and report["appendfsync"] == "always" and report["role"] == "master"


@pytest.mark.parametrize("options, status, told", [
    ((), 1, "keeps nothing on disk"),
    (("--save", "3600 1"), 1, "saves now and then (save 3600 1)"),
    (("--appendonly", "yes", "--appendfsync", "everysec"), 0, "up to two seconds"),
    (("--appendonly", "yes", "--appendfsync", "no"), 1, "half a minute"),
    ((*KEEPS, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), 1, "allkeys-lru: whole streams may be evicted"),
    ((*KEEPS, "--maxmemory-policy", "volatile-ttl"), 0, "once there is a maxmemory"),
    ((*KEEPS, "--replicaof", "127.0.0.1", "1"), 1, "it is a replica"),
    ((*KEEPS, "--cluster-enabled", "yes"), 1, "part of a cluster"),
])
def test_what_is_wrong(options, status, told):
    answer = look(*options)
    assert answer.returncode == status and told in answer.stdout, answer.stdout + answer.stderr


def doctor(url, json_=False):
    return roost("doctor", "--redis", url, *(["--json"] if json_ else []))


def test_a_cluster():
    """All of its masters, whichever node the URL names; then one that has lost a node, and one whose slots are not all there."""
    cluster = Cluster(3, 1)
    try:
        url = cluster.url(cluster.nodes[4]).replace("//", f"//127.0.0.1:{free_port()},")
        answer = doctor(url)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "Redis Cluster: 3 masters, 16384 of 16384 slots, state ok" in answer.stdout
        assert "of the URL: Connection refused" in answer.stdout
        assert answer.stdout.count("min-replicas-to-write 0") == answer.stdout.count("cluster-require-full-coverage yes") == 3
        report = json.loads(doctor(url, True).stdout)
        assert report["good"] and report["kind"] == "cluster" and report["slots_covered"] == 16384
        assert {master["address"] for master in report["masters"]} == {f"127.0.0.1:{node.port}" for node in cluster.masters}
        assert all(master["role"] == "master" and master["replicas"] == 1 for master in report["masters"])
        cluster.masters[0].ask(("CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"))
        end_all(cluster.nodes[4:5])
        wait_until(lambda: doctor(cluster.url(cluster.masters[0])).stdout.count("has no replica") == 1, "a replica that is gone is not told of")
        answer = doctor(cluster.url(cluster.masters[0]))
        assert answer.returncode == 1 and "allkeys-lru: whole streams may be evicted" in answer.stdout
        cluster.masters[0].ask(("CLUSTER", "DELSLOTS", 0))
        wait_until(lambda: "1 of 16384 slots have no master" in doctor(cluster.url(cluster.masters[0])).stdout, "a slot is missed")
        answer = doctor(cluster.url(cluster.masters[0]).replace("redis+cluster", "redis"))
        assert answer.returncode == 1 and "redis+cluster:// with a list of nodes is wanted" in answer.stdout
    finally:
        cluster.close()


def test_sentinels():
    watched = Watched()
    try:
        answer = doctor(watched.url())
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "Redis with Sentinels: 3, of which 2 have to find that the master is down" in answer.stdout
        assert f"127.0.0.1:{watched.nodes[0].port}: Redis" in answer.stdout and "min-replicas-to-write 0" in answer.stdout
        report = json.loads(doctor(watched.url(), True).stdout)
        assert report["good"] and report["sentinels"] == 3 and report["quorum"] == 2 and report["masters"][0]["role"] == "master"
        assert "it knows no master of this name" in doctor(watched.url().replace("/main", "/other")).stderr
        for sentinel in watched.sentinels[1:]:
            sentinel.redis.kill()
        wait_until(lambda: "NOQUORUM" in doctor(watched.url()).stdout, "the missing quorum is not told of")
        assert doctor(watched.url()).returncode == 1
    finally:
        watched.close()


def test_it_cannot_be_looked_at():
    for url, told in (("redis://127.0.0.1:1", "refused"), ("rediss://h", "without TLS only"), ("rediss+cluster://h", "without TLS only"),
                      ("redis+cluster://127.0.0.1:1", "refused"), ("redis+sentinel://127.0.0.1:1/m", "refused"), ("http://h", "begins with none")):
        answer = roost("doctor", "--redis", url)
        assert answer.returncode == 1 and told in answer.stderr and not answer.stdout
    assert roost("doctor", "--redis", "redis://h", "--plan").returncode == 2
