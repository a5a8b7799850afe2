"""`bench run` with a restart: the server is ended in the middle of a step and started again, and the audit goes on across it."""

import json
import subprocess
import time

import pytest

from server import ROOST, SANITIZER

RUN_TIMEOUT_S = 120
GROUP = "version: 5, clean_start: false, size: 64"
SCENARIO = """
ramp_up_s: 0
warm_up_ms: 0
duration_s: 2
restart: {{after_ms: 700, signal: {signal}, store: {store}, command: [{command}]}}
groups:
  - {{name: two, count: 8, role: both, qos: 2, subscribe: two/%g, publish: two/%g, circles: 4, rate: 200, {group}}}
  - {{name: reader, count: 2, role: subscriber, qos: 1, subscribe: one/+, {group}}}
  - {{name: writer, count: 10, role: publisher, qos: 1, publish: one/%n, rate: 200, {group}}}
  - {{name: none, count: 4, role: both, version: 5, subscribe: zero/%n, publish: zero/%n, rate: 100}}
"""
COMMAND = (ROOST, "serve", "--listen", "@URL@", "--admin", "off")


def run(tmp_path, *more, signal="KILL", command=COMMAND, arguments=()):
    store = tmp_path / "store"
    store.mkdir()
    file = tmp_path / "scenario.yaml"
    words = ", ".join(json.dumps(word) for word in (*command, *more))
    file.write_text(SCENARIO.format(signal=signal, store=store, command=words, group=GROUP))
    done = subprocess.run([ROOST, "bench", "run", file, "--json", *arguments], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_server_with_a_store(signal, tmp_path):
    begin = time.monotonic()
    done = run(tmp_path, "--store", "@STORE@", signal=signal)
    took_s = time.monotonic() - begin
    assert done.returncode == 0, done.stdout + done.stderr
    step = json.loads(done.stdout)["server"]["steps"][0]
    restart = step["restart"]
    none, one, two = restart["at_qos"]
    assert restart["start_ms"] > 0 and restart["sessions_lost"] == restart["identifiers_reused"] == 0
    assert one["acknowledged"] > 0 and one["arrived"] == 2 * one["acknowledged"]
    assert two["acknowledged"] > 0 and two["arrived"] == 2 * two["acknowledged"]
    assert none["acknowledged"] == 0 and 0 < none["arrived"] <= 100 * took_s + 100  # a server that starts slowly makes the step longer
    for audit in (none, one, two):
        assert audit["missing"] == audit["doubled"] == audit["out_of_order"] == 0, done.stdout
    assert step["unsent"] == step["unacknowledged"] == step["clients_lost"] == 0
    # A message that is due while the server is away counts from when it was due.
    assert step["latency_max_ms"] >= restart["start_ms"]


def test_a_server_without_one_loses_sessions(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    restart = report["server"]["steps"][0]["restart"]
    assert restart["sessions_lost"] == 8 + 2 + 10
    assert not report["good"] and report["verdict"].startswith("an objective did not hold: ")


def test_a_server_that_does_not_come_back(tmp_path):
    """The first start leaves a mark, the second one finds it and ends."""
    script = f'test -e @STORE@/mark && exit 3; touch @STORE@/mark; exec {ROOST} serve --listen @URL@ --admin off'
    done = run(tmp_path, command=("sh", "-c", script))
    assert done.returncode == 1
    assert "the server did not start again" in done.stderr


def test_it_takes_no_other_server(tmp_path):
    done = run(tmp_path, arguments=("--url", "tcp://127.0.0.1:1883"))
    assert done.returncode == 2
    assert "the scenario starts its own server" in done.stderr
