"""A hook posts publishes to an HTTP endpoint, as batches of CloudEvents: each of them, in order, signed."""

import json
import ssl
import time
from functools import partial

import pytest

import certificates
from hooks import BATCH_TYPE, Endpoint, check_event, is_drained, is_signed, payload, wait_hook, works, write
from mqtt_wire import CONTENT_TYPE, PUBACK
from server import roost
from tokens import secret_file, token

pytestmark = pytest.mark.roost_only("others have no such hooks")

ALL = {"name": "all", "topics": "t/#"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def endpoint(opening):
    return partial(opening, Endpoint)


@pytest.fixture
def start(serve, tmp_path):
    def begin(*hooks, **options):
        config = write(tmp_path, *hooks, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / "store"), "--admin", "http://127.0.0.1:0")
        for hook in hooks:
            wait_hook(server, hook["name"], works)
        return server

    return begin


def hand_over(server, count, topic="t/{}", first=0, client="from"):
    with server.client(client, 5) as publisher:
        for n in range(first, first + count):
            assert publisher.hand_over(topic.format(n), b"%d" % n) < 0x80


def test_every_publish_is_an_event(endpoint, start, tmp_path):
    site = endpoint()
    server = start({**ALL, "url": site.url, "source": "https://example.org/roost"}, token_secret_file=secret_file(tmp_path))
    published = [
        ("t/json", b'{"value": 1e400, "a": [true, null]}', [(CONTENT_TYPE, "application/json; charset=utf-8")]),
        ("t/more-json", b"[]", [(CONTENT_TYPE, "application/geo+json")]),
        ("t/no-json", b'{"value":', [(CONTENT_TYPE, "application/json")]),
        ("t/text", "grüße \"\\\n\x01".encode(), []),
        ("t/xml", b"<a/>", [(CONTENT_TYPE, "text/xml")]),
        ("t/binary", b"\x00\xff\x80", []),
        ("t/empty", b"", []),
    ]
    with server.client("c-1", 5, user="", password=token(sub="alice")) as client:
        for topic, data, pairs in published:
            client.hand_over(topic, data, pairs=pairs)
        client.hand_over("t/kept", b"x", retain=True)
        client.publish("t/once", b"at most once")
    events = {event["subject"]: event for event in site.wait(9)}
    for event in events.values():
        check_event(event)
        assert event["type"] == "io.roost.message" and event["source"] == "https://example.org/roost"
        assert event["client"] == "c-1" and event["user"] == "alice"
    assert [event["subject"] for event in site.events] == [topic for topic, _, _ in published] + ["t/kept", "t/once"]
    assert events["t/json"]["data"]["a"] == [True, None] and events["t/json"]["datacontenttype"] == "application/json; charset=utf-8"
    assert b'"data":{"value": 1e400, "a": [true, null]}' in b"".join(request.body for request in site.requests)
    assert events["t/more-json"]["data"] == []
    for topic, data, _ in published[2:]:
        assert payload(events[topic]) == data
    assert "data_base64" in events["t/no-json"] and events["t/no-json"]["datacontenttype"] == "application/json"
    assert events["t/text"]["datacontenttype"] == "text/plain; charset=utf-8" and events["t/xml"]["data"] == "<a/>"
    assert events["t/binary"]["datacontenttype"] == "application/octet-stream"
    assert events["t/kept"]["retain"] is True and events["t/text"]["retain"] is False
    assert events["t/once"]["qos"] == 0 and events["t/text"]["qos"] == 1
    assert len({event["id"] for event in site.events}) == 9
    assert all(request.headers["Content-Type"].startswith(BATCH_TYPE) for request in site.requests)


def test_presence(endpoint, start):
    site = endpoint()
    server = start({"name": "presence", "topics": "$SYS/presence/#", "url": site.url, "concurrency": 4})
    server.client("comes", 5).disconnect()
    events = [event for event in site.wait(3) if event["data"]["client"] == "comes"]
    for event in events:
        check_event(event)
        assert "client" not in event  # it is nobody's publish
    assert [event["type"] for event in events] == [f"io.roost.presence.{what}" for what in ("connected", "disconnected", "session_ended")]
    assert events[1]["data"]["reason"] == "CLOSED_BY_CLIENT" and events[1]["datacontenttype"] == "application/json"


def test_messages_that_name_no_content_type(endpoint, start):
    site = endpoint()
    server = start({**ALL, "url": site.url, "content_type": "application/json"})
    with server.client("old", 4) as client:
        client.hand_over("t/x", b'{"v":1}')
        client.hand_over("t/y", b"v=1")
    events = site.wait(2)
    assert events[0]["data"] == {"v": 1} and events[0]["datacontenttype"] == "application/json"
    assert payload(events[1]) == b"v=1" and "data_base64" in events[1]


def test_signed_and_with_headers(endpoint, start, tmp_path):
    site = endpoint()
    for name, text in (("secret", "the secret of a test\n"), ("bearer", "Bearer a.b.c\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    server = start({**ALL, "url": site.url, "secret_file": str(tmp_path / "secret"), "headers": ["X-Tenant: 7", "X-More: a: b"],
                    "header_files": f"Authorization: {tmp_path}/bearer"})
    hand_over(server, 1)
    site.wait(1)
    request = site.requests[0]
    assert is_signed(request, b"the secret of a test", time.time())
    assert not is_signed(request, b"another secret", time.time())
    assert not is_signed(request, b"the secret of a test", time.time() + 3600)
    request.body += b" "
    assert not is_signed(request, b"the secret of a test", time.time())
    assert request.headers["X-Tenant"] == "7" and request.headers["X-More"] == "a: b"
    assert request.headers["Authorization"] == "Bearer a.b.c"
    shown = server.admin().get("/api/v1/hooks").text
    assert "a.b.c" not in shown and "secret of" not in shown


def test_batches(endpoint, start):
    """They gather while a request is under way, up to the limits, and keep their order."""
    site = endpoint()
    server = start({**ALL, "url": site.url, "batch_messages": 40}, {**ALL, "name": "small", "url": site.url, "topics": "u/#", "batch_bytes": 1024})
    with server.client("from", 5) as client:
        for n in range(500):
            client.publish("t/x", b"%d" % n, qos=1, packet_id=n + 1)
        for _ in range(500):
            assert client.packet().kind == PUBACK
        site.wait(500)
        assert [int(payload(event)) for event in site.events] == list(range(500))
        sizes = [len(request.events) for request in site.requests]
        assert max(sizes) <= 40 and len(sizes) < 250
        for n in range(20):
            client.hand_over("u/x", b"x" * 600)
        client.hand_over("u/x", b"y" * 5000)  # larger than a batch: alone
    site.wait(521)
    assert all(len(request.body) < 2048 or len(request.events) == 1 for request in site.requests if b'"u/x"' in request.body)
    assert site.connections <= 3  # they are kept


def test_filters_that_overlap(endpoint, start):
    site = endpoint()
    server = start({**ALL, "url": site.url, "topics": ["t/#", "t/+", "t/x"]})
    with server.client("from", 5) as client:
        for _ in range(10):
            client.hand_over("t/x", b"same")
    wait_hook(server, "all", is_drained)
    assert site.payloads() == [b"same"] * 10


@pytest.mark.threads
def test_several_requests_at_a_time(endpoint, start):
    """Messages of one client keep their order."""
    site = endpoint(lambda endpoint, request: (time.sleep(0.01), 200)[1])
    server = start({**ALL, "url": site.url, "concurrency": 8, "batch_messages": 5})
    clients = [server.client(f"c-{number}", 5) for number in range(6)]
    for n in range(40):
        for client in clients:
            client.publish("t/x", b"%d" % n, qos=1, packet_id=n + 1)
    wait_hook(server, "all", lambda hook: hook["events"] == 240)
    for number in range(6):
        assert [int(payload(event)) for event in site.events if event["client"] == f"c-{number}"] == list(range(40))
    assert len({request.events[0]["client"] for request in site.requests}) > 1
    for client in clients:
        client.disconnect()


def tls_of(identity, ask=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain, identity.key)
    if ask:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ask)
    return context


def test_tls(endpoint, start):
    authority, client = certificates.authority(), certificates.client("gateway")
    identity = authority.server("127.0.0.1")
    site = endpoint(tls=tls_of(identity, ask=authority.file))
    server = start({**ALL, "url": site.url, "ca_file": authority.file, "certificate_file": client.chain, "key_file": client.key},
                   {**ALL, "name": "untrusted", "url": site.url, "ca_file": certificates.stranger().file})
    hand_over(server, 3)
    site.wait(3)
    hook = wait_hook(server, "untrusted", lambda hook: hook["failures"]["no_trust"] > 0)
    assert hook["state"] == "waiting" and hook["backlog_messages"] == 3 and "certificate" in hook["last_error"]


def test_it_is_shown(endpoint, start):
    site = endpoint(lambda endpoint, request: 503 if b"t/7" in request.body else 200)
    server = start({**ALL, "url": site.url}, {**ALL, "name": "idle", "topics": "never", "url": site.url})
    hand_over(server, 7)
    wait_hook(server, "all", is_drained)
    hand_over(server, 1, first=7)
    hook = wait_hook(server, "all", lambda hook: hook["state"] == "waiting")
    assert hook["last_error"] == "the endpoint answers 503" and hook["failures"]["server_error"] >= 1
    assert hook["events"] == 7 and hook["backlog_messages"] == 1 and hook["oldest_seconds"] > 0 and hook["request_seconds"] > 0
    shown = roost("ctl", "--url", server.admin().url, "hooks").stdout
    assert "waiting" in shown and site.url in shown and "answers 503" in shown
    metrics = server.admin().get("/metrics").text
    assert 'roost_hook_events_total{hook="all"} 7' in metrics
    assert 'roost_hook_state{hook="all",state="waiting"} 1' in metrics
    assert 'roost_hook_backlog_messages{hook="all"} 1' in metrics
    assert 'roost_hook_state{hook="idle",state="working"} 1' in metrics
    assert 'roost_hook_failures_total{hook="idle",kind="timed_out"} 0' in metrics
    assert server.admin().client("$roost/hook/all")["subscriptions"] == 1


@pytest.mark.threads
def test_hooks_come_and_go(endpoint, start, tmp_path):
    one, other = endpoint(), endpoint()
    server = start({**ALL, "url": one.url}, {**ALL, "name": "gone", "url": one.url, "topics": "v"})
    hand_over(server, 3)
    one.wait(3)
    write(tmp_path, {**ALL, "url": other.url}, {**ALL, "name": "new", "url": other.url, "topics": "u/#"})
    answer = server.admin().post("/api/v1/reload")
    assert answer.json["changed"] == ["hooks: hook gone is gone", "hooks: hook all has changed", "hooks: hook new is new"], answer.text
    wait_hook(server, "new", works)
    server.wait_line("hook gone is gone; its session was empty and has ended")
    hand_over(server, 2, first=3)
    hand_over(server, 1, topic="u/x")
    assert sorted(event["subject"] for event in other.wait(3)) == ["t/3", "t/4", "u/x"]
    assert len(one.events) == 3
    hook = wait_hook(server, "all", is_drained)
    assert hook["events"] == 5  # what was counted goes on
    assert json.loads(server.admin().get("/api/v1/hooks").text)["hooks"][0]["url"] == other.url
