"""MQTT.js from npm, in both versions: the tests are in mqttjs_client.js, one process each."""

import subprocess
from pathlib import Path

import pytest

TIMEOUT_S = 30
SCRIPT = Path(__file__).with_suffix(".js")


def run(server, version, name):
    ended = subprocess.run(["node", str(SCRIPT), name, str(server.port), str(version)], capture_output=True, text=True,
                           timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout == "ok\n"


@pytest.mark.parametrize("name", ["hello", "wildcards", "unsubscribe", "order", "ping", "large", "refused"])
def test_both_versions(server, version, name):
    run(server, version, name)


@pytest.mark.parametrize("name", ["connack", "properties", "takeover"])
def test_version_5_only(server, name):
    run(server, 5, name)


@pytest.mark.parametrize("name", ["answers", "overrun"])
def test_many_under_way(defaults, version, name):
    run(defaults, version, name)
