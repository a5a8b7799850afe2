"""Several real gateways on one real NATS server, which a test may stop, cut off and start again."""

import time

from mqtt_wire import TIMEOUT_S

# Silence after which another node counts as away: short, because tests wait for it.
AWAY_MS = 2000
NAMES = ("a", "b", "c", "d")


class Cluster:
    """Nodes by name. serve: the fixture, so that each node is stopped with the test, and has to end well; nats: harness/nats_server.py.
    options: for all of them."""

    def __init__(self, serve, nats, tmp_path, *options, store=False):
        self.serve, self.nats, self.folder, self.options, self.store = serve, nats, tmp_path, options, store
        self.nodes = {}

    def start(self, name, *options, **named):
        """Starts a node, anew where there was one. It is not waited for until it is in the cluster: see settle()."""
        stored = ["--store", str(self.folder / name)] if self.store else []
        self.nodes[name] = self.serve("--cluster-nats", self.nats.url, "--cluster-name", "test", "--node", name,
                                      "--cluster-timeout-ms", str(AWAY_MS), "--admin", "http://127.0.0.1:0", *stored, *self.options,
                                      *options, **named)
        return self.nodes[name]

    def start_all(self, count, *options):
        for name in NAMES[:count]:
            self.start(name, *options)
        self.settle()
        return [self.nodes[name] for name in NAMES[:count]]

    def status(self, name):
        return self.nodes[name].admin().get("/api/v1/nodes").json

    def states(self, name):
        return {node["name"]: node["state"] for node in self.status(name)["nodes"]}

    def peer(self, name, other):
        return next(node for node in self.status(name)["nodes"] if node["name"] == other)

    def wait(self, what, reached, timeout=4 * TIMEOUT_S):
        """Returns what it comes to, once that is not false."""
        deadline = time.monotonic() + timeout
        while not (found := reached()):
            assert time.monotonic() < deadline, f"{what}:\n" + "\n".join(
                f"--- {name}: {self.status(name) if node.process.poll() is None else 'ended'}\n{node.log(30)}"
                for name, node in self.nodes.items())
            time.sleep(0.01)
        return found

    def wait_state(self, name, other, *states):
        return self.wait(f"{name} holds {other} for {' or '.join(states)}", lambda: self.states(name).get(other) in states)

    def settle(self, *names):
        """Waits until these nodes, or all, hold each other for alive and have caught up."""
        names = names or tuple(self.nodes)

        def settled():
            seen = [self.status(name) for name in names]
            alive = all({node["name"] for node in one["nodes"] if node["state"] == "alive"} >= set(names) - {name}
                        for name, one in zip(names, seen))
            return alive and all(one["caught_up"] for one in seen) and len({one["view"] for one in seen}) == 1

        self.wait("all nodes are in the cluster", settled)
