"""The OCI image has what the program loads, runs as a user without rights, and its program is replaced under its clients too."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mqtt_wire import Client
from server import ROOST, SANITIZED

ROOT = Path(__file__).resolve().parents[2]
USER = 10001

pytestmark = [
    pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed; `make image` installs it"),
    pytest.mark.skipif(SANITIZED, reason="an image has no sanitizer"),
    pytest.mark.skipif(os.geteuid() != 0, reason="another root and another user want root"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run(["tools/image.sh", str(folder)], cwd=ROOT, env={**os.environ, "ROOST": str(Path(ROOST).resolve())},
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_it_is_small(made):
    (archive,) = made.glob("roost-*.tar")
    assert archive.stat().st_size < 40 << 20


@pytest.fixture
def contained(made):
    """The server in the image's root, as the image's user. Engines need rights to set limits, which not every machine gives."""
    root = made / "root"
    command = (f"mount --rbind /proc {root}/proc && mount --rbind /dev {root}/dev && exec chroot --userspec={USER}:{USER} {root} "
               "/usr/bin/roost serve --listen tcp://127.0.0.1:0 --admin http://127.0.0.1:0 --store /var/lib/roost")
    log = made / "log"
    with log.open("w") as out:
        process = subprocess.Popen(["unshare", "--mount", "bash", "-c", command], stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield process, log
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()


def said(log, pattern):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if match := re.search(pattern, log.read_text()):
            return match
        time.sleep(0.01)
    raise AssertionError(log.read_text())


def test_it_serves_and_is_upgraded(contained, made):
    process, log = contained
    port = int(said(log, r"listening on tcp://127\.0\.0\.1:(\d+)").group(1))
    admin = said(log, r"admin on (http://\S+)").group(1)
    said(log, r"\bready\b")
    uids = re.search(r"^Uid:\s+(\d+)\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE).groups()
    assert uids == (str(USER), str(USER))
    with Client(("127.0.0.1", port), "there", 5) as client:
        client.subscribe(("t", 1))
        asked = subprocess.run(["chroot", str(made / "root"), "/usr/bin/roost", "ctl", "--url", admin, "upgrade"],
                               capture_output=True, text=True, timeout=60, check=False)
        assert asked.returncode == 0 and "upgraded from" in asked.stdout, asked.stderr + log.read_text()
        client.hand_over("t", b"still")
        assert client.take().payload == b"still"
    ready = subprocess.run(["chroot", str(made / "root"), "/usr/bin/roost", "ctl", "--url", admin, "ready"], check=False)
    assert ready.returncode == 0
