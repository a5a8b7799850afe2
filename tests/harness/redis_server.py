"""A real redis-server for a test: on a free port, in a directory of its own, ended by its pid. And the few words that a
test has to say to it."""

import contextlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import certificates

TIMEOUT_S = 20


def free_port():
    """None that the kernel gives to connections: one that tries it before the server is there would meet itself."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class RedisError(AssertionError):
    """An error for an answer."""


class Redis:
    def __init__(self, *options):
        assert shutil.which("redis-server"), "redis-server is missing: tools/setup.sh test"
        self.folder = tempfile.TemporaryDirectory()
        self.options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process = self.socket = None
        self.start()

    def start(self):
        """Returns when it answers, with what it had when it last saved."""
        with open(f"{self.folder.name}/log", "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.connect()

    def connect(self):
        """Its own connection, anew where there is one: Sentinels have a server close all of them."""
        if self.socket:
            self.socket.close()
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
                break
            except ConnectionError:
                assert self.process.poll() is None and time.monotonic() < deadline, \
                    f"redis-server does not start: {Path(self.folder.name, 'log').read_text()[-1000:]}"
                time.sleep(0.01)
        self.buffer = b""
        self.greet()
        while self._is_loading():
            assert time.monotonic() < deadline, "redis-server does not load its data"
            time.sleep(0.01)

    def command(self):
        return ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self.folder.name,
                "--daemonize", "no", *(str(option) for option in self.options)]

    def greet(self):
        """Says what has to come first on a connection."""

    def _is_loading(self):
        self.socket.sendall(b"PING\r\n")
        return self._line().startswith(b"-LOADING")

    def kill(self):
        """As a crash does it."""
        if self.socket:
            self.socket.close()
        self.process.kill()
        self.process.wait()

    def close(self):
        self.kill()
        self.folder.cleanup()

    def drop_clients(self):
        """Ends every connection but the test's own."""
        self.ask(("CLIENT", "KILL", "TYPE", "pubsub"), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"))

    def _line(self):
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(1 << 16)
            assert data, "redis-server closed the connection"
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _answer(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b"$":
            size = int(rest)
            if size < 0:
                return None
            while len(self.buffer) < size + 2:
                self.buffer += self.socket.recv(1 << 16)
            text, self.buffer = self.buffer[:size], self.buffer[size + 2:]
            return text
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        return int(rest) if kind == b":" else rest

    def ask(self, *commands):
        """Each command a tuple of words. The answers; those that fill no buffer are asked for at once."""
        return [answer for at in range(0, len(commands), 500) for answer in self._ask(commands[at:at + 500])]

    def _ask(self, commands):
        data = b""
        for words in commands:
            words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            data += b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.socket.sendall(data)
        return [self._answer() for _ in commands]

    def write(self, kind, name, seconds=None):
        """The key alone, of which a reader hears when it reads again."""
        life = () if seconds is None else ("EX", seconds)
        self.ask(("SET", f"roost:revoked:{kind}:{name}", "", *life))

    def revoke(self, kind, name, seconds=None):
        """As docs/REVOCATION.md says: the key, then the message."""
        self.write(kind, name, seconds)
        self.ask(("PUBLISH", "roost:revoked", f"{kind} {seconds or 0} {name}"))

    def lift(self, kind, name):
        self.ask(("DEL", f"roost:revoked:{kind}:{name}"), ("PUBLISH", "roost:lifted", f"{kind} {name}"))


class TlsRedis(Redis):
    """The same with a port for TLS besides, which `url` names. The test itself speaks to it in plain.

    asks_clients: it requires a certificate of the test's authority."""

    def __init__(self, identity=None, *options, asks_clients=False):
        self.tls_port = free_port()
        self.shown = tempfile.TemporaryDirectory()
        self.files = [f"{self.shown.name}/{name}" for name in ("certificate", "key")]
        self.show(identity or certificates.server())
        super().__init__(
            "--tls-port", str(self.tls_port), "--tls-cert-file", self.files[0], "--tls-key-file", self.files[1],
            "--tls-ca-cert-file", certificates.authority().file, "--tls-auth-clients", "yes" if asks_clients else "no", *options)
        self.plain_url, self.url = self.url, f"rediss://127.0.0.1:{self.tls_port}"

    def show(self, identity):
        """From the next start on; renew() has a running one show it."""
        for path, source in zip(self.files, (identity.chain, identity.key)):
            Path(path).write_bytes(Path(source).read_bytes())

    def renew(self, identity):
        self.show(identity)
        self.ask(("CONFIG", "SET", "tls-cert-file", self.files[0], "tls-key-file", self.files[1]))

    def close(self):
        super().close()
        self.shown.cleanup()


class Relay:
    """Between the server and Redis: it passes on what both say, and can say something else in Redis' name."""

    def __init__(self, port):
        self.port, self.pairs = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.pairs.append((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def say(self, data):
        """On every connection that there is now."""
        for near, _ in self.pairs:
            with contextlib.suppress(OSError):
                near.sendall(data)

    def close(self):
        for end in (self.listener, *(end for pair in self.pairs for end in pair)):
            end.close()
