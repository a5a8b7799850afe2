"""An endpoint that is slow, away or wrong: nothing that was acknowledged is lost, its order holds, the hook says in words
what is wrong, and no other hook notices."""

import json
import os
import time
from functools import partial

import pytest

from hooks import CLOSE, GARBAGE, HANG, HUGE, SHORT, Endpoint, children, is_drained, payload, wait_hook, works, write

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
        server = serve("--config", write(tmp_path, *hooks, **options), "--shards", "2", "--admin", "http://127.0.0.1:0")
        for hook in hooks:
            wait_hook(server, hook["name"], works)
        return server

    return begin


def hand_over(server, count, topic="t/{}", first=0):
    with server.client("from", 5) as publisher:
        for n in range(first, first + count):
            assert publisher.hand_over(topic.format(n), b"%d" % n) < 0x80


def numbers(site):
    return [int(text) for text in site.payloads()]


def first_then(fault, times=2):
    """An answer: so many faults, then all is well."""
    return lambda endpoint, request: fault if len(endpoint.requests) <= times else 200


@pytest.mark.parametrize("fault, kind, told", [
    (500, "server_error", "answers 500"),
    ((503, {"Retry-After": "0"}, b"busy \xff now"), "server_error", "answers 503: busy ? now"),
    ((404, {}, b"no such page"), "client_error", "answers 404: no such page"),
    (401, "client_error", "answers 401"),
    ((302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), "redirected",
     'answers 302 and redirects to "http://127.0.0.1:1/elsewhere"; redirects are not followed'),
    (CLOSE, "broken", "Empty reply"),
    (SHORT, "broken", ""),
    (GARBAGE, "broken", ""),
])
def test_what_fails_is_sent_again(endpoint, start, fault, kind, told):
    site = endpoint(first_then(fault))
    server = start({**ALL, "url": site.url})
    hand_over(server, 20)
    site.wait(20)
    hook = wait_hook(server, "all", is_drained)
    assert numbers(site) == list(range(20))
    assert hook["failures"][kind] >= 2 and told in hook["last_error"] and hook["dead_letters"] == 0
    server.wait_line("hook all: the endpoint takes events again")
    ids = [[event["id"] for event in request.events] for request in site.requests]
    assert ids[0] == ids[1][:len(ids[0])]  # however often they are sent


def test_nobody_is_there(endpoint, start):
    site = endpoint()
    site.close()
    server = start({**ALL, "url": site.url}, {**ALL, "name": "no-host", "url": "http://nobody.invalid/"})
    hand_over(server, 30)
    hook = wait_hook(server, "all", lambda hook: hook["failures"]["no_connection"] > 1)
    assert hook["backlog_messages"] == 30 and hook["events"] == 0
    wait_hook(server, "no-host", lambda hook: hook["failures"]["no_host"] > 0)
    site.open()
    wait_hook(server, "all", is_drained)
    assert numbers(site) == list(range(30))


def test_a_huge_answer_costs_nothing(endpoint, start):
    """It is taken for what its status says; the rest is not read."""
    site = endpoint(lambda endpoint, request: HUGE)
    server = start({**ALL, "url": site.url})
    for n in range(5):
        hand_over(server, 1, first=n)
        site.wait(n + 1)
    hook = wait_hook(server, "all", is_drained)
    assert hook["events"] == 5 and hook["requests"] == 5


def test_it_wants_to_be_left_alone(endpoint, start):
    """Retry-After counts where it is longer than the pause."""
    site = endpoint(first_then((429, {"Retry-After": "2"}, b""), times=1))
    server = start({**ALL, "url": site.url})
    hand_over(server, 1)
    site.wait(1)
    assert site.requests[1].arrived - site.requests[0].arrived > 1.9


def test_no_other_hook_notices(endpoint, start):
    """One endpoint says nothing, as many times as it is asked, another is away; a third has all of it at once."""
    slow, well = endpoint(lambda endpoint, request: HANG), endpoint()
    server = start({**ALL, "name": "slow", "url": slow.url, "concurrency": 8, "timeout_ms": 60000},
                   {**ALL, "name": "away", "url": "http://127.0.0.1:1/", "concurrency": 8},
                   {**ALL, "name": "well", "url": well.url})
    hand_over(server, 10)
    slow.wait_requests(1)
    hand_over(server, 200, first=10)
    well.wait(210)
    assert numbers(well) == list(range(210))
    assert wait_hook(server, "slow", lambda hook: hook["backlog_messages"] == 210)["state"] == "working"
    assert wait_hook(server, "away", lambda hook: hook["state"] == "waiting")["backlog_messages"] == 210


def test_an_endpoint_that_says_nothing(endpoint, start):
    site = endpoint(first_then(HANG, times=1))
    server = start({**ALL, "url": site.url, "timeout_ms": 300})
    hand_over(server, 3)
    site.wait(3)
    hook = wait_hook(server, "all", is_drained)
    assert hook["failures"]["timed_out"] == 1 and "timed out" in hook["last_error"].lower()


def poison(*numbers_, status=422):
    """Refuses whatever has one of these in it."""
    def answer(_, request):
        bad = {b"%d" % number for number in numbers_}
        return (status, {}, b"not this one") if any(payload(event) in bad for event in request.events) else 200
    return answer


@pytest.mark.parametrize("status", [400, 413, 422])
def test_poison_entries_go_to_the_dead_letters(endpoint, start, tmp_path, status):
    site = endpoint(poison(17, 18, 63, status=status))
    site.close()  # so that they are one batch
    dead = tmp_path / "dead.jsonl"
    server = start({**ALL, "url": site.url, "dead_letter_file": str(dead)})
    hand_over(server, 100)
    wait_hook(server, "all", lambda hook: hook["backlog_messages"] == 100 and hook["state"] == "waiting")
    site.open()
    hook = wait_hook(server, "all", is_drained)
    assert numbers(site) == [n for n in range(100) if n not in (17, 18, 63)]
    assert hook["dead_letters"] == 3 and hook["events"] == 97 and hook["failures"]["refused"] >= 3
    letters = [json.loads(line) for line in dead.read_text().splitlines()]
    assert [payload(letter["event"]) for letter in letters] == [b"17", b"18", b"63"]
    assert letters[0]["hook"] == "all" and letters[0]["reason"] == f"the endpoint answers {status}: not this one"
    assert abs(letters[0]["given_up"] - time.time()) < 600
    assert os.stat(dead).st_mode & 0o077 == 0
    assert len(site.requests) < 60
    metrics = server.admin().get("/metrics").text
    assert 'roost_hook_dead_letters_total{hook="all"} 3' in metrics


def test_without_a_place_for_dead_letters_it_waits(endpoint, start):
    site = endpoint(poison(3))
    server = start({**ALL, "url": site.url})
    hand_over(server, 10)
    hook = wait_hook(server, "all", lambda hook: hook["state"] == "waiting" and hook["backlog_messages"] == 7)
    assert "answers 422: not this one; without a dead_letter_file it waits" in hook["last_error"]
    assert numbers(site) == [0, 1, 2]
    site.answer = lambda endpoint, request: 200
    wait_hook(server, "all", is_drained)
    assert numbers(site) == list(range(10))


def test_dead_letters_that_cannot_be_written_wait(endpoint, start, tmp_path):
    site = endpoint(poison(0))
    folder = tmp_path / "letters"
    folder.mkdir()
    server = start({**ALL, "url": site.url, "dead_letter_file": str(folder / "dead.jsonl")})
    folder.rmdir()
    hand_over(server, 3)
    hook = wait_hook(server, "all", lambda hook: hook["state"] == "waiting")
    assert "dead.jsonl: No such file" in hook["last_error"] and hook["dead_letters"] == 0
    folder.mkdir()
    assert wait_hook(server, "all", is_drained)["dead_letters"] == 1
    assert numbers(site) == [1, 2]


def test_retried_for_a_limited_time(endpoint, start, tmp_path):
    site = endpoint(lambda endpoint, request: 500 if b'"t/0"' in request.body else 200)
    dead = tmp_path / "dead.jsonl"
    server = start({**ALL, "url": site.url, "retry_for_s": 1, "dead_letter_file": str(dead), "batch_messages": 1})
    hand_over(server, 2)
    site.wait(1)
    assert numbers(site) == [1]
    assert wait_hook(server, "all", is_drained)["dead_letters"] == 1
    assert json.loads(dead.read_text())["event"]["subject"] == "t/0"


def test_files_that_change(endpoint, start, tmp_path):
    """A secret that is gone is told, and nothing goes without it."""
    secret = tmp_path / "secret"
    secret.write_text("one")
    secret.chmod(0o600)
    site = endpoint()
    server = start({**ALL, "url": site.url, "secret_file": str(secret)})
    secret.unlink()
    hand_over(server, 1)
    hook = wait_hook(server, "all", lambda hook: hook["state"] == "waiting")
    assert f"secret_file: {secret}: No such file" in hook["last_error"] and not site.requests
    secret.write_text("two")
    secret.chmod(0o600)
    site.wait(1)


def test_the_process_that_sends_is_killed(endpoint, start):
    site = endpoint(lambda endpoint, request: (time.sleep(0.005), 200)[1])
    server = start({**ALL, "url": site.url, "batch_messages": 10})
    killed = set()
    with server.client("from", 5) as publisher:
        for n in range(300):
            assert publisher.hand_over("t/x", b"%d" % n) < 0x80
            for process in children(server.process.pid) - killed if n in (50, 100, 200) else ():
                os.kill(process, 9)
                killed.add(process)
    hook = wait_hook(server, "all", is_drained)
    assert list(dict.fromkeys(numbers(site))) == list(range(300)) and killed
    assert hook["failures"]["no_process"] >= 1


def test_the_process_that_sends_ends_with_the_server(endpoint, start):
    site = endpoint(lambda endpoint, request: HANG)
    server = start({**ALL, "url": site.url, "timeout_ms": 60000})
    hand_over(server, 1)
    site.wait_requests(1)
    (process,) = children(server.process.pid)
    assert sorted(os.listdir(f"/proc/{process}/fd"), key=int)[:3] == ["0", "1", "2"]
    assert not any("roost" in os.readlink(f"/proc/{process}/fd/{fd}") for fd in os.listdir(f"/proc/{process}/fd"))
    server.crash()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{process}"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_event_that_is_too_large_to_be_sent(endpoint, start, tmp_path):
    """It is put aside without a request, and a large one that can be sent goes alone."""
    site = endpoint()
    dead = tmp_path / "dead.jsonl"
    server = start({**ALL, "url": site.url, "dead_letter_file": str(dead)}, packet_bytes_max=20 << 20, queue_bytes_max=64 << 20)
    with server.client("from", 5) as publisher:
        for n, size in enumerate((10, 12 << 20, 8 << 20, 10)):
            assert publisher.hand_over(f"t/{n}", b"\xff" * size) < 0x80
        site.wait(3)
    assert [event["subject"] for event in site.events] == ["t/0", "t/2", "t/3"]
    assert len(payload(site.events[1])) == 8 << 20
    hook = wait_hook(server, "all", is_drained)
    assert hook["dead_letters"] == 1 and "larger than 15 MiB" in hook["last_error"]
    assert json.loads(dead.read_text())["event"]["subject"] == "t/1"
