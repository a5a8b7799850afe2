"""Without what an upgrade needs of the kernel it is refused before any client waits, in a sentence that says what is missing."""

import os
import signal
import sys
from pathlib import Path

import pytest

FILTERED = Path(__file__).resolve().parents[1] / "harness" / "filtered.py"
A_THREAD = os.O_EXCL  # PIDFD_THREAD, which kernels before Linux 6.9 do not know

pytestmark = [pytest.mark.roost_only("it replaces Roost's program"), pytest.mark.transports("tcp")]


def beneath(*rules):
    return sys.executable, str(FILTERED), *rules, "--"


@pytest.mark.parametrize("rule, why", [(f"pidfd_open:EINVAL:1:{A_THREAD}", "Invalid argument"),
                                       ("pidfd_getfd:EPERM", "Operation not permitted")], ids=["kernel", "profile"])
def test_it_is_refused_and_says_what_is_missing(serve, rule, why):
    server = serve("--shards", "2", prefix=beneath(rule))
    with server.client("there", 5) as there, server.raw() as stranger:
        server.wait_counter("handshakes_open", 1)
        for _ in range(2):
            begin = len(server.lines)
            server.process.send_signal(signal.SIGUSR2)
            said = server.lines[server.wait_line("not upgraded: ", begin)]
            assert why in said and "Linux 6.9" in said and "--no-private-tables" in said
            there.expect_nothing_before_ping()
        assert server.counter("handshakes_open") == 1  # nobody was hurried, or closed
        stranger.close()


@pytest.mark.parametrize("rule", [f"pidfd_open:EINVAL:1:{A_THREAD}", "pidfd_getfd:EPERM"], ids=["kernel", "profile"])
def test_one_table_needs_nothing(serve, rule):
    server = serve("--shards", "2", "--no-private-tables", prefix=beneath(rule))
    with server.client("there", 5) as there:
        server.upgrade()
        there.expect_nothing_before_ping()
