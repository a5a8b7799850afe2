"""NATS is killed, or stands still, while nodes publish to each other: what was acknowledged comes, once and in order, when NATS is
back; each node serves its own clients all the while, and says that it is alone."""

import pytest

from cluster import Cluster
from nats_server import Nats

MESSAGES = 200


@pytest.fixture
def nats():
    server = Nats()
    yield server
    server.close()


def numbers(client, count):
    return [int(client.take(60).payload) for _ in range(count)]


@pytest.mark.parametrize("away", ["killed for a moment", "killed for long", "paused for long"])
def test_messages_come_when_nats_is_back(serve, nats, tmp_path, away):
    cluster = Cluster(serve, nats, tmp_path)
    a, b = cluster.start_all(2)
    with b.client("to", 5) as to, a.client("local", 5) as local, a.client("from", 5) as publisher:
        to.subscribe(("t/#", 1))
        cluster.wait("the filter is known", lambda: cluster.peer("a", "b")["filters"] >= 1)
        for number in range(MESSAGES):
            publisher.publish("t/1", str(number), qos=1, packet_id=number + 1)
            if number == MESSAGES // 2:
                nats.pause() if "paused" in away else nats.kill()
        local.subscribe(("here", 1))
        local.hand_over("here", "x", qos=1)
        assert local.take().payload == b"x"
        if "long" in away:
            cluster.wait_state("a", "b", "away")
            cluster.wait_state("b", "a", "away")
            cluster.wait("it says that NATS is away", lambda: "NATS" in (cluster.status("a")["fault"] or ""))
        nats.resume() if "paused" in away else nats.start()
        assert numbers(to, MESSAGES) == list(range(MESSAGES))
        cluster.settle()
