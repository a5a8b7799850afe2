"""Eclipse Paho, for Python over TLS, WebSocket and both, and for C likewise (paho_transports.c)."""

import queue
import ssl
import subprocess
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

import certificates

pytestmark = pytest.mark.transports("tcp", "tls", "ws", "wss")

TIMEOUT_S = 20
PROTOCOLS = {4: mqtt.MQTTv311, 5: mqtt.MQTTv5}
HERE = Path(__file__).parent


@pytest.mark.parametrize("tls", ["1.2", "1.3"])
def test_python(server, version, transport, tls):
    if transport in ("tcp", "ws") and tls == "1.2":
        pytest.skip("there is no TLS in it")
    messages, subscribed, disconnected = queue.Queue(), queue.Queue(), queue.Queue()
    client = mqtt.Client("paho", protocol=PROTOCOLS[version], transport="websockets" if transport in ("ws", "wss") else "tcp")
    if transport in ("ws", "wss"):
        client.ws_set_options(path="/mqtt")
    if transport in ("tls", "wss"):
        context = ssl.create_default_context(cafile=certificates.authority().file)
        context.maximum_version = ssl.TLSVersion.TLSv1_2 if tls == "1.2" else ssl.TLSVersion.TLSv1_3
        client.tls_set_context(context)
    client.on_message = lambda _client, _data, message: messages.put(message.payload)
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.on_connect = lambda *_: client.subscribe("t", 1)
    client.on_disconnect = lambda *_: disconnected.put(True)
    client.connect("localhost", server.port, keepalive=30)
    client.loop_start()
    try:
        subscribed.get(timeout=TIMEOUT_S)
        sent = [str(number).encode() for number in range(500)] + [b"x" * 500000]
        published = [client.publish("t", payload, qos=1) for payload in sent]
        assert [messages.get(timeout=TIMEOUT_S) for _ in sent] == sent
        for info in published:  # a PUBACK that is not read when the socket is closed resets it, and DISCONNECT is lost
            info.wait_for_publish(TIMEOUT_S)
        client.disconnect()
        disconnected.get(timeout=TIMEOUT_S)
    finally:
        client.loop_stop()
    server.wait_counter("connections_open", 0)
    assert server.counter("end_closed_by_client") == 1


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("paho") / "transports"
    subprocess.run(["cc", "-Wall", "-Wextra", "-O1", "-o", path, HERE / "paho_transports.c", "-lpaho-mqtt3cs", "-lpthread"], check=True,
                   timeout=60)
    return path


SCHEMES = {"tcp": "tcp", "tls": "ssl", "ws": "ws", "wss": "wss"}


@pytest.mark.parametrize("shows", [False, True])
def test_c(serve, program, version, transport, shows):
    is_tls = transport in ("tls", "wss")
    if shows and not is_tls:
        pytest.skip("there is no TLS in it")
    server = serve(*(["--tls-client-certificates", "required", "--tls-client-ca-file", certificates.authority().file] if shows else []))
    url = f"{SCHEMES[transport]}://localhost:{server.port}" + ("/mqtt" if transport in ("ws", "wss") else "")
    own = certificates.client()
    words = [url, str(version), certificates.authority().file if is_tls else "", *([own.chain, own.key] if shows else [])]
    ended = subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout) == (0, "ok\n"), ended.stdout + ended.stderr + server.log()
    server.wait_counter("connections_open", 0)
    assert server.counter("end_closed_by_client") == 1
