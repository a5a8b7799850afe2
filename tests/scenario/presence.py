"""A back end that subscribes to it is told who comes and who goes, and why; of sessions, wills and subscriptions, too. Others
are told nothing."""

import json
import re
import time

import pytest

from mqtt_wire import FOREVER, SESSION_EXPIRY, WILL_DELAY, Will, disconnect
from server import roost
from tokens import secret_file, token

CONNECTED, DISCONNECTED = "$SYS/presence/connected", "$SYS/presence/disconnected"
SESSION_ENDED, WILL_PUBLISHED = "$SYS/presence/session_ended", "$SYS/presence/will_published"
ROOST_ONLY = pytest.mark.roost_only("the events are Roost's own")
FILTERS = 1000
SESSIONS = 1500
# The parts of a turn together (src/runtime/turn_work.h).
TURN_WORK_MAX = 122_800


def event(client):
    message = client.take()
    return message.topic, json.loads(message.payload)


@pytest.mark.threads
@pytest.mark.parametrize("name", ["plain", 'quo"te\\', "zoë/🐓", '","reason":"no'])
def test_coming_and_going(serve, version, name):
    server = serve("--shards", "4", "--sys-interval-s", "0")
    with server.client("watch", 5) as watch:
        watch.subscribe(("$SYS/presence/#", 1))
        for way, reason in (("disconnect", "CLOSED_BY_CLIENT"), ("close", "CONNECTION_LOST")):
            client = server.client(name, version, keepalive=33)
            topic, told = event(watch)
            assert (topic, told["client"], told["version"], told["keepalive"]) == (CONNECTED, name, version, 33)
            getattr(client, way)()
            topic, told = event(watch)
            assert (topic, told["client"], told["reason"]) == (DISCONNECTED, name, reason)
            topic, told = event(watch)
            assert (topic, told["client"], told["reason"]) == (SESSION_ENDED, name, reason)


def test_sessions_that_stay_are_told_of_too(serve, version):
    server = serve("--sys-interval-s", "0")
    with server.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/#")
        for _ in range(2):
            server.session("stays", version).disconnect()
            assert [event(watch)[0] for _ in range(2)] == [CONNECTED, DISCONNECTED]


def test_nobody_else_is_told(server, version):
    with server.client("watch", version) as watch:
        watch.subscribe("#", "$SYS/presence/other")
        server.client("x", version).disconnect()
        watch.expect_nothing_before_ping()


def names(client, count):
    """The last levels of the next topics, with the reasons where there are some."""
    told = [event(client) for _ in range(count)]
    return [(topic.rpartition("/")[2], payload.get("reason")) for topic, payload in told]


@ROOST_ONLY
@pytest.mark.transports("tcp")
def test_who_and_from_where(serve, tmp_path):
    server = serve("--shards", "2", "--token-secret-file", secret_file(tmp_path))
    with server.client("watch", 5, user="", password=token(sub="watcher")) as watch:
        watch.subscribe("$SYS/presence/#")
        before_ms = time.time() * 1000
        client = server.client("c", 5, user="", password=token(sub='al"ice'))
        address = "{}:{}".format(*client.socket.wire.getsockname())
        client.subscribe(("a/+", 1))
        client.unsubscribe("a/+", "never")
        client.disconnect()
        told = [event(watch) for _ in range(5)]
        assert [topic.rpartition("/")[2] for topic, _ in told] == ["connected", "subscribed", "unsubscribed", "disconnected", "session_ended"]
        for _, payload in told:
            assert (payload["client"], payload["user"]) == ("c", 'al"ice')
            assert payload["time"] == payload["time_ms"] // 1000
            assert before_ms - 60_000 < payload["time_ms"] < time.time() * 1000 + 60_000
        assert told[0][1]["address"] == told[3][1]["address"] == address
        assert (told[1][1]["filter"], told[1][1]["qos"], told[2][1]["filter"]) == ("a/+", 1, "a/+")
        assert told[3][1]["duration_s"] <= 60


@ROOST_ONLY
def test_every_session_ends_once(administered):
    """With a connection that begins another one, at the end of its time, by an operator, and as its client wants."""
    url = administered.admin().url
    with administered.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/#")
        administered.session("s", 5, expiry=FOREVER).disconnect()
        assert names(watch, 2) == [("connected", None), ("disconnected", "CLOSED_BY_CLIENT")]
        client = administered.client("s", 5, clean=True)
        assert names(watch, 2) == [("session_ended", "TAKEN_OVER"), ("connected", None)]
        client.disconnect()
        assert names(watch, 2) == [("disconnected", "CLOSED_BY_CLIENT"), ("session_ended", "CLOSED_BY_CLIENT")]
        administered.session("s", 5, expiry=1).disconnect()
        assert names(watch, 3) == [("connected", None), ("disconnected", "CLOSED_BY_CLIENT"), ("session_ended", "EXPIRED")]
        client = administered.session("s", 5, expiry=FOREVER)
        assert roost("ctl", "--url", url, "end-session", "s").returncode == 0
        client.ends()
        assert names(watch, 3) == [("connected", None), ("disconnected", "ADMINISTRATIVE"), ("session_ended", "ADMINISTRATIVE")]
        administered.session("s", 5, expiry=FOREVER).disconnect()
        assert roost("ctl", "--url", url, "end-session", "s").returncode == 0
        assert names(watch, 3) == [("connected", None), ("disconnected", "CLOSED_BY_CLIENT"), ("session_ended", "ADMINISTRATIVE")]
        client = administered.session("s", 5, expiry=FOREVER)
        client.disconnect(pairs=[(SESSION_EXPIRY, 0)])
        assert names(watch, 3) == [("connected", None), ("disconnected", "CLOSED_BY_CLIENT"), ("session_ended", "CLOSED_BY_CLIENT")]
        watch.expect_nothing_before_ping()


@ROOST_ONLY
def test_wills(server):
    """Told once each, when it is published: at the end of the connection, after its delay, or with the session."""
    with server.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/#")
        server.session("now", 5, will=Will("w/now", b"x", qos=1, retain=True)).reset()
        assert names(watch, 2) == [("connected", None), ("disconnected", "CONNECTION_LOST")]
        topic, told = event(watch)
        assert (topic, told["client"], told["topic"], told["qos"], told["retain"]) == (WILL_PUBLISHED, "now", "w/now", 1, True)
        server.session("later", 5, will=Will("w/later", b"x", pairs=[(WILL_DELAY, 1)])).reset()
        assert names(watch, 3) == [("connected", None), ("disconnected", "CONNECTION_LOST"), ("will_published", None)]
        server.session("last", 5, expiry=1, will=Will("w/last", b"x", pairs=[(WILL_DELAY, 60)])).reset()
        assert names(watch, 4) == [("connected", None), ("disconnected", "CONNECTION_LOST"), ("will_published", None),
                                   ("session_ended", "EXPIRED")]
        client = server.session("dropped", 5, will=Will("w/dropped", b"x"))
        client.send(disconnect())
        client.ends()
        assert names(watch, 2) == [("connected", None), ("disconnected", "CLOSED_BY_CLIENT")]
        watch.expect_nothing_before_ping()


def largest_turn(server):
    text = server.admin().get("/metrics").text
    works = [float(work) for work in re.findall(r"^roost_shard_largest_turn_work_units{[^}]*} (\S+)$", text, re.MULTILINE)]
    assert works
    return max(works)


@ROOST_ONLY
def test_many_filters_in_a_packet(administered):
    """Each is told of, in order, and no turn is longer for it than turns may be."""
    with administered.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/subscribed", "$SYS/presence/unsubscribed")
        client = administered.client("many", 5)
        filters = [f"many/{number}" for number in range(FILTERS)]
        client.subscribe(*filters)
        client.unsubscribe(*filters)
        for topic in ("$SYS/presence/subscribed", "$SYS/presence/unsubscribed"):
            told = [event(watch) for _ in filters]
            assert {name for name, _ in told} == {topic}
            assert [payload["filter"] for _, payload in told] == filters
        assert largest_turn(administered) < TURN_WORK_MAX


@ROOST_ONLY
def test_many_sessions_end_at_once(serve, tmp_path):
    """Those of a user who was revoked: each is told of once, and no turn is longer for it than turns may be."""
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", "--token-secret-file", secret_file(tmp_path))
    theirs = token(sub="leaves")
    with server.client("watch", 5, user="", password=token(sub="watcher")) as watch:
        watch.subscribe((SESSION_ENDED, 1))
        for number in range(SESSIONS):
            server.session(f"s-{number}", 5, expiry=FOREVER, user="", password=theirs).close()
        server.wait_counter("connections_open", 1)
        assert roost("ctl", "--url", server.admin().url, "revoke", "user", "leaves").returncode == 0
        told = [event(watch)[1] for _ in range(SESSIONS)]
        assert {payload["client"] for payload in told} == {f"s-{number}" for number in range(SESSIONS)}
        assert {(payload["reason"], payload["user"]) for payload in told} == {("USER_REVOKED", "leaves")}
        watch.expect_nothing_before_ping()
        assert largest_turn(server) < TURN_WORK_MAX
