"""CONNACK says whether a session was there, and clean start decides what becomes of it.
[MQTT-3.1.2-4, MQTT-3.1.2-5, MQTT-3.1.2-6, MQTT-3.1.4-4, MQTT-3.2.2-2, MQTT-3.2.2-3;
MQTT-3.1.2-4, MQTT-3.1.2-6, MQTT-3.1.4-3, MQTT-3.2.2-1, MQTT-3.2.2-2, MQTT-3.2.2-3 of 3.1.1]"""

import itertools

import pytest

from mqtt_wire import SESSION_EXPIRY, VERSIONS


def test_of_a_new_session_it_is_0(server, version):
    for clean in (False, True):
        with server.session(f"new-{clean}", version, clean=clean) as client:
            assert client.connack.session_present == 0


@pytest.mark.threads
@pytest.mark.parametrize("way", ["close", "disconnect", "take over"])
def test_of_one_that_was_left_it_is_1(server, version, way):
    first = server.session("same", version)
    assert first.connack.session_present == 0
    if way != "take over":
        getattr(first, way)()
    with server.session("same", version) as second:
        assert second.connack.session_present == 1
    first.close()


def test_clean_start_ends_the_old_one_and_says_0(server, version):
    with server.client("from", version) as publisher:
        with server.session("same", version) as first:
            first.subscribe(("t", 1))
            first.disconnect()
        publisher.hand_over("t", b"waits")
        with server.session("same", version, clean=True) as second:
            assert second.connack.session_present == 0
            publisher.hand_over("t", b"x")
            second.expect_nothing_before_ping()
            assert second.unsubscribe("t") == ([0x11] if version == 5 else [])


def test_a_session_begun_with_clean_start_can_outlive_its_connection_in_version_5(server):
    with server.session("same", 5, clean=True) as first:
        first.subscribe("t")
        first.disconnect()
    with server.session("same", 5) as second:
        assert second.connack.session_present == 1


def test_a_clean_session_of_3_1_1_ends_with_its_connection(server):
    """And not before. [MQTT-4.1.0-2 of 3.1.1]"""
    with server.client("same", 4) as first:
        first.subscribe("t")
        first.disconnect()
    with server.session("same", 4) as second:
        assert second.connack.session_present == 0


def test_a_clean_session_of_3_1_1_also_ends_the_one_before(server):
    for clean, present in ((False, 0), (False, 1), (True, 0), (False, 0)):
        with server.client("same", 4, clean=clean) as client:
            assert client.connack.session_present == present
            client.disconnect()


def test_version_5_s_session_ends_with_its_connection_unless_it_says_how_long(server):
    """[MQTT-3.1.2-23]"""
    for pairs in ([], [(SESSION_EXPIRY, 0)]):
        with server.client("same", 5, clean=False, pairs=pairs) as client:
            assert client.connack.session_present == 0
            client.subscribe("t")
            client.disconnect()


@pytest.mark.parametrize("first, second", itertools.permutations(VERSIONS, 2))
def test_one_version_resumes_the_other_s(server, first, second):
    with server.client("from", 5) as publisher:
        with server.session("same", first) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        publisher.hand_over("t", b"waits", pairs=[(0x26, ("k", "v"))])
        with server.session("same", second) as client:
            assert client.connack.session_present == 1
            message = client.take()
            assert (message.payload, message.pairs) == (b"waits", [(0x26, ("k", "v"))] if second == 5 else [])


def test_the_session_of_an_assigned_id_can_be_resumed(server):
    """[MQTT-3.1.3-7, MQTT-3.2.2-16]"""
    with server.session("", 5, clean=True) as first:
        first.subscribe(("t", 1))
        name = first.client_id
        first.disconnect()
    with server.session(name, 5) as second:
        assert second.connack.session_present == 1
