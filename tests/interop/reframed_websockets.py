"""MQTT.js and Paho over WebSockets whose frames are cut anew on their way: single bytes, very many fragments with Pings between
them, frames that end anywhere in a packet."""

import queue
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

import certificates
from reframing import WAYS, Relay

TIMEOUT_S = 60
SCRIPT = Path(__file__).with_suffix(".js")
MESSAGES = 100
LARGE_BYTES = 70000

pytestmark = pytest.mark.transports("ws", "wss")


@pytest.fixture(params=list(WAYS))
def relay(server, request):
    with Relay(server.urls[0], request.param) as relay:
        yield relay
        assert relay.relayed > 3


def test_mqttjs(relay, version):
    ended = subprocess.run(["node", str(SCRIPT), relay.url, str(version), certificates.authority().file], capture_output=True, text=True,
                           timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == "ok\n"


def test_paho(relay, version):
    arrived, subscribed, ended = queue.Queue(), queue.Queue(), queue.Queue()
    client = mqtt.Client("paho", protocol={4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version], transport="websockets")
    client.ws_set_options(path=relay.target.path)
    if relay.is_tls:
        client.tls_set(ca_certs=certificates.authority().file)
    client.on_subscribe = lambda *_: subscribed.put(None)
    client.on_message = lambda _client, _data, message: arrived.put(message)
    client.on_disconnect = lambda *_: ended.put(None)
    client.connect("127.0.0.1", relay.server.sockets[0].getsockname()[1], keepalive=1)
    client.loop_start()
    try:
        client.subscribe([("t", mqtt.SubscribeOptions(qos=2))] if version == 5 else [("t", 2)])
        subscribed.get(timeout=TIMEOUT_S)
        for qos in (0, 1, 2):
            for number in range(MESSAGES):
                client.publish("t", str(number), qos)
            for number in range(MESSAGES):
                assert arrived.get(timeout=TIMEOUT_S).payload == str(number).encode()
        large = bytes(i * 31 % 251 for i in range(LARGE_BYTES))
        client.publish("t", large, 1)
        assert arrived.get(timeout=TIMEOUT_S).payload == large
        client.disconnect()
        ended.get(timeout=TIMEOUT_S)
    finally:
        client.loop_stop()
