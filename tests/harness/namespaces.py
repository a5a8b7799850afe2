"""A server and its clients in network namespaces of their own with a cable between, so that a test can cut it."""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

CLONE_NEWNET = 0x40000000
SERVER_ADDRESS = "10.213.0.1"
# What a machine says that lets nobody make them, or has no cables to put between.
REFUSED = re.compile(r"not permitted|denied|not supported|Read-only file system|Unknown device type")


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)


class Namespaces:
    """The server's is `server`, that of the clients `clients`."""

    def __init__(self):
        number = os.getpid()
        self.server, self.clients = f"roost-s{number}", f"roost-c{number}"

    def __enter__(self):
        assert shutil.which("ip"), "ip is missing: tools/setup.sh test"
        try:
            for name in (self.server, self.clients):
                run("ip", "netns", "add", name)
                run("ip", "-n", name, "link", "set", "lo", "up")
            run("ip", "link", "add", "cable", "netns", self.server, "type", "veth", "peer", "name", "cable", "netns",
                self.clients)
            for name, address in ((self.server, SERVER_ADDRESS), (self.clients, "10.213.0.2")):
                run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
                run("ip", "-n", name, "link", "set", "cable", "up")
        except subprocess.CalledProcessError as error:
            self.__exit__()
            assert REFUSED.search(error.stderr), error.stderr
            pytest.skip(f"network namespaces are refused here: {error.stderr.strip()}")
        return self

    def __exit__(self, *_):
        for name in (self.server, self.clients):
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "delete", name)

    def add_address(self, address):
        """Another address on the clients' side."""
        run("ip", "-n", self.clients, "address", "add", f"{address}/24", "dev", "cable")

    def cut(self, address):
        """From now on nothing that is sent from there arrives, and nobody is told."""
        run("ip", "-n", self.clients, "rule", "add", "from", address, "blackhole")

    @property
    def prefix(self):
        """What a command begins with to run where the server is."""
        return ("ip", "netns", "exec", self.server)

    def as_client(self, function):
        """Calls it in a thread that is where the clients are: sockets stay where they were made."""
        result = []

        def work():
            with open(Path("/run/netns", self.clients), "rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            result.append(function())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert result, "it failed, as told above"
        return result[0]
