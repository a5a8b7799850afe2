"""The program is replaced under its clients, and none of them can tell: every transport, and whatever a connection was in
the middle of."""

import signal

import pytest

from mqtt_wire import (PINGREQ_BYTES, PINGRESP_BYTES, PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAXIMUM, TOPIC_ALIAS,
                       TOPIC_ALIAS_MAXIMUM, acknowledge, connect, publish)
from server import roost

pytestmark = pytest.mark.roost_only("it replaces Roost's program")

EVERY = ["tcp", "tls", "ws", "wss", "unix", "proxied"]


@pytest.mark.transports(*EVERY)
@pytest.mark.parametrize("upgrades", [1, 3])
def test_clients_talk_on(server, upgrades):
    """Each is on one of two shards, the subscriber of each topic on the other one or not."""
    clients = [server.client(f"client-{n}", 4 + n % 2) for n in range(8)]
    for n, client in enumerate(clients):
        client.subscribe((f"to/{n}", n % 3), ("all", 1))
    pid = server.pid
    for round_ in range(upgrades):
        server.upgrade()
        for n, client in enumerate(clients):
            client.hand_over(f"to/{(n + 3) % 8}", b"%d of %d" % (n, round_), qos=n % 3)
        for n, client in enumerate(clients):
            assert client.take().payload == b"%d of %d" % ((n - 3) % 8, round_)
    clients[0].hand_over("all", b"x")
    assert [client.take().payload for client in clients] == [b"x"] * 8
    assert server.pid == pid
    server.wait_counter("connections_fixed", 0)  # the sockets are descriptors again
    assert server.counter("connections_open") == 8
    for client in clients:
        client.disconnect()
    server.wait_counter("connections_open", 0)


@pytest.mark.parametrize("options", [("--no-private-tables",), ("--no-private-tables", "--no-fixed-files"),
                                     ("--gates", "3", "--shards", "5"), ("--shards", "1")])
def test_threads_and_tables_of_other_kinds(serve, options):
    server = serve(*options)
    clients = [server.client(f"client-{n}", 5) for n in range(6)]
    for n, client in enumerate(clients):
        client.subscribe((f"to/{n}", 1))
    for _ in range(3):
        server.upgrade()
        for n, client in enumerate(clients):
            client.hand_over(f"to/{(n + 1) % 6}", b"x", qos=n % 3)
        for client in clients:
            assert client.take().payload == b"x"


def test_tables_that_end_with_their_threads(serve):
    """Without io_uring the sockets of clients have nowhere to go; without clients there is nothing to be lost."""
    server = serve("--no-fixed-files", "--shards", "2")
    with server.client("there", 5) as there:
        for _ in range(2):
            begin = len(server.lines)
            server.process.send_signal(signal.SIGUSR2)
            why = server.lines[server.wait_line("not upgraded", begin)]
            assert "no place outside of its descriptor table" in why and "--no-private-tables" in why
            there.expect_nothing_before_ping()
    server.wait_counter("connections_open", 0)
    server.upgrade()


@pytest.mark.transports(*EVERY)
def test_a_packet_that_came_in_part(server):
    whole = publish("t", b"p" * 3000, qos=1, packet_id=7)
    with server.client("to") as to, server.client("from") as publisher:
        to.subscribe(("t", 0))
        publisher.send(whole[:1500])
        to.expect_nothing_before_ping()
        server.upgrade()
        publisher.send(whole[1500:])
        publisher.answer(PUBACK, 7)
        assert to.take().payload == b"p" * 3000


@pytest.mark.transports(*EVERY)
def test_what_a_slow_client_has_not_read(server):
    """More than the sockets hold: it waits in the server's memory, part of it cut in the middle of a packet."""
    with server.client("slow", 5, receive_buffer=4096) as slow, server.client("from") as publisher:
        slow.subscribe(("t", 1))
        for n in range(400):
            publisher.hand_over("t", b"%d " % n + b"." * 5000)
        server.upgrade()
        for n in range(400, 420):
            publisher.hand_over("t", b"%d " % n + b"." * 5000)
        messages = [slow.message() for _ in range(420)]
        assert [int(message.payload.split()[0]) for message in messages] == list(range(420))
        for message in messages:
            slow.accept(message)
        slow.expect_nothing_before_ping()


@pytest.mark.transports(*EVERY)
def test_a_client_that_is_silent_before_and_after(server):
    with server.client("quiet") as quiet, server.client("from") as publisher:
        quiet.subscribe("t")
        server.upgrade()
        publisher.publish("t", b"x")
        assert quiet.message().payload == b"x"


def while_it_upgrades(server):
    """Goes round until the new program has said that it serves."""
    start = len(server.lines)
    server.process.send_signal(signal.SIGUSR2)
    while not any("upgraded from" in line for line in server.lines[start:]):
        yield


def test_what_comes_while_it_happens(server):
    """Nobody waits for it to be over before they speak."""
    with server.client("to") as to, server.client("from") as publisher:
        to.subscribe(("t", 1))
        sent = 0
        for _ in range(5):
            for _ in while_it_upgrades(server):
                publisher.hand_over("t", b"%d" % sent)
                sent += 1
        assert [int(to.take().payload) for _ in range(sent)] == list(range(sent))
        to.expect_nothing_before_ping()


def test_strangers_are_counted(administered):
    """Those who do not sign in within the time that they have are closed, and the operator is told how many."""
    server = administered
    with server.raw(4) as one, server.raw(5) as two, server.client("there") as there:
        server.wait_counter("handshakes_open", 2)
        asked = roost("ctl", "--url", server.admin().url, "upgrade")
        assert asked.returncode == 0 and "had not signed in within two seconds: 2 connections" in asked.stdout, asked.stderr
        for stranger in (one, two):
            assert stranger.ends() == []
        there.expect_nothing_before_ping()
    server.wait_line("closed before they had signed in: 2")
    assert server.admin().get("/api/v1/upgrade").json["closed"] == 2
    assert "closed before they had signed in: 0" in server.upgrade()


def test_those_who_come_while_it_happens(server):
    """Connections are taken late, and none is refused."""
    for _ in range(5):
        for _ in while_it_upgrades(server):
            with server.client("guest") as guest:
                guest.expect_nothing_before_ping()


@pytest.mark.parametrize("qos", [1, 2])
def test_exchanges_half_way(server, qos):
    """As receiver and as sender, at each step of them."""
    first = PUBACK if qos == 1 else PUBREC
    with server.client("to", 5, pairs=[(RECEIVE_MAXIMUM, 2)]) as to, server.client("from", 5) as publisher:
        to.subscribe(("t", qos))
        for n in range(5):
            publisher.hand_over("t", b"%d" % n, qos=qos)
        one, two = to.message(), to.message()
        server.upgrade()
        to.expect_nothing_before_ping()  # its Receive Maximum is used up
        to.send(acknowledge(first, one.packet_id))
        if qos == 2:
            to.answer(PUBREL, one.packet_id)
            server.upgrade()
            to.send(acknowledge(PUBCOMP, one.packet_id))
        three = to.message()
        assert (one.payload, two.payload, three.payload) == (b"0", b"1", b"2") and not three.dup
        if qos == 2:
            publisher.publish("t", b"5", qos=2, packet_id=900)
            publisher.answer(PUBREC, 900)
            server.upgrade()
            publisher.publish("t", b"5", qos=2, packet_id=900, dup=True)  # it is known, and not taken twice
            publisher.answer(PUBREC, 900)
            assert publisher.release(900) == 0
        for message in (two, three):
            to.accept(message)
        left = [to.take().payload for _ in range(2 + (qos == 2))]
        assert left == [b"3", b"4", b"5"][:len(left)]
        to.expect_nothing_before_ping()


def test_topic_aliases_both_ways(server):
    with server.client("to", 5, pairs=[(TOPIC_ALIAS_MAXIMUM, 5)]) as to, server.client("from", 5) as publisher:
        to.subscribe("long/topic")
        publisher.publish("long/topic", b"1", pairs=[(TOPIC_ALIAS, 3)])
        first = to.message()
        server.upgrade()
        publisher.publish("", b"2", pairs=[(TOPIC_ALIAS, 3)])
        second = to.message()
        assert (first.topic, second.topic) == ("long/topic", "")
        assert first.properties[TOPIC_ALIAS] == second.properties[TOPIC_ALIAS]


def test_the_keepalive_is_watched(server):
    with server.client("talks", 5) as talks, server.client("silent", 5, keepalive=1) as silent:
        server.upgrade()
        silent.expect_refusal(0x8D)
        server.wait_counter("end_keepalive_timeout", 1)
        talks.send(PINGREQ_BYTES)
        talks.expect(PINGRESP_BYTES)


def test_limits_are_as_they_were(serve):
    """Those of a client, of the server, and of an address."""
    server = serve("--shards", "2", "--connections", "3", "--packet-bytes-max", "5000")
    clients = [server.client(f"c-{n}", 5) for n in range(3)]
    server.upgrade()
    with server.raw(5) as late:
        late.send(connect("late", 5))
        late.expect_connack_refusal(0x89)
    clients[0].publish("t", b"x" * 6000)
    clients[0].expect_refusal(0x95)
    server.wait_counter("connections_open", 2)
    with server.client("late", 5) as late:
        late.expect_nothing_before_ping()
    for client in clients[1:]:
        client.close()
