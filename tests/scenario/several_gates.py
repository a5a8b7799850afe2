"""Several gates share the listeners: who finds no room at one finds it at the other, and nobody is left in the queue."""

import contextlib

ROOM = 16


def test_one_that_is_full_leaves_the_rest_to_the_other(serve):
    server = serve("--gates", "2", "--handshakes-max", str(ROOM), "--no-defer-accept", "--connect-timeout-ms", "60000")
    with contextlib.ExitStack() as silent:
        first = [silent.enter_context(server.raw()) for _ in range(2 * ROOM)]
        server.wait_counter("handshakes_open", 2 * ROOM)
        # Now both are full. The next ones wait in the kernel until somebody leaves, whichever gate had it.
        waiting = [silent.enter_context(server.raw()) for _ in range(ROOM)]
        for connection in first:
            connection.close()
        server.wait_counter("handshakes_open", ROOM)
        with server.client("after them") as client:
            client.expect_nothing_before_ping()
        for connection in waiting:
            connection.close()
    server.wait_counter("handshakes_open", 0)


def test_both_serve(serve):
    server = serve("--gates", "2", "--shards", "2")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(f"c-{number}", 4 + number % 2)) for number in range(100)]
        for client in clients:
            client.expect_nothing_before_ping()
    server.wait_counter("connections_open", 0)
