"""Where threads may not have descriptor tables of their own, one table does, and the log says so."""

import pytest


@pytest.mark.threads
def test_shared_table(serve, version):
    server = serve("--no-private-tables", "--shards", "3", "--gates", "2")
    clients = [server.client(f"c-{i}", version) for i in range(100)]
    for client in clients:
        client.subscribe("all")
    clients[0].publish("all", b"x")
    for client in clients:
        assert client.message().payload == b"x"
    for client in clients:
        client.disconnect()
    server.wait_counter("connections_open", 0)
    server.wait_line(r"(?i)descriptor table")
