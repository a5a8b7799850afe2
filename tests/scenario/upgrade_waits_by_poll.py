"""A build that waits with poll(2) knows of its clients by itself, and cannot pass that on: it refuses, and serves on."""

import signal
from pathlib import Path

import pytest

from server import ROOST

pytestmark = [pytest.mark.roost_only("it replaces Roost's program"), pytest.mark.transports("tcp"),
              pytest.mark.skipif(Path(ROOST).name != "roost-poll", reason="of the build that waits with poll(2)")]


@pytest.mark.parametrize("tables", ["--no-private-tables", "--private-tables"])
@pytest.mark.parametrize("clients", [0, 2])
def test_refuses_in_a_sentence(serve, tables, clients):
    server = serve("--shards", "2", tables)
    there = [server.client(f"client-{n}", 5) for n in range(clients)]
    for _ in range(2):
        start = len(server.lines)
        server.process.send_signal(signal.SIGUSR2)
        assert "poll(2)" in server.lines[server.wait_line("not upgraded: ", start)]
        for client in there:
            client.expect_nothing_before_ping()
    with server.client("later", 5) as later:
        later.expect_nothing_before_ping()
