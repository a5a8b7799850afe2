"""More shards than the machine has cores: they share them, and all else stays as it is."""

import os

import pytest


@pytest.mark.threads
@pytest.mark.parametrize("gates", [1, 3])
def test_everyone_reaches_everyone(serve, gates):
    shards = 4 * (os.cpu_count() or 1)
    server = serve("--shards", str(shards), "--gates", str(gates))
    clients = [server.client(f"c-{i}", 4 + i % 2) for i in range(8 * shards)]
    for client in clients:
        assert client.subscribe("all", f"own/{client.client_id}") == [0, 0]
    clients[0].publish("all", b"x")
    for client in clients:
        assert client.message().payload == b"x"
    for index, client in enumerate(clients):
        clients[index - 1].publish(f"own/{client.client_id}", str(index))
        assert client.message().payload == str(index).encode()
    for client in clients:
        client.disconnect()
    server.wait_counter("connections_open", 0)


def test_descriptors_ask_for_more_shards(serve):
    """One table of 256 descriptors does not hold 1000 clients; several do, started without being asked for."""
    server = serve("--connections", "1000", "--no-fixed-files", files_max=256)
    assert server.counter("connections_fixed") == 0
    clients = [server.client(f"c-{i}") for i in range(900)]
    for client in (clients[0], clients[450], clients[-1]):
        client.expect_nothing_before_ping()
    server.wait_counter("connections_open", 900)
    for client in clients:
        client.close()
