"""What a hook has taken and acknowledged is posted, whatever ends in between: endpoints, the gateway, the program."""

import signal
import threading
import time

import pytest

from hooks import Endpoint, children, is_drained, wait_hook, works, write

pytestmark = pytest.mark.roost_only("others have no such hooks")

ALL = {"name": "all", "topics": "t/#"}


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site():
    opened = Endpoint()
    yield opened
    opened.close()


@pytest.fixture
def start(serve, tmp_path, site):
    def begin(wait=True, **keys):
        config = write(tmp_path, {**ALL, "url": site.url, **keys})
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / "store"), "--admin", "http://127.0.0.1:0")
        if wait:
            wait_hook(server, "all", works)
        return server

    return begin


def hand_over(server, count, first=0):
    with server.client("from", 5) as publisher:
        for n in range(first, first + count):
            assert publisher.hand_over("t/x", b"%d" % n) < 0x80


class Load:
    """One client that publishes, and remembers what was acknowledged."""

    def __init__(self, server):
        self.server, self.acknowledged, self.over = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        with self.server.client("from", 5) as client:
            while not self.over.is_set():
                assert client.hand_over("t/x", b"%d" % self.acknowledged) < 0x80
                self.acknowledged += 1

    def stop(self):
        self.over.set()
        self.thread.join()


def numbers(site):
    return [int(text) for text in site.payloads()]


def without_repetition(sequence):
    return list(dict.fromkeys(sequence))


def ids_are_stable(site):
    """A receiver that drops what has an id that it knows keeps each message once."""
    by_id = {}
    for event in site.events:
        assert by_id.setdefault(event["id"], event) == event
    return [int(event["data"]) for event in by_id.values()]


@pytest.mark.threads
def test_an_endpoint_comes_and_goes_under_load(site, start):
    server = start()
    load = Load(server)
    for round_ in range(4):
        site.wait(100 * (round_ + 1))
        site.close()
        time.sleep(0.3)  # how long it is away is no matter
        site.open()
    load.stop()
    wait_hook(server, "all", is_drained)
    assert without_repetition(numbers(site)) == list(range(load.acknowledged))
    assert ids_are_stable(site) == list(range(load.acknowledged))


@pytest.mark.parametrize("end", ["crash", "stop"])
def test_the_gateway_ends(site, start, end):
    """While the endpoint is away, and in the middle of it all."""
    server = start()
    hand_over(server, 50)
    wait_hook(server, "all", is_drained)
    site.close()
    hand_over(server, 100, first=50)
    getattr(server, end)()
    site.open()
    server = start(wait=False)
    hand_over(server, 50, first=150)
    getattr(server, end)()
    server = start()
    wait_hook(server, "all", is_drained)
    assert without_repetition(numbers(site)) == list(range(200))
    assert ids_are_stable(site) == list(range(200))
    if end == "stop":
        assert len(numbers(site)) == 200


@pytest.mark.threads
def test_upgrade_under_load(site, start):
    server = start()
    load = Load(server)
    for round_ in range(3):
        site.wait(100 * (round_ + 1))
        server.upgrade()
    site.wait(len(site.events) + 50)
    load.stop()
    wait_hook(server, "all", is_drained)
    assert len(children(server.process.pid)) == 1  # of this program: those of others have ended
    assert numbers(site) == list(range(load.acknowledged))  # requests under way are settled first: nothing twice


def test_a_hook_that_is_gone_keeps_what_waits(site, start, tmp_path):
    server = start()
    site.close()
    hand_over(server, 10)
    wait_hook(server, "all", lambda hook: hook["backlog_messages"] == 10)
    write(tmp_path)
    server.process.send_signal(signal.SIGHUP)
    server.wait_line("hook all is gone; 10 messages that its endpoint does not have wait in its session")
    hand_over(server, 5, first=10)
    site.open()
    write(tmp_path, {**ALL, "url": site.url})
    server.process.send_signal(signal.SIGHUP)
    wait_hook(server, "all", is_drained)
    assert numbers(site) == list(range(10))


@pytest.mark.parametrize("end", [None, "crash"])
def test_more_waits_than_is_under_way_at_a_time(site, start, end):
    server = start()
    site.close()
    with server.client("from", 5) as client:
        for n in range(150):
            assert client.hand_over("t/x", b"%d " % n + b"." * 60000) < 0x80
    wait_hook(server, "all", lambda hook: hook["backlog_messages"] == 150)
    if end:
        getattr(server, end)()
        server = start(wait=False)
    site.open()
    wait_hook(server, "all", is_drained)
    assert [int(text.split()[0]) for text in site.payloads()] == list(range(150))
