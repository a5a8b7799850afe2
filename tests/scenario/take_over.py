"""A second connection with the same client id ends the first. [MQTT-3.1.4-3]"""

import pytest

from mqtt_wire import Closed, MAXIMUM_PACKET_SIZE, VERSIONS, connect


@pytest.mark.threads
@pytest.mark.parametrize("first_version", VERSIONS)
def test_the_first_is_told_and_closed(server, version, first_version):
    with server.client("same", first_version) as first:
        first.subscribe("t")
        with server.client("same", version) as second:
            first.expect_refusal(0x8E)
            # Its subscriptions ended with it: the new session is clean.
            second.publish("t", b"x")
            second.expect_nothing_before_ping()
            second.subscribe("t")
            second.publish("t", b"y")
            assert second.message().payload == b"y"
    server.wait_counter("end_taken_over", 1)


def test_ids_that_differ_in_case_are_two(server, version):
    with server.client("same", version) as first, server.client("Same", version) as second:
        first.expect_nothing_before_ping()
        second.expect_nothing_before_ping()


@pytest.mark.threads
def test_of_fifty_at_once_one_stays(server):
    rivals = [server.raw(VERSIONS[i % 2]) for i in range(50)]
    for rival in rivals:
        rival.send(connect("same", rival.version))
    # A last one, when all have been let in, ends whichever is left; its own answers then show that it stays.
    for rival in rivals:
        assert rival.packet().reason == 0
    server.wait_counter("connections_open", 1)
    alive = []
    for rival in rivals:
        try:
            rival.send(b"\xc0\x00")
            if any(packet.raw == b"\xd0\x00" for packet in [rival.packet()]):
                alive.append(rival)
        except Closed:
            pass
    assert len(alive) == 1
    server.wait_counter("end_taken_over", 49)
    with server.client("same", 5):
        alive[0].expect_refusal(0x8E)
    for rival in rivals:
        rival.close()


@pytest.mark.threads
def test_again_and_again(server, version):
    """Each is let in at once, however many were before."""
    last = server.client("same", version)
    for _ in range(100):
        following = server.client("same", version)
        last.expect_refusal(0x8E)
        last.close()
        last = following
    last.disconnect()
    server.wait_counter("connections_open", 0)


def test_who_cannot_be_greeted_takes_nobody_over(server):
    """The newcomer's Maximum Packet Size is too small for any CONNACK: nobody gives way to it."""
    with server.client("same", 5) as first:
        first.subscribe("t")
        with server.raw(5) as second:
            second.send(connect("same", 5, pairs=[(MAXIMUM_PACKET_SIZE, 4)]))
            second.expect_close()
        server.wait_counter("end_packet_too_large", 1)
        first.publish("t", b"x")
        assert first.message().payload == b"x"
    assert server.counter("end_taken_over") == 0
