"""Many messages at once to a client of each library, with the default settings of both sides: none is lost, and at QoS 2 none
comes twice."""

import contextlib
import queue
import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from mqtt_wire import PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAXIMUM, acknowledge, publish

TIMEOUT_S = 60
BURST = 5000
PAYLOAD_BYTES = 200
QOS = (1, 2)
HERE = Path(__file__).parent


class Tally:
    """What came of a burst, and what came twice."""

    def __init__(self):
        self.lines = queue.Queue()
        self.seen, self.doubled = set(), 0

    def take(self, payload):
        if payload.startswith(b"end"):
            self.lines.put(f"{len(self.seen)} different, {self.doubled} doubled")
            self.seen, self.doubled = set(), 0
            return
        number = int(payload.split(b".", 1)[0])
        self.doubled += number in self.seen
        self.seen.add(number)


@contextlib.contextmanager
def paho_python(port, version):
    """A function that gives the next line, as of a receiver's process."""
    tally = Tally()
    client = mqtt.Client("paho", protocol=mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311)
    client.on_message = lambda _client, _data, message: tally.take(message.payload)
    client.on_connect = lambda *_: client.subscribe("burst", 2)
    client.on_subscribe = lambda *_: tally.lines.put("subscribed")
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield lambda: tally.lines.get(timeout=TIMEOUT_S)
    finally:
        client.disconnect()
        client.loop_stop()


@contextlib.contextmanager
def process(*command):
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as receiver:
        timer = threading.Timer(TIMEOUT_S, receiver.kill)
        timer.start()
        try:
            yield lambda: receiver.stdout.readline().rstrip("\n")
            assert receiver.wait(TIMEOUT_S) == 0
        finally:
            timer.cancel()
            receiver.kill()


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("burst") / "receiver"
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libmosquitto"], capture_output=True, text=True, check=True)
    subprocess.run(["cc", "-Wall", "-Wextra", "-O1", "-o", path, HERE / "burst_receiver.c", *flags.stdout.split(), "-lpaho-mqtt3c",
                    "-lpthread"], check=True, timeout=TIMEOUT_S)
    return path


def send_burst(client, qos):
    """All at once, as far as the server lets one have so much under way, and its answers. Then the word that this was all."""
    window = client.connack.properties.get(RECEIVE_MAXIMUM, 65535)
    payloads = [str(number).encode().ljust(PAYLOAD_BYTES, b".") for number in range(BURST)] + [b"end"]
    for first in range(0, len(payloads), window):
        some = range(first, min(first + window, len(payloads)))
        client.send(b"".join(publish("burst", payloads[number], client.version, qos, packet_id=number + 1) for number in some))
        if qos == 2:
            assert all(client.answer(PUBREC, number + 1).reason == 0 for number in some)
            client.send(b"".join(acknowledge(PUBREL, number + 1) for number in some))
        assert all(client.answer(PUBACK if qos == 1 else PUBCOMP, number + 1).reason == 0 for number in some)


def check_bursts(server, receiver):
    with receiver as line, server.client("publisher", 5) as publisher:
        assert line() == "subscribed"
        for qos in QOS:
            send_burst(publisher, qos)
            assert line() == f"{BURST} different, 0 doubled", f"at QoS {qos}"


@pytest.mark.parametrize("library", ["mosquitto", "paho"])
def test_c(defaults, program, library, version):
    check_bursts(defaults, process(program, library, str(version), str(defaults.port), str(len(QOS))))


def test_paho_python(defaults, version):
    check_bursts(defaults, paho_python(defaults.port, version))


def test_mqttjs(defaults, version):
    check_bursts(defaults, process("node", str(HERE / "burst_receiver.js"), str(version), str(defaults.port), str(len(QOS))))
