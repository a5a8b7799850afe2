#!/usr/bin/python3
"""Durable messages, as one table: Roost with a store, Roost without one, and Debian's mosquitto with persistence, each under
the same `roost bench durable`.

    tools/durable.py [--rounds N] [--directory DIR] [--only NAME ...] [WORD ...]

WORDs go to each `roost bench durable`: --qos 2, --duration 5. Stores are below DIR (/var/tmp), which decides on the device.
Rounds go from one broker to the next, each with a fresh server and an empty store; the table has their medians.

mosquitto never syncs: it writes its whole database anew every second in which something has changed (autosave_interval 1,
which is its closest to safe; after each change, `autosave_on_changes true`, is the row "mosquitto-eager"), and acknowledges
before. So a kill of the process loses up to a second of what it had acknowledged, and a power cut more.

Exit status: 0 measured, 1 a broker did not start, or messages of the first one were lost.
"""

import argparse
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
MOSQUITTO = "/usr/sbin/mosquitto"
START_S = 30

# Long queues: what a broker drops by design is not what is compared.
QUEUES = ["--queue-messages-max", "1000000", "--queue-bytes-max", "268435455"]

COLUMNS = [
    ("acknowledged_per_s", "acked/s", 0),
    ("puback_p50_us", "p50 us", 0),
    ("puback_p99_us", "p99 us", 0),
    ("puback_p999_us", "p99.9 us", 0),
    ("puback_max_us", "max us", 0),
    ("server_cpu_us_per_message", "CPU us/m", 2),
    ("drained_per_s", "drained/s", 0),
    ("disk_bytes_per_message", "disk B/m", 1),
    ("disk_ratio", "x packet", 2),
    ("sync_p99_us", "sync p99", 0),
    ("puback_p99_syncs", "in syncs", 2),
    ("missing", "missing", 0),
    ("doubled", "doubled", 0),
    ("repeated", "repeated", 0),
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def running(command, ready, port):
    """The process, and its port."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            found = re.search(r"listening on tcp://127\.0\.0\.1:(\d+)", line)
            port = int(found.group(1)) if found else port
            if ready in line:
                break
        else:
            sys.exit(f"durable.py: {' '.join(command)} did not start:\n{''.join(said)}")
        # Nobody would read the rest of its log otherwise, and it would wait for that.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        try:
            yield process, port
        finally:
            process.terminate()
            process.wait()
            drain.wait()


def roost(store, *options):
    with_store = ["--store", store] if store else []
    return running([ROOST, "serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", *QUEUES, *with_store, *options], " ready", None)


def mosquitto(store, eager):
    port = free_port()
    config = Path(store, "mosquitto.conf")
    config.write_text(f"""listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {store}/
autosave_interval 1
autosave_on_changes {str(eager).lower()}
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
connection_messages false
log_dest stderr
user {os.environ.get("USER", "root")}
""")
    return running([MOSQUITTO, "-c", str(config)], " running", port)


BROKERS = {
    "roost": lambda store: roost(store),
    "roost-periodic": lambda store: roost(store, "--durability", "periodic"),
    "roost-no-store": lambda store: roost(None),
    "mosquitto": lambda store: mosquitto(store, False),
    "mosquitto-eager": lambda store: mosquitto(store, True),
}


def measure(name, directory, words):
    with tempfile.TemporaryDirectory(prefix="roost-durable-", dir=directory) as store, BROKERS[name](store) as (process, port):
        # mosquitto allows version 5 clients 20 messages in flight; before version 5 there is no such limit.
        command = [ROOST, "bench", "durable", "--version", "4", "--url", f"tcp://127.0.0.1:{port}", "--server-pid",
                   str(process.pid), "--disk", store, "--json", *words]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL)
    if not done.stdout:
        sys.exit(f"durable.py: {' '.join(command)} ended with status {done.returncode}")
    return json.loads(done.stdout), done.returncode


def cell(rounds, key, decimals):
    values = [figures[key] for figures in rounds if figures.get(key) is not None]
    return f"{statistics.median(values):,.{decimals}f}" if values else "n/a"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", default="/var/tmp")
    parser.add_argument("--only", action="append", choices=BROKERS)
    options, words = parser.parse_known_args()
    names = options.only or ["roost", "roost-no-store", "mosquitto"]
    results = {name: [] for name in names}
    lost = False
    for _ in range(options.rounds):
        for name in names:
            figures, status = measure(name, options.directory, words)
            results[name].append(figures)
            lost = lost or (status != 0 and name == names[0])
    first = results[names[0]][0]
    print(f"{first['publishers']} publishers, window {first['window']}; {first['subscribers']} subscribers, {first['offline']} of them"
          f" offline; QoS {first['qos']}, {first['size']} bytes, a PUBLISH of {first['packet_bytes']}; medians of {options.rounds}")
    print(f"{'':16}" + "".join(f"{title:>11}" for _, title, _ in COLUMNS))
    for name in names:
        print(f"{name:16}" + "".join(f"{cell(results[name], key, decimals):>11}" for key, _, decimals in COLUMNS))
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
