"""The next program lays out its memory in another way, and goes on with what it converts; or it cannot, and says so before
anything has happened. Whether it puts each member where that belongs is what tests/unit/layout and `make upgrade-versions` ask."""

import os
import re
from pathlib import Path

import pytest

import other_layout
from mqtt_wire import PUBACK, PUBREC, PUBREL, PUBCOMP, WILL_DELAY, Refused, Will, acknowledge, publish
from server import ROOST, UPGRADE_TO, roost
from tokens import secret_file, token

pytestmark = pytest.mark.roost_only("it replaces Roost's program")

CONVERTED = r"memory of another layout was converted in [\d.]+ ms, struct account first"


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return other_layout.program(tmp_path_factory.mktemp("other"), other_layout.reordered)


@pytest.fixture
def upgraded(monkeypatch, other):
    """The test's servers are upgraded to the other program, back, and so on. Upgrades one; its memory was converted."""
    monkeypatch.setenv(UPGRADE_TO, other)

    def upgrade(server):
        start = len(server.lines)
        server.upgrade()
        server.wait_line("which converts memory of another layout, struct account first", start)
        server.wait_line(CONVERTED, start)

    return upgrade


@pytest.mark.transports("tcp", "tls", "wss", "proxied")
def test_clients_talk_on(upgraded, server):
    clients = [server.client(f"client-{n}", 4 + n % 2) for n in range(8)]
    for n, client in enumerate(clients):
        client.subscribe((f"to/{n}", n % 3), ("all", 1))
    pid = server.pid
    for round_ in range(4):
        upgraded(server)
        for n, client in enumerate(clients):
            client.hand_over(f"to/{(n + 3) % 8}", b"%d of %d" % (n, round_), qos=n % 3)
        for n, client in enumerate(clients):
            assert client.take().payload == b"%d of %d" % ((n - 3) % 8, round_)
        clients.pop().disconnect()
        clients.append(server.client("client-7", 5))
        clients[7].subscribe(("to/7", 1), ("all", 1))
    clients[0].hand_over("all", b"x")
    assert [client.take().payload for client in clients] == [b"x"] * 8
    assert server.pid == pid
    server.wait_counter("connections_open", 8)


@pytest.mark.parametrize("store", [False, True], ids=["memory", "store"])
def test_sessions_queues_wills_and_retained_messages(upgraded, serve, tmp_path, store):
    server = serve("--shards", "2", *(("--store", str(tmp_path / "store")) if store else ()))
    watch, publisher = server.client("watch", 5), server.client("from", 5)
    watch.subscribe("will/#")
    for n in range(6):
        away = server.session(f"away-{n}", 4 + n % 2)
        away.subscribe((f"to/{n}", 2), ("all", 1), ("$share/g/job", 1))
        away.disconnect()
        publisher.hand_over(f"to/{n}", b"first", qos=2)
        publisher.hand_over(f"kept/{n}", b"%d" % n, retain=True)
    present = server.client("present", 5, will=Will("will/present", b"p"))
    server.session("delayed", 5, will=Will("will/delayed", b"d", pairs=[(WILL_DELAY, 1)])).reset()
    server.wait_counter("sessions_offline", 7)
    upgraded(server)
    publisher.hand_over("all", b"second")
    publisher.hand_over("kept/0", b"", retain=True)
    upgraded(server)
    present.reset()
    assert {watch.message().payload for _ in range(2)} == {b"d", b"p"}
    for n in range(6):
        with server.session(f"away-{n}", 4 + n % 2) as back:
            assert back.connack.session_present == 1
            assert [back.take().payload, back.take().payload] == [b"first", b"second"]
            upgraded(server)
            back.expect_nothing_before_ping()
    server.wait_counter("queue_messages", 0)
    watch.subscribe(("kept/#", 1))
    assert {watch.take().payload for _ in range(5)} == {b"%d" % n for n in range(1, 6)}
    watch.expect_nothing_before_ping()


def test_messages_in_flight(upgraded, server):
    """Of both ways, at every step of QoS 1 and 2."""
    with server.client("to") as to, server.client("from") as publisher:
        to.subscribe(("t", 2))
        publisher.send(publish("t", b"one", qos=1, packet_id=1))
        publisher.answer(PUBACK, 1)
        publisher.send(publish("t", b"two", qos=2, packet_id=2))
        publisher.answer(PUBREC, 2)
        one = to.message()
        upgraded(server)
        publisher.send(acknowledge(PUBREL, 2))
        publisher.answer(PUBCOMP, 2)
        two = to.message()
        to.send(acknowledge(PUBREC, two.packet_id))
        to.answer(PUBREL, two.packet_id)
        upgraded(server)
        to.send(acknowledge(PUBCOMP, two.packet_id) + acknowledge(PUBACK, one.packet_id))
        assert (one.payload, two.payload) == (b"one", b"two")
        to.expect_nothing_before_ping()
        server.wait_counter("pool_queue_used", 0)


def test_rights_of_a_token(upgraded, serve, tmp_path):
    """They lie in a block with the user's name behind it, which the conversion makes anew."""
    rules = tmp_path / "rules"
    rules.write_text("allow publish up/%c/#\nallow subscribe down/%u/#\neveryone\ntoken\n")
    server = serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--rule-file", str(rules),
                   "--no-allow-by-default", "--admin", "http://127.0.0.1:0")
    names = ["one", "a-user-with-a-longer-name"]
    clients = [server.client(name, 5, user="", password=token(sub=f"user-{name}", jti=f"id-{name}")) for name in names]
    for _ in range(3):
        upgraded(server)
        for name, client, others in zip(names, clients, reversed(names)):
            assert client.subscribe(f"down/user-{name}/a", f"down/user-{others}/a") == [0, 0x87]
            assert client.hand_over(f"up/{others}/x") == 0x87
    ended = roost("ctl", "--url", server.admin().url, "revoke", "user", f"user-{names[1]}", "600")
    assert ended.returncode == 0, ended.stderr
    clients[1].ends()
    upgraded(server)
    with pytest.raises(Refused):
        server.client(names[1], 5, user="", password=token(sub=f"user-{names[1]}", jti="other"))
    clients[0].expect_nothing_before_ping()


def test_nothing_is_left_over(upgraded, server):
    """Clients come and go all the while: descriptors, threads and memory stay what they were."""
    def descriptors():
        server.wait_counter("connections_fixed", 0)
        tasks = os.listdir(f"/proc/{server.pid}/task")
        return len(tasks), sum(len(os.listdir(f"/proc/{server.pid}/task/{task}/fd")) for task in tasks)

    clients = [server.session(f"s-{n}", 5) for n in range(20)]
    for client in clients:
        client.subscribe(("t", 1))
    upgraded(server)
    upgraded(server)
    first, memory = descriptors(), server.resident_bytes()
    for n in range(10):
        upgraded(server)
        clients.append(server.session(f"s-{20 + n}", 5))
        clients.pop(0).disconnect()
    assert descriptors()[0] == first[0] and descriptors()[1] <= first[1] + 1
    assert server.resident_bytes() < memory * 1.1 + (1 << 20)
    with server.client("from") as publisher:
        publisher.hand_over("t", b"x")
    assert [client.take().payload for client in clients[:10]] == [b"x"] * 10
    for client in clients:
        client.expect_nothing_before_ping()
        client.close()


def refused(server, program):
    """What the operator is told; the log says the same."""
    asked = roost("ctl", "--url", server.admin().url, "upgrade", program)
    assert asked.returncode == 1, asked.stdout
    why = asked.stderr.strip().rpartition("serves on: ")[2]
    server.wait_line("not upgraded: " + re.escape(why))
    return why


@pytest.mark.parametrize("what, why", [("fail", "does not start"), ("crash", "signal 11")])
@pytest.mark.parametrize("store", [False, True], ids=["memory", "store"])
def test_the_way_back_after_a_conversion(serve, other, tmp_path, monkeypatch, what, why, store):
    """The old program finds its memory as it was, and what it takes anew is where the conversion has been."""
    monkeypatch.setenv("ROOST_TEST_UPGRADE", what)
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", *(("--store", str(tmp_path / "store")) if store else ()))
    away = server.session("away", 5)
    away.subscribe(("t", 2))
    away.disconnect()
    with server.client("there", 5, will=Will("t", b"will")) as client:
        client.subscribe(("t", 1))
        for round_ in range(2):
            client.hand_over("t", b"%d" % round_, qos=2)
            assert client.take().payload == b"%d" % round_
            assert why in refused(server, other)
            client.hand_over("t", b"after %d" % round_, qos=2)
            assert client.take().payload == b"after %d" % round_
            new = [server.client(f"new-{round_}-{n}", 5) for n in range(20)]
            for one in new:
                one.subscribe(("new", 1))
            client.hand_over("new", b"x")
            assert [one.take().payload for one in new] == [b"x"] * 20
    with server.session("away", 5) as back:
        assert [back.take().payload for _ in range(4)] == [b"0", b"after 0", b"1", b"after 1"]


def test_a_layout_that_cannot_be_converted(administered, tmp_path):
    """A member of another name may be another member, and what it held is not to be lost."""
    def renamed(line):
        return line.replace("keepalive", "keepalike") if line.startswith("struct client ") else line

    program = other_layout.program(tmp_path, renamed)
    with administered.client("there", 5) as client:
        why = refused(administered, program)
        assert "keeps its clients in another way than this program, so that only a restart brings it: struct client differs" in why
        assert "keepalive_s is gone, and what it holds would be lost" in why
        client.expect_nothing_before_ping()


def test_a_member_that_only_the_new_program_has(administered, tmp_path):
    """It begins as nothing. There is no way back from it, which is refused like the rest."""
    def grown(line):
        return line.replace("; reserved@", "; newcomer@") if line.startswith("struct subscriber_list ") else line

    program = other_layout.program(tmp_path, grown)
    with administered.client("there", 5) as client:
        client.subscribe(("t", 1))
        asked = roost("ctl", "--url", administered.admin().url, "upgrade", program)
        assert asked.returncode == 0, asked.stderr
        client.hand_over("t", b"x")
        assert client.take().payload == b"x"
        assert "struct subscriber_list differs: newcomer is gone" in refused(administered, str(Path(ROOST).resolve()))
        client.hand_over("t", b"y")
        assert client.take().payload == b"y"
