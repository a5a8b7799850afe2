#!/usr/bin/python3
"""The server's processor time a message, and a connection, of two builds beside each other.

    tools/pairs.py [--pairs N] [--seconds S] [--lock FILE] BEFORE AFTER [PATTERN ...]

Patterns: one-to-one, qos1, bursts, fan-out, fan-in, connections; all where none is named. Each measurement has a fresh
server, since which clients share a shard is drawn at its start. A pair runs both builds under the same load, and every
other pair begins with the second one. Prints medians in microseconds, and the median of the pairs' ratios with the
lowest and the highest. `user` and `system` are the kernel's split of the server's time from its start to the end of
the load. BEFORE's bench makes the load for both. --lock takes the file's exclusive lock (flock) for each pair, where
others use the machine too.

Exit status: 0 measured, 1 a server did not start, or messages were lost.
"""

import argparse
import fcntl
import json
import os
import re
import statistics
import subprocess
import sys
from contextlib import contextmanager

PUBSUB = ["pubsub", "--clients", "2000", "--size", "64"]
HOLD = ["hold", "--clients", "10000", "--hold", "0"]
LOADS = {
    "one-to-one": [*PUBSUB, "--pattern", "one-to-one", "--publishers", "64"],
    "qos1": [*PUBSUB, "--pattern", "one-to-one", "--publishers", "64", "--qos", "1"],
    "bursts": [*PUBSUB, "--pattern", "one-to-one", "--publishers", "64", "--burst", "16"],
    "fan-out": [*PUBSUB, "--pattern", "fan-out"],
    "fan-in": [*PUBSUB, "--pattern", "fan-in", "--publishers", "500"],
    "connections": HOLD,
}
# What a report calls the processor time of one unit, the rate, and the median latency.
KEYS = {
    "pubsub": ("server_cpu_us_per_message", "server_delivered_per_s", "server_latency_p50_us"),
    "hold": ("server_cpu_us_per_connection", "connect_rate", None),
}


@contextmanager
def locked(path):
    if path is None:
        yield
        return
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def server(program):
    """A server on a free port: its process, and its URL."""
    command = [program, "serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--connections", "12000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        url = None
        for line in process.stderr:
            found = re.search(r"listening on (tcp://127\.0\.0\.1:\d+)", line)
            url = found.group(1) if found else url
            if "ready" in line:
                break
        else:
            sys.exit(f"pairs.py: {program} did not start")
        try:
            yield process, url
        finally:
            process.terminate()
            process.stderr.read()


def user_share(pid):
    """The part of the process's time that it spent outside the kernel."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return user / max(1, user + system)


def measure(program, bench, name, seconds):
    """Microseconds a unit, of them outside the kernel, units a second, median latency."""
    words = LOADS[name]
    duration = ["--duration", str(seconds)] if words[0] == "pubsub" else []
    with server(program) as (process, url):
        done = subprocess.run([bench, "bench", *words, *duration, "--url", url, "--server-pid", str(process.pid), "--json"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        share = user_share(process.pid)
    if done.returncode != 0:
        sys.exit(f"pairs.py: {name} against {program} failed with status {done.returncode}")
    report = json.loads(done.stdout)
    cost, rate, latency = (report[key] if key else float("nan") for key in KEYS[words[0]])
    return cost, cost * share, rate, latency


def medians(results):
    return [statistics.median(column) for column in zip(*results)]


def compare(options, name):
    results = ([], [])
    for number in range(options.pairs):
        with locked(options.lock):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                program = (options.before, options.after)[side]
                results[side].append(measure(program, options.before, name, options.seconds))
    ratios = sorted(after[0] / before[0] for before, after in zip(*results))
    before, after = medians(results[0]), medians(results[1])
    print(f"{name:12} {before[0]:8.3f} {after[0]:8.3f} {statistics.median(ratios):7.3f} {ratios[0]:6.3f}-{ratios[-1]:5.3f}"
          f" {before[1]:7.3f} {after[1]:7.3f} {before[0] - before[1]:7.3f} {after[0] - after[1]:7.3f}"
          f" {before[2]:9.0f} {after[2]:9.0f} {before[3]:8.0f} {after[3]:8.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("patterns", nargs="*", metavar="PATTERN")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of a round of messages")
    parser.add_argument("--lock", metavar="FILE")
    options = parser.parse_intermixed_args()
    unknown = set(options.patterns) - set(LOADS)
    if unknown or options.pairs < 1:
        parser.error(f"no such pattern: {', '.join(sorted(unknown))}" if unknown else "at least one pair")
    options.before, options.after = (os.path.abspath(path) for path in (options.before, options.after))
    print(f"{'':12} {'us/unit':>17} {'ratio':>7} {'':12} {'user':>15} {'system':>15} {'units/s':>19} {'p50 us':>17}")
    print(f"{'':12} {'before':>8} {'after':>8} {'':7} {'low-high':>12} {'before':>7} {'after':>7} {'before':>7} {'after':>7}"
          f" {'before':>9} {'after':>9} {'before':>8} {'after':>8}")
    for name in options.patterns or LOADS:
        compare(options, name)


if __name__ == "__main__":
    main()
