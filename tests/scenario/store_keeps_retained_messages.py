"""With a store, retained messages outlive the server. [section 3.3.1.3; MQTT-3.3.1-5, MQTT-3.3.1-6]"""

import pytest

from mqtt_wire import MESSAGE_EXPIRY, USER_PROPERTY, let_pass
from store import ENDS, Stored


def retained(server, version, *filters):
    """What a newcomer is sent."""
    with server.client("watch", version) as client:
        client.subscribe(*[(text, 2) for text in filters])
        client.subscribe(("end", 2))
        client.hand_over("end", b"")
        found = {}
        while (message := client.take()).topic != "end":
            found[message.topic] = message
        return found


@pytest.mark.parametrize("end", ENDS)
def test_the_last_of_each_topic(stored, version, end):
    with stored.server.client("from", version) as publisher:
        for round in range(3):
            for number in range(20):
                publisher.hand_over(f"r/{number}", f"{number}.{round}", qos=number % 3, retain=True)
        publisher.hand_over("r/0", b"", retain=True)
        publisher.hand_over("r/1", b"", qos=0, retain=True)
        publisher.expect_nothing_before_ping()
        publisher.hand_over("r/last", b"x", retain=True)
    server = stored.again(end)
    found = retained(server, version, "r/+")
    assert {topic: message.payload for topic, message in found.items()} == {
        "r/last": b"x", **{f"r/{number}": f"{number}.2".encode() for number in range(2, 20)}}
    assert all(message.retain for message in found.values())
    assert [found[f"r/{number}"].qos for number in (3, 4, 5)] == [0, 1, 2]


@pytest.mark.parametrize("end", ENDS)
def test_properties_and_what_is_left_of_the_expiry(stored, end):
    with stored.server.client("from", 5) as publisher:
        publisher.hand_over("r/short", b"x", retain=True, pairs=[(MESSAGE_EXPIRY, 1)])
        publisher.hand_over("r/long", b"x", retain=True, pairs=[(MESSAGE_EXPIRY, 1000), (USER_PROPERTY, ("k", "v"))])
    getattr(stored.server, end)()
    let_pass(2.1)
    found = retained(stored.start(), 5, "r/+")
    assert set(found) == {"r/long"}
    # Two seconds have passed for sure; each of the two processes counts whole ones.
    assert 900 < found["r/long"].properties[MESSAGE_EXPIRY] <= 999
    assert found["r/long"].properties[USER_PROPERTY] == ("k", "v")


def test_one_that_was_taken_away_stays_away(stored, version):
    with stored.server.client("from", version) as publisher:
        publisher.hand_over("r", b"x", retain=True)
    server = stored.again("crash")
    with server.client("from", version) as publisher:
        publisher.hand_over("r", b"", retain=True)
    assert retained(stored.again("crash"), version, "r") == {}


def test_the_server_s_own_are_made_anew(serve, tmp_path):
    """$SYS is not in the store."""
    stored = Stored(serve, tmp_path / "store", "--sys-interval-s", "1")
    stored.start()
    server = stored.again("stop")
    with server.client("watch") as client:
        client.subscribe("$SYS/broker/uptime")
        assert client.message().payload.decode().split()[0] in ("0", "1")
