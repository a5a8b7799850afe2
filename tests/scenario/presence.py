"""A back end that subscribes to it is told who comes and who goes, and why; others are not."""

import json

import pytest

CONNECTED, DISCONNECTED = "$SYS/presence/connected", "$SYS/presence/disconnected"


def event(client):
    message = client.take()
    return message.topic, json.loads(message.payload)


@pytest.mark.threads
@pytest.mark.parametrize("name", ["plain", 'quo"te\\', "zoë/🐓", '","reason":"no'])
def test_coming_and_going(serve, version, name):
    server = serve("--shards", "4", "--sys-interval-s", "0")
    with server.client("watch", 5) as watch:
        watch.subscribe(("$SYS/presence/#", 1))
        for way, reason in (("disconnect", "CLOSED_BY_CLIENT"), ("close", "CONNECTION_LOST")):
            client = server.client(name, version, keepalive=33)
            topic, told = event(watch)
            assert (topic, told["client"], told["version"], told["keepalive"]) == (CONNECTED, name, version, 33)
            getattr(client, way)()
            topic, told = event(watch)
            assert (topic, told["client"], told["reason"]) == (DISCONNECTED, name, reason)


def test_sessions_that_stay_are_told_of_too(serve, version):
    server = serve("--sys-interval-s", "0")
    with server.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/#")
        for _ in range(2):
            server.session("stays", version).disconnect()
            assert [event(watch)[0] for _ in range(2)] == [CONNECTED, DISCONNECTED]


def test_nobody_else_is_told(server, version):
    with server.client("watch", version) as watch:
        watch.subscribe("#", "$SYS/presence/other")
        server.client("x", version).disconnect()
        watch.expect_nothing_before_ping()
