"""How long a session outlives its connection: what CONNECT says, what DISCONNECT changes, what the server allows.
[MQTT-3.1.2-23, MQTT-4.1.0-1, MQTT-4.1.0-2, MQTT-3.14.2-2]"""

import pytest

from mqtt_wire import FOREVER, SESSION_EXPIRY, WILL_DELAY, Will, disconnect


def will_at_the_end():
    """The session's end makes it public, long before its own delay has passed: an event to wait for."""
    return Will("ended", b"x", pairs=[(WILL_DELAY, 3600)])


def is_there(server, name):
    with server.client(name, 5, clean=False, pairs=[(SESSION_EXPIRY, 3600)]) as client:
        present = client.connack.session_present
        client.disconnect(pairs=[(SESSION_EXPIRY, 0)])
    return present == 1


@pytest.mark.threads
def test_it_ends_when_its_time_has_passed(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        client = server.session("short", 5, expiry=1, will=will_at_the_end())
        client.subscribe("t")
        client.reset()
        watch.message()
        assert not is_there(server, "short")


def test_it_does_not_end_while_the_client_is_there(server):
    """The clock is another session's end."""
    with server.client("watch", 5) as watch, server.session("there", 5, expiry=1) as there:
        watch.subscribe("ended")
        there.subscribe("t")
        server.session("clock", 5, expiry=2, will=will_at_the_end()).reset()
        watch.message()
        there.expect_nothing_before_ping()
        watch.publish("t", b"x")
        assert there.message().payload == b"x"


def test_who_comes_back_in_time_has_time_again(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        server.session("back", 5, expiry=2).disconnect()
        back = server.session("back", 5, expiry=3600)
        assert back.connack.session_present == 1
        server.session("clock", 5, expiry=3, will=will_at_the_end()).reset()
        back.disconnect()
        watch.message()
        assert is_there(server, "back")


def test_disconnect_shortens_it(server):
    server.session("same", 5, expiry=3600).disconnect(pairs=[(SESSION_EXPIRY, 0)])
    assert not is_there(server, "same")


def test_disconnect_lengthens_it(server):
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        server.session("same", 5, expiry=1).disconnect(pairs=[(SESSION_EXPIRY, 3600)])
        server.session("clock", 5, expiry=3, will=will_at_the_end()).reset()
        watch.message()
        assert is_there(server, "same")


def test_disconnect_does_not_raise_it_from_0(server):
    """[section 3.14.2.2.2]"""
    with server.client("same", 5, clean=False) as client:
        client.send(disconnect(0, [(SESSION_EXPIRY, 60)]))
        client.expect_refusal(0x82)
    assert not is_there(server, "same")


def test_disconnect_with_0_where_it_is_0_changes_nothing(server):
    with server.client("same", 5) as client:
        client.send(disconnect(0, [(SESSION_EXPIRY, 0)]))
        client.expect_close()


def test_forever_is_accepted(server):
    server.session("same", 5, expiry=FOREVER).disconnect()
    assert is_there(server, "same")


def test_the_server_s_limit_is_told_and_kept(serve):
    """[section 3.2.2.3.2]"""
    server = serve("--shards", "2", "--session-expiry-max-s", "1")
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        client = server.session("long", 5, expiry=3600, will=will_at_the_end())
        assert client.connack.properties[SESSION_EXPIRY] == 1
        client.reset()
        watch.message()
        assert not is_there(server, "long")


def test_nothing_is_told_where_the_client_s_own_is_kept(serve):
    server = serve("--shards", "2", "--session-expiry-max-s", "60")
    for expiry in (1, 60):
        with server.session("short", 5, clean=True, expiry=expiry) as client:
            assert SESSION_EXPIRY not in client.connack.properties


def test_the_limit_holds_for_disconnect_too(serve):
    server = serve("--shards", "2", "--session-expiry-max-s", "1")
    with server.client("watch", 5) as watch:
        watch.subscribe("ended")
        client = server.session("long", 5, expiry=1, will=will_at_the_end())
        client.send(disconnect(0x04, [(SESSION_EXPIRY, 3600)]))
        watch.message()
        assert not is_there(server, "long")
