"""Several redis-servers for a test: a cluster, by hand, since `redis-cli --cluster create` waits for seconds; and a master
with replicas that Sentinels watch. Each on ports of its own, ended by their pids."""

import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

import certificates
from redis_server import TIMEOUT_S, Redis, RedisError, TlsRedis, free_port

SLOTS = 16384
KEEPS = ("--appendonly", "yes", "--appendfsync", "always")
# What a test may meet while nodes come and go.
AWAY = (OSError, RedisError, AssertionError)


def wait_until(reached, what, timeout=TIMEOUT_S):
    """Asks until reached() is true, which may also fail of a server that is away. What it was. what: a sentence, or what makes
    one when it is wanted."""
    deadline = time.monotonic() + timeout
    while True:
        fault = None
        try:
            if value := reached():
                return value
        except AWAY as error:
            fault = error
        assert time.monotonic() < deadline, f"{what() if callable(what) else what} ({fault!r})"
        time.sleep(0.05)


def info(redis, name, section="replication"):
    lines = redis.ask(("INFO", section))[0].decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line).get(name)


class Several:
    """Servers that are ended together."""

    def __init__(self):
        self.nodes = []

    def close(self):
        for node in self.nodes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.process.pid, signal.SIGCONT)
            node.close()


class Cluster(Several):
    """Masters with so many replicas each. `ask` finds the server that has a command's key, its second word."""

    def __init__(self, masters=3, replicas=1, *options, node_timeout_ms=1000, tls=False):
        super().__init__()
        kind = TlsRedis if tls else Redis
        if tls:
            ours = certificates.client("node")
            options = ("--tls-cluster", "yes", "--tls-replication", "yes", "--tls-client-cert-file", ours.chain,
                       "--tls-client-key-file", ours.key, *options)
        for _ in range(masters * (1 + replicas)):
            self.nodes.append(kind(*((None,) if tls else ()), "--cluster-enabled", "yes", "--cluster-port", free_port(),
                                   "--cluster-node-timeout", node_timeout_ms, "--cluster-config-file", "nodes.conf",
                                   "--repl-diskless-sync-delay", "0", *KEEPS, *options))
        self.masters = self.nodes[:masters]
        self.tls = tls
        self._create(masters)

    def _create(self, masters):
        for number, node in enumerate(self.nodes):
            node.ask(("CLUSTER", "SET-CONFIG-EPOCH", number + 1))
        for number, node in enumerate(self.masters):
            node.ask(("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // masters, SLOTS * (number + 1) // masters - 1))
        for node in self.nodes[1:]:
            port = node.tls_port if self.tls else node.port
            self.nodes[0].ask(("CLUSTER", "MEET", "127.0.0.1", port, self._bus(node)))
        for node in self.nodes:
            wait_until(lambda: self._knows_all(node), "the nodes do not meet")
        for number, node in enumerate(self.nodes[masters:]):
            node.ask(("CLUSTER", "REPLICATE", self.id_of(self.masters[number % masters])))
        self.wait_ok()

    @staticmethod
    def _bus(node):
        return node.options[node.options.index("--cluster-port") + 1]

    def _knows_all(self, node):
        lines = node.ask(("CLUSTER", "NODES"))[0].decode().splitlines()
        return len(lines) == len(self.nodes) and not any("handshake" in line for line in lines)

    def wait_ok(self):
        """Every node that runs finds the cluster whole, and replicas have what their masters have."""
        for node in self.running():
            wait_until(lambda: b"cluster_state:ok" in node.ask(("CLUSTER", "INFO"))[0], lambda: f"the cluster does not come up: {self}")
            wait_until(lambda: info(node, "role") == "master" or info(node, "master_link_status") == "up",
                       lambda: f"{node.port} does not follow: {self}")

    def __str__(self):
        """As a node that runs sees it."""
        for node in self.running():
            with contextlib.suppress(*AWAY):
                return node.ask(("CLUSTER", "NODES"))[0].decode()
        return "no node runs"

    def running(self):
        return [node for node in self.nodes if node.process.poll() is None]

    @staticmethod
    def id_of(node):
        return node.ask(("CLUSTER", "MYID"))[0].decode()

    def url(self, *nodes, user=""):
        """Of these nodes; all, where none is given."""
        hosts = [f"127.0.0.1:{node.tls_port if self.tls else node.port}" for node in nodes or self.nodes]
        return f"redis{'s' if self.tls else ''}+cluster://{user}" + ",".join(hosts)

    @staticmethod
    def slot(key):
        key = key if isinstance(key, bytes) else key.encode()
        begin = key.find(b"{")
        end = key.find(b"}", begin + 1)
        if begin >= 0 and end > begin + 1:
            key = key[begin + 1:end]
        crc = 0
        for byte in key:
            crc ^= byte << 8
            for _ in range(8):
                crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
        return crc % SLOTS

    def owner(self, key):
        """The node that has the key's slot, by what most of the running nodes say; None: it does not run."""
        slot, said = self.slot(key), {}
        for node in self.running():
            for first, last, master, *_ in node.ask(("CLUSTER", "SLOTS"))[0]:
                if first <= slot <= last:
                    said[master[2]] = said.get(master[2], 0) + 1
        wanted = max(said, key=said.get).decode()
        return next((node for node in self.running() if self.id_of(node) == wanted), None)

    def ask(self, *commands):
        return [self.owner(words[2 if words[0] == "XINFO" else 1]).ask(words)[0] for words in commands]

    def key_of(self, node, prefix="s"):
        """A key of this name and a number that the node has."""
        return next(key for key in (f"{prefix}{number}" for number in range(10000)) if self.owner(key) is node)

    def move(self, slot, source, target):
        """As a reshard does it, by steps: what yields in between may look at the cluster half way."""
        target.ask(("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source)))
        source.ask(("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target)))
        yield "opened"
        while keys := source.ask(("CLUSTER", "GETKEYSINSLOT", slot, 1))[0]:
            source.ask(("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000))
            yield "moved"
        for node in (target, source, *(node for node in self.running() if info(node, "role") == "master" and node not in (source, target))):
            node.ask(("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target)))


class Watched(Several):
    """A master, replicas, and Sentinels that watch it by the name `main`."""

    def __init__(self, replicas=1, sentinels=3, *options, sentinel_password=None, tls=False):
        super().__init__()
        self.tls = tls
        self.nodes.append(TlsRedis(None, *KEEPS, *options) if tls else Redis(*KEEPS, *options))
        for _ in range(replicas):
            self.nodes.append(Redis("--replicaof", "127.0.0.1", self.nodes[0].port, "--repl-diskless-sync-delay", "0", *KEEPS, *options))
        for node in self.nodes[1:]:
            wait_until(lambda: info(node, "master_link_status") == "up", "a replica does not follow")
        self.sentinel_password = sentinel_password
        port = self.nodes[0].tls_port if tls else self.nodes[0].port
        self.sentinels = [Sentinel(port, sentinels // 2 + 1, sentinel_password, tls) for _ in range(sentinels)]
        for sentinel in self.sentinels:
            wait_until(lambda: sentinel.knows(sentinels, replicas), "the Sentinels do not find each other")

    def url(self, *sentinels, user=""):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels or self.sentinels)
        password = f"?sentinel_password={self.sentinel_password}" if self.sentinel_password else ""
        return f"redis{'s' if self.tls else ''}+sentinel://{user}{hosts}/main{password}"

    def master(self):
        """The node that says it is the master, and that a Sentinel says is."""
        port = int(self.sentinels[0].redis.ask(("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"))[0][1])
        node = next(node for node in self.nodes if node.port == port)
        if node.process.poll() is not None:
            return None
        node.connect()
        return node if info(node, "role") == "master" else None

    def close(self):
        for sentinel in self.sentinels:
            sentinel.redis.close()
        super().close()


class Sentinel:
    """tls: `port` is one for TLS, over which it speaks to the master, too."""

    def __init__(self, master_port, quorum, password, tls=False):
        self.folder = tempfile.TemporaryDirectory()
        config = Path(self.folder.name) / "sentinel.conf"
        config.write_text(f"sentinel monitor main 127.0.0.1 {master_port} {quorum}\n"
                          "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n" +
                          (f"requirepass {password}\nsentinel sentinel-pass {password}\n" if password else "") +
                          (self._tls() if tls else ""))
        self.redis = SentinelServer(str(config), password)
        self.port = self.tls_port if tls else self.redis.port

    def _tls(self):
        self.tls_port, ours = free_port(), certificates.server()
        return (f"tls-port {self.tls_port}\ntls-replication yes\ntls-auth-clients no\ntls-cert-file {ours.chain}\ntls-key-file {ours.key}\n"
                f"tls-ca-cert-file {certificates.authority().file}\n")

    def knows(self, sentinels, replicas):
        words = self.redis.ask(("SENTINEL", "MASTER", "main"))[0]
        known = dict(zip(words[::2], words[1::2]))
        return int(known[b"num-other-sentinels"]) == sentinels - 1 and int(known[b"num-slaves"]) == replicas


class SentinelServer(Redis):
    """A Redis of another kind, with a configuration file that it writes to."""

    def __init__(self, config, password):
        self.config, self.password = config, password
        super().__init__()

    def command(self):
        return ["redis-server", self.config, "--sentinel", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder.name]

    def greet(self):
        if self.password:
            self.ask(("AUTH", self.password))


def end_all(nodes):
    for node in nodes:
        node.kill()
