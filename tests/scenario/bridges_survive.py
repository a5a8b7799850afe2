"""Whatever ends in between, what was acknowledged gets to the other side: in order, and at QoS 2 once."""

import contextlib
import os
import random
import shutil
import threading
import time
from functools import partial

import pytest

from bridges import Link, Mosquitto, is_drained, wait_bridge, waits, works, write
from mqtt_wire import FOREVER, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SESSION_EXPIRY, Closed, acknowledge

pytestmark = pytest.mark.roost_only("others are told otherwise what to bridge")

SEED = int(os.environ.get("ROOST_TEST_SEED", "0")) or random.randrange(1 << 30)


@pytest.fixture
def mosquitto(opening):
    return partial(opening, Mosquitto)


@pytest.fixture
def link(opening):
    return partial(opening, Link)


@pytest.fixture
def begin(serve, tmp_path):
    """begin(bridge): a server with this bridge and a store, which the next one begins with."""
    def begin(bridge, **options):
        config = write(tmp_path, bridge, **options)
        return serve("--config", config, "--shards", "2", "--store", str(tmp_path / "data"), "--admin", "http://127.0.0.1:0")

    return begin


class Receiver(threading.Thread):
    """A client with a durable session that takes all, over whatever ends its connection."""

    def __init__(self, client, qos=2, topic="#"):
        super().__init__(daemon=True)
        self.connect, self.payloads, self.unreleased, self.ends = client, [], set(), False
        with self.open() as first:
            first.subscribe((topic, qos))
            first.disconnect()
        self.start()

    def open(self):
        return self.connect("receiver", clean=False, pairs=((SESSION_EXPIRY, FOREVER),))

    def run(self):
        while not self.ends:
            try:
                with self.open() as client:
                    while not self.ends:
                        with contextlib.suppress(TimeoutError):
                            self.hear(client, client.packet(0.2))
            except (Closed, OSError, AssertionError):
                time.sleep(0.05)

    def hear(self, client, packet):
        """As a receiver does at QoS 2: what it has and that was not released is not taken again."""
        if packet.kind == PUBREL:
            self.unreleased.discard(packet.packet_id)
            client.send(acknowledge(PUBCOMP, packet.packet_id))
            return
        assert packet.kind == PUBLISH, packet
        if packet.qos < 2 or packet.packet_id not in self.unreleased:
            self.payloads.append(int(packet.payload))
        if packet.qos == 2:
            self.unreleased.add(packet.packet_id)
        client.send(acknowledge(PUBREC if packet.qos == 2 else PUBACK, packet.packet_id))

    def wait(self, count, timeout=60):
        deadline = time.monotonic() + timeout
        while len(set(self.payloads)) < count:
            assert time.monotonic() < deadline, f"{len(self.payloads)} of {count}: {self.payloads[-5:]}"
            time.sleep(0.02)
        time.sleep(0.3)  # for what would come twice
        self.ends = True
        self.join()
        return self.payloads


def publish_all(server, numbers, qos, topic="t"):
    with server.client("from", 5) as sender:
        for n in numbers:
            assert sender.hand_over(topic, b"%d" % n, qos=qos) < 0x80


def check(payloads, count, qos):
    if qos == 2:
        assert payloads == list(range(count)), f"seed {SEED}: {payloads}"
    assert list(dict.fromkeys(payloads)) == list(range(count)), f"seed {SEED}"


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [1, 2])
def test_a_link_that_breaks_again_and_again(mosquitto, link, begin, protocol, qos):
    """Up, at moments that chance has chosen."""
    broker = mosquitto()
    way = link(broker.port)
    server = begin({"name": "hq", "url": way.url, "up": [f"t qos={qos}"], "protocol": protocol, "keepalive_s": 5})
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client, qos)
    choice = random.Random(SEED)
    sender = threading.Thread(target=publish_all, args=(server, range(400), qos))
    sender.start()
    for _ in range(8):
        time.sleep(choice.uniform(0.01, 0.2))
        way.bytes_max = choice.choice((None, None, choice.randrange(100, 3000)))
        way.drop()
    way.bytes_max = None
    way.drop()
    sender.join()
    check(receiver.wait(400), 400, qos)
    wait_bridge(server, "hq", is_drained)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_link_that_breaks_under_messages_that_come_down(mosquitto, link, begin, protocol):
    broker = mosquitto()
    way = link(broker.port)
    server = begin({"name": "hq", "url": way.url, "down": ["t qos=2"], "protocol": protocol, "keepalive_s": 5})
    wait_bridge(server, "hq", works)
    receiver = Receiver(partial(server.client, version=5))
    choice = random.Random(SEED)
    sender = threading.Thread(target=publish_all, args=(broker, range(300), 2))
    sender.start()
    for _ in range(8):
        time.sleep(choice.uniform(0.01, 0.15))
        way.bytes_max = choice.choice((None, choice.randrange(100, 3000)))
        way.drop()
    way.bytes_max = None
    way.drop()
    sender.join()
    check(receiver.wait(300), 300, 2)


def test_messages_wait_at_the_broker_while_the_link_is_cut(mosquitto, link, begin):
    broker = mosquitto()
    way = link(broker.port)
    server = begin({"name": "hq", "url": way.url, "down": ["t qos=2"]})
    wait_bridge(server, "hq", works)
    receiver = Receiver(partial(server.client, version=5))
    way.cut()
    wait_bridge(server, "hq", waits)
    publish_all(broker, range(100), 2)
    way.heal()
    check(receiver.wait(100), 100, 2)


@pytest.mark.parametrize("qos", [1, 2])
def test_the_gateway_is_killed(mosquitto, link, begin, qos):
    """With messages under way, some of them in the middle of their exchange."""
    broker = mosquitto()
    way = link(broker.port)
    bridge = {"name": "hq", "url": way.url, "up": [f"t qos={qos}"], "keepalive_s": 5}
    server = begin(bridge)
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client, qos)
    choice = random.Random(SEED)
    for turn in range(3):
        way.cut()
        publish_all(server, range(100 * turn, 100 * turn + 100), qos)
        way.bytes_max = choice.randrange(300, 4000)
        way.heal()
        time.sleep(choice.uniform(0.1, 0.4))
        server.crash()
        way.bytes_max = None
        server = begin(bridge)
    wait_bridge(server, "hq", is_drained)
    check(receiver.wait(300), 300, qos)


def test_the_broker_is_killed_and_comes_back(mosquitto, begin):
    """It keeps what it has acknowledged only where it stops in order, so it is stopped so."""
    broker = mosquitto(persistent=True)
    server = begin({"name": "hq", "url": broker.url, "up": ["t qos=2"]})
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client)
    publish_all(server, range(50), 2)
    broker.stop()
    wait_bridge(server, "hq", waits)
    publish_all(server, range(50, 100), 2)
    broker.start()
    check(receiver.wait(100), 100, 2)


def test_the_broker_hangs(mosquitto, begin):
    """It is noticed by the keepalive, others are not held up, and what was sent is sent again."""
    broker = mosquitto()
    server = begin({"name": "hq", "url": broker.url, "up": ["t qos=2"], "keepalive_s": 5})
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client)
    broker.hang()
    publish_all(server, range(100), 2)
    wait_bridge(server, "hq", waits, timeout=30)
    broker.go_on()
    check(receiver.wait(100), 100, 2)


def test_the_program_is_replaced(mosquitto, begin):
    broker = mosquitto()
    server = begin({"name": "hq", "url": broker.url, "up": ["t qos=2"], "down": ["d qos=2"]})
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client, topic="t")
    sender = threading.Thread(target=publish_all, args=(server, range(600), 2))
    sender.start()
    for _ in range(3):
        time.sleep(0.1)
        server.upgrade()
    sender.join()
    check(receiver.wait(600), 600, 2)
    wait_bridge(server, "hq", is_drained)


def test_a_reload_withdraws_filters_at_the_broker(mosquitto, begin, tmp_path):
    broker = mosquitto()
    bridge = {"name": "hq", "url": broker.url, "down": ["t qos=2", "u qos=1"]}
    server = begin(bridge)
    wait_bridge(server, "hq", works)
    write(tmp_path, {**bridge, "down": ["t qos=2"]})
    server.admin().post("/api/v1/reload")
    wait_bridge(server, "hq", lambda one: works(one) and one["connections"] == 2)
    with server.client("to", 5) as to:
        to.subscribe(("#", 1))
        publish_all(broker, range(3), 1, "u")
        publish_all(broker, range(3, 5), 1, "t")
        assert [to.take().payload for _ in range(2)] == [b"3", b"4"]
    assert wait_bridge(server, "hq", works)["refused_messages"] == 0


def test_a_session_that_is_new_here_takes_nothing_for_what_it_is_not(mosquitto, link, begin, tmp_path):
    """The store was lost, and with it which identifiers are in use; the broker has some of them half done."""
    broker = mosquitto()
    way = link(broker.port)
    bridge = {"name": "hq", "url": way.url, "up": ["t qos=2"], "keepalive_s": 5}
    server = begin(bridge)
    wait_bridge(server, "hq", works)
    receiver = Receiver(broker.client)
    way.cut()
    wait_bridge(server, "hq", waits)
    publish_all(server, range(100), 2)
    way.bytes_max = 600
    way.heal()
    wait_bridge(server, "hq", lambda one: one["connections"] > 1)
    way.cut()
    server.crash()
    shutil.rmtree(tmp_path / "data")
    way.bytes_max = None
    way.heal()
    server = begin(bridge)
    wait_bridge(server, "hq", works)
    publish_all(server, range(1000, 1100), 2)
    wait_bridge(server, "hq", is_drained)
    receiver.wait(100)
    assert [n for n in receiver.payloads if n >= 1000] == list(range(1000, 1100)), f"seed {SEED}"


def test_a_bridge_that_was_changed_goes_on(mosquitto, begin, tmp_path):
    """A reload; what waited goes to the new broker."""
    first, second = mosquitto(), mosquitto()
    bridge = {"name": "hq", "url": first.url, "up": ["t qos=2", "u qos=1"]}
    server = begin(bridge)
    wait_bridge(server, "hq", works)
    first.stop()
    publish_all(server, range(50), 2)
    receiver = Receiver(second.client)
    write(tmp_path, {**bridge, "url": second.url, "up": ["t qos=2"]})
    assert "bridges" in str(server.admin().post("/api/v1/reload").json)
    check(receiver.wait(50), 50, 2)
    publish_all(server, range(1), 1, "u")
    write(tmp_path)
    server.admin().post("/api/v1/reload")
    server.wait_line(r"bridge hq is gone; its session was empty and has ended")
