"""Clients that others wrote, over restarts of a server with a store: their sessions are there, and what was sent meanwhile."""

import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from store import ENDS, Stored

TIMEOUT_S = 20
VERSIONS = {4: "mqttv311", 5: "mqttv5"}
# mosquitto_sub of version 5 keeps its session only where it says for how long.
KEEPS = {4: ["-c"], 5: ["-c", "-x", "3600"]}


def mosquitto(program, server, version, *options):
    return subprocess.run([program, "-h", "127.0.0.1", "-p", str(server.port), "-V", VERSIONS[version], *options],
                          capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("qos", ["1", "2"])
def test_mosquitto(stored, version, end, qos):
    session = ["-i", "away", *KEEPS[version], "-q", qos, "-t", "t"]
    assert mosquitto("mosquitto_sub", stored.server, version, *session, "-E").returncode == 0
    for text in ("one", "two"):
        assert mosquitto("mosquitto_pub", stored.server, version, "-t", "t", "-m", text, "-q", qos).returncode == 0
        stored.again(end)
    got = mosquitto("mosquitto_sub", stored.server, version, *session, "-C", "2", "-F", "%p %q", "-W", "10")
    assert got.returncode == 0, got.stderr
    assert got.stdout.splitlines() == [f"one {qos}", f"two {qos}"]


@pytest.mark.parametrize("end", ENDS)
def test_paho_goes_on_over_a_restart(serve, tmp_path, end):
    """Publisher and subscriber stay, and come back by themselves; every message arrives, and in order."""
    stored = Stored(serve, tmp_path / "store")
    stored.start()
    port = stored.server.port
    got = []
    count = 300
    subscriber = mqtt.Client("to", clean_session=False, protocol=mqtt.MQTTv311)
    subscriber.reconnect_delay_set(1, 1)
    subscriber.on_connect = lambda client, data, flags, code: client.subscribe("t", 2)
    subscribed = threading.Event()
    subscriber.on_subscribe = lambda *_: subscribed.set()
    done = threading.Event()

    def take(_client, _data, message):
        got.append(int(message.payload))
        if got[-1] == count - 1:
            done.set()

    subscriber.on_message = take
    publisher = mqtt.Client("from", clean_session=False, protocol=mqtt.MQTTv311)
    publisher.reconnect_delay_set(1, 1)
    for client in (subscriber, publisher):
        client.connect("127.0.0.1", port, keepalive=10)
        client.loop_start()
    assert subscribed.wait(TIMEOUT_S)
    try:
        for number in range(count):
            publisher.publish("t", str(number), qos=2)
            if number in (100, 200):
                getattr(stored.server, end)()
                stored.start(listen=[f"tcp://127.0.0.1:{port}"])
        assert done.wait(3 * TIMEOUT_S)
    finally:
        for client in (publisher, subscriber):
            client.disconnect()
            client.loop_stop()
    assert got == list(range(count))


@pytest.mark.parametrize("end", ENDS)
def test_mqtt_js(stored, version, end):
    script = Path(__file__).with_name("restarts.js")

    def run(step):
        ended = subprocess.run(["node", str(script), step, str(stored.server.port), str(version)], capture_output=True,
                               text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
        assert ended.returncode == 0 and ended.stdout == "ok\n", ended.stdout + ended.stderr

    run("subscribe")
    stored.again(end)
    run("publish")
    stored.again(end)
    run("take")
