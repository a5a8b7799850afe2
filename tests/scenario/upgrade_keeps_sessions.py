"""What the server knows beside its connections goes along when the program is replaced: sessions without a connection, what
is queued for them, wills, retained messages, shared subscriptions, rights, revocations and counters."""

import os

import pytest

from mqtt_wire import PINGREQ_BYTES, PUBLISH, SUBSCRIPTION_IDENTIFIER, WILL_DELAY, Refused, Will
from server import roost
from tokens import secret_file, token

pytestmark = pytest.mark.roost_only("it replaces Roost's program")


def test_offline_sessions_and_their_queues(server):
    with server.client("from", 5) as publisher:
        for n in range(6):
            away = server.session(f"away-{n}", 4 + n % 2)
            away.subscribe((f"to/{n}", 2), ("all", 1))
            away.disconnect()
        for n in range(6):
            publisher.hand_over(f"to/{n}", b"first", qos=2)
        server.upgrade()
        publisher.hand_over("all", b"second")
        for n in range(6):
            with server.session(f"away-{n}", 4 + n % 2) as back:
                assert back.connack.session_present == 1
                assert [back.take().payload, back.take().payload] == [b"first", b"second"]
    server.wait_counter("queue_messages", 0)


def test_a_session_ends_when_its_time_has_passed(server):
    will = Will("ended", b"x", pairs=[(WILL_DELAY, 3600)])
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        server.session("short", 5, expiry=2, will=will).reset()
        server.wait_counter("sessions_offline", 1)
        server.upgrade()
        assert watch.message().payload == b"x"
        server.wait_counter("sessions_offline", 0)


def test_wills(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("will/#")
        delayed = server.session("delayed", 5, will=Will("will/delayed", b"d", pairs=[(WILL_DELAY, 1)]))
        present = server.client("present", 5, will=Will("will/present", b"p"))
        polite = server.client("polite", 5, will=Will("will/polite", b"-"))
        delayed.reset()
        server.wait_counter("sessions_offline", 1)
        server.upgrade()
        polite.disconnect()
        present.reset()
        assert {watch.message().payload for _ in range(2)} == {b"d", b"p"}
        watch.expect_nothing_before_ping()


def test_retained_messages(server):
    with server.client("from", 5) as publisher:
        for n in range(300):
            publisher.hand_over(f"kept/{n % 17}/{n}", b"%d" % n, retain=True)
        server.upgrade()
        publisher.hand_over("kept/3/3", b"", retain=True)
        publisher.hand_over("kept/4/4", b"new", retain=True)
    with server.client("reader") as reader:
        reader.subscribe(("kept/#", 1))
        found = {}
        for _ in range(299):
            message = reader.take()
            found[message.topic] = message.payload
        reader.expect_nothing_before_ping()
    assert "kept/3/3" not in found and found["kept/4/4"] == b"new" and found["kept/5/5"] == b"5"


def jobs_of(client):
    """The numbers of those that have come."""
    client.send(PINGREQ_BYTES)
    numbers = []
    while (packet := client.packet()).kind == PUBLISH:
        client.accept(packet)
        if packet.topic == "job":
            numbers.append(int(packet.payload))
    return numbers


def test_subscriptions_of_all_kinds(server):
    """Exact, with wildcards, shared, overlapping; then some are withdrawn."""
    with server.client("a", 5) as one, server.client("b", 5) as two, server.client("from", 5) as publisher:
        one.subscribe(("x/+/z", 1), ("x/#", 1), ("$share/g/job", 1), pairs=[(SUBSCRIPTION_IDENTIFIER, 7)])
        two.subscribe(("x/y/z", 0), ("$share/g/job", 1))
        server.upgrade()
        publisher.hand_over("x/y/z", b"1")
        assert two.message().payload == b"1"
        assert one.take().payload == b"1"
        for n in range(20):
            publisher.hand_over("job", b"%d" % n)
        shares = [jobs_of(client) for client in (one, two)]
        assert sorted(shares[0] + shares[1]) == list(range(20)) and all(shares)
        assert one.unsubscribe("x/+/z", "x/#") == [0, 0]
        publisher.hand_over("x/y/z", b"2")
        assert two.message().payload == b"2"
        one.expect_nothing_before_ping()
        assert server.counter("subscriptions_open") == 3


def test_rights_and_revocations(serve, tmp_path):
    """A token's rules and a file's hold on, and a revocation made before or after ends whom it names, and no others."""
    rules = tmp_path / "rules"
    rules.write_text("allow publish up/%c/#\nallow subscribe down/%u/#\neveryone\ntoken\n")
    server = serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--rule-file", str(rules),
                   "--no-allow-by-default", "--admin", "http://127.0.0.1:0")

    def sign_in(name, **options):
        return server.client(name, 5, user="", password=token(sub=f"user-{name}", jti=f"id-{name}"), **options)

    def revoke(kind, name):
        ended = roost("ctl", "--url", server.admin().url, "revoke", kind, name, "600")
        assert ended.returncode == 0, ended.stderr

    one, two, early = sign_in("one"), sign_in("two"), sign_in("early")
    revoke("token", "id-early")
    early.ends()
    server.upgrade()
    assert one.subscribe("down/user-one/a", "down/user-two/a") == [0, 0x87]
    assert one.hand_over("up/two/x") == 0x87
    revoke("user", "user-one")
    one.ends()
    for name in ("early", "one"):
        with pytest.raises(Refused):
            sign_in(name)
    two.expect_nothing_before_ping()
    two.close()


def test_counters_go_on(administered):
    server = administered
    with server.client("to", 5) as to, server.client("from", 5) as publisher:
        to.subscribe("t")
        for _ in range(10):
            publisher.publish("t", b"x")
        for _ in range(10):
            to.message()
        server.wait_counter("bytes_in", lambda value: value > 70)
        before = server.counters()
        server.upgrade()
        after = server.counters()
        for name in ("messages_in", "messages_out", "connections_signed_in", "connections_open", "subscriptions_open",
                     "connections_accepted"):
            assert after[name] == before[name], name
        # A gate sets this at the end of its turn, which may be later than its clients are served.
        assert after["bytes_in"] >= before["bytes_in"]
        assert server.admin().client("to")["state"] == "connected"


def test_nothing_is_left_over(server):
    """Twenty times, with clients that come and go: descriptors, threads and memory stay what they were."""
    def descriptors():
        server.wait_counter("connections_fixed", 0)  # sockets are descriptors again
        tasks = os.listdir(f"/proc/{server.pid}/task")
        return len(tasks), sum(len(os.listdir(f"/proc/{server.pid}/task/{task}/fd")) for task in tasks)

    clients = [server.session(f"s-{n}", 5) for n in range(20)]
    for client in clients:
        client.subscribe(("t", 1))
    server.upgrade()
    first, memory = descriptors(), server.resident_bytes()
    for n in range(20):
        server.upgrade()
        clients.append(server.session(f"s-{20 + n}", 5))
        clients.pop(0).disconnect()
    assert descriptors()[0] == first[0] and descriptors()[1] <= first[1] + 1
    assert server.resident_bytes() < memory * 1.1 + (1 << 20)
    with server.client("from") as publisher:
        publisher.hand_over("t", b"x")
    for client in clients:
        client.expect_nothing_before_ping()
        client.close()


@pytest.mark.parametrize("qos", [1, 2])
def test_the_store_goes_on(stored, qos):
    """What is acknowledged before and after an upgrade is there after the process was killed."""
    server = stored.server
    away = server.session("away", 5)
    away.subscribe(("t", qos))
    away.disconnect()
    with server.client("from", 5) as publisher:
        for n in range(30):
            publisher.hand_over("t", b"%d" % n, qos=qos)
            if n % 10 == 5:
                server.upgrade()
    server = stored.again("crash")
    with server.session("away", 5) as back:
        assert back.connack.session_present == 1
        assert [int(back.take().payload) for _ in range(30)] == list(range(30))
        back.expect_nothing_before_ping()
