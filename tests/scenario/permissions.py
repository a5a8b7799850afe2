"""Rules say who may publish and subscribe to what, with %c and %u in them; who may not is told as his version can be."""

import signal

import pytest

from mqtt_wire import WILL_DELAY, Will, connect
from tokens import secret_file, token

RULES = """\
# everyone's own
allow publish up/%c/#
allow subscribe down/%c/+
allow all user/%u/#
user boss
allow all #
everyone
token
"""


@pytest.fixture
def guarded(serve, tmp_path):
    rules = tmp_path / "rules"
    rules.write_text(RULES)
    return serve("--shards", "2", "--token-secret-file", secret_file(tmp_path), "--rule-file", str(rules),
                 "--no-allow-by-default")


def come(server, client_id, version, user="u", **options):
    claims = options.pop("claims", {})
    return server.client(client_id, version, user="", password=token(sub=user, **claims), **options)


@pytest.mark.threads
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_publish(guarded, version, qos):
    with come(guarded, "boss", version, "boss") as boss, come(guarded, "c", version) as client:
        assert boss.subscribe("#") == [0]
        denied = 0x87 if version == 5 and qos else 0
        for topic in ("up/d/x", "up", "user/boss/x", "other", "up/c+", "down/c/x"):
            if topic != "up/c+":
                assert client.hand_over(topic, b"no", qos=qos) == denied, topic
        for topic in ("up/c/x", "up/c", "user/u", "user/u/x/y"):
            assert client.hand_over(topic, b"yes", qos=qos) == 0
            message = boss.take()
            assert (message.topic, message.payload) == (topic, b"yes")
        client.expect_nothing_before_ping()
        boss.expect_nothing_before_ping()
    guarded.wait_counter("messages_denied", 5)


def test_decisions_are_remembered(guarded, version):
    with come(guarded, "c", version) as client:
        for _ in range(3):
            client.hand_over("up/c/x", b"", qos=1)
    guarded.wait_counter("acl_cache_hits", 2)
    assert guarded.counter("acl_cache_misses") == 1


def test_subscribe(guarded, version):
    denied = 0x87 if version == 5 else 0x80
    with come(guarded, "c", version) as client:
        assert client.subscribe(("down/c/+", 1), "down/d/+", "#", "down/+/x", "user/u/#", ("down/c/x", 2)) == [
            1, denied, denied, denied, 0, 2]
        assert client.subscribe("$share/g/down/c/x", "$share/g/other") == [0, denied]
    guarded.wait_counter("subscriptions_denied", 4)


@pytest.mark.parametrize("client_id", ["+", "#", "a/b", "c/+"])
def test_ids_that_would_widen_a_rule(guarded, version, client_id):
    denied = 0x87 if version == 5 else 0x80
    with come(guarded, client_id, version, user="v") as client:
        assert client.subscribe(f"down/{client_id}/x" if client_id != "#" else "down/#", "down/c/x") == [denied, denied]


def test_a_denied_will(guarded, version):
    with guarded.raw(version) as connection:
        connection.send(connect("c", version, user="", password=token(), will=Will("up/d/x", b"gone")))
        connection.expect_connack_refusal({4: 5, 5: 0x87}[version])
    with come(guarded, "boss", version, "boss") as boss:
        boss.subscribe("up/#")
        come(guarded, "c", version, will=Will("up/c/x", b"gone")).reset()
        assert boss.take().topic == "up/c/x"


@pytest.mark.parametrize("delay", [0, 1])
def test_a_will_that_is_denied_by_the_time_that_it_is_due(guarded, tmp_path, version, delay):
    """It was allowed at CONNECT; the check is made again when it goes out."""
    will = Will("up/c/x", b"gone", pairs=[(WILL_DELAY, delay)])
    with come(guarded, "boss", version, "boss") as boss:
        boss.subscribe("#")
        clients = [come(guarded, "c", version, clean=False, will=will),
                   come(guarded, "d", version, will=Will("user/u/d", b"still"))]
        (tmp_path / "rules").write_text(RULES.replace("allow publish up/%c/#\n", ""))
        start = len(guarded.lines)
        guarded.process.send_signal(signal.SIGHUP)
        guarded.wait_line("reloaded", start)
        for client in clients:
            client.reset()
        guarded.wait_counter("wills_denied", 1)
        assert boss.take().payload == b"still"
        boss.expect_nothing_before_ping()
    assert guarded.counter("wills_sent") == 1


def test_permissions_of_a_token(guarded, version):
    permissions = {"publish": ["extra/%c"], "subscribe": ["extra/#"], "deny": {"subscribe": ["extra/secret"]}}
    denied = 0x87 if version == 5 else 0x80
    with come(guarded, "c", version, claims={"permissions": permissions}) as client:
        assert client.subscribe("extra/x", "extra/secret", "extra/#", "down/c/x") == [0, denied, denied, 0]
        client.subscribe("extra/c")
        client.publish("extra/d", b"no")
        client.publish("extra/c", b"yes")
        assert client.take().payload == b"yes"
        client.expect_nothing_before_ping()


def test_a_mistake_in_the_rules_names_its_line(tmp_path):
    from server import roost
    rules = tmp_path / "rules"
    rules.write_text("# comment\n" * 39 + "allow everything\n")
    result = roost("serve", "--listen", "tcp://127.0.0.1:0", "--rule-file", str(rules))
    assert result.returncode != 0
    assert f"{rules}:40:" in result.stderr
