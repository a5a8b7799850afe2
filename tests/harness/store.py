"""A server that is stopped and started again with the same store."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from server import roost

ENDS = ("stop", "crash")


class Stored:
    """Its directory, and the server that uses it now."""

    def __init__(self, serve, directory, *options, prefix=()):
        self.serve, self.directory, self.options, self.prefix = serve, Path(directory), options, prefix
        self.server = None

    def start(self, *options, **named):
        self.server = self.serve("--store", str(self.directory), *(self.options or ("--shards", "2")), *options,
                                 prefix=self.prefix, **named)
        return self.server

    def again(self, end, *options, **named):
        """After a stop in good order, or a kill."""
        getattr(self.server, end)()
        return self.start(*options, **named)

    def segments(self):
        return sorted(self.directory.glob("*.log"))


def refused(directory, *options):
    """What the server says of a store that it does not take. It must not have begun to serve."""
    ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--store", str(directory), *options)
    assert ended.returncode == 1, ended.stderr
    assert "ready" not in ended.stderr
    return ended.stderr


@contextlib.contextmanager
def small_disk(directory, size):
    """Mounts a file system of so many bytes there, in memory. Skips where nobody may."""
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "roost-test", str(directory)],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory):
    """A file that takes what is free, but for less than a megabyte: the server may take some at the same time. Its path."""
    path = directory / "ballast"
    with open(path, "wb") as file, contextlib.suppress(OSError):
        for megabyte in range(1 << 20):
            os.posix_fallocate(file.fileno(), megabyte << 20, 1 << 20)
    return path
