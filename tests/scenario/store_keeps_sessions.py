"""With a store, a session outlives the server: its subscriptions, and what waits for it at QoS 1 and 2.
[MQTT-3.1.2-5, MQTT-4.1.0-1; section 4.1]"""

import pytest

from fake_clock import FakeClock
from mqtt_wire import (
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PINGREQ_BYTES, PINGRESP_BYTES, RESPONSE_TOPIC, SUBSCRIPTION_IDENTIFIER,
    USER_PROPERTY, connect, let_pass,
)
from server import roost
from store import ENDS, Stored


def subscribed(server, version, *filters, client_id="away", **named):
    """A session whose client has left."""
    with server.session(client_id, version, **named) as client:
        client.subscribe(*filters)
        client.disconnect()


@pytest.mark.threads
@pytest.mark.parametrize("end", ENDS)
def test_messages_in_order(stored, version, end):
    subscribed(stored.server, version, ("t/#", 2))
    with stored.server.client("from", version) as publisher:
        for number in range(50):
            publisher.hand_over(f"t/{number % 3}", str(number), qos=1 + number % 2)
    server = stored.again(end)
    with server.session("away", version) as client:
        assert client.connack.session_present == 1
        got = [client.take() for _ in range(50)]
        assert [int(message.payload) for message in got] == list(range(50))
        assert all((m.topic, m.qos, m.dup, m.retain) == (f"t/{i % 3}", 1 + i % 2, 0, 0) for i, m in enumerate(got))
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_what_was_taken_does_not_come_again(stored, version, end):
    subscribed(stored.server, version, ("t", 2))
    with stored.server.client("from", version) as publisher:
        for number in range(4):
            publisher.hand_over("t", str(number), qos=1 + number % 2)
    with stored.server.session("away", version) as client:
        assert [client.take().payload for _ in range(2)] == [b"0", b"1"]
        # Nobody confirms an acknowledgement, so a crash may undo it. SUBACK confirms all that came before.
        client.subscribe("other")
        client.disconnect()
    server = stored.again(end)
    with server.session("away", version) as client:
        assert [client.take().payload for _ in range(2)] == [b"2", b"3"]
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_subscriptions(stored, version, end):
    with stored.server.session("away", version) as client:
        client.subscribe(("a/+", 1), ("b/#", 0), ("c", 2))
        client.unsubscribe("c")
        client.disconnect()
    server = stored.again(end)
    with server.session("away", version) as client, server.client("from", version) as publisher:
        for topic in ("c", "a/x", "b/x/y"):
            publisher.hand_over(topic, topic, qos=2)
        assert {(m.topic, m.qos) for m in (client.take(), client.take())} == {("a/x", 1), ("b/x/y", 0)}
        client.expect_nothing_before_ping()


def test_subscription_identifier(stored):
    with stored.server.session("away", 5) as client:
        client.subscribe(("t", 1), pairs=[(SUBSCRIPTION_IDENTIFIER, 77)])
        client.disconnect()
    server = stored.again("crash")
    with server.session("away", 5) as client, server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x")
        assert client.take().properties[SUBSCRIPTION_IDENTIFIER] == 77


def test_properties(stored):
    pairs = [(CONTENT_TYPE, "text/x"), (RESPONSE_TOPIC, "re/ply"), (CORRELATION_DATA, b"\x00\x07"), (USER_PROPERTY, ("a", "1")),
             (USER_PROPERTY, ("a", "2"))]
    subscribed(stored.server, 5, ("t", 2))
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("t", b"x" * 60000, qos=2, pairs=pairs)
    server = stored.again("stop")
    with server.session("away", 5) as client:
        message = client.take()
        assert message.payload == b"x" * 60000
        assert sorted(map(str, message.pairs)) == sorted(map(str, pairs))


@pytest.mark.parametrize("end", ENDS)
def test_expiry_goes_on_while_the_server_is_away(stored, end):
    subscribed(stored.server, 5, ("t", 1))
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("t", b"short", pairs=[(MESSAGE_EXPIRY, 1)])
        publisher.hand_over("t", b"long", pairs=[(MESSAGE_EXPIRY, 1000)])
    getattr(stored.server, end)()
    let_pass(2.1)
    with stored.start().session("away", 5) as client:
        message = client.take()
        assert message.payload == b"long"
        assert 900 < message.properties[MESSAGE_EXPIRY] <= 998
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("end", ENDS)
def test_a_clock_that_was_wrong_once(serve, tmp_path, end):
    """A day ahead, and put right: what has an hour left goes on for an hour, whatever the number of restarts."""
    clock = FakeClock(tmp_path)
    clock.set(24 * 3600)
    stored = Stored(serve, tmp_path / "store", prefix=clock.prefix)
    subscribed(stored.start(), 5, ("t", 1))
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("t", b"hour", pairs=[(MESSAGE_EXPIRY, 3600)])
    clock.set(0)
    for _ in range(2):
        stored.again(end)
    with stored.again(end).session("away", 5) as client:
        assert client.connack.session_present == 1
        assert 3500 < client.take().properties[MESSAGE_EXPIRY] <= 3600


@pytest.mark.parametrize("end", ENDS)
def test_session_that_expires_meanwhile(stored, end):
    subscribed(stored.server, 5, ("t", 1), expiry=1)
    subscribed(stored.server, 5, ("t", 1), client_id="other", expiry=1000)
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("t", b"safe, and with it that both have left")
    getattr(stored.server, end)()
    let_pass(2.1)
    server = stored.start()
    assert server.session("away", 5).connack.session_present == 0
    assert server.session("other", 5).connack.session_present == 1


def test_session_that_ends_with_its_connection(stored, version):
    """It leaves nothing behind, whatever the way in which the server ends."""
    client = stored.server.client("brief", version)
    client.subscribe(("t", 1))
    server = stored.again("crash")
    assert server.session("brief", version).connack.session_present == 0
    client.close()


@pytest.mark.parametrize("end", ENDS)
def test_clean_start_forgets_it(stored, version, end):
    subscribed(stored.server, version, ("t", 1))
    with stored.server.client("from", version) as publisher:
        publisher.hand_over("t", b"x")
    stored.server.client("away", version).disconnect()
    server = stored.again(end)
    assert server.session("away", version).connack.session_present == 0


def test_several_restarts(stored, version):
    """What is restored is written anew each time."""
    subscribed(stored.server, version, ("t", 2))
    for number in range(4):
        with stored.server.client("from", version) as publisher:
            publisher.hand_over("t", str(number), qos=1 + number % 2)
        stored.again(ENDS[number % 2])
    with stored.server.session("away", version) as client:
        assert [client.take().payload for _ in range(4)] == [b"0", b"1", b"2", b"3"]
        client.expect_nothing_before_ping()


def test_with_other_shards(stored, version):
    """Clients fall on shards by a hash, and find their sessions on others after the restart."""
    for number in range(20):
        subscribed(stored.server, version, (f"to/{number}", 1), client_id=f"c-{number}")
    with stored.server.client("from", version) as publisher:
        for number in range(20):
            publisher.hand_over(f"to/{number}", str(number))
    stored.options = ("--shards", "3")
    server = stored.again("stop")
    for number in range(20):
        with server.session(f"c-{number}", version) as client:
            assert client.take().payload == str(number).encode()


def until_ping(client):
    """The numbers that wait for it, each accepted."""
    client.send(PINGREQ_BYTES)
    numbers = []
    while (packet := client.packet()).raw != PINGRESP_BYTES:
        numbers.append(int(client.accept(packet).payload))
    return numbers


def test_shared_subscription(stored):
    """What no member has taken waits for one."""
    for name in ("one", "two"):
        subscribed(stored.server, 5, ("$share/g/t", 1), client_id=name)
    with stored.server.client("from", 5) as publisher:
        for number in range(10):
            publisher.hand_over("t", str(number))
    server = stored.again("crash")
    with server.session("one", 5) as one, server.session("two", 5) as two:
        assert sorted([*until_ping(one), *until_ping(two)]) == list(range(10))


def test_revocations_are_kept_in_it(stored):
    server = stored.again("stop", "--admin", "http://127.0.0.1:0")
    assert roost("ctl", "--url", server.admin().url, "revoke", "client", "bad").returncode == 0
    assert (stored.directory / "revocations").exists()
    server = stored.again("crash")
    with server.raw(5) as connection:
        connection.send(connect("bad", 5))
        connection.expect_connack_refusal(0x8A)
