"""Several nats-servers, one beside each node, joined by routes over wires that a test may cut (cuttable.py)."""

import itertools
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from cuttable import BACK, FORTH, Wires
from nats_server import program
from redis_server import free_port

START_S = 20
# Routes are found dead, and made again, in about the time that a test waits for.
SETTINGS = """
listen: "127.0.0.1:{client}"
server_name: "{name}"
max_payload: 1MB
ping_interval: "1s"
ping_max: 2
cluster {{
  name: "test"
  listen: "127.0.0.1:{route}"
  # Who hears of this server from another one is not to find a way beside the wires.
  cluster_advertise: "127.0.0.1:1"
  routes: [{routes}]
}}
"""


class NatsServer:
    def __init__(self, folder, name):
        assert program(), "nats-server is missing: tools/setup.sh test"
        self.name, self.folder = name, Path(folder)
        self.client_port, self.route_port = free_port(), free_port()
        self.url = f"nats://127.0.0.1:{self.client_port}"
        self.process = None

    def configure(self, ports):
        """ports: where the ways to others begin."""
        routes = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in ports)
        (self.folder / f"{self.name}.conf").write_text(SETTINGS.format(client=self.client_port, route=self.route_port, name=self.name,
                                                                       routes=routes))

    def start(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([program(), "-c", str(self.folder / f"{self.name}.conf")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.client_port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, \
                    "nats-server does not start: " + (self.folder / f"{self.name}.log").read_text()[-1000:]
                time.sleep(0.01)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class NatsCluster:
    """servers: by the name of the node that each is beside."""

    def __init__(self, names):
        self.folder = tempfile.TemporaryDirectory()
        self.wires = Wires()
        self.servers = {name: NatsServer(self.folder.name, name) for name in names}
        self.between = {}
        for one, other in itertools.combinations(names, 2):
            self.between[one, other] = self.wires.wire(free_port(), self.servers[other].route_port)
        for name, server in self.servers.items():
            server.configure([wire.port for (one, _), wire in self.between.items() if one == name])
            server.start()

    def ways(self, one, other):
        """(the wire between two, the directions of it that lead from the first to the second)."""
        if (one, other) in self.between:
            return self.between[one, other], FORTH
        return self.between[other, one], BACK

    def close(self):
        for server in self.servers.values():
            server.kill()
        self.wires.close()
        self.folder.cleanup()
