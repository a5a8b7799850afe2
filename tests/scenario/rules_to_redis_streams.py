"""A rule sends publishes to a Redis stream: each of them, with its fields, in order, and nothing that was acknowledged is
lost whatever ends in between."""

import json
import os
import re
import signal
import socket
import threading
import time
from functools import partial

import pytest

import certificates
from mqtt_wire import CONTENT_TYPE, PUBACK, USER_PROPERTY, Refused
from redis_server import Redis, TlsRedis
from rules import is_drained, payloads, wait_entries, wait_rule, works, write
from server import roost
from tokens import secret_file, token

pytestmark = pytest.mark.roost_only("others have no such rules")

TELEMETRY = {"name": "telemetry", "topics": ["factory/+/telemetry", "lab/#"], "stream": "t:{topic.2}"}
ALL = {"name": "all", "topics": "t/#", "stream": "s"}


@pytest.fixture
def redis(opening):
    return partial(opening, Redis)


@pytest.fixture
def start(serve, tmp_path):
    """start(redis, rule...): a server with these rules, once they work. Its store is there for another one."""
    def begin(redis, *rules, wait=True, **options):
        config = write(tmp_path, *rules, redis=redis.url, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / "store"), "--admin", "http://127.0.0.1:0")
        for rule in rules if wait else ():
            wait_rule(server, rule["name"], works)
        return server

    return begin


def hand_over(server, count, topic="t/{}", first=0, client="from"):
    with server.client(client, 5) as publisher:
        for n in range(first, first + count):
            assert publisher.hand_over(topic.format(n), b"%d" % n) < 0x80


def numbers(redis, stream="s"):
    return [int(payload) for payload in payloads(redis, stream)]


def without_repetition(sequence):
    return list(dict.fromkeys(sequence))


def test_every_publish_arrives_with_its_fields(redis, start, tmp_path):
    redis = redis()
    fields = ["topic", "payload", "qos", "retain", "properties", "client", "user", "address", "time"]
    server = start(redis, {**TELEMETRY, "fields": fields}, {**ALL, "fields": ["payload"]}, {**ALL, "name": "by-client", "stream": "c:{client}"},
                   token_secret_file=secret_file(tmp_path))
    with server.client("c-1", 5, user="", password=token(sub="alice")) as client:
        client.hand_over("factory/7/telemetry", b"\x00\xff", pairs=[(CONTENT_TYPE, "x"), (USER_PROPERTY, ("roost-user", "forged"))])
        client.hand_over("lab/a/b", b"lab", retain=True, qos=2)
        client.publish("lab/a", b"at most once")
        client.hand_over("t/1", b"one")
        client.hand_over("elsewhere", b"-")
        one = wait_entries(redis, "t:7", 1)
        two = wait_entries(redis, "t:a", 2)
        address = server.admin().client("c-1")["address"]
    first = one[0]
    assert abs(int(first.pop(b"time")) / 1000 - time.time()) < 600
    assert first == {b"topic": b"factory/7/telemetry", b"payload": b"\x00\xff", b"qos": b"1", b"retain": b"0",
                     b"properties": b'{"content_type":"x","user":[["roost-user","forged"]]}', b"client": b"c-1", b"user": b"alice",
                     b"address": address.encode()}
    assert [(entry[b"payload"], entry[b"qos"], entry[b"retain"]) for entry in two] == [
        (b"lab", b"1", b"1"), (b"at most once", b"0", b"0")]
    assert wait_entries(redis, "s", 1) == [{b"payload": b"one"}]
    assert wait_entries(redis, "c:c-1", 1)[0][b"client"] == b"c-1"
    rule = wait_rule(server, "telemetry", is_drained)
    assert rule["entries"] == 3 and rule["dead_letters"] == 0 and rule["last_error"] is None


def test_who_comes_and_goes(redis, start):
    """Roost's own messages of that, like publishes of clients: they wait while Redis is away, and no rule is told of itself."""
    redis = redis()
    server = start(redis, {"name": "presence", "topics": "$SYS/presence/#", "stream": "{topic.3}"}, ALL)
    server.client("stays").disconnect()
    entry = wait_entries(redis, "disconnected", 1)[0]
    assert json.loads(entry[b"payload"])["reason"] == "CLOSED_BY_CLIENT"
    assert entry.keys() == {b"topic", b"payload", b"qos", b"time"}  # it is nobody's publish
    redis.kill()
    for number in range(20):
        server.client(f"c-{number}").disconnect()
    wait_rule(server, "presence", lambda rule: rule["backlog_messages"] == 60)
    redis.start()
    wait_rule(server, "presence", is_drained)
    for stream in ("connected", "disconnected", "session_ended"):
        names = [json.loads(payload)["client"] for payload in payloads(redis, stream)]
        assert names[-20:] == [f"c-{number}" for number in range(20)]


def test_order_and_limits_of_a_stream(redis, start):
    redis = redis("--stream-node-max-entries", "10")
    server = start(redis, ALL, {**ALL, "name": "short", "stream": "short", "max_length": 50},
                   {**ALL, "name": "old", "stream": "old", "max_age_s": 3600})
    with server.client("from", 5) as client:
        for n in range(500):
            client.publish("t/x", b"%d" % n, qos=1, packet_id=n + 1)
        for _ in range(500):
            assert client.packet().kind == PUBACK
    wait_rule(server, "short", is_drained)
    assert [int(entry[b"payload"]) for entry in wait_entries(redis, "s", 500)] == list(range(500))
    assert 50 <= redis.ask(("XLEN", "short"))[0] < 100
    assert len(wait_entries(redis, "old", 500)) == 500


def test_filters_that_overlap(redis, start):
    """A publish is one entry, however many filters of the rule match it; two of the same content are two."""
    redis = redis()
    server = start(redis, {**ALL, "topics": ["t/#", "t/+", "t/x", "u"]})
    with server.client("from", 5) as client:
        for n in range(60):
            client.publish("t/x" if n % 2 else "t/y/z", b"same", qos=n % 4 // 2, packet_id=n + 1 if n % 4 // 2 else None)
        for _ in range(30):
            assert client.packet().kind == PUBACK
        client.hand_over("u", b"last")
    wait_entries(redis, "s", 61)
    wait_rule(server, "all", is_drained)
    assert payloads(redis, "s") == [b"same"] * 60 + [b"last"]


def test_redis_away_and_back(redis, start):
    redis = redis("--appendonly", "yes", "--appendfsync", "always")
    server = start(redis, ALL)
    hand_over(server, 20)
    wait_entries(redis, "s", 20)
    redis.kill()
    hand_over(server, 200, first=20)
    rule = wait_rule(server, "all", lambda rule: rule["state"] == "waiting" and rule["backlog_messages"] == 200)
    assert rule["last_error"].startswith("redis: ") and rule["oldest_seconds"] > 0
    shown = roost("ctl", "--url", server.admin().url, "streams").stdout
    assert "redis is not connected" in shown and "waiting" in shown and "200" in shown
    redis.start()
    wait_rule(server, "all", is_drained)
    assert without_repetition(numbers(redis)) == list(range(220))


def test_redis_is_not_there_at_the_start(redis, start):
    redis = redis()
    redis.kill()
    server = start(redis, ALL, wait=False)
    wait_rule(server, "all", lambda rule: rule["state"] == "waiting")
    hand_over(server, 30)
    redis.start()
    wait_rule(server, "all", is_drained)
    assert numbers(redis) == list(range(30))


@pytest.mark.parametrize("end", [None, "crash"])
def test_more_waits_than_is_under_way_at_a_time(redis, start, end):
    """For longer than a client may leave its output unread; and all of it comes again when the session is opened anew."""
    redis = redis()
    options = {"stuck_timeout_ms": 300, "rule_bytes_max": 64 << 20}
    server = start(redis, ALL, **options)
    redis.kill()
    with server.client("from", 5) as client:
        for n in range(150):
            assert client.hand_over("t/x", b"%d " % n + b"." * 60000) < 0x80
    wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 150 and rule["oldest_seconds"] > 1)
    if end:
        getattr(server, end)()
        server = start(redis, ALL, wait=False, **options)
        wait_rule(server, "all", lambda rule: rule["oldest_seconds"] > 1)
    redis.start()
    wait_rule(server, "all", is_drained)
    assert [int(payload.split()[0]) for payload in payloads(redis, "s")] == list(range(150))
    assert not any("rule all: the gateway" in line for line in server.lines)


def test_what_a_batch_has_no_room_for_goes_in_the_next(redis, start):
    """Though the gateway says no more: what was read behind a full batch, of 16,384 entries, is not heard of again. Where the
    batch ends depends on how much has gone before it, so several numbers are tried."""
    redis = redis()
    server = start(redis, {**ALL, "fields": ["payload"]})
    total = 0
    with server.client("from", 5) as client:
        for count in range(17000, 21001, 800):
            os.kill(redis.process.pid, signal.SIGSTOP)
            for n in range(count):
                client.publish("t/x", b"", qos=1, packet_id=n + 1)
            for _ in range(count):
                assert client.packet().kind == PUBACK
            wait_rule(server, "all", lambda rule, count=count: rule["backlog_messages"] == count)
            os.kill(redis.process.pid, signal.SIGCONT)
            wait_rule(server, "all", is_drained)
            total += count
            assert redis.ask(("XLEN", "s"))[0] == total


def test_kill_9_of_redis(redis, start):
    """What it has confirmed it has synced; what it has not is sent again."""
    redis = redis("--appendonly", "yes", "--appendfsync", "always")
    server = start(redis, ALL)
    acknowledged = []

    def publish():
        with server.client("from", 5) as client:
            for n in range(2000):
                if client.hand_over(f"t/{n % 7}", b"%d" % n) < 0x80:
                    acknowledged.append(n)

    publisher = threading.Thread(target=publish)
    publisher.start()
    for count in (200, 600, 1000):
        wait_entries(redis, "s", count)
        redis.kill()
        redis.start()
    publisher.join()
    wait_rule(server, "all", is_drained)
    found = without_repetition(numbers(redis))
    assert sorted(found) == acknowledged and len(acknowledged) == 2000


@pytest.mark.parametrize("end", ["crash", "stop"])
def test_the_gateway_ends(redis, start, end):
    """Killed while Redis is away, and in the middle of it all."""
    redis = redis("--appendonly", "yes", "--appendfsync", "always")
    server = start(redis, ALL)
    hand_over(server, 50)
    wait_rule(server, "all", is_drained)  # else Redis may have had some of it without a chance to say so
    redis.kill()
    hand_over(server, 100, first=50)
    getattr(server, end)()
    redis.start()
    server = start(redis, ALL)
    hand_over(server, 50, first=150)
    getattr(server, end)()
    server = start(redis, ALL)
    wait_rule(server, "all", is_drained)
    found = numbers(redis)
    assert without_repetition(found) == list(range(200))
    if end == "stop":
        assert len(found) == 200


def test_upgrade_under_load(redis, start):
    redis = redis()
    server = start(redis, ALL)
    over = threading.Event()
    sent = []

    def publish():
        with server.client("from", 5) as client:
            while not over.is_set():
                assert client.hand_over("t/x", b"%d" % len(sent)) < 0x80
                sent.append(len(sent))

    publisher = threading.Thread(target=publish)
    publisher.start()
    for round_ in range(3):
        wait_entries(redis, "s", 100 * (round_ + 1))
        server.upgrade()
    wait_entries(redis, "s", len(sent) + 50)
    over.set()
    publisher.join()
    wait_rule(server, "all", is_drained)
    assert without_repetition(numbers(redis)) == sent


def test_an_upgrade_that_is_refused(redis, start, tmp_path):
    redis = redis()
    server = start(redis, ALL)
    (tmp_path / "broken").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "broken").chmod(0o755)
    ended = roost("ctl", "--url", server.admin().url, "upgrade", str(tmp_path / "broken"))
    assert ended.returncode != 0
    hand_over(server, 5)
    wait_entries(redis, "s", 5)


def test_rules_come_and_go(redis, start, tmp_path):
    redis = redis()
    server = start(redis, ALL, TELEMETRY)
    hand_over(server, 3)

    def reload(*rules):
        write(tmp_path, *rules, redis=redis.url)
        answer = server.admin().post("/api/v1/reload")
        assert answer.status == 200, answer.text
        return answer.json["changed"]

    changed = reload({**ALL, "topics": "u/#"}, {**ALL, "name": "other", "stream": "o"})
    assert changed == ["streams: rule telemetry is gone", "streams: rule all has changed", "streams: rule other is new"]
    wait_rule(server, "other", works)
    wait_rule(server, "all", works)
    server.wait_line("rule telemetry is gone; its session was empty and has ended")
    hand_over(server, 2, topic="u/{}", first=3)
    hand_over(server, 2, first=5)
    wait_entries(redis, "s", 5)
    assert numbers(redis) == [0, 1, 2, 3, 4]
    assert [entry[b"payload"] for entry in wait_entries(redis, "o", 2)] == [b"5", b"6"]
    assert server.admin().client("$roost/rule/all")["subscriptions"] == 1


def test_a_rule_that_is_gone_keeps_what_waits(redis, start, tmp_path):
    redis = redis()
    server = start(redis, ALL)
    redis.kill()
    hand_over(server, 10)
    wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 10)
    write(tmp_path, redis=redis.url)
    server.process.send_signal(signal.SIGHUP)
    server.wait_line("rule all is gone; 10 messages that Redis does not have wait in its session")
    hand_over(server, 5, first=10)
    assert server.admin().client("$roost/rule/all")["subscriptions"] == 0
    redis.start()
    write(tmp_path, ALL, redis=redis.url)
    server.process.send_signal(signal.SIGHUP)
    wait_rule(server, "all", is_drained)
    assert numbers(redis) == list(range(10))


@pytest.mark.parametrize("fault, told", [("maxmemory", "OOM"), ("replica", "READONLY"), ("acl", "NOPERM")])
def test_redis_does_not_take_entries_for_now(redis, start, fault, told):
    """They wait, in order, and the rule says why."""
    breaks, mends = {
        "maxmemory": ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")]),
        "replica": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
        "acl": ([("ACL", "SETUSER", "default", "-xadd")], [("ACL", "SETUSER", "default", "+@all")]),
    }[fault]
    redis = redis("--maxmemory-policy", "noeviction")
    server = start(redis, ALL, {**TELEMETRY, "topics": "v/#"})
    hand_over(server, 5)
    wait_entries(redis, "s", 5)
    redis.ask(*breaks)
    hand_over(server, 50, first=5)
    rule = wait_rule(server, "all", lambda rule: rule["state"] == "waiting" and rule["retries"] > 0)
    assert told in rule["last_error"]
    assert rule["backlog_messages"] > 0
    redis.ask(*mends)
    wait_rule(server, "all", is_drained)
    assert numbers(redis) == list(range(55))


def test_what_redis_will_never_take_goes_to_the_dead_letters(redis, start):
    redis = redis()
    redis.ask(("SET", "t:2", "no stream"))
    server = start(redis, {"name": "levels", "topics": ["t/#", "u"], "stream": "{topic.1}:{topic.2}{user}"},
                   {"name": "users", "topics": "t/#", "stream": "{user}"})
    hand_over(server, 4)
    dead = wait_entries(redis, "roost:dead", 5)
    assert sorted((entry[b"rule"], entry[b"payload"]) for entry in dead) == [(b"levels", b"2")] + [
        (b"users", b"%d" % n) for n in range(4)]
    by_rule = {entry[b"rule"]: entry for entry in dead}
    assert by_rule[b"levels"][b"reason"].startswith(b"WRONGTYPE") and by_rule[b"levels"][b"stream"] == b"t:2"
    assert by_rule[b"levels"][b"topic"] == b"t/2"
    assert b"empty" in by_rule[b"users"][b"reason"]
    for n in (0, 1, 3):
        assert wait_entries(redis, f"t:{n}", 1)[0][b"payload"] == b"%d" % n
    assert wait_rule(server, "levels", is_drained)["dead_letters"] == 1
    metrics = server.admin().get("/metrics").text
    assert 'roost_rule_dead_letters_total{rule="users"} 4' in metrics
    assert 'roost_rule_state{rule="users",state="working"} 1' in metrics


def test_dead_letters_that_cannot_be_written_wait(redis, start):
    redis = redis()
    redis.ask(("SET", "s", "no stream"), ("SET", "roost:dead", "no stream"))
    server = start(redis, ALL)
    hand_over(server, 3)
    rule = wait_rule(server, "all", lambda rule: rule["retries"] > 0)
    assert rule["backlog_messages"] == 3 and rule["dead_letters"] == 0
    redis.ask(("DEL", "roost:dead"))
    assert wait_rule(server, "all", is_drained)["dead_letters"] == 3
    assert payloads(redis, "roost:dead") == [b"0", b"1", b"2"]


def test_redis_loses_its_data(redis, start):
    redis = redis()
    server = start(redis, ALL)
    hand_over(server, 3)
    wait_entries(redis, "s", 3)
    redis.ask(("FLUSHALL",))
    redis.drop_clients()
    hand_over(server, 3, first=3)
    wait_entries(redis, "s", 3)
    assert numbers(redis) == [3, 4, 5]


class Hanging:
    """It takes connections and says nothing, or the same to everyone."""

    def __init__(self, answer=b""):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.answer = answer
        self.taken = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.taken.append(connection)
                connection.sendall(self.answer)
            except OSError:
                return

    def close(self):
        self.listener.close()
        for connection in self.taken:
            connection.close()


@pytest.mark.parametrize("answer, told", [(b"+PONG\r\n", "not asked for"), (b"HTTP/1.1 400 Bad\r\n", "rotocol"),
                                          (b"*1\r\n*1\r\n*1\r\n:1\r\n", "not asked for")])
def test_what_is_no_redis(start, answer, told):
    """No shard waits for it, and nothing is acknowledged to the store that it has not confirmed."""
    pretender = Hanging(answer)
    server = start(pretender, ALL, wait=False)
    wait_rule(server, "all", lambda rule: rule["state"] != "starting")
    hand_over(server, 20)
    server.wait_line(f"rules: redis: .*{told}")
    rule = wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 20)
    assert rule["entries"] == 0
    with server.client("other", 5) as other, server.client("from", 5) as publisher:
        other.subscribe("t/#")
        publisher.hand_over("t/1", b"x")
        assert other.message().payload == b"x"
    pretender.close()


@pytest.mark.parametrize("client_id", ["$roost/rule/all", "$roost/x"])
def test_nobody_else_may_have_such_a_client_id(redis, start, version, client_id):
    server = start(redis(), ALL)
    with pytest.raises(Refused):
        server.client(client_id, version)
    server.wait_counter("end_client_id_reserved", 1)
    hand_over(server, 1)


def test_an_operator_ends_its_connection_or_its_session(redis, start):
    redis = redis()
    server = start(redis, ALL)
    for n, verb in enumerate(("disconnect", "end-session")):
        assert roost("ctl", "--url", server.admin().url, verb, "$roost/rule/all").returncode == 0
        server.wait_line("rule all: the gateway ended the connection", server.wait_line("rule all", 0) if n else 0)
        wait_rule(server, "all", works)
        hand_over(server, 3, first=3 * n)
        wait_rule(server, "all", is_drained)
    assert without_repetition(numbers(redis)) == list(range(6))


@pytest.mark.parametrize("rule, told", [
    ({**ALL, "topics": "a/#/b"}, r"roost.yaml:\d+:\d+: streams: topics: \"a/#/b\" is no topic filter"),
    ({**ALL, "stream": "{topic"}, r"roost.yaml:\d+:\d+: streams: stream: \"{topic\": there are"),
    ({**ALL, "field": "x"}, r"roost.yaml:\d+:\d+: streams: field: a rule has no such key"),
])
def test_mistakes(redis, start, tmp_path, rule, told):
    """At a start they are told with their place; a reload changes nothing then."""
    redis = redis()
    config = write(tmp_path, rule, redis=redis.url)
    ended = roost("serve", "--config", config)
    assert ended.returncode != 0 and re.search(told, ended.stderr), ended.stderr
    server = start(redis, ALL)
    write(tmp_path, rule, redis=redis.url)
    answer = server.admin().post("/api/v1/reload")
    assert answer.status == 400 and re.search(told, answer.json["error"]), answer.text
    hand_over(server, 1)
    wait_entries(redis, "s", 1)


@pytest.mark.threads
def test_a_redis_over_tls(start):
    """More than a record holds goes out and is confirmed; who is not known gets nothing."""
    redis = TlsRedis()
    try:
        server = start(redis, ALL, redis_ca_file=certificates.authority().file)
        with server.client("from", 5) as publisher:
            for n in range(40):
                publisher.hand_over("t/x", b"%d " % n + bytes(5000))
        got = [int(entry[b"payload"].split(b" ")[0]) for entry in wait_entries(redis, "s", 40)]
        assert got == list(range(40))
        wait_rule(server, "all", is_drained)
    finally:
        redis.close()


def test_a_redis_over_tls_that_is_not_known(start):
    redis, stranger = TlsRedis(), certificates.stranger()
    try:
        server = start(redis, ALL, wait=False, redis_ca_file=stranger.file)
        rule = wait_rule(server, "all", lambda rule: rule["state"] == "waiting" and rule["last_error"])
        assert "certificate" in rule["last_error"], rule
        hand_over(server, 3)
        assert redis.ask(("EXISTS", "s"))[0] == 0
        wait_rule(server, "all", lambda rule: rule["backlog_messages"] == 3)
    finally:
        redis.close()
