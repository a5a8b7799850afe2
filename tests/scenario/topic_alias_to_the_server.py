"""A client may name a topic by a number from 1 to the server's maximum, on one connection.
[MQTT-3.3.2-7, MQTT-3.3.2-8, MQTT-3.3.2-12, MQTT-3.2.2-17]"""

import pytest

from mqtt_wire import TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM


def aliased(client, topic, number, payload=b"x", qos=1):
    return client.hand_over(topic, payload, qos=qos, pairs=[(TOPIC_ALIAS, number)])


@pytest.fixture
def watch(server):
    with server.client("watch", 5) as client:
        client.subscribe(("#", 2))
        yield client


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_set_and_used(server, watch, qos):
    with server.client("from", 5) as client:
        aliased(client, "a/b", 1, qos=qos)
        for _ in range(2):
            aliased(client, "", 1, qos=qos)
        for _ in range(3):
            message = watch.take()
            assert (message.topic, message.payload, message.qos) == ("a/b", b"x", qos)
            assert TOPIC_ALIAS not in message.properties


def test_all_up_to_the_maximum(server, watch):
    with server.client("from", 5) as client:
        maximum = client.connack.properties[TOPIC_ALIAS_MAXIMUM]
        assert maximum >= 1
        for number in range(1, maximum + 1):
            aliased(client, f"t/{number}", number)
        for number in range(maximum, 0, -1):
            aliased(client, "", number)
        got = [watch.take().topic for _ in range(2 * maximum)]
        assert got == [f"t/{n}" for n in [*range(1, maximum + 1), *range(maximum, 0, -1)]]


def test_set_again(server, watch):
    with server.client("from", 5) as client:
        for topic in ("a", "", "b", "", "a", ""):
            aliased(client, topic, 2)
        assert [watch.take().topic for _ in range(6)] == ["a", "a", "b", "b", "a", "a"]


def test_each_client_has_its_own(server, watch):
    with server.client("one", 5) as one, server.client("two", 5) as two:
        aliased(one, "of/one", 1)
        aliased(two, "of/two", 1)
        aliased(one, "", 1)
        aliased(two, "", 1)
        assert sorted(watch.take().topic for _ in range(4)) == ["of/one"] * 2 + ["of/two"] * 2


def test_each_connection_has_its_own(server, watch):
    with server.session("from", 5) as first:
        aliased(first, "t", 1)
        first.disconnect()
    with server.session("from", 5) as second:
        second.publish("", b"x", qos=1, pairs=[(TOPIC_ALIAS, 1)])
        second.expect_refusal(0x82)
    assert watch.take().topic == "t"


@pytest.mark.parametrize("number", [0, "one more", 65535])
def test_0_and_beyond_the_maximum(server, number):
    with server.client("from", 5) as client:
        if number == "one more":
            number = client.connack.properties[TOPIC_ALIAS_MAXIMUM] + 1
        client.publish("t", b"x", pairs=[(TOPIC_ALIAS, number)])
        client.expect_refusal(0x94)


def test_one_that_was_never_set(server):
    """[section 3.3.2.3.4]"""
    with server.client("from", 5) as client:
        aliased(client, "t", 1)
        client.publish("", b"x", pairs=[(TOPIC_ALIAS, 2)])
        client.expect_refusal(0x82)


def test_kept_messages_have_their_topic(server):
    with server.client("from", 5) as client, server.client("late", 5) as late:
        aliased(client, "t", 1)
        client.hand_over("", b"kept", retain=True, pairs=[(TOPIC_ALIAS, 1)])
        late.subscribe("#")
        message = late.message()
        assert (message.topic, message.payload, message.retain) == ("t", b"kept", 1)
        assert TOPIC_ALIAS not in message.properties


def test_a_repeated_qos_2_message_by_its_alias(server, watch):
    with server.client("from", 5) as client:
        aliased(client, "t", 1, b"first")
        for dup in (False, True):
            client.publish("", b"x", qos=2, packet_id=9, dup=dup, pairs=[(TOPIC_ALIAS, 1)])
            client.answer(5, 9)
        client.release(9)
        aliased(client, "", 1, b"end")
        assert [watch.take().payload for _ in range(3)] == [b"first", b"x", b"end"]


def test_none_where_none_is_offered(serve):
    """[MQTT-3.2.2-18, MQTT-3.3.2-9]"""
    server = serve("--shards", "2", "--topic-alias-max", "0")
    with server.client("from", 5) as client:
        assert client.connack.properties.get(TOPIC_ALIAS_MAXIMUM, 0) == 0
        client.publish("t", b"x", pairs=[(TOPIC_ALIAS, 1)])
        client.expect_refusal(0x94)


def test_the_server_s_maximum_is_an_option(serve):
    """[MQTT-3.2.2-17, MQTT-3.3.2-9]"""
    server = serve("--shards", "2", "--topic-alias-max", "3")
    with server.client("from", 5) as client:
        assert client.connack.properties[TOPIC_ALIAS_MAXIMUM] == 3
        aliased(client, "t", 3)
        client.publish("t", b"x", pairs=[(TOPIC_ALIAS, 4)])
        client.expect_refusal(0x94)
