"""MQTT.js from npm over every transport (mqttjs_transports.js)."""

import subprocess
from pathlib import Path

import pytest

import certificates

TIMEOUT_S = 30
SCRIPT = Path(__file__).with_suffix(".js")
SCHEMES = {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}


def run(server, transport, version, *words):
    url = f"{SCHEMES[transport]}://localhost:{server.port}" + ("/mqtt" if transport in ("ws", "wss") else "")
    ended = subprocess.run(["node", str(SCRIPT), url, str(version), *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
                           stdin=subprocess.DEVNULL)
    assert (ended.returncode, ended.stdout) == (0, "ok\n"), ended.stdout + ended.stderr + server.log()
    server.wait_counter("connections_open", 0)


@pytest.mark.transports("tcp", "tls", "ws", "wss")
def test_messages_of_all_sizes(server, transport, version):
    run(server, transport, version, certificates.authority().file)


@pytest.mark.transports("tls", "wss")
def test_its_own_certificate(serve, transport, version):
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", certificates.authority().file, "--tls-identity-as", "client-id")
    own = certificates.authority().client("js")
    run(server, transport, version, certificates.authority().file, own.chain, own.key)
