"""`roost bench` against a broker that others wrote, Debian's mosquitto: loads that Roost itself cannot flatter."""

import json
import re
import select
import socket
import subprocess
import time

import pytest

from server import ROOST

MOSQUITTO = "/usr/sbin/mosquitto"
START_TIMEOUT_S = 10
RUN_TIMEOUT_S = 60
# mosquitto 2.0.11 counts what it queues wrongly and drops some of it: no bound, no drop. It takes no port 0.
CONFIGURATION = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
connection_messages false
max_queued_messages 0
log_dest stderr
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """The URL of a broker that runs."""
    with socket.create_server(("127.0.0.1", 0)) as drawn:
        port = drawn.getsockname()[1]
    configuration = tmp_path_factory.mktemp("mosquitto") / "mosquitto.conf"
    configuration.write_text(CONFIGURATION.format(port=port))
    with subprocess.Popen([MOSQUITTO, "-c", str(configuration)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            log = b""
            deadline = time.monotonic() + START_TIMEOUT_S
            while not re.search(rb"mosquitto version \S+ running", log):
                readable, _, _ = select.select([process.stderr], [], [], max(0, deadline - time.monotonic()))
                more = process.stderr.read1() if readable else b""
                assert more, f"mosquitto did not start: {log.decode()}"
                log += more
            yield f"tcp://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=START_TIMEOUT_S)


def bench(broker, *arguments):
    """The figures of a run that went as it should."""
    done = subprocess.run([ROOST, "bench", *arguments, "--url", broker, "--json"], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def pubsub(broker, pattern, qos, version, *arguments):
    figures = bench(broker, "pubsub", "--pattern", pattern, "--qos", str(qos), "--version", str(version), "--clients", "60",
                    "--publishers", "10", "--messages", "2000", "--warm-up", "0", *arguments)
    assert figures["server_received"] >= 2000
    for kind in ("lost", "out_of_order", "doubled", "unacknowledged", "foreign", "clients_lost"):
        assert figures[f"server_{kind}"] == 0
    assert figures["server_cpu_us_per_message"] > 0
    return figures


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("pattern, version", [("one-to-one", 4), ("fan-out", 5), ("fan-in", 4)])
def test_messages(broker, version, pattern, qos):
    pubsub(broker, pattern, qos, version)


def test_bursts(broker):
    pubsub(broker, "one-to-one", 2, 5, "--burst", "8", "--window", "16")


def test_window_above_receive_maximum_is_refused(broker):
    """mosquitto takes 20 messages in flight [MQTT-3.3.4-7]."""
    done = subprocess.run([ROOST, "bench", "pubsub", "--pattern", "one-to-one", "--qos", "1", "--version", "5", "--clients",
                           "4", "--publishers", "2", "--window", "21", "--messages", "10", "--url", broker],
                          capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "Receive Maximum" in done.stderr


@pytest.mark.parametrize("qos", [0, 1])
def test_shared_subscription(broker, qos):
    """mosquitto goes round the members, so that hardly any gets more than another."""
    figures = pubsub(broker, "shared", qos, 5, "--members", "20")
    assert figures["server_member_least"] >= 90
    assert figures["server_member_deviation_percent"] < 10


@pytest.mark.parametrize("version, options", [(4, []), (5, ["--stay", "50", "--subscribe", "--from", "127.77.0.0/24"])])
def test_storm(broker, tmp_path, version, options):
    secret = tmp_path / "secret"
    secret.write_text("mosquitto does not look at it\n")
    figures = bench(broker, "storm", "--established", "60", "--publishers", "10", "--duration", "1", "--warm-up", "0",
                    "--version", str(version), "--token-secret", str(secret), *options)
    assert figures["end_signed_in"] > 100
    assert figures["sign_ins_per_s"] > 0
    assert sum(figures[f"end_{end}"] for end in ("reset", "closed", "connack", "unopened", "no_answer", "other")) == 0
    assert figures["stay_lost"] == 0
    for interval in ("quiet", "storm", "quiet_again"):
        assert 0 < figures[f"{interval}_latency_p50_us"] <= figures[f"{interval}_latency_p999_us"]
        assert figures[f"{interval}_server_cpu_percent"] > 0
    assert figures["ratio_p999"] > 0
