"""A subscription ends when the right to it is taken: by rules that are read again, by a token that says less at AUTH or when
the session goes on. The client is not told, since MQTT has no word for it; who watches is. What waits goes with it."""

import json
import signal

import pytest

from mqtt_wire import AUTH, AUTH_DATA, AUTH_METHOD, auth
from tokens import secret_file, token

OPEN = "allow all #\nallow subscribe $SYS/#\n"
NARROW = "deny subscribe secret/#\n" + OPEN
EVENT = "$SYS/presence/unsubscribed"
WIDE_CLAIM = {"permissions": {"subscribe": ["secret/#", "open/#"], "publish": ["#"]}}
NARROW_CLAIM = {"permissions": {"subscribe": ["open/#"], "publish": ["#"]}}
NO_RULES = "user boss\nallow all #\nallow subscribe $SYS/#\n"


@pytest.fixture
def rules(tmp_path):
    return tmp_path / "rules"


@pytest.fixture
def guarded(serve, tmp_path, rules):
    def start(text):
        rules.write_text(text)
        return serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--rule-file", str(rules),
                     "--no-allow-by-default", log_level="info")
    return start


def come(server, client_id, version=5, user="u", claims=(), **options):
    return server.client(client_id, version, user="", password=token(sub=user, **dict(claims)), **options)


def session(server, client_id, version, claims=()):
    return server.session(client_id, version, user="", password=token(**dict(claims)))


def watching(server):
    boss = come(server, "boss", user="boss")
    assert boss.subscribe((EVENT, 1)) == [1]
    return boss


def expect_event(boss, client_id, text):
    message = boss.take()
    event = json.loads(message.payload)
    assert (message.topic, event["client"], event["filter"], event["reason"]) == (EVENT, client_id, text, "SUBSCRIBE_DENIED")


def narrow(server, rules):
    rules.write_text(NARROW)
    start = len(server.lines)
    server.process.send_signal(signal.SIGHUP)
    server.wait_line("reloaded", start)


@pytest.mark.threads
def test_by_rules_that_are_read_again(guarded, rules, version):
    server = guarded(OPEN)
    with watching(server) as boss, come(server, "c", version) as client:
        assert client.subscribe("secret/#", "open/#", "$share/g/secret/x") == [0, 0, 0]
        boss.hand_over("secret/x", b"before")
        assert [client.take().payload for _ in range(2)] == [b"before"] * 2
        narrow(server, rules)
        ended = set()
        for _ in range(2):
            ended.add(json.loads(boss.take().payload)["filter"])
        assert ended == {"secret/#", "$share/g/secret/x"}
        boss.hand_over("secret/x", b"after")
        boss.hand_over("open/x", b"after")
        assert client.take().topic == "open/x"
        client.expect_nothing_before_ping()
        line = server.lines[server.wait_line('client "c": subscriptions ended')]
        assert line.endswith(": 2")
    server.wait_counter("subscriptions_revoked", 2)


@pytest.mark.threads
def test_of_a_session_without_a_connection(guarded, rules, version):
    server = guarded(OPEN)
    with watching(server) as boss:
        with session(server, "c", version) as client:
            assert client.subscribe(("secret/#", 1), ("open/#", 1)) == [1, 1]
            client.disconnect()
        server.wait_counter("sessions_offline", 1)
        boss.hand_over("secret/x", b"waits")
        boss.hand_over("open/x", b"waits")
        server.wait_counter("queue_messages", 2)  # they are in its queue, on whichever shard
        narrow(server, rules)
        expect_event(boss, "c", "secret/#")
        boss.hand_over("secret/x", b"after")
        with session(server, "c", version) as client:
            assert client.connack.session_present == 1
            assert client.take().topic == "open/x"
            client.expect_nothing_before_ping()
    server.wait_counter("messages_dropped_denied", 1)


@pytest.mark.threads
def test_by_a_narrower_token_when_the_session_goes_on(guarded, version):
    server = guarded(NO_RULES)
    with watching(server) as boss:
        with session(server, "c", version, WIDE_CLAIM) as client:
            assert client.subscribe(("secret/#", 1), ("open/#", 1)) == [1, 1]
            client.disconnect()
        server.wait_counter("sessions_offline", 1)
        for number in range(3):
            boss.hand_over("secret/x", str(number).encode())
            boss.hand_over("open/x", str(number).encode())
        server.wait_counter("queue_messages", 6)
        with session(server, "c", version, NARROW_CLAIM) as client:
            assert client.connack.session_present == 1
            assert [client.take().topic for _ in range(3)] == ["open/x"] * 3
            expect_event(boss, "c", "secret/#")
            boss.hand_over("secret/x", b"after")
            client.expect_nothing_before_ping()
            client.disconnect()
        # And one that says more does not bring it back.
        server.wait_counter("sessions_offline", 1)
        with session(server, "c", version, WIDE_CLAIM) as client:
            boss.hand_over("secret/x", b"after")
            boss.hand_over("open/x", b"end")
            assert client.take().topic == "open/x"


def test_the_same_token_takes_nothing(guarded, version):
    server = guarded(NO_RULES)
    with session(server, "c", version, WIDE_CLAIM) as client:
        client.subscribe(("secret/#", 1))
    with session(server, "c", version, WIDE_CLAIM) as client, come(server, "boss", user="boss") as boss:
        boss.hand_over("secret/x", b"x")
        assert client.take().payload == b"x"
    assert server.counter("subscriptions_revoked") == 0


@pytest.mark.threads
def test_by_auth(guarded):
    server = guarded(NO_RULES)
    with watching(server) as boss, server.client("c", 5, pairs=[
            (AUTH_METHOD, "token"), (AUTH_DATA, token(**WIDE_CLAIM).encode())]) as client:
        assert client.subscribe("secret/#", "open/#") == [0, 0]
        client.send(auth(0x19, [(AUTH_METHOD, "token"), (AUTH_DATA, token(**NARROW_CLAIM).encode())]))
        assert client.expect_kind(AUTH).reason == 0
        expect_event(boss, "c", "secret/#")
        boss.hand_over("secret/x", b"after")
        boss.hand_over("open/x", b"after")
        assert client.take().topic == "open/x"
        client.expect_nothing_before_ping()


@pytest.mark.threads
def test_many_sessions_on_all_shards(guarded, rules):
    server = guarded(OPEN)
    with watching(server):
        clients = [come(server, f"c{number}") for number in range(60)]
        for client in clients:
            client.subscribe(*[f"secret/{number}" for number in range(20)], "open/#")
        narrow(server, rules)
        server.wait_counter("subscriptions_revoked", 60 * 20)
        with come(server, "from") as publisher:
            for number in range(20):
                publisher.publish(f"secret/{number}", b"x")
            publisher.publish("open/x", b"end")
            for client in clients:
                assert client.message().topic == "open/x"
                client.close()
