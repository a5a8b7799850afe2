#!/usr/bin/python3
"""The program replaced again and again under a load, whose every message is accounted for.

    tools/upgrade_load.py [--clients N] [--rate N] [--upgrades N] [--between S] [--store DIR] [--transport tcp|tls|ws|wss]
                          [--to PROGRAM]... [-- OPTION...]

`roost bench run` has clients that only listen and clients that publish at QoS 0, 1 and 2 on a schedule. `roost ctl
upgrade` is called meanwhile. Options behind -- go to `roost serve`. Exit status 0: every upgrade was done, no client was
lost, no message lost, doubled or out of order, and the server has as many descriptors, and no more than a tenth more
memory, than after the first of them. Prints one JSON object. Bounded in time; what it starts it ends.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
START_S = 60
UPGRADE_S = 60
# What a table of 20,000 descriptors holds beside the bench's own.
CLIENTS_PER_THREAD = 15000
MEMORY_GROWTH = 1.1
AUDITED = ("lost", "doubled", "reordered", "foreign", "clients_lost", "unsent", "unacknowledged")
SHOWN = ("offered_per_s", "delivered_per_s", "sent", "received", *AUDITED, "latency_p50_ms", "latency_p99_ms", "latency_p999_ms",
         "latency_max_ms", "server_cpu_us_per_message")

SCENARIO = """
name: upgrade
threads: {threads}
ramp_up_s: {ramp_up_s}
warm_up_ms: 1000
duration_s: {duration_s}
groups:
  - {{name: quiet, count: {quiet}, role: idle, version: 5, keepalive_s: 30}}
  - {{name: zero, count: {talking}, role: both, version: 5, subscribe: zero/%g, publish: zero/%g, circles: {circles}, rate: {rate}}}
  - {{name: one, count: {talking}, role: both, version: 5, qos: 1, clean_start: false, subscribe: one/%g, publish: one/%g, circles: {circles}, rate: {rate}}}
  - {{name: two, count: {talking}, role: both, qos: 2, subscribe: two/%g, publish: two/%g, circles: {circles}, rate: {rate}}}
"""


def scenario(options):
    talking = max(30, options.clients // 30) // 10 * 10
    quiet = options.clients - 3 * talking
    if quiet < 0:
        sys.exit("at least 90 clients")
    duration = int(options.upgrades * (options.between + 0.5) + 5)
    # Each message arrives at the two clients of its circle; the rate is that of messages that come to the server.
    return SCENARIO.format(threads=options.clients // CLIENTS_PER_THREAD + 1, ramp_up_s=max(1, options.clients // 2000),
                           duration_s=duration, quiet=quiet, talking=talking, circles=talking // 2, rate=options.rate // 3)


def status_of(pid):
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    descriptors = sum(len(os.listdir(f"/proc/{pid}/task/{task}/fd")) for task in os.listdir(f"/proc/{pid}/task"))
    return {"resident_kib": int(fields["VmRSS"].split()[0]), "descriptors": descriptors, "threads": int(fields["Threads"])}


class Server:
    def __init__(self, options, folder):
        self.log = Path(folder) / "log"
        command = [ROOST, "serve", "--listen", f"{options.transport}://127.0.0.1:0", "--admin", "http://127.0.0.1:0",
                   *(["--store", options.store] if options.store else []), *options.options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        self.admin = self.find(r"admin on (http://\S+)")
        self.url = self.find(rf"listening on ({options.transport}://[^\s,]+)")
        self.find(r"\bready\b")

    def find(self, pattern):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if match := re.search(pattern, self.log.read_text()):
                return match.group(match.lastindex or 0)
            time.sleep(0.01)
        sys.exit(f"the server did not say {pattern!r}:\n{self.log.read_text()}")

    def upgrade(self, program):
        done = subprocess.run([ROOST, "ctl", "--url", self.admin, "upgrade", program], capture_output=True, text=True,
                              timeout=UPGRADE_S, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def run(options, server, folder):
    file = Path(folder) / "upgrade.yaml"
    file.write_text(scenario(options))
    bench = subprocess.Popen([ROOST, "bench", "run", str(file), "--json", "--url", server.url, "--server-pid",
                              str(server.process.pid)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    upgrades, after = [], []
    try:
        time.sleep(max(1, options.clients // 2000) + 2)  # they connect, and the warm-up passes
        for number in range(options.upgrades):
            time.sleep(options.between)
            code, words = server.upgrade(options.to[number % len(options.to)])
            upgrades.append(code)
            after.append(status_of(server.process.pid))
            if code != 0:
                print(words, file=sys.stderr)
                break
        output, errors = bench.communicate(timeout=options.upgrades * (options.between + 1) + 300)
    finally:
        if bench.poll() is None:
            bench.kill()
    if bench.returncode not in (0, 1) or not output:
        sys.exit(f"bench run ended with exit status {bench.returncode}:\n{errors}")
    return upgrades, after, json.loads(output)


def judged(upgrades, after, report, wanted):
    """What is wrong, in words."""
    step = report["server"]["steps"][0]
    faults = [f"{name} is {step[name]}" for name in AUDITED
              if step[name]]
    if upgrades != [0] * wanted:
        faults.append(f"{upgrades.count(0)} of {wanted} upgrades were done")
    if after and after[-1]["descriptors"] > after[0]["descriptors"]:
        faults.append(f"descriptors grew from {after[0]['descriptors']} to {after[-1]['descriptors']}")
    if after and after[-1]["resident_kib"] > after[0]["resident_kib"] * MEMORY_GROWTH + 1024:
        faults.append(f"memory grew from {after[0]['resident_kib']} to {after[-1]['resident_kib']} KiB")
    return faults


def main():
    words = sys.argv[1:] + ["--"]
    arguments, served = words[:words.index("--")], words[words.index("--") + 1:-1]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=20000)
    parser.add_argument("--rate", type=int, default=5000, help="messages a second")
    parser.add_argument("--upgrades", type=int, default=1)
    parser.add_argument("--between", type=float, default=5, help="seconds before each upgrade")
    parser.add_argument("--transport", default="tcp", choices=["tcp", "tls", "ws", "wss"])
    parser.add_argument("--store", help="a directory")
    parser.add_argument("--to", action="append", help="the new program; where there are several, they take turns")
    options = parser.parse_args(arguments)
    options.options = served
    options.to = [str(Path(path).resolve()) for path in options.to or [ROOST]]
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options, folder)
        try:
            upgrades, after, report = run(options, server, folder)
        finally:
            status = server.stop()
        sentences = [line for line in server.log.read_text().splitlines() if "upgrade" in line]
    step = report["server"]["steps"][0]
    faults = judged(upgrades, after, report, options.upgrades)
    if status != 0:
        faults.append(f"the server ended with exit status {status}")
    print(json.dumps({"upgrades": upgrades.count(0), "faults": faults, **{name: step[name] for name in SHOWN},
                      "after_first": after[:1], "after_last": after[-1:],
                      "log": sentences[-3:]}, indent=1))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
