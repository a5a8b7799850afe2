"""Whether a subscription brings what is kept: always, only if it is new, never.
[MQTT-3.3.1-9, MQTT-3.3.1-10, MQTT-3.3.1-11, MQTT-3.8.4-3, MQTT-3.8.4-4; MQTT-3.8.4-3 of 3.1.1]"""

import pytest

from mqtt_wire import RETAIN_IF_NEW, RETAIN_NEVER, subscribe


@pytest.fixture
def publisher(server):
    with server.client("from", 5) as client:
        client.hand_over("t", b"kept", retain=True)
        yield client


def brings(client, publisher, options):
    """Whether a subscription with these options brings the message that is kept."""
    client.subscribe(("t", options))
    publisher.hand_over("t", b"now")
    got = [client.take()]
    while got[-1].payload != b"now":
        got.append(client.take())
    assert [(m.payload, m.retain) for m in got] in ([(b"now", 0)], [(b"kept", 1), (b"now", 0)])
    return len(got) == 2


def test_always(server, publisher):
    with server.client("to", 5) as client:
        assert [brings(client, publisher, 1) for _ in range(3)] == [True] * 3


def test_only_if_new(server, publisher):
    with server.client("to", 5) as client:
        assert [brings(client, publisher, 1 | RETAIN_IF_NEW) for _ in range(2)] == [True, False]
        assert brings(client, publisher, 2 | RETAIN_IF_NEW) is False
        client.unsubscribe("t")
        assert brings(client, publisher, 1 | RETAIN_IF_NEW) is True


def test_never(server, publisher):
    with server.client("to", 5) as client:
        assert [brings(client, publisher, 1 | RETAIN_NEVER) for _ in range(2)] == [False, False]
        assert brings(client, publisher, 1) is True


def test_only_if_new_in_a_resumed_session(server, publisher):
    with server.session("to", 5) as client:
        assert brings(client, publisher, 1 | RETAIN_IF_NEW) is True
        client.disconnect()
    with server.session("to", 5) as client:
        assert brings(client, publisher, 1 | RETAIN_IF_NEW) is False


def test_a_resumed_session_alone_brings_nothing(server, publisher):
    with server.session("to", 5) as client:
        assert brings(client, publisher, 1) is True
        client.disconnect()
    with server.session("to", 5) as client:
        client.expect_nothing_before_ping()


def test_3_1_1_gets_it_each_time(server, publisher):
    with server.client("to", 4) as client:
        assert [brings(client, publisher, 1) for _ in range(3)] == [True] * 3


def test_each_filter_of_a_packet_has_its_own(server, publisher):
    publisher.hand_over("u", b"kept", retain=True)
    publisher.hand_over("v", b"kept", retain=True)
    with server.client("to", 5) as client:
        client.subscribe(("t", RETAIN_NEVER), ("u", 0), ("v", RETAIN_IF_NEW))
        assert {client.message().topic for _ in range(2)} == {"u", "v"}
        client.expect_nothing_before_ping()


def test_3_is_a_protocol_error(server):
    """[section 3.8.3.1]"""
    with server.client("to", 5) as client:
        client.send(subscribe(1, ("t", RETAIN_IF_NEW | RETAIN_NEVER), version=5))
        client.expect_refusal(0x82)
