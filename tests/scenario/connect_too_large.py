"""What somebody may have the server keep before he has signed in: a CONNECT of `--connect-bytes-max`, and all that come in
part together `--handshake-bytes-max`. Who is connected notices nothing of it."""

import time

import pytest

from mqtt_wire import MAXIMUM_PACKET_SIZE, PUBACK, TIMEOUT_S, USER_PROPERTY, Will, connect, publish

LIMIT = 4096


def connect_of(size, version):
    """A CONNECT of exactly so many bytes, most of them its will's."""
    packet = connect("c", version, will=Will("t", b"x" * (size - 100)))
    return connect("c", version, will=Will("t", b"x" * (size - 100 + size - len(packet))))


def test_one_byte_makes_the_difference(serve, version):
    server = serve("--connect-bytes-max", str(LIMIT))
    with server.raw(version) as connection:
        connection.send(connect_of(LIMIT, version))
        assert connection.packet().reason == 0
    with server.raw(version) as connection:
        connection.send(connect_of(LIMIT + 1, version))
        if version == 5:
            connection.expect_connack_refusal(0x95)
        else:
            connection.expect_close()
    server.wait_counter("end_connect_too_large", 1)


def test_it_is_refused_before_it_is_whole(serve, version):
    server = serve("--connect-bytes-max", str(LIMIT))
    with server.raw(version) as connection:
        connection.send(connect_of(LIMIT + 1, version)[:20])
        if version == 5:
            connection.expect_connack_refusal(0x95)
        else:
            connection.expect_close()


def test_packets_of_who_has_signed_in_have_their_own_limit(serve, version):
    server = serve("--connect-bytes-max", "128")
    with server.client("c", version) as client:
        client.subscribe("t")
        client.publish("t", b"x" * 100000)
        assert len(client.message().payload) == 100000


def test_what_comes_behind_connect_is_read_by_and_by(serve, version):
    """More than the gate takes along in one read."""
    server = serve("--shards", "2", "--connect-bytes-max", "256")
    with server.raw(version) as connection:
        connection.send(connect("c", version) + b"".join(
            publish("t", b"x" * 1000, version, qos=1, packet_id=number) for number in range(1, 61)))
        assert connection.packet().reason == 0
        for number in range(1, 61):
            got = connection.expect_kind(PUBACK)
            assert got.packet_id == number


def wait_until(server, reached):
    deadline = time.monotonic() + TIMEOUT_S
    while not reached(server.counters()):
        assert time.monotonic() < deadline, server.log()


@pytest.mark.threads
def test_half_sent_ones_together(serve):
    server = serve("--shards", "2", "--connect-bytes-max", "16384", "--handshake-bytes-max", "65536",
                   "--connect-timeout-ms", "600000")
    part = connect_of(16000, 5)[:15000]
    with server.client("before", 5) as before:
        slow = []
        for _ in range(3):
            slow.append(server.raw(5))
            slow[-1].send(part)
        server.wait_counter("handshake_bytes", lambda kept: kept >= 3 * len(part))
        while not server.counter("end_handshake_bytes"):  # blocks are rounded up: one more may fit
            kept = server.counter("handshake_bytes")
            slow.append(server.raw(5))
            slow[-1].send(part)
            wait_until(server, lambda counters, kept=kept: counters["handshake_bytes"] > kept or counters["end_handshake_bytes"])
        late = slow.pop()
        got = late.packet()
        assert got.reason == 0x89
        assert dict(got.pairs)[USER_PROPERTY][0] == "retry-after-ms"
        late.expect_close()
        assert server.counter("end_handshake_bytes") == 1
        assert server.counter("handshake_bytes") <= 65536
        # Those whose CONNECT comes at once keep nothing, and come in.
        with server.client("quick", 5) as quick:
            quick.expect_nothing_before_ping()
        before.expect_nothing_before_ping()
        # And those who were there first may end their CONNECT.
        slow[0].send(connect_of(16000, 5)[15000:])
        assert slow[0].packet().reason == 0
        for connection in slow:
            connection.close()
        server.wait_counter("handshake_bytes", 0)
        with server.raw(5) as connection:
            connection.send(part)
            connection.send(connect_of(16000, 5)[15000:])
            assert connection.packet().reason == 0


def test_a_tiny_maximum_packet_size_is_kept_in_a_refusal(serve):
    server = serve("--connect-bytes-max", str(LIMIT))
    with server.raw(5) as connection:
        connection.send(connect("c", 5, pairs=[(MAXIMUM_PACKET_SIZE, 4)]))
        connection.expect_close()
