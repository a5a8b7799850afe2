#!/usr/bin/python3
"""The program replaced under a million clients: how long any of them waits, and what it costs.

    tools/million_upgrade.py [--clients N] [--upgrades N] [--transport tcp|tls|ws|wss] [--store DIR] [--to PROGRAM]...

`roost bench hold` connects the clients, each subscribed to a topic of its own, and pings over them all the while; each
ping is timed, so that the longest answer is the longest that the server was silent to any of them. Exit status 0: no
client was lost, and none waited for longer than a second. Bounded in time; what it starts it ends.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
# The kernel looks each packet's socket up in a table that it sized when it started. Two ends of a million clients want a
# larger one, which a network namespace may have.
BUCKETS = 4194304
SILENCE_MAX_MS = 1000
SAMPLE_S = 0.02


class Lines:
    """What a program writes to a stream, to be waited on."""

    def __init__(self, stream):
        self.lines = []
        self.grown = threading.Condition()
        self.ended = False
        threading.Thread(target=self.read, args=(stream,), daemon=True).start()

    def read(self, stream):
        for line in stream:
            with self.grown:
                self.lines.append(line.rstrip("\n"))
                self.grown.notify_all()
        with self.grown:
            self.ended = True
            self.grown.notify_all()

    def wait(self, pattern, seconds):
        """The first line that matches. Exits where it does not come."""
        deadline = time.monotonic() + seconds
        with self.grown:
            while True:
                for line in self.lines:
                    if match := re.search(pattern, line):
                        return match
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    sys.exit(f"no line with {pattern!r}; the last ones:\n" + "\n".join(self.lines[-20:]))
                self.grown.wait(left)


class Memory(threading.Thread):
    """Watches the server's memory and the machine's, until it is told to stop."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.stopped = threading.Event()
        self.resident_max = 0
        self.available_min = sys.maxsize

    @staticmethod
    def field(path, name):
        for line in Path(path).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        return 0

    def resident(self):
        return self.field(f"/proc/{self.pid}/status", "VmRSS:")

    @classmethod
    def available(cls):
        return cls.field("/proc/meminfo", "MemAvailable:")

    def run(self):
        while not self.stopped.wait(SAMPLE_S):
            self.resident_max = max(self.resident_max, self.resident())
            self.available_min = min(self.available_min, self.available())


def into_namespace():
    """With a larger table of sockets, where it may be had; else everything stays as it is."""
    if os.environ.get("IN_NAMESPACE") or os.geteuid() != 0:
        if os.environ.get("IN_NAMESPACE"):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    script = 'echo "$1" >/proc/sys/net/ipv4/tcp_child_ehash_entries && shift && exec unshare --net "$@"'
    if subprocess.run(["unshare", "--net", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        os.environ["IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "bash", "-c", script, "-", str(BUCKETS), sys.executable, *sys.argv])


def ended(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def mebibytes(count):
    return f"{count / (1 << 20):.1f} MiB"


def measure(options, server, bench):
    log = Lines(server.stderr)
    log.wait(r"\bready\b", 60)
    admin = log.wait(r"admin on (http://\S+)", 5).group(1)
    url = log.wait(rf"listening on ({options.transport}://\S+)", 5).group(1).rstrip(",")
    client = bench(url)
    progress = Lines(client.stderr)
    progress.wait(r"^hold:", options.clients / (700 if options.transport in ("tls", "wss") else 2000) + 120)
    print(f"{options.clients} clients are connected", flush=True)
    for number in range(options.upgrades):
        time.sleep(options.between)  # pings of the next part of a keepalive
        memory = Memory(server.pid)
        before, available = memory.resident(), memory.available()
        memory.start()
        began = time.monotonic()
        asked = subprocess.run([ROOST, "ctl", "--url", admin, "upgrade", options.to[number % len(options.to)]], capture_output=True, text=True,
                               timeout=120, check=False)
        took = time.monotonic() - began
        memory.stopped.set()
        memory.join()
        print(f"upgrade {number + 1} in {took:.2f} s, exit status {asked.returncode}: {asked.stdout.strip()}{asked.stderr.strip()}")
        print(f"  resident before {mebibytes(before)}, most {mebibytes(memory.resident_max)} "
              f"({memory.resident_max / before:.2f} times), after {mebibytes(memory.resident())}; "
              f"the machine had {mebibytes(available - memory.available_min)} less at the worst moment", flush=True)
        if asked.returncode != 0:
            return False
    output, _ = client.communicate(timeout=options.hold + 300)
    figures = json.loads(output)
    for name in ("clients", "connected", "held", "lost", "pings", "ping_p50_us", "ping_p99_us", "ping_p999_us", "ping_max_us",
                 "server_user_bytes_per_client"):
        print(f"  {name} {figures[name]}")
    for line in log.lines:
        if "upgrade" in line or "converted" in line:
            print(" ", line)
    return figures["lost"] == 0 and figures["held"] == options.clients and 0 < (figures["ping_max_us"] or 0) <= SILENCE_MAX_MS * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=1000000)
    parser.add_argument("--upgrades", type=int, default=1)
    parser.add_argument("--between", type=float, default=20, help="seconds before each upgrade")
    parser.add_argument("--hold", type=int, default=0, help="seconds; 0: as long as the upgrades take")
    parser.add_argument("--transport", default="tcp", choices=["tcp", "tls", "ws", "wss"])
    parser.add_argument("--store", help="a directory")
    parser.add_argument("--to", action="append", help="the new program; where there are several, they take turns")
    options = parser.parse_args()
    into_namespace()
    options.to = [str(Path(path).resolve()) for path in options.to or [ROOST]]
    options.hold = options.hold or int(options.upgrades * (options.between + 10) + 30)
    scratch = tempfile.mkdtemp()
    program = shutil.copy(ROOST, scratch)
    command = [program, "serve", "--listen", f"{options.transport}://127.0.0.1:0", "--admin", "http://127.0.0.1:0",
               "--connections", str(options.clients + options.clients // 100)]
    started = []

    def start(words, **how):
        started.append(subprocess.Popen(words, text=True, stderr=subprocess.PIPE, **how))
        return started[-1]

    def bench(url):
        return start([ROOST, "bench", "hold", "-n", str(options.clients), "--keepalive", "60", "--hold", str(options.hold),
                      "--time-pings", "--json", "--url", url, "--server-pid", str(started[0].pid)], stdout=subprocess.PIPE)

    good = False
    try:
        good = measure(options, start(command + (["--store", options.store] if options.store else [])), bench)
    finally:
        statuses = [ended(process) for process in reversed(started)]
        shutil.rmtree(scratch)
    print(f"the server ended with exit status {statuses[-1]}")
    return 0 if good and statuses[-1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
