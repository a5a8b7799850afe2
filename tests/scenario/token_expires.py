"""A session ends with the token that it signed in with: 0xA0, and its will is published."""

import pytest

from mqtt_wire import AUTH, AUTH_DATA, AUTH_METHOD, Will, auth
from tokens import secret_file, token


@pytest.fixture
def guarded(serve, tmp_path):
    return serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--token-leeway-s", "0", "--anonymous", "loopback")


@pytest.fixture
def watch(guarded):
    with guarded.client("watch", 5) as client:
        client.subscribe("w")
        yield client


@pytest.mark.threads
def test_the_session_ends(guarded, version, watch):
    with guarded.client("c", version, user="", password=token(left_s=2), will=Will("w", b"gone")) as client:
        client.expect_refusal(0xA0)
        assert watch.take().payload == b"gone"
    guarded.wait_counter("end_sign_in_expired", 1)


def by_auth(server, **claims):
    return server.client("c", 5, pairs=[(AUTH_METHOD, "token"), (AUTH_DATA, token(**claims).encode())])


def renew(client, method="token", reason=0x19, **claims):
    client.send(auth(reason, [(AUTH_METHOD, method), (AUTH_DATA, token(**claims).encode())]))


@pytest.mark.threads
def test_auth_renews_it(guarded):
    with by_auth(guarded, left_s=2) as client, guarded.client("d", 5, user="", password=token(left_s=3)) as later:
        assert client.connack.properties[AUTH_METHOD] == "token"
        renew(client, left_s=3600)
        answer = client.expect_kind(AUTH)
        assert (answer.reason, answer.properties[AUTH_METHOD]) == (0, "token")
        later.expect_refusal(0xA0)
        client.expect_nothing_before_ping()
    guarded.wait_counter("sign_ins_renewed", 1)
    guarded.wait_counter("tokens_verified", 3)  # two by gates, one by a shard


@pytest.mark.parametrize("options, reason", [({"sub": "other"}, 0x87), ({"left_s": -10}, 0x87), ({"key": "x" * 32}, 0x87),
                                             ({"client_id": "d"}, 0x87), ({"method": "other"}, 0x8C),
                                             ({"reason": 0x18}, 0x82)])
def test_auth_that_is_refused(guarded, options, reason):
    with by_auth(guarded) as client:
        renew(client, **options)
        client.expect_refusal(reason)


def test_auth_without_a_method_in_connect(guarded):
    with guarded.client("c", 5, user="", password=token()) as client:
        renew(client)
        client.expect_refusal(0x82)
