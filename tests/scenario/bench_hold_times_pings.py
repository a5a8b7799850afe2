"""`bench hold --time-pings` says how long the server was silent to any client: one that stands still shows in the longest answer."""

import json
import signal
import subprocess

import pytest

from server import ROOST

CLIENTS = 60
STILL_S = 1.5


def test_a_server_that_stands_still_shows(serve):
    server = serve()
    with subprocess.Popen([ROOST, "bench", "hold", "-n", str(CLIENTS), "--keepalive", "4", "--hold", "10", "--time-pings",
                           "--json", "--url", f"tcp://127.0.0.1:{server.address[1]}", "--server-pid", str(server.pid)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bench:
        # SUBSCRIBE and a ping each; the second round of pings comes within the next four seconds.
        server.wait_counter("packets_in", lambda count: count > 2 * CLIENTS)
        server.process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            bench.wait(STILL_S)  # it goes on pinging
        server.process.send_signal(signal.SIGCONT)
        figures = json.loads(bench.communicate(timeout=120)[0])
        assert bench.returncode == 0
    assert figures["held"] == CLIENTS and figures["pings"] >= CLIENTS
    assert figures["ping_p50_us"] < figures["ping_max_us"] and figures["ping_max_us"] > STILL_S * 1e6 / 2
