"""Fixtures of the scenario and the interop tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "harness"))

import other_broker  # noqa: E402
from server import Server  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: threads meet in it; runs under ThreadSanitizer too")
    config.addinivalue_line("markers", "roost_only(reason): another broker does it otherwise, as it may or by mistake")


def pytest_runtest_setup(item):
    marker = item.get_closest_marker("roost_only")
    if marker and other_broker.WHICH:
        pytest.skip(marker.args[0])


def serve_others():
    """The fixture below for another broker: each ends with the test, and nothing is asked of its end."""
    brokers = []

    def start(*options, **named):
        brokers.append(other_broker.OtherBroker(*options, **named))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def serve():
    """Starts servers: serve("--shards", "4"). Each is stopped with SIGTERM at the end of the test, and must exit with 0
    and without a word from a sanitizer. A test that stops one itself leaves nothing to do."""
    if other_broker.WHICH:
        yield from serve_others()
        return
    servers = []

    def start(*options, **named):
        server = Server(*options, **named)
        servers.append(server)
        return server

    yield start
    failures = []
    for server in servers:
        try:
            if server.process.poll() is None:
                server.stop()
            else:
                server.reader.join(10)
                server.check_log()
                assert server.process.returncode == 0, f"exit status {server.process.returncode}:\n{server.log()}"
        except AssertionError as error:
            failures.append(str(error))
        finally:
            server.kill()
    assert not failures, "\n".join(failures)


@pytest.fixture
def server(serve):
    """One server with its defaults, on two shards."""
    return serve("--shards", "2")


@pytest.fixture
def administered(serve):
    """One server on two shards, with an admin side."""
    return serve("--shards", "2", "--admin", "http://127.0.0.1:0")


@pytest.fixture(params=[4, 5], ids=["v311", "v5"])
def version(request):
    """The protocol level: once 3.1.1, once 5.0."""
    return request.param
