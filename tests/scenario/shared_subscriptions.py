"""$share: each message goes to one member of each group, and to all others as ever.
[MQTT-4.8.2-1, MQTT-4.8.2-2, MQTT-4.8.2-3]"""

import collections

import pytest

from mqtt_wire import SHARED_AVAILABLE, VERSIONS, suback, subscribe


def members(server, count, text, version=5, qos=1):
    clients = [server.client(f"member-{number}", version) for number in range(count)]
    for client in clients:
        assert client.subscribe((text, qos)) == [qos]
    return clients


def taken(clients, publisher):
    """What each has got from this publisher: an end of its own, which comes behind it, says that there is no more."""
    found = []
    for client in clients:
        client.subscribe((f"$end/{client.client_id}", 2))
        publisher.hand_over(f"$end/{client.client_id}", b"", qos=2)
        found.append([])
        while not (message := client.take()).topic.startswith("$end"):
            found[-1].append(message.payload)
    return found


def close(clients):
    for client in clients:
        client.close()


def test_version_5_is_not_told_that_they_are_missing(server):
    with server.client("to", 5) as client:
        assert client.connack.properties.get(SHARED_AVAILABLE, 1) == 1


@pytest.mark.threads
@pytest.mark.parametrize("level", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_each_message_goes_to_one_member(server, level, qos):
    """3.1.1 does not know them, and has them all the same: no topic that it may subscribe to is named so."""
    clients = members(server, 4, "$share/group/t/+", level, qos)
    with server.client("other", 5) as other, server.client("from", 5) as publisher:
        other.subscribe(("t/#", 2))
        for number in range(100):
            publisher.hand_over(f"t/{number % 3}", str(number), qos=qos)
        assert [int(other.take().payload) for _ in range(100)] == list(range(100))
        got = taken(clients, publisher)
        assert sorted(int(payload) for one in got for payload in one) == list(range(100))
        assert all(len(one) >= 10 for one in got), [len(one) for one in got]
    close(clients)


@pytest.mark.threads
def test_spread_within_10_percent(serve):
    server = serve("--shards", "4")
    clients = members(server, 100, "$share/group/t", qos=0)
    with server.client("from", 5) as publisher:
        for _ in range(100 * 100 // 50):
            for _ in range(50):
                publisher.publish("t", b"x")
            publisher.expect_nothing_before_ping()
        counts = [len(one) for one in taken(clients, publisher)]
    assert sum(counts) == 100 * 100
    assert 90 <= min(counts) and max(counts) <= 110, sorted(counts)
    close(clients)


def test_each_group_gets_it_once(server):
    groups = {name: [server.client(f"{name}-{number}", 5) for number in range(3)] for name in ("one", "two", "Two")}
    for name, clients in groups.items():
        for client in clients:
            client.subscribe((f"$share/{name}/t", 1))
    with server.client("from", 5) as publisher:
        for number in range(30):
            publisher.hand_over("t", str(number))
        for clients in groups.values():
            assert sorted(int(payload) for one in taken(clients, publisher) for payload in one) == list(range(30))
            close(clients)


def test_one_group_name_with_two_filters_is_two_groups(server):
    with server.client("a", 5) as one, server.client("b", 5) as two, server.client("from", 5) as publisher:
        one.subscribe(("$share/group/t", 1))
        two.subscribe(("$share/group/+", 1))
        publisher.hand_over("t", b"x")
        assert (one.take().payload, two.take().payload) == (b"x", b"x")


def test_beside_a_subscription_of_one_s_own(server):
    """[section 4.8.2]: two subscriptions, two copies."""
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("$share/group/t", 1), ("t", 1))
        publisher.hand_over("t", b"x")
        assert collections.Counter(payload for one in taken([client], publisher) for payload in one) == {b"x": 2}


def test_each_member_has_its_own_qos(server):
    with server.client("from", 5) as publisher:
        for qos in (0, 1, 2):
            with server.client(f"member-{qos}", 5) as client:
                client.subscribe(("$share/group/t", qos))
                publisher.hand_over("t", b"x", qos=2)
                assert client.take().qos == qos
                client.disconnect()


@pytest.mark.roost_only("mosquitto 2.0.11 sends what is kept")
def test_nothing_that_is_kept_comes(server):
    """[section 4.8.2]"""
    with server.client("from", 5) as publisher, server.client("member", 5) as client:
        publisher.hand_over("t", b"kept", retain=True)
        client.subscribe(("$share/group/t", 1))
        assert taken([client], publisher) == [[]]


def test_who_unsubscribes_gets_no_more(server):
    clients = members(server, 3, "$share/group/t")
    with server.client("from", 5) as publisher:
        assert clients[0].unsubscribe("$share/other/t", "$share/group/t", "t") == [0x11, 0, 0x11]
        for number in range(30):
            publisher.hand_over("t", str(number))
        got = taken(clients, publisher)
        assert got[0] == []
        assert sorted(int(payload) for one in got for payload in one) == list(range(30))
        clients[1].unsubscribe("$share/group/t")
        clients[2].disconnect()
        publisher.hand_over("t", b"nobody")
        clients[1].expect_nothing_before_ping()
    close(clients)


INVALID = ["$share/", "$share/group", "$share/group/", "$share//t", "$share/gr+up/t", "$share/#/t", "$share/+/t",
           "$share/group/a#", "$share/group/a+/b", "$share/group/#/b"]


@pytest.mark.parametrize("text", INVALID)
@pytest.mark.roost_only("mosquitto 2.0.11 ends the client")
def test_names_that_are_none(server, text):
    with server.client("member", 5) as client:
        client.send(subscribe(1, text, "t", version=5))
        client.expect(suback(1, 0x8F, 0, version=5))


def test_order_within_a_member(server):
    clients = members(server, 3, "$share/group/t")
    with server.client("from", 5) as publisher:
        for number in range(90):
            publisher.hand_over("t", str(number))
        for one in taken(clients, publisher):
            numbers = [int(payload) for payload in one]
            assert numbers == sorted(numbers)
    close(clients)
