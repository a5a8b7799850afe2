"""Fixtures of the scenario and the interop tests."""

import os
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "harness"))

import other_broker  # noqa: E402
import transports  # noqa: E402
from server import Server  # noqa: E402
from store import Stored  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: threads meet in it; runs under ThreadSanitizer too")
    config.addinivalue_line("markers", "transports(name, ...): runs once over each of them")
    config.addinivalue_line("markers", "roost_only(reason): another broker does it otherwise, as it may or by mistake")


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("transports")
    if marker:
        metafunc.parametrize("transport", marker.args, indirect=True)


def pytest_runtest_setup(item):
    marker = item.get_closest_marker("roost_only")
    if marker and other_broker.WHICH:
        pytest.skip(marker.args[0])


VERSION_IDS = {4: "v311", 5: "v5"}


def pytest_collection_modifyitems(config, items):
    """ROOST_TEST_VERSIONS=one: each test that there is for both versions, or over several transports, runs in one of them, always
    the same, about as many in each. For builds that are slow, and looked at for memory and threads rather than for answers."""
    if os.environ.get("ROOST_TEST_VERSIONS") != "one":
        return
    kept, left_out = [], []
    for item in items:
        (kept if is_in_chosen_version(item) else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


def is_in_chosen_version(item):
    """So of versions, and so of the transports of a mark."""
    parts = item.callspec.id.split("-") if hasattr(item, "callspec") else []
    marker = item.get_closest_marker("transports")
    choices = [(list(VERSION_IDS.values()), "version" in item.fixturenames), (list(marker.args) if marker else [], bool(marker))]
    for names, applies in choices:
        ours = [part for part in parts if part in names]
        if not applies or len(ours) != 1:
            continue
        name = "-".join([f"{item.path.name}:{item.originalname}", *(part for part in parts if part not in ours)])
        if ours[0] != names[zlib.crc32(name.encode()) % len(names)]:
            return False
    return True


def serve_others(transport):
    """The fixture below for another broker: each ends with the test, and nothing is asked of its end."""
    brokers = []

    def start(*options, **named):
        named.setdefault("transport", transport)
        brokers.append(other_broker.OtherBroker(*options, **named))
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.kill()


@pytest.fixture
def opening():
    """opening(kind, ...): one of this kind, which is closed at the end of the test."""
    opened = []

    def begin(kind, *arguments, **options):
        opened.append(kind(*arguments, **options))
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.fixture(autouse=True)
def transport(request):
    """How clients come to the test's servers where it does not say: in each way of its mark `transports`, else as
    ROOST_TRANSPORT has it, else over TCP."""
    return getattr(request, "param", transports.DEFAULT)


@pytest.fixture
def serve(transport):
    """Starts servers: serve("--shards", "4"). Each is stopped with SIGTERM at the end of the test, and must exit with 0
    and without a word from a sanitizer. A test that stops one itself leaves nothing to do."""
    if other_broker.WHICH:
        yield from serve_others(transport)
        return
    servers = []

    def start(*options, **named):
        named.setdefault("transport", transport)
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
                assert server.crashed or server.process.returncode == 0, f"exit status {server.process.returncode}:\n{server.log()}"
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
def defaults(serve):
    """One server whose every setting is the default, but for its ports."""
    return serve(log_level=None)


@pytest.fixture
def stored(serve, tmp_path):
    """A store of its own, and the server that uses it."""
    stored = Stored(serve, tmp_path / "store")
    stored.start()
    return stored


@pytest.fixture
def administered(serve):
    """One server on two shards, with an admin side."""
    return serve("--shards", "2", "--admin", "http://127.0.0.1:0")


@pytest.fixture(params=list(VERSION_IDS), ids=list(VERSION_IDS.values()))
def version(request):
    """The protocol level: once 3.1.1, once 5.0."""
    return request.param
