"""A real nats-server for a test: on a free port, in a directory of its own, ended by its pid."""

import base64
import binascii
import contextlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import certificates
from redis_server import free_port

TIMEOUT_S = 20


def program():
    """Debian has it in /usr/sbin, which is not in everybody's PATH."""
    return shutil.which("nats-server", path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/usr/local/sbin")


class Nats:
    """user, password: asked for. identity: the server speaks TLS with that certificate; asks_clients: and requires one of
    the test's authority. max_payload: of a message. lines: more of its configuration."""

    def __init__(self, user=None, password=None, identity=None, asks_clients=False, max_payload=None, lines=()):
        assert program(), "nats-server is missing: tools/setup.sh test"
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        self.process = None
        self.is_tls = identity is not None
        login = f"{user}:{password}@" if user else ""
        self.url = f"{'tls' if identity else 'nats'}://{login}127.0.0.1:{self.port}"
        self.lines = [f"listen: 127.0.0.1:{self.port}", *lines]
        if user:
            self.lines.append(f'authorization {{ user: "{user}", password: "{password}" }}')
        if max_payload:
            self.lines.append(f"max_payload: {max_payload}")
        if identity:
            clients = f', verify: true, ca_file: "{certificates.authority().file}"' if asks_clients else ""
            self.lines.append(f'tls {{ cert_file: "{identity.chain}", key_file: "{identity.key}", timeout: 5{clients} }}')
        self.start()

    def start(self):
        """Returns when it greets."""
        config = Path(self.folder.name, "nats.conf")
        config.write_text("\n".join(self.lines) + "\n")
        with open(f"{self.folder.name}/log", "ab") as log:
            self.process = subprocess.Popen([program(), "-c", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + TIMEOUT_S
        while not self._greets():
            assert self.process.poll() is None and time.monotonic() < deadline, f"nats-server does not start: {self.log()[-1000:]}"
            time.sleep(0.01)

    def _greets(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection:
            return connection.recv(5) == b"INFO "
        return False

    def log(self):
        return Path(self.folder.name, "log").read_text(errors="replace")

    def kill(self):
        """As a crash does it."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """It says good-bye to its clients."""
        self.process.terminate()
        self.process.wait(TIMEOUT_S)

    def pause(self):
        """Its connections stay, and nobody serves them."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.kill()
        self.folder.cleanup()

    def publish(self, subject, data):
        """Whatever somebody else may write on a subject; for a server without TLS and user."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection:
            connection.sendall(b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(data), data))
            buffer = b""
            while b"PONG\r\n" not in buffer:
                more = connection.recv(1 << 16)
                assert more, f"nats-server closed the connection: {buffer!r}"
                buffer += more
            assert b"-ERR" not in buffer, buffer


class Relay:
    """Between nodes and the server, so that a test can cut some of them off and not others: a node that is given `url` goes
    through here. cut(): what comes either way is kept back and nobody is told, as a network that is torn does it; mend():
    all connections through here end."""

    def __init__(self, port):
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.is_cut, self.pairs = False, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.pairs.append((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                while self.is_cut:
                    time.sleep(0.01)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)

    def cut(self):
        self.is_cut = True

    def mend(self):
        for pair in self.pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self.pairs.clear()
        self.is_cut = False

    def close(self):
        self.mend()
        self.listener.close()


class Operator:
    """Who may use a server, in JWTs signed by an operator's key (`lines` of its configuration), and a file for one user."""

    PREFIXES = {"operator": 14 << 3, "account": 0, "user": 20 << 3}

    def __init__(self, folder):
        self.keys = {kind: Ed25519PrivateKey.generate() for kind in self.PREFIXES}
        operator = self._claims("operator", "operator", {"type": "operator", "version": 2})
        account = self._claims("account", "operator", {"type": "account", "version": 2, "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": True, "conn": -1, "leaf": -1}})
        self.lines = [f"operator: {operator}", "resolver: MEMORY", f'resolver_preload: {{ {self._name("account")}: {account} }}']
        user = self._claims("user", "account", {"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1})
        self.credentials = Path(folder, "user.creds")
        self.credentials.write_text(f"-----BEGIN NATS USER JWT-----\n{user}\n------END NATS USER JWT------\n\n"
                                    f"-----BEGIN USER NKEY SEED-----\n{self._seed('user')}\n------END USER NKEY SEED------\n")

    @staticmethod
    def _encode(data):
        data += struct.pack("<H", binascii.crc_hqx(data, 0))
        return base64.b32encode(data).decode().rstrip("=")

    def _name(self, kind):
        public = self.keys[kind].public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return self._encode(bytes([self.PREFIXES[kind]]) + public)

    def _seed(self, kind):
        secret = self.keys[kind].private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
        prefix = self.PREFIXES[kind]
        return self._encode(bytes([18 << 3 | prefix >> 5, (prefix & 31) << 3]) + secret)

    def _claims(self, kind, by, nats):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")
        claims = {"jti": kind, "iat": int(time.time()), "iss": self._name(by), "name": kind, "sub": self._name(kind), "nats": nats}
        text = part(b'{"typ":"JWT","alg":"ed25519-nkey"}') + b"." + part(json.dumps(claims).encode())
        return (text + b"." + part(self.keys[by].sign(text))).decode()
