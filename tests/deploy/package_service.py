"""The package in a Debian whose first process is systemd: the service starts in its sandbox, an upgrade of the package replaces the
program beneath live clients, one that cannot is refused in words, and nothing is left after a purge."""

import re
import subprocess
import threading
from pathlib import Path

import pytest

import debian

NEXT = debian.VERSION[:-1] + "7"
BROKEN = debian.VERSION[:-1] + "8"


class Load:
    """A subscriber, and a publisher of numbers at QoS 1 until it is told to stop."""

    def __init__(self, machine):
        self.subscriber = machine.near("stdbuf", "-oL", "mosquitto_sub", "-d", "-i", "sub", "-q", "1", "-V", "5", "-t", "numbers", stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT)
        self.connects = 0
        self.lines = []
        self.arrived = threading.Condition()
        self.subscribed = threading.Event()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        assert self.subscribed.wait(debian.TIMEOUT_S)
        self.publisher = machine.near("mosquitto_pub", "-l", "-i", "pub", "-q", "1", "-t", "numbers", stdin=subprocess.PIPE)
        self.stopping = threading.Event()
        self.sent = 0
        self.feeder = threading.Thread(target=self.feed, daemon=True)
        self.feeder.start()

    def read(self):
        for line in self.subscriber.stdout:
            if "sending CONNECT" in line:
                self.connects += 1
            elif "Subscribed" in line:
                self.subscribed.set()
            elif line.strip().isdigit():
                with self.arrived:
                    self.lines.append(int(line))
                    self.arrived.notify_all()

    def feed(self):
        while not self.stopping.wait(0.002):
            self.publisher.stdin.write(f"{self.sent}\n")
            self.publisher.stdin.flush()
            self.sent += 1

    def wait_for(self, more):
        """Until so many more numbers have come than had when this began."""
        with self.arrived:
            wanted = len(self.lines) + more
            assert self.arrived.wait_for(lambda: len(self.lines) >= wanted, debian.TIMEOUT_S)

    def stop(self):
        """All that was sent has come, once and in order, over one connection."""
        self.stopping.set()
        self.feeder.join()
        self.publisher.stdin.close()
        assert self.publisher.wait(debian.TIMEOUT_S) == 0
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.lines) >= self.sent, debian.TIMEOUT_S)
        self.subscriber.terminate()
        self.reader.join()
        self.subscriber.wait()
        assert self.lines == list(range(self.sent))
        assert self.connects == 1


@pytest.fixture(scope="module")
def package():
    return debian.built()


@pytest.fixture(scope="module")
def machine(package):
    del package
    with debian.machine() as one:
        yield one


@pytest.fixture(scope="module")
def installed(machine, package):
    said = machine.install(package)
    assert machine.property("ActiveState") == "active", said + machine.ask("journalctl", "--no-pager", "-u", "roost")
    return machine


def test_installed_it_serves(installed):
    """Type=notify: systemd counts it as started once it says that it is ready."""
    assert installed.property("StatusText") == f"version {debian.VERSION}"
    assert installed.run("stat", "-c", "%U %G %a", "/var/lib/roost").split() == ["roost", "roost", "700"]
    assert installed.run("stat", "-c", "%U", f"/proc/{installed.property('MainPID')}").strip() == "roost"
    assert "synced to the device (store /var/lib/roost" in installed.run("journalctl", "--no-pager", "-u", "roost")
    assert installed.run("roost", "ctl", "ready")


def test_reload_is_told(installed):
    pid = installed.property("MainPID")
    installed.run("systemctl", "reload", "roost")
    # systemd waits for the signal to be sent; that Roost is at it, it may learn a little later.
    installed.wait_until(lambda: "reloaded" in installed.run("journalctl", "--no-pager", "-u", "roost"))
    installed.wait_until(lambda: installed.property("ActiveState") == "active")
    assert installed.property("MainPID") == pid and installed.property("StatusText") == f"version {debian.VERSION}"


def descriptors(machine):
    """What each thread of the service has open."""
    pid = machine.property("MainPID")
    return machine.run("sh", "-c", f"for t in /proc/{pid}/task/*; do echo $(ls -l $t/fd | sed 's/.*-> //' | tr '\\n' ';'); done").splitlines()


def test_sandbox_leaves_private_tables_and_memory_that_lasts(installed):
    assert not re.search(r"\b(warning|error) ", installed.run("journalctl", "--no-pager", "-u", "roost", "-o", "cat"))
    threads = descriptors(installed)
    assert len(threads) > 3 and len(set(threads)) > 2
    assert any("/memfd:" in thread for thread in threads)


def test_upgrade_beneath_live_clients(installed, package, tmp_path):
    load = Load(installed)
    pid = installed.property("MainPID")
    since = installed.property("ActiveEnterTimestampMonotonic")
    load.wait_for(100)
    said = installed.install(debian.repacked(package, tmp_path, NEXT))
    load.wait_for(100)
    rings = [thread for thread in descriptors(installed) if "anon_inode:[io_uring]" in thread]
    load.stop()
    assert rings  # which hold the sockets while one program follows the other
    assert f"version {NEXT}; upgrade 1 done, from version {debian.VERSION}; no client was disconnected" in said, said
    assert installed.property("MainPID") == pid
    assert installed.property("ActiveEnterTimestampMonotonic") == since and installed.property("NRestarts") == "0"
    assert f'"version": "{NEXT}"' in installed.run("roost", "ctl", "--json", "stats") or NEXT in installed.run("roost", "ctl", "stats")


def test_upgrade_that_cannot_be_is_refused_in_words(installed, package, tmp_path):
    """The package is installed all the same, and the old program serves on."""
    load = Load(installed)
    pid = installed.property("MainPID")
    load.wait_for(100)
    said = installed.install(debian.repacked(package, tmp_path, BROKEN, Path("/bin/false").read_bytes()))
    load.wait_for(100)
    load.stop()
    assert f"version {NEXT}; upgrade 2 refused: " in said and "exit status 1" in said, said
    assert "systemctl restart roost" in said
    assert installed.property("MainPID") == pid and installed.property("ActiveState") == "active"
    assert BROKEN in installed.run("dpkg-query", "-W", "roost")


def test_configuration_is_the_operators(installed, package, tmp_path):
    """A changed file is kept, and the version that was refused is followed by one that is not."""
    installed.run("sh", "-c", "echo 'connections: 1000' >>/etc/roost/roost.yaml")
    said = installed.install(debian.repacked(package, tmp_path, debian.VERSION[:-1] + "9"))
    assert "upgrade 3 done" in said, said
    assert "connections: 1000" in installed.run("cat", "/etc/roost/roost.yaml")


def test_stopped_service_stays_stopped_on_removal_and_purge_leaves_nothing(installed):
    installed.run("dpkg", "--remove", "roost")
    assert installed.property("ActiveState") in ("inactive", "")
    assert "code=killed" not in installed.ask("journalctl", "--no-pager", "-u", "roost")
    assert "roost.yaml" in installed.run("ls", "/etc/roost") and installed.run("ls", "/var/lib/roost")
    installed.run("dpkg", "--purge", "roost")
    left = installed.run("sh", "-c", "find / -xdev -path /proc -prune -o -path /exchange -prune -o -newer /etc/machine-id -path '*roost*' -print "
                         "| grep -v -e /var/log/ -e /var/cache/ -e /home/ -e /work/ -e /tmp/ -e /root/ || true")
    assert left == ""
    assert "roost" in installed.run("id", "roost")
