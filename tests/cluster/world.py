"""The world of a play: nodes with stores, a nats-server beside each, wires between those, and all that may happen to them.

Faults are begun and mended by name. What takes time (a start, an upgrade) is done by a thread of its own for each node, in
order, so that clients go on meanwhile. All of it is noted in the history."""

import concurrent.futures
import contextlib
import signal
import tempfile
import threading
from pathlib import Path

from fake_clock import FakeClock
from nats_cluster import NatsCluster
from server import SANITIZER, Server

AWAY_MS = 1500
# No queue is ever full in a play: what is dropped then is another matter.
LARGE_QUEUES = ("--queue-bytes-max", "100000000", "--queue-messages-max", "100000")
WATCH_EVERY_S = 0.15
STOP_S = 30
CRASH_LINES = 40


class Node:
    def __init__(self, name, folder, nats, options, clock):
        self.name, self.nats, self.clock = name, nats, clock
        self.options = ["--cluster-nats", nats.url, "--cluster-name", "test", "--node", name, "--cluster-timeout-ms", str(AWAY_MS),
                        "--admin", "http://127.0.0.1:0", "--store", str(folder / name), "--drain-ms", "500", "--shards", "2", *LARGE_QUEUES, *options]
        self.server, self.asked, self.address = None, None, None
        self.is_up = self.is_paused = False
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.faults = []  # what its server said when it ended otherwise than it should

    def start(self):
        if self.is_up:
            return
        self.server = Server(*self.options, log_level="info", prefix=self.clock.prefix if self.clock else ())
        self.address = tuple(self.server.address)
        self.asked = self.server.admin()
        self.is_up = True

    def look_at_end(self, wanted):
        """After it has ended: its exit status and its log."""
        self.server.reader.join(10)
        words = [line for line in self.server.lines if SANITIZER.search(line)]
        status = self.server.process.returncode
        if words or status != wanted:
            self.faults.append({"node": self.name, "status": status, "words": words[:20] or self.server.lines[-CRASH_LINES:]})

    def kill(self):
        self.is_up = False
        # It may have ended before, which is what is looked for.
        was_there = self.server.process.poll() is None
        self.server.kill()
        self.look_at_end(-signal.SIGKILL if was_there else 0)

    def stop(self):
        self.is_up = False
        self.server.ends.set()
        with contextlib.suppress(ProcessLookupError):
            self.server.process.send_signal(signal.SIGTERM)
        try:
            self.server.process.wait(STOP_S)
        except Exception:
            self.faults.append({"node": self.name, "status": "does not stop", "words": self.server.lines[-CRASH_LINES:]})
            self.server.kill()
            return
        self.look_at_end(0)

    def status(self):
        return self.asked.get("/api/v1/nodes").json


class World:
    def __init__(self, names, history, options=(), clocks=False):
        self.history, self.names = history, list(names)
        self.folder = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.nats = NatsCluster(names)
        self.nodes = {}
        for name in names:
            clock = None
            if clocks:
                folder = Path(self.folder.name) / f"clock-{name}"
                folder.mkdir()
                clock = FakeClock(folder)
            self.nodes[name] = Node(name, Path(self.folder.name), self.nats.servers[name], options, clock)
        self.over = threading.Event()
        self.last_settled = None
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def start(self):
        for job in [node.worker.submit(node.start) for node in self.nodes.values()]:
            job.result()
        self.watcher.start()

    # What the nodes say

    def _watch(self):
        """A node whose view is stale does not count as settled, whatever it says: it is asked anew each time."""
        while not self.over.wait(WATCH_EVERY_S):
            yes = self._is_settled()
            if yes != self.last_settled:
                self.last_settled = yes
                self.history.note("settled", yes=yes)

    def _is_settled(self):
        if not all(node.is_up and not node.is_paused for node in self.nodes.values()):
            return False
        try:
            said = [node.status() for node in self.nodes.values()]
            alive = all({one["name"] for one in each["nodes"] if one["state"] == "alive"} >= set(self.names) - {name}
                        for name, each in zip(self.names, said))
            return alive and all(each["caught_up"] for each in said) and len({each["view"] for each in said}) == 1
        except (OSError, AssertionError, ValueError, KeyError):
            return False

    def wait_settled(self, engine, seconds):
        engine.run(seconds, lambda: self.last_settled)
        return bool(self.last_settled)

    def is_up(self, name):
        return self.nodes[name].is_up and not self.nodes[name].is_paused

    # Faults: each a way to begin it and a way to mend it

    def begin(self, fault):
        self.history.note("fault", fault=fault["fault"], **{key: value for key, value in fault.items() if key in ("node", "other", "how")})
        getattr(self, "_begin_" + fault["fault"])(fault)

    def mend(self, fault):
        getattr(self, "_mend_" + fault["fault"])(fault)

    def _mended(self, fault):
        self.history.note("mended", fault=fault["fault"], node=fault.get("node"))

    def _begin_cut(self, fault):
        """Between two nodes, or between one and all others."""
        for other in self._others(fault):
            wire, direction = self.nats.ways(fault["node"], other)
            if fault["how"] == "cut":
                wire.cut()
            elif fault["how"] == "held":
                wire.hold()
            elif fault["how"] == "one way":
                wire.hold(direction)
            else:
                wire.slow(0.2)

    def _mend_cut(self, fault):
        for other in self._others(fault):
            self.nats.ways(fault["node"], other)[0].heal()
        self._mended(fault)

    def _others(self, fault):
        return [fault["other"]] if fault.get("other") else [name for name in self.names if name != fault["node"]]

    def _begin_kill(self, fault):
        node = self.nodes[fault["node"]]
        node.is_up = False

        def kill():
            node.kill()
            self.history.note("died", node=node.name)

        node.worker.submit(kill)

    def _begin_stop(self, fault):
        node = self.nodes[fault["node"]]
        node.is_up = False
        node.worker.submit(node.stop)

    def _mend_kill(self, fault):
        node = self.nodes[fault["node"]]

        def start():
            try:
                node.start()
            except AssertionError as error:
                node.faults.append({"node": node.name, "status": "does not start", "words": str(error).splitlines()[-CRASH_LINES:]})
            self._mended(fault)

        node.worker.submit(start)

    _mend_stop = _mend_kill

    def _begin_pause(self, fault):
        node = self.nodes[fault["node"]]

        def pause():
            if node.is_up:
                node.is_paused = True
                node.server.process.send_signal(signal.SIGSTOP)

        node.worker.submit(pause)

    def _mend_pause(self, fault):
        node = self.nodes[fault["node"]]

        def resume():
            if node.is_paused:
                node.server.process.send_signal(signal.SIGCONT)
                node.is_paused = False
            self._mended(fault)

        node.worker.submit(resume)

    def _begin_nats_kill(self, fault):
        self.nats.servers[fault["node"]].kill()

    def _mend_nats_kill(self, fault):
        self.nodes[fault["node"]].worker.submit(lambda: (self.nats.servers[fault["node"]].start(), self._mended(fault)))

    def _begin_nats_pause(self, fault):
        self.nats.servers[fault["node"]].pause()

    def _mend_nats_pause(self, fault):
        self.nats.servers[fault["node"]].resume()
        self._mended(fault)

    def _begin_clock(self, fault):
        node = self.nodes[fault["node"]]
        if node.clock:
            node.clock.set(fault["seconds"])

    def _mend_clock(self, fault):
        """It stays as it is: clocks are never right."""
        self._mended(fault)

    def _begin_upgrade(self, fault):
        node = self.nodes[fault["node"]]

        def upgrade():
            if node.is_up:
                try:
                    node.server.upgrade()
                except (AssertionError, ProcessLookupError) as error:
                    node.faults.append({"node": node.name, "status": "upgrade", "words": str(error).splitlines()[-CRASH_LINES:]})

        node.worker.submit(upgrade)

    def _mend_upgrade(self, fault):
        self.nodes[fault["node"]].worker.submit(lambda: self._mended(fault))

    def all_done(self):
        """Waits for what the nodes' threads have to do."""
        for node in self.nodes.values():
            node.worker.submit(lambda: None).result(120)

    # The end

    def note_held(self):
        for name, node in self.nodes.items():
            found = node.asked.clients(node=name)
            self.history.note("held", node=name, connected=[one["client_id"] for one in found if one["state"] != "offline"],
                              offline=[one["client_id"] for one in found if one["state"] == "offline"])

    def stop(self):
        """Each node ends in order; what went wrong with any of them is in the history then."""
        self.over.set()
        with contextlib.suppress(RuntimeError):
            self.watcher.join(5)
        for node in self.nodes.values():
            if node.is_up:
                node.stop()
            for fault in node.faults:
                self.history.note("stopped", **fault)

    def close(self):
        self.over.set()
        for node in self.nodes.values():
            if node.is_paused:
                with contextlib.suppress(ProcessLookupError):
                    node.server.process.send_signal(signal.SIGCONT)
            node.worker.shutdown(wait=True, cancel_futures=True)
            if node.server:
                node.server.kill()
        for server in self.nats.servers.values():
            with contextlib.suppress(ProcessLookupError, AttributeError):
                server.resume()
        self.nats.close()
        self.folder.cleanup()

    def logs(self, path):
        """What the nodes said, for who looks into a failure. Servers that were killed have theirs no more."""
        for name, node in self.nodes.items():
            if node.server:
                (path / f"{name}.log").write_text("\n".join(node.server.lines) + "\n")
