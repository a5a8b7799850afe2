"""Health and readiness through a server's life, and where its admin side can be had."""

import signal
import socket

import pytest

from server import roost


def test_not_ready_while_it_drains(serve):
    """A client that does not read what waits for it holds the drain up."""
    server = serve("--admin", "http://127.0.0.1:0", "--drain-ms", "20000", "--queue-bytes-max", "8000000")
    admin = server.admin()
    assert admin.get("/ready").json == {"status": "ready"}
    with server.client("stuck") as stuck:
        stuck.subscribe(("t", 0))
        for _ in range(10):
            admin.publish("t", "x" * 900000)
        server.wait_counter("backlog_bytes", lambda value: value > 1000000)
        server.process.send_signal(signal.SIGTERM)
        server.wait_line("stopping: SIGTERM")
        assert admin.get("/ready").status == 503
        assert admin.get("/health").status == 200
        assert admin.get("/metrics").status == 200
        while stuck.socket.recv(1 << 20):
            pass
    server.process.wait(30)


def test_off(serve):
    server = serve("--admin", "off")
    server.client("a").close()
    assert not [line for line in server.lines if "admin" in line]


def test_port_that_was_asked_for_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", url)
        assert ended.returncode == 1 and url in ended.stderr and "in use" in ended.stderr


@pytest.mark.parametrize("url", ["9883", "httpx://127.0.0.1:1", "http://example.com:80", "http://127.0.0.1", "https://[::1]", "http://127.0.0.1:1/x"])
def test_urls_that_are_none(url):
    ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", url)
    assert ended.returncode in (1, 2) and url in ended.stderr
