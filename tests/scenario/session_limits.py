"""What may wait for a session is bounded, and so are the sessions that wait for their clients."""

import pytest

from mqtt_wire import PINGREQ_BYTES, PUBLISH, PUBREC, acknowledge


def leave(server, name, version, *filters):
    with server.session(name, version) as client:
        client.subscribe(*filters)
        client.disconnect()


def waiting(server, name, version, count):
    with server.session(name, version) as client:
        got = [client.take().payload for _ in range(count)]
        client.expect_nothing_before_ping()
    return got


@pytest.mark.parametrize("policy, kept", [("drop-oldest", range(90, 100)), ("drop-newest", range(10))])
def test_messages(serve, version, policy, kept):
    server = serve("--shards", "2", "--queue-messages-max", "10", "--queue-policy", policy)
    leave(server, "away", version, ("t", 1))
    with server.client("from", version) as publisher:
        for number in range(100):
            publisher.hand_over("t", str(number))
    assert waiting(server, "away", version, 10) == [str(number).encode() for number in kept]


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_bytes(serve, version, policy):
    server = serve("--shards", "2", "--packet-bytes-max", "100000", "--queue-bytes-max", "100000",
                   "--queue-policy", policy)
    leave(server, "away", version, ("t", 2))
    with server.client("from", version) as publisher:
        for number in range(20):
            publisher.hand_over("t", bytes([number]) * 20000, qos=2)
    with server.session("away", version) as client:
        got = []
        client.send(PINGREQ_BYTES)
        while (packet := client.packet()).kind == PUBLISH or not got:
            got.append(packet.payload[0])
            client.send(acknowledge(PUBREC, packet.packet_id))
    assert 3 <= len(got) <= 5
    assert got == (list(range(20 - len(got), 20)) if policy == "drop-oldest" else list(range(len(got))))


def test_a_full_queue_of_one_holds_up_no_other(serve, version):
    server = serve("--shards", "2", "--queue-messages-max", "5")
    leave(server, "away", version, ("t", 1))
    with server.client("there", version) as there, server.client("from", version) as publisher:
        there.subscribe(("t", 1))
        for number in range(50):
            publisher.hand_over("t", str(number))
            assert there.take().payload == str(number).encode()


def test_the_log_says_who_loses_messages(serve, version):
    """Once in a while, not for each."""
    server = serve("--shards", "1", "--queue-messages-max", "5")
    for name in ("away", "away too"):
        leave(server, name, version, ("t", 1))
    with server.client("from", version) as publisher:
        for number in range(50):
            publisher.hand_over("t", str(number))
    server.wait_counter("messages_dropped_queue_full", 90)
    assert 'client "away' in server.lines[server.wait_line("does not take its messages")]
    assert sum("does not take its messages" in line for line in server.lines) < 10


@pytest.mark.threads
def test_sessions_without_a_client(serve, version):
    """The limit is for all shards together; those who are over it are not kept, and the others are."""
    server = serve("--shards", "2", "--sessions-offline-max", "20")
    for number in range(60):
        leave(server, f"away-{number}", version, ("t", 1))
    present = 0
    for number in range(60):
        with server.session(f"away-{number}", version) as client:
            present += client.connack.session_present
            client.close()
    assert 1 <= present <= 20
