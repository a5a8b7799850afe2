"""What stands in front of servers in real life: nginx and HAProxy from Debian, each with a configuration and ports of its own,
ended by its pid."""

import contextlib
import csv
import io
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import certificates
from mqtt_wire import TIMEOUT_S


def free_port():
    """None that the kernel gives to connections."""
    while True:
        port = random.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Front:
    """program: its command, with {file} for the configuration. text: with {port}, {folder}, {pem} (certificate and key), {chain},
    {key}, {ca} and what else is given by name."""

    def __init__(self, command, text, **words):
        assert shutil.which(command[0], path=os.environ["PATH"] + ":/usr/sbin"), f"{command[0]} is missing: tools/setup.sh test"
        self.folder = tempfile.TemporaryDirectory()
        folder = Path(self.folder.name)
        identity = certificates.server()
        pem = folder / "both.pem"
        pem.write_text(Path(identity.chain).read_text() + Path(identity.key).read_text())
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.log = folder / "log"
        file = folder / "configuration"
        words = {"port": self.port, "folder": folder, "pem": pem, "chain": identity.chain, "key": identity.key,
                 "ca": certificates.authority().file, **words}
        for name, value in words.items():
            text = text.replace("{" + name + "}", str(value))
        file.write_text(text)
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([word.replace("{file}", str(file)).replace("{folder}", str(folder)) for word in command],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"})
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self):
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(self.address, TIMEOUT_S).close()
                return
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)  # neither says when it listens

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Haproxy(Front):
    """text: the frontends and backends."""

    HEAD = "global\n    maxconn 200\n    stats socket {folder}/stats\ndefaults\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n    mode tcp\n"

    def __init__(self, text, **words):
        super().__init__(["haproxy", "-db", "-f", "{file}"], self.HEAD + text, **words)

    def wait_check(self, wanted):
        """Until its health check of the one server says so: L4OK, L6OK, L7OK."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            status = self._check_status()
            if status == wanted:
                return
            assert time.monotonic() < deadline, f"{status}: {self.log.read_text()}"
            time.sleep(0.01)

    def _check_status(self):
        """None: it does not listen there yet."""
        with socket.socket(socket.AF_UNIX) as asked:
            try:
                asked.connect(f"{self.folder.name}/stats")
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            asked.sendall(b"show stat\n")
            rows = list(csv.DictReader(io.StringIO(b"".join(iter(lambda: asked.recv(1 << 16), b"")).decode().lstrip("# "))))
        return next(row["check_status"] for row in rows if row["svname"] == "one")


class Nginx(Front):
    """text: the http or the stream part."""

    HEAD = ("{modules}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log stderr info;\nevents { worker_connections 200; }\n")
    STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"

    def __init__(self, text, **words):
        modules = f"load_module {self.STREAM};\n" if "stream {" in text else ""
        user = "user root;\n" if os.getuid() == 0 else ""
        super().__init__(["nginx", "-c", "{file}", "-p", "{folder}", "-e", "stderr"], user + self.HEAD + text, modules=modules, **words)
