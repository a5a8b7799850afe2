#!/usr/bin/python3
"""What back ends cost, and what they do when they come back: Roost with a real Redis beside it, both started here.

    tools/backends.py [upstream] [outage] [downstream] [vanish]      all of them where none is named

upstream    publishes at QoS 1 through one rule to a Redis stream, with the store, against the same to one durable subscriber,
            in turn: acknowledged a second, the server's processor time a message, their ratio; publishers send one message at a
            time, as devices do, or several
outage      Redis, which syncs each write, is stopped for 30 s under 5,000 messages a second and started again: what was
            acknowledged against what is in the stream, how long until nothing waits, and the latency of other clients
            meanwhile against before
downstream  entries of a stream to four online subscribers: delivered a second, the server's processor time a message
vanish      100,000 clients are gone at once: when all of them are in the presence stream, and that each is there once

Exit status: 0 measured, 1 something was lost or doubled, or did not start.
"""

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "harness"))

import yaml  # noqa: E402
from mqtt_wire import SESSION_EXPIRY, connect, publish, subscribe  # noqa: E402
from redis_server import Redis, free_port  # noqa: E402

ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
TICKS = os.sysconf("SC_CLK_TCK")
SYNCED = ("--appendonly", "yes", "--appendfsync", "always")
PUBLISHERS, WINDOW, PAYLOAD = 50, 256, b"x" * 200
RULE = {"name": "all", "topics": "load/#", "stream": "all"}
LIMITS = {"rule_messages_max": 1000000, "rule_bytes_max": 1 << 30}
TABLE = 18000  # clients that a shard has descriptors for where a process may open 20,000


class Gateway:
    """Roost, with a configuration and, where it is durable, a store on the device of /var/tmp."""

    def __init__(self, durable=True, shards=2, **config):
        self.folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        path = Path(self.folder.name) / "roost.yaml"
        path.write_text(yaml.safe_dump(config))
        self.port, self.admin = free_port(), free_port()
        store = ["--store", str(Path(self.folder.name) / "store")] if durable else []
        self.process = subprocess.Popen(
            [ROOST, "serve", "--config", str(path), "--listen", f"tcp://127.0.0.1:{self.port}", "--admin",
             f"http://127.0.0.1:{self.admin}", "--log-level", "error", "--shards", str(shards), *store])
        deadline = time.monotonic() + 20
        while True:
            try:
                if self.ask("ready")["status"] == "ready":
                    return
            except OSError:
                time.sleep(0.05)
            assert self.process.poll() is None and time.monotonic() < deadline, "roost does not start"

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/{path}") as answer:
            return json.load(answer)

    def rule(self):
        return self.ask("api/v1/rules")["rules"][0]

    def consumer(self):
        return self.ask("api/v1/consumers")["consumers"][0]

    def wait(self, reached, timeout_s=120):
        deadline = time.monotonic() + timeout_s
        while not reached():
            assert time.monotonic() < deadline, "it does not come to an end"
            time.sleep(0.02)

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


@contextlib.contextmanager
def running(*things):
    try:
        yield things
    finally:
        for thing in reversed(things):
            thing.close()


def signed_in(port, client_id, version=4, pairs=()):
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(connect(client_id, version, clean=not pairs, pairs=pairs))
    assert client.recv(1024)[3] == 0, "not let in"
    return client


class Publishers:
    """Each sends so many messages in one piece, and has no more than a window of them under way. All are of the same length, and
    so are their acknowledgements."""

    def __init__(self, port, burst):
        self.selector = selectors.DefaultSelector()
        self.acknowledged, self.burst = 0, burst
        for number in range(PUBLISHERS):
            client = signed_in(port, f"publisher-{number}")
            packets = [publish(f"load/{number:04}", PAYLOAD, qos=1, packet_id=n + 1) for n in range(WINDOW)]
            pieces = [b"".join(packets[first:first + burst]) for first in range(0, WINDOW, burst)]
            self.selector.register(client, selectors.EVENT_READ, {"pieces": pieces, "next": 0, "due": 0})
        self.keys = list(self.selector.get_map().values())

    def run(self, seconds, rate):
        """For so long, at so many messages a second. How many were acknowledged."""
        first, began = self.acknowledged, time.monotonic()
        sent = 0
        while (now := time.monotonic()) < began + seconds:
            for key, _ in self.selector.select(0.001):
                key.data["due"] -= len(key.fileobj.recv(65536)) // 4
            wanted, tried = rate * (now - began), 0
            while sent < wanted and tried < len(self.keys):
                key = self.keys[(sent // self.burst + tried) % len(self.keys)]
                if key.data["due"] > WINDOW - self.burst:
                    tried += 1
                    continue
                key.fileobj.sendall(key.data["pieces"][key.data["next"]])
                key.data["next"] = (key.data["next"] + 1) % len(key.data["pieces"])
                key.data["due"] += self.burst
                sent += self.burst
        self.acknowledged = first + sent
        self.finish()
        return sent

    def finish(self):
        for key in self.keys:
            while key.data["due"]:
                key.data["due"] -= len(key.fileobj.recv(65536)) // 4

    def close(self):
        for key in self.keys:
            key.fileobj.close()


class Subscriber:
    """A process of its own with a durable session that acknowledges all that comes."""

    def __init__(self, port):
        self.process = os.fork()
        if self.process == 0:
            with contextlib.suppress(KeyboardInterrupt):
                self._take(signed_in(port, "subscriber", 5, [(SESSION_EXPIRY, 3600)]))
            os._exit(0)
        time.sleep(1)

    @staticmethod
    def _take(client):
        client.sendall(subscribe(1, ("load/#", 1), version=5))
        client.recv(1024)
        size = len(publish("load/0000", PAYLOAD, 5, qos=1, packet_id=1))
        at = size - len(PAYLOAD) - 3  # the packet identifier, in front of the length of the properties
        data = b""
        while more := client.recv(1 << 20):
            data += more
            whole = len(data) // size * size
            client.sendall(b"".join(b"\x40\x02" + data[n + at:n + at + 2] for n in range(0, whole, size)))
            data = data[whole:]

    def close(self):
        os.kill(self.process, signal.SIGTERM)
        os.waitpid(self.process, 0)


def table(rows):
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(str(cell).rjust(width) if n else str(cell).ljust(width) for n, (cell, width) in enumerate(zip(row, widths))))


# ---- upstream ----

def through(gateway, burst, seconds, rate, drained):
    """Messages a second and the server's processor time a message in us, what has to be done with them included."""
    with running(Publishers(gateway.port, burst)) as (publishers,):
        publishers.run(1, rate)
        drained(publishers.acknowledged)
        before, began = gateway.cpu_s(), time.monotonic()
        sent = publishers.run(seconds, rate)
        drained(publishers.acknowledged)
        return sent / (time.monotonic() - began), (gateway.cpu_s() - before) / sent * 1e6


def upstream(rounds, burst, seconds, rate):
    figures = {"rule": [], "subscriber": []}
    for _ in range(rounds):
        with running(redis := Redis(), gateway := Gateway(redis=redis.url, streams=[RULE])):
            def all_there(count, redis=redis, gateway=gateway):
                gateway.wait(lambda: redis.ask(("XLEN", "all"))[0] >= count and gateway.rule()["backlog_messages"] == 0)
                assert redis.ask(("XLEN", "all"))[0] == count, "doubled"
            figures["rule"].append(through(gateway, burst, seconds, rate, all_there))
        with running(gateway := Gateway(), Subscriber(gateway.port)):
            def all_taken(_, gateway=gateway):
                gateway.wait(lambda: gateway.ask("api/v1/clients/subscriber")["inflight_messages"] == 0)
            figures["subscriber"].append(through(gateway, burst, seconds, rate, all_taken))
    rows = [("", "acknowledged/s", "CPU us/message")]
    medians = {}
    for name, values in figures.items():
        medians[name] = [statistics.median(column) for column in zip(*values)]
        rows.append((name, f"{medians[name][0]:,.0f}", f"{medians[name][1]:.2f}"))
    print(f"upstream: {rate:,} a second asked for, {burst} in a send, {rounds} rounds of {seconds:.0f} s")
    table(rows)
    print(f"  ratio of processor time: {medians['rule'][1] / medians['subscriber'][1]:.2f}")


# ---- outage ----

def latency(port, seconds):
    """Of others, p50 and p99.9 in ms, by a light load of their own."""
    words = [ROOST, "bench", "latency", "--url", f"tcp://127.0.0.1:{port}", "--duration", str(seconds), "--rate", "1000", "--json",
             "--topic-prefix", "others/"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def latency_of(process):
    figures = json.loads(process.communicate()[0])
    return figures["server_latency_p50_us"] / 1e3, figures["server_latency_p999_us"] / 1e3


def outage(seconds, rate):
    with running(redis := Redis(*SYNCED), gateway := Gateway(redis=redis.url, streams=[RULE], **LIMITS), publishers := Publishers(gateway.port, 1)):
        quiet = latency(gateway.port, 10)
        publishers.run(12, rate)
        before = latency_of(quiet)
        meanwhile = latency(gateway.port, seconds + 5)
        redis.kill()
        publishers.run(seconds, rate)
        waited = gateway.rule()["backlog_messages"]
        redis.start()
        began = time.monotonic()
        while gateway.rule()["backlog_messages"] > rate:
            publishers.run(0.2, rate)
        drained = time.monotonic() - began
        after = latency_of(meanwhile)
        gateway.wait(lambda: gateway.rule()["backlog_messages"] == 0)
        there = redis.ask(("XLEN", "all"))[0]
        print(f"outage: Redis away for {seconds} s under {rate:,} messages a second")
        table([("", ""), ("acknowledged", f"{publishers.acknowledged:,}"), ("in the stream", f"{there:,}"), ("waited", f"{waited:,}"),
               ("drained in", f"{drained:.1f} s"), ("others' p50, p99.9 before", "%.2f, %.2f ms" % before),
               ("others' p50, p99.9 meanwhile", "%.2f, %.2f ms" % after)])
        assert there == publishers.acknowledged


# ---- downstream ----

def downstream(count, qos, size=200):
    groups = 4
    with running(redis := Redis(), gateway := Gateway(durable=False, redis=redis.url, consumers=[{"name": "c", "stream": "in"}])):
        subscribers = [subprocess.Popen(["mosquitto_sub", "-p", str(gateway.port), "-t", f"t/{group}/#", "-q", str(qos), "-C", str(count // groups),
                                         "-F", "%l"], stdout=subprocess.DEVNULL) for group in range(groups)]
        gateway.wait(lambda: gateway.ask("api/v1/stats")["filters"] >= groups)
        before, began = gateway.cpu_s(), time.monotonic()
        batch = [("XADD", "in", "*", "topic", f"t/{n % groups}/{n % 100}", "qos", str(qos), "payload", "x" * size) for n in range(500)]
        for _ in range(count // 500):
            redis.ask(*batch)
        added = time.monotonic() - began
        for one in subscribers:
            one.wait()
        took = time.monotonic() - began
        gateway.wait(lambda: gateway.consumer()["published"] == count)
        cpu = (gateway.cpu_s() - before) / count * 1e6
        print(f"downstream: {count:,} entries of {size} bytes to {groups} subscribers, QoS {qos}: added in {added:.1f} s, delivered in {took:.1f} s, "
              f"{count / took:,.0f} a second, {cpu:.2f} us of processor time a message")


# ---- vanish ----

def vanish(count):
    rule = {"name": "all", "topics": "$SYS/presence/disconnected", "stream": "gone", "fields": ["payload"]}
    with running(redis := Redis(), gateway := Gateway(shards=count // TABLE + 1, redis=redis.url, streams=[rule], **LIMITS)):
        hold = subprocess.Popen([ROOST, "bench", "hold", "-n", str(count), "--hold", "600", "--url", f"tcp://127.0.0.1:{gateway.port}",
                                 "--server-pid", str(gateway.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        gateway.wait(lambda: gateway.ask("api/v1/stats")["clients"]["connected"] >= count, 300)
        before, began = gateway.cpu_s(), time.monotonic()
        hold.kill()
        hold.wait()
        gateway.wait(lambda: redis.ask(("XLEN", "gone"))[0] >= count)
        took, cpu = time.monotonic() - began, gateway.cpu_s() - before
        time.sleep(1)
        entries = redis.ask(("XRANGE", "gone", "-", "+"))[0]
        names = {json.loads(fields[1])["client"] for _, fields in entries}
        print(f"vanish: {count:,} clients: all in the stream after {took:.1f} s, {len(names):,} names in {len(entries):,} entries, "
              f"{cpu:.2f} s of processor time")
        assert len(names) == len(entries) == count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[[], "upstream", "outage", "downstream", "vanish"], help="what to measure (all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of a round of upstream")
    parser.add_argument("--rate", type=int, default=60000, help="messages a second of upstream")
    parser.add_argument("--away", type=int, default=30, help="seconds for which Redis is away")
    parser.add_argument("--clients", type=int, default=100000, help="that vanish")
    options = parser.parse_args()
    wanted = options.what or ["upstream", "outage", "downstream", "vanish"]
    try:
        if "upstream" in wanted:
            for burst in (1, 16, 256):
                upstream(options.rounds, burst, options.seconds, options.rate)
        if "outage" in wanted:
            outage(options.away, 5000)
        if "downstream" in wanted:
            for qos in (0, 1):
                downstream(300000, qos)
        if "vanish" in wanted:
            vanish(options.clients)
    except AssertionError as error:
        print(f"backends: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
