"""Bridges: the configuration file of a test, a real mosquitto for the broker that they lead to, the link between, and how a
bridge is doing."""

import contextlib
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import yaml

import transports
from mqtt_wire import TIMEOUT_S, Client
from redis_server import free_port

MOSQUITTO = "/usr/sbin/mosquitto"


def write(folder, *bridges, **options):
    """A configuration file with these bridges, each a dict, and other options. Its path."""
    path = Path(folder) / "roost.yaml"
    path.write_text(yaml.safe_dump({**options, "bridges": list(bridges)}, sort_keys=False))
    return str(path)


class Mosquitto:
    """A real mosquitto on a port of its own, which stays the same when it is started again. persistent: it keeps sessions
    over that. lines: of its configuration. plain: its clients come by another listener, without what the lines say."""

    def __init__(self, *lines, persistent=False, anonymous=True, plain=False):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        clients = free_port() if plain else self.port
        self.address = transports.address_of(f"tcp://127.0.0.1:{clients}")
        kept = ["persistence true", f"persistence_location {self.folder.name}/"] if persistent else []
        self.file = Path(self.folder.name, "mosquitto.conf")
        self.file.write_text("\n".join([f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}", "user root",
                                        "max_queued_messages 0", *kept, *lines,
                                        *([f"listener {clients} 127.0.0.1"] if plain else []), ""]))
        self.process = None
        self.start()

    @classmethod
    def over_tls(cls, *lines, **options):
        """Its listener has TLS, by these lines."""
        broker = cls(*lines, **options)
        broker.url = f"mqtts://127.0.0.1:{broker.port}"
        return broker

    def start(self):
        with open(f"{self.folder.name}/log", "ab") as log:
            self.process = subprocess.Popen([MOSQUITTO, "-v", "-c", str(self.file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S).close()
                return
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.01)  # it says nowhere that it listens

    def log(self):
        return Path(self.folder.name, "log").read_text(errors="replace")[-4000:]

    def client(self, client_id="", version=5, **options):
        return Client(self.address, client_id, version, **options)

    def stop(self):
        """In order, so that it writes what it keeps."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_S)

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.go_on()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


class Link:
    """A way to a broker that can be cut: all of its connections at once, or each after so many bytes."""

    def __init__(self, port):
        self.to = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.lock = threading.Lock()
        self.ends = []
        self.is_cut = False
        self.bytes_max = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        with self.lock:
            self.is_cut = True
            self._drop()

    def heal(self):
        self.is_cut = False

    def drop(self):
        """What is connected ends; it may connect again."""
        with self.lock:
            self._drop()

    def _drop(self):
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.ends.clear()

    def _accept(self):
        while True:
            try:
                inner = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                if self.is_cut:
                    inner.close()
                    continue
                try:
                    outer = socket.create_connection(self.to, 2)
                except OSError:
                    inner.close()
                    continue
                self.ends += [inner, outer]
            for one, other in ((inner, outer), (outer, inner)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one, other):
        carried = 0
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 14):
                other.sendall(data)
                carried += len(data)
                if self.bytes_max is not None and carried >= self.bytes_max:
                    break
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        self.cut()


def wait_bridge(server, name, reached, timeout=TIMEOUT_S):
    """Asks the API until reached(bridge) is true of this bridge. What was answered of it."""
    admin = server.admin()
    deadline = time.monotonic() + timeout
    while True:
        bridges = {bridge["name"]: bridge for bridge in admin.get("/api/v1/bridges").json["bridges"]}
        if name in bridges and reached(bridges[name]):
            return bridges[name]
        assert time.monotonic() < deadline, f"{bridges}\n{server.log()}"
        time.sleep(0.02)


def works(bridge):
    return bridge["state"] == "working"


def waits(bridge):
    return bridge["state"] == "waiting" and bridge["last_error"] is not None


def is_drained(bridge):
    return bridge["state"] == "working" and bridge["backlog_messages"] == 0


class FakeBroker:
    """A broker that says what a test wants it to. Each connection is handed to serve(connection, number) in a thread: the
    connection has `packet()` and `send()` as a test's own clients have, and CONNECT is still to be read."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.serve, self.count, self.ends, self.faults = serve, 0, [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                end = FakeEnd(self.listener.accept()[0])
                self.ends.append(end)
                self.count += 1
                threading.Thread(target=self._serve, args=(end, self.count - 1), daemon=True).start()

    def _serve(self, end, number):
        try:
            self.serve(end, number)
        except (OSError, EOFError):
            pass
        except Exception as fault:  # noqa: BLE001: the test is to see whatever it is
            self.faults.append(fault)
        end.close()

    def close(self):
        self.listener.close()
        for end in self.ends:
            end.close()
        assert not self.faults, self.faults


class FakeEnd:
    """The broker's end of a connection."""

    def __init__(self, sock):
        self.socket, self.buffer = sock, b""

    def packet(self):
        """Type, flags and body of the next packet."""
        while True:
            if len(self.buffer) >= 2:
                size, shift, at = 0, 0, 1
                while at < len(self.buffer):
                    size |= (self.buffer[at] & 0x7f) << shift
                    shift += 7
                    at += 1
                    if self.buffer[at - 1] < 0x80:
                        break
                if self.buffer[at - 1] < 0x80 and len(self.buffer) >= at + size:
                    first, body = self.buffer[0], self.buffer[at:at + size]
                    self.buffer = self.buffer[at + size:]
                    return first >> 4, first & 15, body
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError
            self.buffer += data

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def topic_and_id(flags, body):
    """Of a PUBLISH; the identifier is None at QoS 0."""
    size = int.from_bytes(body[:2], "big")
    topic, rest = body[2:2 + size].decode(), body[2 + size:]
    return topic, int.from_bytes(rest[:2], "big") if flags & 6 else None
