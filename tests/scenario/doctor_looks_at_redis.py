"""`roost doctor --redis` says whether a Redis keeps what rules send to it."""

import json

import pytest

from redis_server import Redis
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


def test_it_cannot_be_looked_at():
    for url, told in (("redis://127.0.0.1:1", "refused"), ("rediss://h", "without TLS only"), ("http://h", "begins with none")):
        answer = roost("doctor", "--redis", url)
        assert answer.returncode == 1 and told in answer.stderr and not answer.stdout
    assert roost("doctor", "--redis", "redis://h", "--plan").returncode == 2
