"""Clients are revoked at any moment of an upgrade: whoever is answered that it is done can rely on it."""

import signal

import pytest

from server import UPGRADE_TIMEOUT_S, UPGRADED, roost
from tokens import secret_file, token

pytestmark = [pytest.mark.roost_only("it replaces Roost's program"), pytest.mark.transports("tcp")]
CLIENTS = 30


@pytest.mark.parametrize("with_file", [True, False], ids=["file", "memory"])
def test_each_ends(serve, tmp_path, with_file):
    server = serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--admin", "http://127.0.0.1:0",
                   *(("--revocation-file", str(tmp_path / "revoked")) if with_file else ()))
    clients = {f"c-{number}": server.client(f"c-{number}", 4, user="", password=token(sub="alice")) for number in range(CLIENTS)}
    done = 0
    for name, client in clients.items():
        start = len(server.lines)
        server.process.send_signal(signal.SIGUSR2)
        # A connection that the upgrade has cut tells nothing: the operator asks again.
        while roost("ctl", "--url", server.admin().url, "revoke", "client", name).returncode != 0:
            pass
        said = server.lines[server.wait_line(UPGRADED, start, timeout=UPGRADE_TIMEOUT_S)]
        done += "upgraded from" in said
        client.ends()
    assert done > 0
    server.wait_counter("connections_open", 0)
