"""A node and its replica are killed at any moment, in either order: the copy has all that was acknowledged while it was in step, as
`roost store` finds it."""

import json
import random
import shutil
import subprocess
import threading
import time

import pytest

from cluster import Cluster
from mqtt_wire import Closed
from nats_server import Nats
from power import SEED
from server import ROOST

ROUNDS = 6
PUBLISHERS = 4
MOST = 800  # of a publisher: less than a session's queue takes
IN_STEP = "replica b: in step"


@pytest.fixture
def cluster(serve, tmp_path):
    nats = Nats()
    yield Cluster(serve, nats, tmp_path, "--cluster-replicas", "1", "--shards", "2", store=True)
    nats.close()


def publish(server, name, acknowledged):
    try:
        with server.client(f"from-{name}", 5) as client:
            for i in range(MOST):
                topic = f"{name}/{i}"
                client.hand_over(topic, b"x" * 200)
                acknowledged.append(topic)
    except (Closed, OSError):
        pass


def topics_in(directory):
    dumped = subprocess.run([ROOST, "store", "dump", "--model", str(directory)], capture_output=True, text=True, check=False)
    assert dumped.returncode == 0, dumped.stderr
    lines = [json.loads(line) for line in dumped.stdout.splitlines()]
    return {entry["topic"] for line in lines if "session" in line for entry in line["queue"]}


def test_at_any_moment(cluster, tmp_path):
    draw = random.Random(SEED)
    for number in range(ROUNDS):
        a, b = cluster.start("a"), cluster.start("b")
        cluster.wait("the replica is in step", lambda server=a: IN_STEP in server.log(400))
        names = [f"r{number}-{i}" for i in range(PUBLISHERS)]
        for name in names:
            with a.session(f"to-{name}", 5) as client:
                client.subscribe((f"{name}/+", 1))
                client.disconnect()
        acknowledged = {name: [] for name in names}
        threads = [threading.Thread(target=publish, args=(a, name, acknowledged[name])) for name in names]
        for thread in threads:
            thread.start()
        cluster.wait("some are acknowledged", lambda: any(acknowledged.values()))
        time.sleep(draw.uniform(0, 1.0))  # the moment of the kill
        servers = [a, b]
        draw.shuffle(servers)
        servers[0].crash()
        time.sleep(draw.uniform(0, 0.1))
        servers[1].crash()
        for thread in threads:
            thread.join()
        copied = tmp_path / "copied"
        shutil.copytree(tmp_path / "b" / "replicas" / "a", copied)
        there = topics_in(copied)
        shutil.rmtree(copied)
        for name in names:
            missing = [topic for topic in acknowledged[name] if topic not in there]
            assert not missing, f"seed {SEED}, round {number}: {len(missing)} of {len(acknowledged[name])} are missing: {missing[:5]}"
