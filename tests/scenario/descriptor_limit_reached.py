"""More clients than descriptors: new ones wait or are told, those who are there notice nothing, and no loop spins."""

import pytest

import consumers
from mqtt_wire import CONNACK, Closed, Connection, connect, publish, subscribe
from redis_server import Redis

FILES = 64
CLIENTS = 100
BUSY = {4: {3}, 5: {0x88, 0x89, 0x97}}


def try_connect(server, number):
    """The connection and what became of it: "in", "refused" or "waits"."""
    connection = server.raw(4 + number % 2)
    connection.send(connect(f"c-{number}", connection.version))
    try:
        got = connection.packet(timeout=0.5)
    except TimeoutError:
        return connection, "waits"
    except Closed:
        return connection, "closed"
    assert got.kind == CONNACK
    if got.reason == 0:
        return connection, "in"
    assert got.reason in BUSY[connection.version]
    connection.expect_close()
    return connection, "refused"


@pytest.mark.parametrize("tables", [[], ["--no-private-tables"]], ids=["private", "shared"])
def test_those_who_are_in_notice_nothing(serve, tables):
    server = serve("--shards", "1", "--gates", "1", *tables, files_max=FILES)
    inside, outside = [], []
    for number in range(CLIENTS):
        connection, outcome = try_connect(server, number)
        assert outcome != "closed", "a client that does not fit is told so, or waits"
        (inside if outcome == "in" else outside).append(connection)
        if len(outside) >= 8:
            break
    assert len(inside) >= 10
    assert outside, "there is no limit"

    # No busy loop: while one more client waits in vain, the server takes next to no processor time.
    before = server.cpu_seconds()
    idle = Connection(server.address, 4)
    with pytest.raises((TimeoutError, Closed)):
        idle.packet(timeout=1.5)
    idle.close()
    assert server.cpu_seconds() - before < 0.5

    inside[0].send(subscribe(1, "t", version=inside[0].version))
    assert inside[0].packet().codes == [0]
    for connection in inside[1:]:
        connection.expect_nothing_before_ping()
        connection.send(publish("t", b"x", version=connection.version))
        assert inside[0].packet().payload == b"x"

    # Room comes back with those who leave: a new client is let in.
    for connection in outside + inside[:len(inside) // 2]:
        connection.close()
    server.wait_counter("connections_open", lambda count: count <= len(inside) - len(inside) // 2)
    with server.client("late", 5) as late:
        late.expect_nothing_before_ping()
    for connection in inside[len(inside) // 2:]:
        connection.close()


@pytest.mark.roost_only("others have no such store")
def test_a_store_where_memory_does_not_outlive_the_program(serve, tmp_path):
    """There are too few descriptors for that. It serves and stops all the same."""
    server = serve("--shards", "2", "--store", str(tmp_path / "store"), files_max=44)
    server.wait_line("memory cannot outlive the program.*: the descriptor table is full")
    for number in range(3):
        with server.session(f"c-{number}", 5) as client:
            assert client.subscribe(("t", 1)) == [1]
    server.stop()
    server = serve("--shards", "2", "--store", str(tmp_path / "store"), files_max=44)
    with server.session("c-1", 5) as client:
        assert client.connack.session_present


@pytest.mark.roost_only("others have no such consumers")
@pytest.mark.parametrize("files", range(56, 59))
def test_consumers_take_what_descriptors_there_are(serve, tmp_path, files):
    """It says which of them do not work, and goes on to serve and to hear signals."""
    redis = Redis()
    try:
        config = consumers.write(tmp_path, *({"name": f"c{n}", "stream": f"in{n}"} for n in range(16)), redis=redis.url)
        server = serve("--config", config, "--shards", "2", "--no-private-tables", files_max=files)
        server.wait_line("consumer c15 does not work: memory, descriptors or threads are short")
        server.stop()
    finally:
        redis.close()
