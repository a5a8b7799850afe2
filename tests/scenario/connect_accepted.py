"""CONNACK says what there is and what there is not. [MQTT-3.2]"""

from mqtt_wire import (CONNACK, MAXIMUM_QOS, RECEIVE_MAXIMUM, RETAIN_AVAILABLE, SHARED_AVAILABLE,
                       SUBSCRIPTION_ID_AVAILABLE, TOPIC_ALIAS_MAXIMUM, WILDCARD_AVAILABLE, connect)


def test_3_1_1_is_exactly_four_bytes(server):
    with server.raw(4) as connection:
        connection.send(connect("one", 4))
        connection.expect(b"\x20\x02\x00\x00")


def test_3_1_1_with_clean_session_0_has_no_session_present(server):
    with server.raw(4) as connection:
        connection.send(connect("two", 4, clean=False))
        connection.expect(b"\x20\x02\x00\x00")


def test_version_5_tells_what_there_is(serve):
    """What is not mentioned is there in full."""
    with serve("--receive-max", "77", "--topic-alias-max", "9").raw(5) as connection:
        connection.send(connect("three", 5))
        connack = connection.expect_kind(CONNACK)
    assert (connack.flags, connack.session_present, connack.reason) == (0, 0, 0)
    for unlimited in (MAXIMUM_QOS, RETAIN_AVAILABLE, SHARED_AVAILABLE, SUBSCRIPTION_ID_AVAILABLE, WILDCARD_AVAILABLE):
        assert unlimited not in connack.properties
    assert connack.properties[RECEIVE_MAXIMUM] == 77
    assert connack.properties[TOPIC_ALIAS_MAXIMUM] == 9
    assert len(connack.pairs) == len(connack.properties), "a property came twice"


def test_byte_by_byte(server, version):
    with server.raw(version) as connection:
        for byte in connect("slow", version):
            connection.send(bytes([byte]))
        assert connection.expect_kind(CONNACK).reason == 0


def test_what_follows_in_the_same_segment_is_answered(server, version):
    with server.raw(version) as connection:
        connection.send(connect("eager", version) + b"\xc0\x00")
        assert connection.expect_kind(CONNACK).reason == 0
        connection.expect(b"\xd0\x00")
