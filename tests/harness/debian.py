"""The Debian package, and a Debian with systemd to install it in: systemd-nspawn boots the files of this machine, or those of
ROOST_PACKAGE_ROOT, below a layer in memory. What is done there is gone afterwards. It has a network of its own."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from server import ROOT

DEB = ROOT / "build" / "deb"
VERSION = re.search(r"^  version: '(.*)',$", (ROOT / "meson.build").read_text(), re.MULTILINE).group(1)
TIMEOUT_S = 60


def run(*words, **more):
    """The output; an exit status other than 0 fails the test, with it."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False, **more)
    assert done.returncode == 0, f"{' '.join(map(str, words))}: exit status {done.returncode}\n{done.stdout}"
    return done.stdout


def built():
    """The package of these sources. It is built once for all the processes of a test run, which wait for each other here; where
    nothing has changed that takes some seconds."""
    for program in ("dpkg-buildpackage", "dh", "lintian"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program}: tools/setup.sh package")
    DEB.mkdir(parents=True, exist_ok=True)
    package = DEB / f"roost_{VERSION}_{run('dpkg', '--print-architecture').strip()}.deb"
    with open(DEB / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not package.exists() or package.stat().st_mtime < newest_source():
            run(ROOT / "tools" / "deb.sh")
    return package


def newest_source():
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    return max((ROOT / name).stat().st_mtime for name in names if name and (ROOT / name).exists())


def repacked(package, folder, version, program=None):
    """The same package with another version; program: what to have in place of the program. Not compiled anew, which takes a
    minute: the version is written over in the program, which says it, and in what dpkg reads."""
    assert len(version) == len(VERSION)
    tree = folder / version
    run("dpkg-deb", "-R", package, tree)
    binary = tree / "usr/bin/roost"
    if program is None:
        old = binary.read_bytes()
        assert old.count(VERSION.encode()) > 2
        binary.write_bytes(old.replace(VERSION.encode(), version.encode()))
    else:
        binary.write_bytes(program)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {version}", control.read_text(), flags=re.MULTILINE))
    return Path(run("dpkg-deb", "--root-owner-group", "-b", tree, folder / f"roost_{version}.deb").split("'")[-2])


class Machine:
    def __init__(self, scratch):
        self.scratch = scratch
        self.root = os.environ.get("ROOST_PACKAGE_ROOT", "/")
        self.log = open(scratch / "boot.log", "w+", encoding="utf-8")
        # nspawn does not take / itself. pidfd_getfd() is among what it refuses by default, though the kernel has no objection.
        self.process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", f'mount --bind {self.root} {scratch}/root && shift && exec "$@"', "sh", "",
             "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--volatile=overlay",
             f"--directory={scratch}/root", f"--bind={scratch}/exchange:/exchange", "--system-call-filter=pidfd_getfd", "--machine=roost-test",
             "--boot", "systemd.unit=multi-user.target"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def leader(self):
        """The process that is number 1 in there; 0: not yet."""
        for children in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in children.read_text().split():
                return int(pid)
        return 0

    def wait_until_booted(self):
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end and self.process.poll() is None:
            leader = self.leader()
            # degraded: some other service of this machine does not start in there.
            if leader and self.ask("systemctl", "is-system-running").strip() in ("running", "degraded"):
                # A policy that forbids daemons is for images, not for what boots.
                self.run("rm", "-f", "/usr/sbin/policy-rc.d")
                return True
            time.sleep(0.05)
        return False

    def command(self, *words):
        return ["nsenter", "--target", str(self.leader()), "--all", "--wdns=/", *words]

    def ask(self, *words):
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TIMEOUT_S, check=False)
        return done.stdout

    def run(self, *words):
        return run(*self.command(*words), stdin=subprocess.DEVNULL)

    def near(self, *words, **more):
        """Starts a program of this machine in the network of that one."""
        return subprocess.Popen(["nsenter", "--target", str(self.leader()), "--net", *words], text=True, **more)

    def property(self, name, unit="roost.service"):
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def wait_until(self, holds):
        end = time.monotonic() + TIMEOUT_S
        while not holds():
            assert time.monotonic() < end, self.ask("journalctl", "--no-pager", "-u", "roost")
            time.sleep(0.05)

    def install(self, package):
        shutil.copy(package, self.scratch / "exchange")
        return self.run("dpkg", "--install", f"/exchange/{Path(package).name}")

    def close(self):
        if self.process.poll() is None and self.leader():
            subprocess.run(self.command("systemctl", "poweroff", "--force"), capture_output=True, timeout=TIMEOUT_S, check=False)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@contextmanager
def machine():
    if os.geteuid() != 0 or shutil.which("systemd-nspawn") is None:
        pytest.skip("a Debian with systemd is to be had as root with systemd-nspawn: tools/setup.sh machine")
    with tempfile.TemporaryDirectory(prefix="roost-debian-") as folder:
        scratch = Path(folder)
        scratch.chmod(0o755)
        (scratch / "root").mkdir()
        (scratch / "exchange").mkdir(mode=0o755)
        one = Machine(scratch)
        try:
            if not one.wait_until_booted():
                text = (scratch / "boot.log").read_text()
                if os.environ.get("ROOST_PACKAGE_TEST"):
                    pytest.fail(f"systemd does not boot in a namespace here:\n{text}")
                pytest.skip(f"systemd does not boot in a namespace here: {text[-300:]}")
            yield one
        finally:
            one.close()
