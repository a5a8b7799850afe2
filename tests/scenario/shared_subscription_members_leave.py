"""A member of a group that leaves: what it has not taken goes to another, or waits for it, as its QoS asks for.
[MQTT-4.8.2-4, MQTT-4.8.2-5, MQTT-4.8.2-6]"""

import pytest

from mqtt_wire import PUBREC, PUBREL, acknowledge

GROUP = "$share/group/t"


def payloads(client, count):
    return sorted(int(client.take().payload) for _ in range(count))


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "disconnect"])
def test_new_messages_go_to_those_who_are_there(server, way):
    leaver, stays = server.client("leaves", 5), server.client("stays", 5)
    for client in (leaver, stays):
        client.subscribe((GROUP, 1))
    if way == "close":
        leaver.half_close()
        leaver.ends()
    else:
        leaver.disconnect()
    with server.client("from", 5) as publisher:
        for number in range(20):
            publisher.hand_over("t", str(number))
        assert payloads(stays, 20) == list(range(20))
    stays.close()
    leaver.close()


@pytest.mark.roost_only("mosquitto 2.0.11 drops what was under way")
def test_qos_1_that_was_not_acknowledged_goes_to_another_when_the_session_ends(server):
    """[section 4.8.2]"""
    leaver, stays = server.client("leaves", 5), server.client("stays", 5)
    for client in (leaver, stays):
        client.subscribe((GROUP, 1))
    with server.client("from", 5) as publisher:
        for number in range(20):
            publisher.hand_over("t", str(number))
        leaver.expect_kind(3)
        leaver.disconnect()
        assert payloads(stays, 20) == list(range(20))
    stays.close()


def test_qos_2_under_way_goes_to_nobody_else_when_the_session_ends(server):
    leaver, stays = server.client("leaves", 5), server.client("stays", 5)
    for client in (leaver, stays):
        client.subscribe((GROUP, 2))
    with server.client("from", 5) as publisher:
        for number in range(20):
            publisher.hand_over("t", str(number), qos=2)
        got = set()
        stays.subscribe(("end", 2))
        publisher.hand_over("end", b"", qos=2)
        while (message := stays.take()).topic != "end":
            got.add(int(message.payload))
        under_way = {int(leaver.message().payload) for _ in range(20 - len(got))}
        leaver.disconnect()
        publisher.hand_over("end", b"", qos=2)
        assert stays.take().topic == "end"
        assert got | under_way == set(range(20)) and not got & under_way
    stays.close()


def test_qos_2_under_way_completes_when_the_client_is_back(server):
    with server.client("from", 5) as publisher:
        first = server.session("member", 5)
        first.subscribe((GROUP, 2))
        for number in range(2):
            publisher.hand_over("t", str(number), qos=2)
        one, two = first.message(), first.message()
        first.send(acknowledge(PUBREC, one.packet_id))
        first.expect_kind(PUBREL)
        first.disconnect()
        with server.client("other", 5) as other:
            other.subscribe((GROUP, 2))
            with server.session("member", 5) as second:
                packets = [second.packet() for _ in range(2)]
                assert sorted((p.kind, p.packet_id) for p in packets) == [(3, two.packet_id), (PUBREL, one.packet_id)]
            other.expect_nothing_before_ping()


@pytest.mark.parametrize("qos, reason", [(1, 0x80), (1, 0x97), (2, 0x83)])
@pytest.mark.roost_only("mosquitto 2.0.11 answers a refusing PUBREC with PUBREL")
def test_what_a_member_refuses_goes_to_nobody_else(server, qos, reason):
    with server.client("refuses", 5) as refuses, server.client("from", 5) as publisher:
        refuses.subscribe((GROUP, qos))
        publisher.hand_over("t", b"x", qos=2)
        message = refuses.message()
        with server.client("other", 5) as other:
            other.subscribe((GROUP, qos))
            refuses.send(acknowledge(4 if qos == 1 else PUBREC, message.packet_id, reason))
            refuses.disconnect()
            publisher.hand_over("t", b"end", qos=2)
            assert other.take().payload == b"end"


def test_a_group_whose_members_are_all_away_has_its_messages_kept(server):
    """For one of them: who comes back gets what was given to it. [section 4.8.2]"""
    names = ["one", "two"]
    for name in names:
        with server.session(name, 5) as client:
            client.subscribe((GROUP, 1))
            client.disconnect()
    got = []
    with server.client("from", 5) as publisher:
        for number in range(20):
            publisher.hand_over("t", str(number))
        for name in names:
            with server.session(name, 5) as client:
                client.subscribe(("end", 1))
                publisher.hand_over("end", b"")
                while (message := client.take()).topic != "end":
                    got.append(int(message.payload))
                client.disconnect()
    assert sorted(got) == list(range(20))


@pytest.mark.roost_only("mosquitto 2.0.11 gives to those who are away, too, as it may")
def test_those_who_are_there_are_preferred(server):
    with server.session("away", 5) as away, server.client("there", 5) as there, server.client("from", 5) as publisher:
        for client in (away, there):
            client.subscribe((GROUP, 1))
        away.disconnect()
        for number in range(20):
            publisher.hand_over("t", str(number))
        assert payloads(there, 20) == list(range(20))
