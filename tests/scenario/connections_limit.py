"""`--connections` bounds the clients: one more is refused and told why, and a place that is given back can be taken."""

import threading
import time

import pytest

from mqtt_wire import TIMEOUT_S, Busy, Client, connect


@pytest.mark.threads
@pytest.mark.parametrize("version, code", [(4, 3), (5, 0x89)])
def test_one_more_is_refused(serve, version, code):
    server = serve("--connections", "2", "--shards", "2")
    with server.client("first", 4) as first, server.client("second", 5):
        with server.raw(version) as late:
            late.send(connect("late", version))
            late.expect_connack_refusal(code)
        server.wait_counter("end_server_full", 1)
        first.expect_nothing_before_ping()
    server.wait_counter("connections_open", 0)
    with server.client("late", version):
        pass


@pytest.mark.threads
@pytest.mark.parametrize("options", [("--shards", "2"), ("--shards", "2", "--no-private-tables")])
def test_who_is_there_may_come_again(serve, version, options):
    """A take-over needs no further place, whether the session goes on or not."""
    server = serve("--connections", "2", *options)
    old, other = server.session("same", version), server.client("other", version)
    for clean in (False, True, False):
        new = Client(server.address, "same", version, clean=clean)
        if version == 5:
            assert old.packet().reason == 0x8E
        old.expect_close()
        old = new
    with server.raw(version) as late:
        late.send(connect("late", version))
        late.expect_connack_refusal({4: 3, 5: 0x89}[version])
    old.expect_nothing_before_ping()
    other.expect_nothing_before_ping()
    assert server.counter("connections_open") == 2
    old.disconnect()
    other.disconnect()
    server.wait_counter("connections_open", 0)
    with server.client("late", version), server.client("later", version):
        pass


@pytest.mark.threads
def test_all_come_again_while_strangers_try(serve):
    """Those who find no room on their way are told to come back, and get in."""
    places = 40
    server = serve("--connections", str(places), "--shards", "2")
    ids = [f"client-{number}" for number in range(places)]
    clients = [server.client(client_id, 5) for client_id in ids]
    over = threading.Event()

    def knock():
        while not over.is_set():
            with server.raw(5) as stranger:
                stranger.send(connect("", 5))
                assert stranger.packet().reason == 0x89

    strangers = [threading.Thread(target=knock) for _ in range(2)]
    for stranger in strangers:
        stranger.start()
    try:
        for number, client_id in enumerate(ids):
            clients[number] = come_again(server, client_id)
    finally:
        over.set()
        for stranger in strangers:
            stranger.join()
    for client in clients:
        client.expect_nothing_before_ping()
        client.close()
    server.wait_counter("connections_open", 0)
    assert server.counter("end_taken_over") == places


def come_again(server, client_id):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return Client(server.address, client_id, 5)
        except Busy:
            assert time.monotonic() < deadline
