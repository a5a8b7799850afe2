"""`bench latency` starts what it compares, and its report is whole; figures are not looked at."""

import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest

from server import ROOST, ROOT, SANITIZER

RUN_TIMEOUT_S = 90
PERCENTILES = ("p50", "p90", "p99", "p999", "p9999", "max")
QUICK = ("--duration", "1", "--warm-up", "100", "--clients", "20")


def latency(*arguments):
    done = subprocess.run([ROOST, "bench", "latency", *QUICK, *arguments], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def children_of(text):
    """Processes whose command line has the text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in path.read_text():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def assert_rising(figures, broker, part):
    """Those that few messages stand behind are of those rounds only that had enough, and so of other ones."""
    values = [figures[f"{broker}_{part}_{name}_us"] for name in PERCENTILES]
    known = [value for value in values if value is not None]
    assert len(known) >= 4 and all(math.isfinite(value) for value in known)
    assert known[0] <= known[1] and known[-1] == max(known)


@pytest.mark.parametrize("load", [("--rate", "1000"), ("--window", "2"), ("--rate", "1000", "--qos", "1", "--version", "5")],
                         ids=["rate", "window", "qos1"])
def test_beside_mosquitto_and_a_neighbour(load):
    rounds = 2 if "--window" in load else 1
    done = latency(*load, "--beside", "mosquitto", "--rounds", str(rounds), "--neighbour", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(done.stdout)
    assert (figures["rounds"], figures["neighbours"], figures["clients"]) == (rounds, 1, 20)
    for broker in ("roost", "mosquitto"):
        for part in ("latency", "passage", "read_late"):
            assert_rising(figures, broker, part)
        assert figures[f"{broker}_messages"] > 0
        assert figures[f"{broker}_cpu_us_per_message"] > 0
        assert figures[f"{broker}_neighbour_cpu_percent"] > 0
        assert (figures[f"{broker}_send_late_p50_us"] is None) == ("--window" in load)
    for name in ("p50", "p90", "p99", "max"):
        assert figures[f"mosquitto_ratio_{name}"] > 0


def test_beside_another_build(tmp_path):
    """Its path may be any, and has options of its own. Nobody is left when the bench has ended."""
    other = tmp_path / "other"
    os.symlink(ROOST, other)
    done = latency("--beside", f"{other} --shards 1", "--rounds", "1")
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    name = str(other)[-31:]
    for title in ("latency:", "of it, from send()", "late to send", "late to read"):
        at = next(i for i, line in enumerate(lines) if title in line)
        assert lines[at + 1].startswith("roost ") and lines[at + 2].startswith(name)
    assert re.search(rf"^roost / {re.escape(name)}\s+\d", done.stdout, re.MULTILINE)
    assert not children_of(str(other))


def test_broker_that_runs_already(serve):
    server = serve("--shards", "1")
    done = latency("--url", f"tcp://127.0.0.1:{server.port}", "--server-pid", str(server.pid), "--beside", str(server.port),
                   "--rounds", "1", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(done.stdout)
    assert figures["server_messages"] > 0 and figures[f"127_0_0_1_{server.port}_messages"] > 0


@pytest.mark.parametrize("arguments, fault", [
    (("--beside", "/nowhere/roost"), "/nowhere/roost: No such file or directory"),
    (("--serve", "--no-such-option 1"), "--no-such-option: there is no such option"),
    (("--beside", "/bin/false"), "did not start"),
])
def test_broker_that_does_not_start(arguments, fault):
    done = latency(*arguments)
    assert done.returncode == 1 and fault in done.stderr and not done.stdout


def test_table_of_tools_tail():
    done = subprocess.run([ROOT / "tools" / "tail.py", "--rounds", "1", "--duration", "1", "light"], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False, env={**os.environ, "ROOST": ROOST, "ROOST_BEFORE": ROOST})
    assert done.returncode == 0, done.stderr
    for title in ("alone", "beside a busy neighbour"):
        assert f"; {title}; medians of 1 rounds" in done.stdout
    rows = re.findall(r"^\| latency \| (.*?) \| [\d,.]+ \| [\d,.]+ \| [\d,.]+ \|$", done.stdout, re.MULTILINE)
    assert len(rows) == 10 and rows[0] == "roost" and rows[1] == "mosquitto" and rows[3] == "roost / mosquitto"
