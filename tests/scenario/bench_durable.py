"""`bench durable`, `bench crash` and `bench stored`: what they find, and that they find it."""

import json
import subprocess

import pytest

from server import ROOST, SANITIZER

RUN_TIMEOUT_S = 120
# A store is not what is tested here.
SERVE = (ROOST, "serve", "--listen", "@URL@", "--admin", "off", "--queue-messages-max", "1000000", "--queue-bytes-max", "268435455")
MOSQUITTO = """cat >@STORE@/conf <<EOF
listener @PORT@ 127.0.0.1
allow_anonymous true
persistence true
persistence_location @STORE@/
max_queued_messages 0
max_inflight_messages 0
log_dest stderr
user root
EOF
exec /usr/sbin/mosquitto -c @STORE@/conf"""


def bench(*arguments):
    done = subprocess.run([ROOST, "bench", *arguments, "--json"] if "--" not in arguments else
                          [ROOST, "bench", arguments[0], "--json", *arguments[1:]],
                          capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done, json.loads(done.stdout)


@pytest.mark.parametrize("version", ["3", "4", "5"])
def test_connections_that_break(version, tmp_path):
    """Sessions in memory outlive them; nothing is lost or doubled at any QoS."""
    done, report = bench("crash", "--signal", "none", "--rounds", "5", "--kill-after", "20..200", "--version", version, "--store",
                         str(tmp_path), "--", *SERVE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["rounds"] == 5 and report["acknowledged"] > 0
    assert report["missing"] == report["doubled"] == report["out_of_order"] == report["sessions_lost"] == 0


def test_a_server_without_a_store_loses_all(tmp_path):
    done, report = bench("crash", "--rounds", "3", "--kill-after", "100..200", "--store", str(tmp_path), "--", *SERVE)
    assert done.returncode == 1
    assert report["rounds"] == 1, "it stops at the first fault"
    assert report["missing"] > 0 and report["retained_lost"] > 0 and report["sessions_lost"] > 0


@pytest.mark.roost_only("starts mosquitto itself")
def test_a_clean_stop_of_mosquitto(tmp_path):
    """It writes its state when it stops. (What it does at QoS 2, and with shared subscriptions, is its own affair.)"""
    done, report = bench("crash", "--signal", "TERM", "--early", "0", "--rounds", "3", "--kill-after", "50..150", "--qos", "1",
                         "--members", "0", "--version", "4", "--store", str(tmp_path), "--", "sh", "-c", MOSQUITTO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["rounds"] == 3 and report["acknowledged"] > 0


def test_a_server_that_does_not_start(tmp_path):
    done = subprocess.run([ROOST, "bench", "crash", "--store", str(tmp_path), "--", ROOST, "serve", "--no-such-option"],
                          capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 1
    assert "no-such-option" in done.stderr and "did not start" in done.stderr


DURABLE = ("durable", "--publishers", "10", "--subscribers", "20", "--duration", "1", "--warm-up", "0", "--rate", "2000")


@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_half_of_the_sessions_offline(serve, qos, tmp_path):
    server = serve("--queue-messages-max", "100000", "--queue-bytes-max", "268435455")
    done, report = bench(*DURABLE, "--qos", qos, "--url", f"tcp://127.0.0.1:{server.port}", "--disk", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["offline"] == 10
    assert report["missing"] == report["doubled"] == report["out_of_order"] == 0
    if qos != "0":
        assert report["arrived"] == 2 * report["acknowledged"] > 0
        assert report["drained"] > 0 and report["puback_p50_us"] > 0
    assert report["sync_p99_us"] > 0 and report["packet_bytes"] > 200


@pytest.mark.roost_only("asks for counters")
def test_queues_that_are_too_short(serve):
    """What the server drops by design is told from what it loses."""
    server = serve("--queue-messages-max", "20", "--admin", "http://127.0.0.1:0")
    done = subprocess.run([ROOST, "bench", *DURABLE, "--url", f"tcp://127.0.0.1:{server.port}", "--admin", server.admin().url],
                          capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "The server dropped what is missing, and counts it" in done.stdout
    assert "10 sessions lack messages; each of them got 20 to 20" in done.stdout


@pytest.mark.roost_only("starts mosquitto itself")
def test_stored_sessions(tmp_path):
    done, report = bench("stored", "--sessions", "500", "--messages", "2", "--check", "50", "--version", "4", "--store",
                         str(tmp_path), "--", "sh", "-c", MOSQUITTO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["present"] == 50 and report["checked_messages"] == 100
    assert report["session_disk_bytes"] > 0 and report["message_disk_bytes"] > 0 and report["start_s"] > 0 and report["stop_s"] > 0


def test_sessions_that_are_not_stored(tmp_path):
    done, report = bench("stored", "--sessions", "200", "--check", "20", "--store", str(tmp_path), "--", *SERVE)
    assert done.returncode == 1
    assert report["present"] == 0 and report["session_memory_bytes"] is not None
