"""What a bridge makes of a broker that refuses messages, knows another version, announces limits, goes round in a circle, or
sends garbage."""

import os
import random
import threading
from functools import partial

import pytest

from bridges import FakeBroker, Mosquitto, is_drained, topic_and_id, wait_bridge, waits, works, write
from mqtt_wire import CONNACK, CONNECT, MAXIMUM_PACKET_SIZE, MAXIMUM_QOS, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, RECEIVE_MAXIMUM, \
    RETAIN_AVAILABLE, SUBACK, SUBSCRIBE, USER_PROPERTY, let_pass, packet, properties

pytestmark = pytest.mark.roost_only("others are told otherwise what to bridge")


@pytest.fixture
def begin(serve, tmp_path):
    def begin(*bridges, store="one", **options):
        (tmp_path / store).mkdir(exist_ok=True)
        config = write(tmp_path / store, *bridges, **options)
        return serve("--config", config, "--shards", "2", "--store", str(tmp_path / store / "data"), "--admin", "http://127.0.0.1:0")

    return begin


def acknowledgement(kind, packet_id, reason=0):
    flags = 2 if kind == PUBREL else 0
    return packet(kind, packet_id.to_bytes(2, "big") + (bytes([reason]) if reason else b""), flags)


def greet(end, version=5, reason=0, pairs=(), present=False):
    """Reads CONNECT and answers. Its level."""
    kind, _, body = end.packet()
    assert kind == CONNECT
    level = body[6]
    end.send(packet(CONNACK, bytes([present, reason]) + (properties(*pairs) if version == 5 else b"")))
    return level


class Takes:
    """Serves as a broker that takes messages, and answers each as answer(topic) says: a reason."""

    def __init__(self, answer=lambda topic: 0, version=5, pairs=()):
        self.answer, self.version, self.pairs = answer, version, pairs
        self.topics, self.qos, self.under_way, self.most = [], [], set(), 0

    def __call__(self, end, number):
        greet(end, self.version, pairs=self.pairs)
        while True:
            self.hear(end, *end.packet())

    def hear(self, end, kind, flags, body):
        if kind == SUBSCRIBE:
            end.send(packet(SUBACK, body[:2] + (b"\0" if self.version == 5 else b"") + b"\2"))
        elif kind == PUBLISH:
            topic, packet_id = topic_and_id(flags, body)
            qos = flags >> 1 & 3
            self.topics.append(topic)
            self.qos.append(qos)
            if packet_id is not None:
                self.under_way.add(packet_id)
                self.most = max(self.most, len(self.under_way))
                reason = self.answer(topic)
                if qos == 1 or reason >= 0x80:
                    self.under_way.discard(packet_id)
                end.send(acknowledgement(PUBACK if qos == 1 else PUBREC, packet_id, reason))
        elif kind == PUBREL:
            self.under_way.discard(int.from_bytes(body[:2], "big"))
            end.send(acknowledgement(PUBCOMP, int.from_bytes(body[:2], "big")))
        elif kind == PINGREQ:
            end.send(b"\xd0\0")


def hand_over(server, topics, qos=2, **options):
    with server.client("from", 5) as sender:
        for topic in topics:
            assert sender.hand_over(topic, b"x", qos=qos, **options) < 0x80


@pytest.mark.parametrize("qos", [1, 2])
def test_messages_that_the_broker_refuses(opening, begin, qos):
    """Each is dropped, counted and logged; those around it go on."""
    takes = Takes(lambda topic: 0x87 if "bad" in topic else 0x10)
    broker = opening(FakeBroker, takes)
    server = begin({"name": "hq", "url": broker.url, "up": [f"t/# qos={qos}"]})
    wait_bridge(server, "hq", works)
    topics = [f"t/{'bad' if n % 5 == 2 else 'good'}/{n}" for n in range(20)]
    hand_over(server, topics, qos)
    bridge = wait_bridge(server, "hq", lambda one: is_drained(one) and one["sent"] + one["dead_letters"] == 20)
    assert takes.topics == topics
    assert bridge["dead_letters"] == 4 and bridge["sent"] == 16 and bridge["retries"] == 0
    server.wait_line("warning bridge hq: the broker refused a message with reason 0x87, Not authorized")


def test_messages_that_are_larger_than_the_broker_takes(opening, begin):
    takes = Takes(pairs=((MAXIMUM_PACKET_SIZE, 100),))
    broker = opening(FakeBroker, takes)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"]})
    wait_bridge(server, "hq", works)
    hand_over(server, ["t/1", "t/" + "2" * 100, "t/3"])
    bridge = wait_bridge(server, "hq", lambda one: is_drained(one) and one["sent"] == 2)
    assert takes.topics == ["t/1", "t/3"] and bridge["dead_letters"] == 1
    assert "it is larger than the broker takes packets" in bridge["last_error"]


@pytest.mark.parametrize("most", [0, 1])
def test_a_broker_that_takes_less(opening, begin, most):
    """QoS, retained messages, and what is under way."""
    takes = Takes(pairs=((MAXIMUM_QOS, most), (RECEIVE_MAXIMUM, 3), (RETAIN_AVAILABLE, 0)))
    broker = opening(FakeBroker, takes)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"]})
    wait_bridge(server, "hq", works)
    topics = [f"t/{n}" for n in range(30)]
    hand_over(server, topics, retain=True)
    wait_bridge(server, "hq", lambda one: is_drained(one) and one["sent"] == 30)
    assert takes.topics == topics and set(takes.qos) == {most} and takes.most <= 3


def test_the_window_is_kept(opening, begin):
    """What the broker has not acknowledged is never more than it takes, whatever waits here."""
    halt, heard = threading.Event(), []

    def serve(end, number):
        greet(end, pairs=((RECEIVE_MAXIMUM, 7),))
        while len(heard) < 7:
            kind, flags, body = end.packet()
            if kind == PUBLISH:
                heard.append(topic_and_id(flags, body)[1])
        halt.wait(20)
        assert not end.buffer
        for packet_id in heard:
            end.send(acknowledgement(PUBACK, packet_id))
        while len(heard) < 14:
            kind, flags, body = end.packet()
            heard.append(topic_and_id(flags, body)[1])
        halt.clear()
        halt.wait(20)

    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=1"]})
    wait_bridge(server, "hq", works)
    hand_over(server, [f"t/{n}" for n in range(50)], 1)
    wait_bridge(server, "hq", lambda one: len(heard) == 7)
    let_pass(0.2)
    assert len(heard) == 7
    halt.set()
    wait_bridge(server, "hq", lambda one: len(heard) == 14 and one["backlog_messages"] == 43)
    halt.set()


def test_a_broker_that_knows_version_3_1_1_alone(opening, begin):
    """It says so, in the words of either version; a bridge is known by a bit of the level, which some do not take."""
    levels = []

    def serve(end, number):
        kind, _, body = end.packet()
        levels.append(body[6])
        if body[6] == 5:
            end.send(packet(CONNACK, b"\0\1" if number == 0 else b"\0\x84\0"))
        elif body[6] == 0x84:
            end.send(packet(CONNACK, b"\0\1"))
        else:
            end.send(packet(CONNACK, b"\0\0"))
            while True:
                takes.hear(end, *end.packet())

    takes = Takes(version=4)
    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"], "down": ["d/# qos=2"]})
    assert wait_bridge(server, "hq", works)["version"] == "3.1.1"
    hand_over(server, ["t/1", "t/2"])
    wait_bridge(server, "hq", lambda one: is_drained(one) and one["sent"] == 2)
    assert levels[-3:] == [5, 0x84, 4]
    broker.ends[-1].close()
    wait_bridge(server, "hq", lambda one: works(one) and one["connections"] == 2)
    assert levels[-1] == 4 and levels[-2] == 4  # what was said in words is remembered


def test_a_broker_that_closes_where_it_does_not_know_the_version(opening, begin):
    def serve(end, number):
        kind, _, body = end.packet()
        if body[6] != 0x84:
            return
        end.send(packet(CONNACK, b"\0\0"))
        while True:
            takes.hear(end, *end.packet())

    takes = Takes(version=4)
    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"]})
    assert wait_bridge(server, "hq", works)["version"] == "3.1.1"


def test_a_circle_of_bridges_ends(opening, begin):
    """Two bridges to the same broker, each of which brings what the other one sends."""
    broker = opening(Mosquitto)
    one = {"name": "one", "url": broker.url, "up": ["t/# qos=1"], "down": ["t/# qos=1"]}
    server = begin(one, {**one, "name": "two"})
    for name in "one", "two":
        wait_bridge(server, name, works)
    with server.client("here", 5) as here:
        here.subscribe(("t/#", 1))
        hand_over(server, ["t/x"], 1)
        hops = []
        while len(hops) < 100:
            try:
                got = here.take(1)
            except TimeoutError:
                break
            hops += [int(value[1]) for name, value in got.pairs if name == USER_PROPERTY] or [0]
    assert max(hops) == 8 and len(hops) < 100
    looped = [wait_bridge(server, name, works)["looped"] for name in ("one", "two")]
    assert sum(looped) >= 1


def test_a_broker_that_refuses_a_filter(opening, begin):
    """The others are there all the same."""
    def serve(end, number):
        greet(end)
        while True:
            kind, flags, body = end.packet()
            if kind == SUBSCRIBE:
                end.send(packet(SUBACK, body[:2] + b"\0" + (b"\x87" if b"secret" in body else b"\1")))
                if b"open" in body:
                    end.send(packet(PUBLISH, b"\0\6open/1" + b"\0" + b"x"))

    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "down": ["secret/#", "open/#"]})
    bridge = wait_bridge(server, "hq", lambda one: works(one) and one["received"] == 1)
    assert bridge["last_error"] == "the broker refused topic filter 1 with reason 0x87"


def test_what_the_gateway_does_not_take(opening, begin):
    """A reserved topic, a topic that nobody asked for, and a packet that is too large: the broker is told, and it goes on."""
    heard = []

    def serve(end, number):
        greet(end)
        for packet_id, topic, payload in (1, b"d/1", b"x"), (2, b"$SYS/x", b"x"), (3, b"d/3", b"x" * 70000), (4, b"e/4", b"x"), (5, b"d/5", b"x"):
            body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big") + b"\0" + payload
            end.send(packet(PUBLISH, body, 4 if packet_id % 2 else 2))
        while True:
            kind, flags, body = end.packet()
            if kind == SUBSCRIBE:
                end.send(packet(SUBACK, body[:2] + b"\0\2"))
            if kind in (PUBACK, PUBREC, PUBCOMP):
                heard.append((kind, int.from_bytes(body[:2], "big")))
            if kind == PUBREC:
                end.send(acknowledgement(PUBREL, int.from_bytes(body[:2], "big")))

    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "down": ["d/# qos=2", "$SYS/# qos=2"]}, packet_bytes_max=65536,
                   queue_bytes_max=1 << 20)
    bridge = wait_bridge(server, "hq", lambda one: one["received"] == 2 and one["refused_messages"] == 3 and len(heard) == 8)
    assert sorted(heard) == sorted([(PUBREC, 1), (PUBCOMP, 1), (PUBACK, 2), (PUBREC, 3), (PUBCOMP, 3), (PUBACK, 4), (PUBREC, 5), (PUBCOMP, 5)])
    assert bridge["retries"] == 0


def test_garbage(opening, begin):
    """Whatever a broker sends costs a connection, and nothing else."""
    seed = int(os.environ.get("ROOST_TEST_SEED", "0")) or random.randrange(1 << 30)
    choice = random.Random(seed)

    def serve(end, number):
        if number >= 6:
            takes(end, number)
        if number % 2:
            greet(end)
        if number % 3 == 0:
            end.send(choice.randbytes(choice.randrange(1, 3000)))
        else:
            for _ in range(50):
                end.send(packet(choice.randrange(1, 16), choice.randbytes(choice.randrange(0, 8)), choice.randrange(16)))

    takes = Takes()
    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"], "down": ["d/# qos=2"]})
    wait_bridge(server, "hq", lambda one: works(one) and broker.count > 6, timeout=120)
    hand_over(server, ["t/1"])
    wait_bridge(server, "hq", lambda one: is_drained(one) and takes.topics[-1:] == ["t/1"])
    print(f"seed {seed}")


def test_acknowledgements_of_what_was_never_sent(opening, begin):
    def serve(end, number):
        greet(end)
        for packet_id in range(1, 200):
            for kind in PUBACK, PUBREC, PUBCOMP, PUBREL:
                end.send(acknowledgement(kind, packet_id))
        while True:
            takes.hear(end, *end.packet())

    takes = Takes()
    broker = opening(FakeBroker, serve)
    server = begin({"name": "hq", "url": broker.url, "up": ["t/# qos=2"]})
    wait_bridge(server, "hq", lambda one: works(one) or waits(one))
    with server.client("here", 5) as here:
        here.subscribe(("t/#", 0))
        hand_over(server, ["t/1"])
        assert here.take().topic == "t/1"
