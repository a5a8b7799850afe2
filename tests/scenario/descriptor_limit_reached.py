"""More clients than descriptors: new ones wait or are told, those who are there notice nothing, and no loop spins."""

import pytest

from mqtt_wire import CONNACK, Closed, Connection, connect, publish, subscribe

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
