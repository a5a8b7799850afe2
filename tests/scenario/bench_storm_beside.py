"""`bench storm` against two brokers in turns: each has its figures, and what others took of the machine meanwhile."""

import json
import re
import subprocess

from server import ROOST, SANITIZER

RUN_TIMEOUT_S = 90
QUICK = ("--established", "40", "--publishers", "4", "--duration", "1", "--warm-up", "100", "--serve", "--shards 1")


def storm(*arguments):
    done = subprocess.run([ROOST, "bench", "storm", *QUICK, *arguments], capture_output=True, text=True, check=False,
                          timeout=RUN_TIMEOUT_S, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_beside_mosquitto():
    figures = json.loads(storm("--beside", "mosquitto", "--established-rate", "500", "--json"))
    for broker in ("roost", "mosquitto"):
        for interval in ("quiet", "storm", "quiet_again"):
            assert figures[f"{broker}_{interval}_delivered_per_s"] > 0
            assert figures[f"{broker}_{interval}_latency_max_us"] >= figures[f"{broker}_{interval}_latency_p50_us"] > 0
            assert figures[f"{broker}_{interval}_other_cpu_percent"] >= 0
        assert figures[f"{broker}_sign_ins_per_s"] > 0
        assert figures[f"{broker}_lost"] == 0


def test_table():
    """One broker alone has no comparison."""
    out = storm()
    assert "others' CPU %" in out and not re.search(r"^roost / ", out, re.MULTILINE)
    out = storm("--beside", "mosquitto", "--rounds", "2")
    assert "medians of 2 rounds" in out
    assert re.search(r"^roost / mosquitto( +[\d.,]+){4}$", out, re.MULTILINE)
