#!/usr/bin/python3
"""What a cluster of nodes costs against one node, and what clients notice of it: real nodes and one nats-server, all here.

    tools/nodes.py [alone] [remote] [takeover] [memory] [kill] [million]      all of them where none is named

alone      processor time a message of a node in a cluster that has no subscriber elsewhere, against the same program without a
           cluster, in turn
remote     a message to a subscriber on another node against one on the same node: processor time of both nodes, with one, 16 and
           256 messages in a send (that of nats-server is said beside), and the latency of both at half of what the way over
           nodes can do
takeover   10,000 sessions, 100 clients a second that connect to another node than they are on: from CONNECT to CONNACK; beside it
           the same on one node, and with a store, where CONNACK waits for the disk
memory     what 1,000,000 subscriptions to topics of their own cost another node
kill       one of three nodes is killed under load and started again: the latency of others before and meanwhile, and what was
           acknowledged against what came
million    1,000,000 clients over three nodes, held, and what each node says of them

Every line says its bar and whether it holds. Exit status: 0 where all bars hold, 1 where one does not or a measurement failed.
"""

import argparse
import contextlib
import json
import os
import random
import selectors
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "harness"))

from mqtt_wire import FOREVER, SESSION_EXPIRY, connect, publish, subscribe  # noqa: E402
from nats_server import Nats  # noqa: E402
from redis_server import free_port  # noqa: E402

ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
START_S, SETTLE_S = 30, 60
BARS = []  # whether each held


def bar(what, value, most, unit):
    """Says a figure with its bar."""
    held = value <= most
    BARS.append(held)
    print(f"  {what}: {value:.2f}{unit}, bar {most:g}{unit}: {'holds' if held else 'DOES NOT HOLD'}", flush=True)


def cpu_s(pid):
    """Of all threads that are there, to the nanosecond, where /proc/PID/stat counts in hundredths."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total / 1e9


class Node:
    """nats: None, and it is no node of a cluster. store: on the device of /var/tmp."""

    def __init__(self, name="alone", nats=None, store=False, shards=2, options=()):
        self.name, self.folder = name, tempfile.TemporaryDirectory(dir="/var/tmp")
        self.port, self.admin = free_port(), free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.words = [ROOST, "serve", "--listen", self.url, "--admin", f"http://127.0.0.1:{self.admin}", "--log-level", "error", "--shards",
                      str(shards), "--overload-refuse-ms", "60000", *options]
        if nats:
            self.words += ["--cluster-nats", nats.url, "--cluster-name", "bench", "--node", name, "--cluster-timeout-ms", "2000"]
        if store:
            self.words += ["--store", f"{self.folder.name}/store"]
        self.process = None
        self.start()

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError):
                if self.ask("ready")["status"] == "ready":
                    return
            assert self.process.poll() is None and time.monotonic() < deadline, f"node {self.name} does not start"
            time.sleep(0.02)

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/{path}", timeout=20) as answer:
            return json.load(answer)

    def peers(self):
        return {node["name"]: node for node in self.ask("api/v1/nodes")["nodes"]}

    def connected(self):
        return self.ask("api/v1/stats")["clients"]["connected"]

    def resident(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        self.folder.cleanup()


def wait(what, reached, seconds=SETTLE_S):
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"{what}: it does not come to that"
        time.sleep(0.05)


def settle(*nodes):
    names = {node.name for node in nodes}
    wait("nodes see each other", lambda: all({peer for peer, one in node.peers().items() if one["state"] == "alive"} >= names - {node.name}
                                              for node in nodes))


@contextlib.contextmanager
def cluster(count, **options):
    """([nodes], nats-server)"""
    with contextlib.ExitStack() as stack:
        nats = stack.enter_context(contextlib.closing(Nats()))
        nodes = [stack.enter_context(contextlib.closing(Node("abc"[number], nats, **options))) for number in range(count)]
        settle(*nodes)
        yield nodes, nats


def bench(*words):
    """The figures of a load, and whether nothing was lost."""
    done = subprocess.run([ROOST, "bench", *map(str, words), "--json"], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout.strip(), f"bench {' '.join(map(str, words))}: {done.stderr[-500:]}"
    figures = json.loads(done.stdout)
    figures["clean"] = done.returncode == 0
    return figures


def table(rows):
    widths = [max(len(str(row[column])) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  " + "  ".join(str(cell).rjust(width) if n else str(cell).ljust(width) for n, (cell, width) in enumerate(zip(row, widths))))


# ---- alone and remote: processor time a message ----

CLIENTS, PUBLISHERS = 128, 64
MESSAGES = {1: 150000, 16: 600000, 256: 900000}  # of a round, which takes about two seconds


def load(burst, qos, to, publish_to, processes):
    """Messages in a closed loop; processor time of each process for one of them, in us. What connecting costs is in it, and is little."""
    count = MESSAGES[burst] // (1 if qos == 0 else 2)
    before = [cpu_s(pid) for pid in processes]
    words = ["--pattern", "one-to-one", "--clients", CLIENTS, "--publishers", PUBLISHERS, "--burst", burst, "--qos", qos, "--messages", count,
             "--warm-up", 0, "--url", to.url, "--server-pid", to.pid]
    figures = bench("pubsub", *words, *(["--publish-url", publish_to.url] if publish_to is not to else []))
    assert figures["clean"], "messages were lost"
    return [(cpu_s(pid) - first) / count * 1e6 for pid, first in zip(processes, before)]


def in_turn(rounds, *measures):
    """Medians of each measure, and of the ratio of the second to the first in each round."""
    for measure in measures:
        measure()
    rows = []
    for number in range(rounds):
        found = {index: measures[index]() for index in (range(len(measures)) if number % 2 else reversed(range(len(measures))))}
        rows.append([found[index] for index in range(len(measures))])
    return [statistics.median(column) for column in zip(*rows)], statistics.median(row[1] / row[0] for row in rows)


def alone(options):
    print("alone: processor time a message, us", flush=True)
    with contextlib.closing(Node()) as single, cluster(2) as ((node, _), _):
        rows = [("", "alone", "in a cluster", "ratio")]
        ratios = []
        for burst, qos in ((1, 0), (16, 0), (1, 1), (16, 1)):
            (first, second), ratio = in_turn(options.rounds, lambda: load(burst, qos, single, single, [single.pid])[0],
                                             lambda: load(burst, qos, node, node, [node.pid])[0])
            rows.append((f"{burst} in a send, QoS {qos}", f"{first:.3f}", f"{second:.3f}", f"{ratio:.3f}"))
            ratios.append(ratio)
        table(rows)
        bar("in a cluster against alone, the median of these", statistics.median(ratios), 1.03, "")


def half_load(node, other, seconds):
    """Messages a second that half of what the way over nodes does in a closed loop comes to."""
    figures = bench("pubsub", "--pattern", "one-to-one", "--clients", CLIENTS, "--publishers", PUBLISHERS, "--duration", seconds, "--url", other.url,
                    "--publish-url", node.url, "--server-pid", other.pid)
    return max(1000, int(figures["server_delivered_per_s"] / 2))


def remote(options):
    print("remote: processor time a message of both nodes, us", flush=True)
    with cluster(2) as ((one, other), nats):
        rows = [("", "same node", "other node", "ratio", "nats-server")]
        ratios = {}
        pids = [one.pid, other.pid]
        for burst, qos in ((1, 0), (16, 0), (256, 0), (1, 1), (16, 1)):
            between = []

            def over(burst=burst, qos=qos, between=between):
                first, second, of_nats = load(burst, qos, other, one, [*pids, nats.process.pid])
                between.append(of_nats)
                return first + second

            (near, far), ratio = in_turn(options.rounds, lambda: sum(load(burst, qos, one, one, pids)), over)
            rows.append((f"{burst} in a send, QoS {qos}", f"{near:.3f}", f"{far:.3f}", f"{ratio:.2f}", f"{statistics.median(between):.3f}"))
            ratios[burst, qos] = ratio
        table(rows)
        for (burst, qos), ratio in ratios.items():
            bar(f"other node against the same, {burst} in a send, QoS {qos}", ratio, 2.2, "")
        rate = half_load(one, other, options.seconds)
        words = ["--rate", rate, "--clients", CLIENTS, "--publishers", PUBLISHERS, "--duration", options.seconds]

        def p99(*more):
            return bench("latency", *words, *more)["server_latency_p99_us"] / 1e3

        (near, far), ratio = in_turn(options.rounds, lambda: p99("--url", one.url, "--server-pid", one.pid),
                                     lambda: p99("--url", other.url, "--server-pid", other.pid, "--publish-url", one.url))
        print(f"  at {rate:,} messages a second: p99 on the same node {near:.2f} ms, on another {far:.2f} ms")
        bar("p99 of the other node against the same", ratio, 3, "")


# ---- takeover ----

class Visitors:
    """Sessions of one process, each with a subscription, that connect and are taken over."""

    def __init__(self, nodes, count):
        self.nodes, self.count = nodes, count
        self.selector = selectors.DefaultSelector()
        self.where = [number % len(nodes) for number in range(count)]
        self.sockets = [None] * count
        self.waiting = {}
        for first in range(0, count, 200):
            for number in range(first, min(first + 200, count)):
                self._come(number, self.where[number], subscribe(1, (f"visit/{number}", 1), version=5), 2)
            self.run(lambda: not self.waiting, 60)

    def _come(self, number, at, more=b"", answers=1):
        """Its CONNECT is sent to that node. answers: packets to wait for."""
        if self.sockets[number]:
            self.selector.unregister(self.sockets[number])
            self.sockets[number].close()
        one = self.sockets[number] = socket.create_connection(("127.0.0.1", self.nodes[at].port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.setblocking(False)
        self.selector.register(one, selectors.EVENT_READ, number)
        self.waiting[number] = [time.monotonic(), answers, one]
        one.sendall(connect(f"visitor-{number}", 5, clean=False, keepalive=0, pairs=[(SESSION_EXPIRY, FOREVER)]) + more)
        self.where[number] = at

    def run(self, until, seconds, took=None):
        deadline = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            assert now < deadline, f"{len(self.waiting)} clients wait for an answer"
            for key, _ in self.selector.select(0.002):
                data = key.fileobj.recv(4096)
                entry = self.waiting.get(key.data)
                if not entry or entry[2] is not key.fileobj:
                    continue
                assert data and not (data[0] >> 4 == 2 and data[3]), f"visitor-{key.data} was not let in: {data[:4]}"
                entry[1] -= 1 + (data[0] >> 4 == 2 and len(data) > 2 + data[1])
                if entry[1] <= 0 or took is not None:
                    assert took is None or data[2] & 1, f"visitor-{key.data} has no session any more"
                    if took is not None:
                        took.append((time.monotonic() - entry[0]) * 1e3)
                    del self.waiting[key.data]

    def moves(self, rate, seconds, chosen):
        """Milliseconds of each. chosen(where): the node to go to."""
        took, began, done = [], time.monotonic(), 0
        order = random.Random(1).sample(range(self.count), min(self.count, rate * seconds))
        while done < len(order):
            due = began + done / rate
            if time.monotonic() >= due:
                number, done = order[done], done + 1
                self._come(number, chosen(self.where[number]))
            until = began + done / rate
            self.run(lambda: time.monotonic() >= until, 60, took)
        self.run(lambda: not self.waiting, 60, took)
        return took

    def close(self):
        for one in self.sockets:
            if one:
                one.close()
        self.selector.close()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def takeover(options):
    print(f"takeover: {options.sessions:,} sessions, {options.rate} take-overs a second for {options.seconds * 4} s, from CONNECT to CONNACK")
    for store in (False, True):
        with cluster(3, store=store) as (nodes, _), contextlib.closing(Visitors(nodes, options.sessions)) as visitors:
            same = visitors.moves(options.rate, options.seconds, lambda at: at)
            took = visitors.moves(options.rate, options.seconds * 4, lambda at: (at + 1) % 3)
            kind = "with a store" if store else "in memory"
            print(f"  {kind}: p50 {percentile(took, 0.5):.2f} ms, p99 {percentile(took, 0.99):.2f} ms, most {max(took):.2f} ms of {len(took):,}; on the same "
                  f"node p50 {percentile(same, 0.5):.2f} ms, p99 {percentile(same, 0.99):.2f} ms")
            if not store:
                bar("p99 of take-overs between nodes (aim 2 ms)", percentile(took, 0.99), 5, " ms")


# ---- memory ----

def memory(options):
    count, each = options.subscriptions, 1000
    print(f"memory: {count:,} subscriptions to topics of their own on one node, and what another one has grown by")
    with cluster(2) as ((one, other), _):
        # From when the first are there on, with what the link to a node takes once.
        before, own, first_ones = None, one.resident(), count // 100
        clients = []
        for first in range(0, count, each):
            client = socket.create_connection(("127.0.0.1", one.port))
            client.settimeout(60)
            client.sendall(connect(f"many-{first}", 4, keepalive=0))
            take(client, 1)
            for part in range(first, first + each, 100):
                client.sendall(subscribe(1, *(f"site/{number // 1000}/device/{number:07}" for number in range(part, part + 100))))
                take(client, 1)
            clients.append(client)
            if before is None and first + each >= first_ones:
                wait("the other node knows the first", lambda: other.peers()["a"]["filters"] >= first_ones)
                before, first_ones = other.resident(), first + each
        wait("the other node knows all of them", lambda: other.peers()["a"]["filters"] >= count, 180)
        time.sleep(2)
        grown = other.resident() - before
        print(f"  the other node has grown by {grown / 1e6:.1f} MB, the node itself by {(one.resident() - own) / 1e6:.1f} MB")
        bar("bytes a subscription on another node", grown / (count - first_ones), 4, " B")
        for client in clients:
            client.close()


def take(client, count):
    """So many packets."""
    data = b""
    while count:
        while len(data) < 2 or len(data) < (size := size_of(data)):
            more = client.recv(65536)
            assert more, "the connection has ended"
            data += more
        data, count = data[size:], count - 1


def size_of(data):
    """Of the first packet; more than there is where its head is not complete."""
    size = shift = 0
    for index, digit in enumerate(data[1:5], 2):
        size |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            return index + size
    return len(data) + 1


# ---- kill ----

class Account:
    """Publishes at QoS 1 to one node, at a rate, and keeps what was acknowledged. A process of its own."""

    def __init__(self, node, rate, seconds):
        self.read, write = os.pipe()
        self.process = os.fork()
        if self.process == 0:
            os.close(self.read)
            status = 1
            with contextlib.suppress(Exception):
                acknowledged = self._publish(node, rate, seconds)
                os.write(write, struct.pack("=Q", len(acknowledged)))
                with os.fdopen(write, "wb") as out:
                    out.write(struct.pack(f"={len(acknowledged)}I", *sorted(acknowledged)))
                status = 0
            os._exit(status)
        os.close(write)

    @staticmethod
    def _publish(node, rate, seconds):
        client = socket.create_connection(("127.0.0.1", node.port))
        client.sendall(connect("account", 4))
        client.recv(4)
        client.setblocking(False)
        acknowledged, data, sent, began = [], b"", 0, time.monotonic()
        under_way = {}
        while (now := time.monotonic()) < began + seconds + 20 and (now < began + seconds or under_way):
            with contextlib.suppress(BlockingIOError):
                data += client.recv(65536)
            while len(data) >= 4:
                acknowledged.append(under_way.pop(struct.unpack(">H", data[2:4])[0]))
                data = data[4:]
            if now < began + seconds and sent < (now - began) * rate and len(under_way) < 1000:
                number = sent % 60000 + 1
                sent, under_way[number] = sent + 1, sent
                client.sendall(publish("account/0", b"%d" % (sent - 1), qos=1, packet_id=number))
            else:
                time.sleep(0.001)
        return acknowledged

    def acknowledged(self):
        with os.fdopen(self.read, "rb") as found:
            data = found.read()
        os.waitpid(self.process, 0)
        assert len(data) >= 8, "the publisher failed"
        return set(struct.unpack(f"={struct.unpack('=Q', data[:8])[0]}I", data[8:]))


def drain(node, quiet_s=3.0):
    """Numbers that a session on the node gets until nothing comes any more."""
    from mqtt_wire import Client

    found = []
    with Client(("127.0.0.1", node.port), "ledger", 5, clean=False, pairs=[(SESSION_EXPIRY, 3600)]) as client:
        client.subscribe(("account/0", 1))
        while True:
            try:
                found.append(int(client.take(timeout=quiet_s).payload))
            except TimeoutError:
                return client.connack.session_present, found


def kill(options):
    away = options.seconds * 2
    print(f"kill: one of three nodes is killed under load, and away for {away} s")
    with cluster(3, store=True, options=("--queue-messages-max", "1000000", "--queue-bytes-max", "100000000")) as (nodes, _):
        one, other, third = nodes
        drain(third, 0.5)
        rate = ["--rate", 2000, "--url", other.url, "--server-pid", other.pid, "--publish-url", one.url]
        before = bench("latency", *rate, "--duration", options.seconds * 2)
        account = Account(one, 500, away + 4)
        meanwhile = subprocess.Popen([ROOST, "bench", "latency", *map(str, rate), "--duration", str(away + 4), "--json"], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL, text=True)
        time.sleep(2)
        third.kill()
        time.sleep(away)
        third.start()
        after = json.loads(meanwhile.communicate(timeout=120)[0])
        acknowledged = account.acknowledged()
        settle(*nodes)
        present, came = drain(third)
        first, second = before["server_latency_p999_us"] / 1e3, after["server_latency_p999_us"] / 1e3
        print(f"  others' p99.9 before {first:.2f} ms, meanwhile {second:.2f} ms; acknowledged {len(acknowledged):,}, came {len(set(came)):,}"
              f"{'' if present else ' (and its session was gone)'}")
        bar("others' p99.9 meanwhile against before", second / first, 2, "")
        bar("acknowledged, and did not come", len(acknowledged - set(came)), 0, "")


# ---- million ----

TABLE = 18000  # clients that a shard has descriptors for where a process may open 20,000


def in_a_namespace(options):
    """As tools/million.sh: where it may, with a table of sockets that is large enough."""
    if os.environ.get("IN_NAMESPACE") or subprocess.run(["unshare", "--net", "true"], check=False, stderr=subprocess.DEVNULL).returncode:
        return None
    script = ("echo 4194304 >/proc/sys/net/ipv4/tcp_child_ehash_entries && exec unshare --net sh -c 'ip link set lo up && exec \"$@\"' - \"$@\"")
    words = [sys.executable, __file__, "million", "--clients", str(options.clients), "--held", str(options.held)]
    return subprocess.run(["unshare", "--net", "sh", "-c", script, "-", *words], check=False, env={**os.environ, "IN_NAMESPACE": "1"}).returncode


def million(options):
    status = in_a_namespace(options)
    if status is not None:
        BARS.append(status == 0)
        return
    each = options.clients // 3
    print(f"million: {3 * each:,} clients over three nodes, held for {options.held} s", flush=True)
    with cluster(3, options=("--connections", str(each + each // 50 + 100)), shards=0) as (nodes, _), contextlib.ExitStack() as stack:
        began, holds = time.monotonic(), []
        for number, node in enumerate(nodes):
            words = [ROOST, "bench", "hold", "-n", str(each), "--hold", str(options.held + 600), "--url", node.url, "--server-pid", str(node.pid),
                     "--client-prefix", f"hold-{node.name}-", "--topic-prefix", f"hold/{node.name}/", "--connecting", "1"]
            holds.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(lambda one=holds[-1]: (one.send_signal(signal.SIGKILL), one.wait()))
        limit = options.clients / 1500 + 60
        wait("all are connected", lambda: all(node.connected() >= each for node in nodes), limit)
        took = time.monotonic() - began
        time.sleep(options.held)
        connected = [node.connected() for node in nodes]
        said = [{name: peer["clients"] for name, peer in node.peers().items()} for node in nodes]
        wrong = elsewhere(nodes, each)
        memory_of = [node.resident() / each for node in nodes]
        print(f"  connected after {took:.0f} s ({3 * each / took:,.0f} a second); held: {', '.join(f'{count:,}' for count in connected)}; "
              f"{', '.join(f'{size:.0f}' for size in memory_of)} bytes a client; each node of the others: {said}")
        bar("clients that were lost", 3 * each - sum(connected), 0, "")
        bar("of 300 clients, asked for at another node, not found where they are", wrong, 0, "")
        bar("counts of a node that differ from the node's own", sum(count != each for one in said for name, count in one.items()
                                                                    if count is not None and name in "abc"), 0, "")


def elsewhere(nodes, each):
    wrong = 0
    for number in random.Random(1).sample(range(each), 100):
        for place, node in enumerate(nodes):
            try:
                found = nodes[(place + 1) % 3].ask(f"api/v1/clients/hold-{node.name}-{number}")
                wrong += found.get("node") != node.name or found["state"] == "offline"
            except OSError:
                wrong += 1
    return wrong


MEASURES = {"alone": alone, "remote": remote, "takeover": takeover, "memory": memory, "kill": kill, "million": million}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=[[], *MEASURES], help="what to measure (all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of a round")
    parser.add_argument("--sessions", type=int, default=10000, help="of takeover")
    parser.add_argument("--rate", type=int, default=100, help="take-overs a second")
    parser.add_argument("--subscriptions", type=int, default=1000000, help="of memory")
    parser.add_argument("--clients", type=int, default=1000000, help="of million")
    parser.add_argument("--held", type=int, default=60, help="seconds that they are held for")
    options = parser.parse_args()
    for name in options.what or MEASURES:
        try:
            MEASURES[name](options)
        except (AssertionError, OSError, KeyError, subprocess.TimeoutExpired) as error:
            print(f"  {name}: FAILED: {error}", flush=True)
            BARS.append(False)
    return 0 if all(BARS) else 1


if __name__ == "__main__":
    sys.exit(main())
