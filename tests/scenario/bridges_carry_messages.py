"""A bridge carries messages to another broker and back, at their QoS, under other topics, in either version, and none of them
comes back to where it went from."""

from functools import partial

import pytest

from bridges import Mosquitto, is_drained, wait_bridge, works, write
from mqtt_wire import CONTENT_TYPE, RESPONSE_TOPIC, USER_PROPERTY
from server import roost

pytestmark = pytest.mark.roost_only("others are told otherwise what to bridge")

HQ = {"name": "hq", "up": ["a/# qos=2 remote=site7/", "b/+ qos=1", "zero/# qos=0"], "down": ["cmd/# qos=2 local=from/hq/ remote=site7/"]}


@pytest.fixture
def mosquitto(opening):
    return partial(opening, Mosquitto)


@pytest.fixture
def start(serve, tmp_path):
    def begin(*bridges, wait=True, store="store", **options):
        (tmp_path / store).mkdir(exist_ok=True)
        config = write(tmp_path / store, *bridges, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / store / "data"), "--admin", "http://127.0.0.1:0")
        for bridge in bridges if wait else ():
            wait_bridge(server, bridge["name"], works)
        return server

    return begin


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request):
    return request.param


def test_messages_go_up(mosquitto, start, protocol):
    broker = mosquitto()
    server = start({**HQ, "url": broker.url, "protocol": protocol})
    assert wait_bridge(server, "hq", works)["version"] == protocol
    with broker.client("to") as receiver, server.client("from", 5) as sender:
        receiver.subscribe(("#", 2))
        for topic, qos in ("a/x", 2), ("a/y/z", 1), ("a/q", 0), ("b/c", 2), ("zero/1", 2), ("elsewhere", 2), ("a", 1):
            assert sender.hand_over(topic, topic.encode(), qos=qos) < 0x80
        got = [receiver.take() for _ in range(6)]
    # mosquitto passes a message at QoS 2 on when it is released, and others go past it.
    assert sorted((one.topic, one.payload, one.qos) for one in got) == [
        ("b/c", b"b/c", 1), ("site7/a", b"a", 1), ("site7/a/q", b"a/q", 0), ("site7/a/x", b"a/x", 2), ("site7/a/y/z", b"a/y/z", 1),
        ("zero/1", b"zero/1", 0)]
    bridge = wait_bridge(server, "hq", is_drained)
    assert bridge["sent"] == 6 and bridge["dead_letters"] == bridge["refused_messages"] == bridge["received"] == 0
    shown = roost("ctl", "--url", server.admin().url, "bridges").stdout
    assert "hq" in shown and "working" in shown and protocol in shown


def test_messages_come_down(mosquitto, start, protocol):
    broker = mosquitto()
    server = start({**HQ, "url": broker.url, "protocol": protocol})
    with server.client("to", 5) as receiver, broker.client("from") as sender:
        receiver.subscribe(("#", 2))
        for topic, qos in ("site7/cmd/go", 2), ("site7/cmd/stop", 1), ("site7/cmd", 2), ("site7/other", 2), ("cmd/go", 2):
            assert sender.hand_over(topic, topic.encode(), qos=qos) < 0x80
        assert sender.hand_over("site7/cmd/last", b"0", qos=0) == 0
        got = [receiver.take() for _ in range(4)]
    assert sorted((one.topic, one.qos) for one in got) == [("from/hq/cmd", 2), ("from/hq/cmd/go", 2), ("from/hq/cmd/last", 0),
                                                           ("from/hq/cmd/stop", 1)]
    bridge = wait_bridge(server, "hq", lambda one: one["received"] == 4)
    assert bridge["sent"] == bridge["refused_messages"] == 0


def test_properties_go_along_in_version_5(mosquitto, start):
    broker = mosquitto()
    server = start({**HQ, "url": broker.url})
    pairs = [(CONTENT_TYPE, "x/y"), (RESPONSE_TOPIC, "answer/here"), (USER_PROPERTY, ("one", "1"))]
    with broker.client("up") as up, server.client("down", 5) as down:
        up.subscribe(("site7/a/#", 2))
        down.subscribe(("from/#", 2))
        assert down.hand_over("a/x", b"up", pairs=pairs) < 0x80
        assert up.hand_over("site7/cmd/x", b"down", pairs=pairs) < 0x80
        for got in up.take(), down.take():
            assert dict(got.pairs)[CONTENT_TYPE] == "x/y" and dict(got.pairs)[RESPONSE_TOPIC] == "answer/here"
            assert [value for name, value in got.pairs if name == USER_PROPERTY] == [("one", "1"), ("roost-hops", "1")]


def test_what_went_up_does_not_come_down_again(mosquitto, start, protocol):
    """Both directions of the same topics: No Local in version 5, and what mosquitto knows bridges by before."""
    broker = mosquitto()
    both = {"name": "both", "url": broker.url, "up": ["t/# qos=2"], "down": ["t/# qos=2"], "protocol": protocol}
    server = start(both)
    with server.client("here", 5) as here, broker.client("there") as there:
        here.subscribe(("t/#", 1))
        there.subscribe(("t/#", 1))
        for n in range(5):
            assert here.hand_over(f"t/{n}", b"here") < 0x80
            assert there.hand_over(f"t/{n}", b"there") < 0x80
        for client in here, there:
            got = [client.take() for _ in range(10)]
            assert sorted(one.payload for one in got) == [b"here"] * 5 + [b"there"] * 5
        assert here.hand_over("t/end", b"end") < 0x80
        assert here.take().payload == there.take().payload == b"end"
    bridge = wait_bridge(server, "both", is_drained)
    assert bridge["sent"] == 6 and bridge["received"] == 5 and bridge["looped"] == 0


def test_retained_messages_are_on_both_sides(mosquitto, start, protocol):
    broker = mosquitto()
    with broker.client("before") as client:
        client.hand_over("site7/cmd/old", b"old", retain=True)
    server = start({**HQ, "url": broker.url, "protocol": protocol})
    with server.client("here", 5) as here:
        assert here.hand_over("a/x", b"now", retain=True) < 0x80
        wait_bridge(server, "hq", lambda one: one["sent"] == 1 and one["received"] == 1)
        here.subscribe(("from/#", 1))
        got = here.take()
        assert (got.topic, got.payload, got.retain) == ("from/hq/cmd/old", b"old", True)
    with broker.client("later") as later:
        later.subscribe(("site7/a/#", 1))
        got = later.take()
        assert (got.topic, got.payload, got.retain) == ("site7/a/x", b"now", True)


def test_retained_messages_stay_where_they_are(mosquitto, start):
    broker = mosquitto()
    server = start({**HQ, "url": broker.url, "retain": False})
    with server.client("here", 5) as here, broker.client("there") as there:
        there.subscribe(("#", 1))
        assert here.hand_over("a/x", b"now", retain=True) < 0x80
        assert there.take().payload == b"now"
    with broker.client("later") as later:
        later.subscribe(("#", 1))
        later.expect_nothing_before_ping()


def test_a_message_of_several_filters_goes_once(mosquitto, start):
    broker = mosquitto()
    server = start({"name": "hq", "url": broker.url, "up": ["a/# qos=2", "a/+ qos=1", "+/x qos=2"]})
    with broker.client("to") as to, server.client("from", 5) as sender:
        to.subscribe(("#", 2))
        for n in range(3):
            assert sender.hand_over("a/x", b"%d" % n, qos=2) < 0x80
        got = [to.take().payload for _ in range(3)]
        to.expect_nothing_before_ping()
    assert got == [b"0", b"1", b"2"]
    wait_bridge(server, "hq", is_drained)


def test_two_gateways(start):
    """The other broker may be a Roost."""
    upper = start(wait=False, store="upper")
    server = start({**HQ, "url": f"mqtt://127.0.0.1:{upper.port}"})
    with upper.client("to", 5) as to, server.client("from", 5) as sender:
        to.subscribe(("site7/a/#", 2))
        sender.subscribe(("from/#", 2))
        for qos in 0, 1, 2:
            assert sender.hand_over("a/x", b"%d" % qos, qos=qos) < 0x80
            assert to.hand_over("site7/cmd/x", b"%d" % qos, qos=qos) < 0x80
        for receiver, topic in (to, "site7/a/x"), (sender, "from/hq/cmd/x"):
            got = [receiver.take() for _ in range(3)]
            assert {(one.topic, one.payload, one.qos) for one in got} == {(topic, b"%d" % qos, qos) for qos in range(3)}
    wait_bridge(server, "hq", lambda one: one["sent"] == 3 and one["received"] == 3)
