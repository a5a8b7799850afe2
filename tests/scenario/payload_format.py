"""A payload that is said to be UTF-8 may be looked at: an option, and then what is not is refused. [MQTT-3.3.2-4]"""

import pytest

from mqtt_wire import DISCONNECT, PAYLOAD_FORMAT, PUBACK, PUBREC, Will, connect

BAD = b"\xff\xfe"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_with_the_check_it_is_refused(serve, qos):
    server = serve("--shards", "2", "--payload-format-check")
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 2))
        publisher.publish("t", BAD, qos=qos, packet_id=1 if qos else None, pairs=[(PAYLOAD_FORMAT, 1)])
        got = publisher.packet()
        assert (got.kind, got.reason) in ((DISCONNECT, 0x99), ((0, PUBACK, PUBREC)[qos], 0x99))
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("pairs, payload", [([(PAYLOAD_FORMAT, 1)], "häh".encode()), ([(PAYLOAD_FORMAT, 0)], BAD), ([], BAD)])
def test_with_the_check_all_else_passes(serve, pairs, payload):
    server = serve("--shards", "2", "--payload-format-check")
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 2))
        for qos in (0, 1, 2):
            publisher.hand_over("t", payload, qos=qos, pairs=pairs)
            message = client.take()
            assert (message.payload, message.pairs) == (payload, pairs)


def test_without_it_nobody_looks(serve):
    server = serve("--shards", "2", "--no-payload-format-check")
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe("t")
        publisher.publish("t", BAD, pairs=[(PAYLOAD_FORMAT, 1)])
        message = client.message()
        assert (message.payload, message.pairs) == (BAD, [(PAYLOAD_FORMAT, 1)])


def test_behind_a_refusing_pubrec_the_identifier_means_a_new_message(serve):
    """[MQTT-4.3.3-9]"""
    server = serve("--shards", "2", "--payload-format-check")
    with server.client("to", 5) as client, server.client("from", 5) as publisher:
        client.subscribe(("t", 2))
        publisher.publish("t", BAD, qos=2, packet_id=7, pairs=[(PAYLOAD_FORMAT, 1)])
        assert publisher.answer(PUBREC, 7).reason == 0x99
        publisher.publish("t", b"good", qos=2, packet_id=7, pairs=[(PAYLOAD_FORMAT, 1)])
        assert publisher.answer(PUBREC, 7).reason == 0
        publisher.release(7)
        assert client.take().payload == b"good"


@pytest.mark.roost_only("mosquitto 2.0.11 takes any value")
def test_2_is_a_protocol_error(server):
    """[section 3.3.2.3.2]"""
    with server.client("from", 5) as publisher:
        publisher.publish("t", b"x", pairs=[(PAYLOAD_FORMAT, 2)])
        publisher.expect_refusal(0x82)


def will(payload, pairs):
    return Will("gone", payload, pairs=pairs)


def test_a_will_that_is_not_what_it_says_is_refused_at_once(serve):
    """[section 3.1.3.2.3] When it is due nobody is there to be told."""
    server = serve("--shards", "2", "--payload-format-check")
    with server.raw(5) as connection:
        connection.send(connect("c", 5, will=will(BAD, [(PAYLOAD_FORMAT, 1)])))
        connection.expect_connack_refusal(0x99)
    server.wait_counter("end_payload_format", 1)


@pytest.mark.parametrize("check, payload, pairs", [("--payload-format-check", "häh".encode(), [(PAYLOAD_FORMAT, 1)]),
                                                   ("--payload-format-check", BAD, [(PAYLOAD_FORMAT, 0)]),
                                                   ("--payload-format-check", BAD, []),
                                                   ("--no-payload-format-check", BAD, [(PAYLOAD_FORMAT, 1)])])
def test_any_other_will_is_published(serve, check, payload, pairs):
    server = serve("--shards", "2", check)
    with server.client("to", 5) as client:
        client.subscribe("gone")
        server.client("from", 5, will=will(payload, pairs)).reset()
        message = client.take()
        assert (message.payload, message.pairs) == (payload, pairs)
