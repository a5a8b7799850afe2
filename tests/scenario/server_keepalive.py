"""A server that allows only so much keepalive says so, and holds the client to it.
[MQTT-3.1.2-21, MQTT-3.2.2-21, MQTT-3.2.2-22]"""

import time

import pytest

from mqtt_wire import SERVER_KEEPALIVE, connect


@pytest.mark.parametrize("asked", [0, 61, 65535])
def test_more_than_the_limit_is_told(serve, asked):
    server = serve("--shards", "2", "--keepalive-max-s", "60")
    with server.client("a", 5, keepalive=asked) as client:
        assert client.connack.properties[SERVER_KEEPALIVE] == 60


@pytest.mark.parametrize("asked", [1, 60])
def test_less_is_the_client_s_own(serve, asked):
    server = serve("--shards", "2", "--keepalive-max-s", "60")
    with server.client("a", 5, keepalive=asked) as client:
        assert SERVER_KEEPALIVE not in client.connack.properties


@pytest.mark.roost_only("mosquitto 2.0.11 has a limit")
def test_without_a_limit_nothing_is_told(server):
    for asked in (0, 65535):
        with server.client("a", 5, keepalive=asked) as client:
            assert SERVER_KEEPALIVE not in client.connack.properties


@pytest.mark.roost_only("mosquitto 2.0.11 has no limit below 10")
def test_the_server_s_is_the_one_that_counts(serve):
    server = serve("--shards", "2", "--keepalive-max-s", "1")
    begin = time.monotonic()
    with server.client("silent", 5, keepalive=3600) as client:
        client.expect_refusal(0x8D)
    assert 1.4 <= time.monotonic() - begin


def test_3_1_1_cannot_be_told(serve):
    """It keeps its own, or is let in and ended as the limit says; a refusal is not among the choices."""
    server = serve("--shards", "2", "--keepalive-max-s", "60")
    with server.raw(4) as connection:
        connection.send(connect("a", 4, keepalive=3600))
        connection.expect(b"\x20\x02\x00\x00")
