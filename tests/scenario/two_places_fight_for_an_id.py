"""One client id from two places at once, each of which comes back whenever the other has taken over: nothing is lost of the
session, nothing is left behind, and others notice nothing."""

import threading

import pytest

from mqtt_wire import CONNACK, Closed, Client, connect

ROUNDS = 150


def fight(address, version, rounds, seen):
    """Comes back as soon as it is thrown out. What it was greeted with, or thrown out with, goes to `seen`."""
    for _ in range(rounds):
        with Client(address, "same", version, clean=False) as client:
            seen.append(client.connack.session_present)
            try:
                while True:
                    client.packet()
            except Closed:
                pass


@pytest.mark.threads
def test_in_a_loop(server, version):
    """Who is thrown out last comes back no more; then the other one is thrown out, and the session is there still."""
    with server.client("other", version) as other:
        other.subscribe("t")
        server.client("same", version, clean=False).disconnect()
        seen = [[], []]
        rivals = [threading.Thread(target=fight, args=(server.address, version, ROUNDS, mine), daemon=True) for mine in seen]
        for rival in rivals:
            rival.start()
        # The one that has done all its rounds leaves the last connection to the other, which is thrown out by us.
        while any(rival.is_alive() for rival in rivals):
            rivals[0].join(0.5)
            rivals[1].join(0.5)
            if sum(rival.is_alive() for rival in rivals) == 1:
                server.client("same", version, clean=False).disconnect()
        assert len(seen[0]) == len(seen[1]) == ROUNDS
        other.publish("t", b"x")
        assert other.message().payload == b"x"
        server.wait_counter("connections_open", 1)
        server.wait_counter("end_taken_over", lambda value: value >= 2 * ROUNDS - 1)
        with server.client("same", version, clean=True) as last:
            last.expect_nothing_before_ping()


@pytest.mark.threads
def test_a_message_for_the_session_is_not_lost(server):
    """It is acknowledged by one of them, however often they change."""
    with server.session("same", 5) as first:
        first.subscribe(("mine", 1))
    with server.client("sender", 5) as sender:
        at_work = server.session("same", 5)
        for number in range(100):
            following = server.session("same", 5)
            sender.hand_over("mine", b"%d" % number)
            at_work.close()
            at_work = following
            assert at_work.take().payload == b"%d" % number
        at_work.expect_nothing_before_ping()
        at_work.close()


@pytest.mark.threads
def test_all_at_once_without_reading(server):
    """None of them waits for its CONNACK: all are let in in turn, and the last one stays."""
    rivals = [server.raw(5) for _ in range(200)]
    for rival in rivals:
        rival.send(connect("same", 5))
    greeted = [rival.expect_kind(CONNACK).reason for rival in rivals]
    assert greeted == [0] * len(rivals)
    server.wait_counter("connections_open", 1)
    with server.client("same", 5) as last:
        last.expect_nothing_before_ping()
    server.wait_counter("end_taken_over", len(rivals))
    for rival in rivals:
        rival.close()
