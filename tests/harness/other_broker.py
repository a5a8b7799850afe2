"""The scenarios against another broker, which shows which of them say what the standard says:

    ROOST_TEST_BROKER=/usr/sbin/mosquitto      a fresh mosquitto for each test
    ROOST_TEST_BROKER=127.0.0.1:1883           one that runs already, and keeps what tests leave with it

A test that asks Roost for its counters or its log, or that needs options without a counterpart, is skipped where it does
so.
"""

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import transports
from broker import Broker
from mqtt_wire import TIMEOUT_S

WHICH = os.environ.get("ROOST_TEST_BROKER", "")

# An option of ours -> a line of mosquitto's configuration. None: it changes nothing that a client sees.
COUNTERPARTS = {
    "--shards": None,
    "--gates": None,
    "--inflight-max": "max_inflight_messages",
    "--keepalive-max-s": "max_keepalive",
    "--packet-bytes-max": "max_packet_size",
    "--queue-messages-max": "max_queued_messages",
}


def lines_for(options):
    missing = [word for word in options if word.startswith("--") and word not in COUNTERPARTS]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    lines = []
    for name, value in zip(options[::2], options[1::2]):
        if COUNTERPARTS[name]:
            lines.append(f"{COUNTERPARTS[name]} {value}")
    return lines


def tls_lines():
    import certificates

    identity = certificates.server()
    return ["user root", f"certfile {identity.chain}", f"keyfile {identity.key}"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class OtherBroker(Broker):
    def __init__(self, *options, listen=None, transport=transports.DEFAULT, log_level=None, files_max=None, prefix=()):
        self.process_of_other = self.folder = None
        if listen or log_level or files_max or prefix:
            pytest.skip("is about Roost's own options")
        lines = lines_for(options)
        if ":" in WHICH:
            if lines:
                pytest.skip(f"needs {', '.join(options)}")
            host, port = WHICH.rsplit(":", 1)
            self.address = transports.Address(host, int(port))
            return
        if transport not in ("tcp", "tls"):
            pytest.skip(f"Debian's mosquitto does not speak {transport}")
        self.address = transports.address_of(f"{transport}://127.0.0.1:{free_port()}")
        if transport == "tls":
            lines += tls_lines()
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name, "mosquitto.conf")
        file.write_text("\n".join([f"listener {self.address[1]} 127.0.0.1", "allow_anonymous true", *lines, ""]))
        self.process_of_other = subprocess.Popen([WHICH, "-c", str(file)], stdin=subprocess.DEVNULL,
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(self.address, TIMEOUT_S).close()
                return
            assert self.process_of_other.poll() is None and time.monotonic() < deadline, f"{WHICH} does not answer"
            time.sleep(0.01)  # it says nowhere that it listens

    def __getattr__(self, name):
        pytest.skip(f"asks Roost itself: {name}")

    def kill(self):
        if self.process_of_other:
            self.process_of_other.kill()
            self.process_of_other.wait()
            self.folder.cleanup()
