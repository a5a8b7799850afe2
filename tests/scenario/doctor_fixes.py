"""`roost doctor --fix-script` and `--apply`: what they change, and that it can be taken back. On copies of machines."""

import json
import re
import subprocess

import pytest

from server import roost

FILES = {
    "proc/self/limits": "Max open files            64                   64                   files     \n",
    "proc/sys/fs/file-max": "150000\n",
    "proc/sys/fs/file-nr": "1000 0 150000\n",
    "proc/sys/fs/nr_open": "1048576\n",
    "proc/sys/net/core/somaxconn": "128\n",
    "proc/sys/net/ipv4/tcp_mem": "91233\t121645\t182466\n",
    "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 7000000 kB\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
}
# What the script writes for that machine.
WRITTEN = {
    "etc/sysctl.d/90-roost.conf",
    "etc/systemd/system/roost.service.d/90-roost.conf",
    "etc/security/limits.d/90-roost.conf",
    "etc/tmpfiles.d/90-roost.conf",
}


def files_of(tree):
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*") if path.is_file()}


@pytest.fixture
def machine(tmp_path):
    tree = tmp_path / "machine"
    for name, text in FILES.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tree


def doctor(machine, *options):
    ended = roost("doctor", "--root", str(machine), "--connections", "1000000", *options)
    assert "Sanitizer" not in ended.stderr, ended.stderr
    return ended


def script_of(machine, tmp_path):
    ended = doctor(machine, "--fix-script")
    assert ended.returncode == 0
    script = tmp_path / "fix.sh"
    script.write_text(ended.stdout)
    return script


def run(shell, script, *words, root):
    return subprocess.run([shell, str(script), *words], capture_output=True, text=True, timeout=30, check=False,
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(root)})


def test_nothing_changes_without_being_asked(machine, tmp_path):
    for options in ([], ["--json"], ["--fix-script"]):
        doctor(machine, *options)
    assert files_of(machine) == FILES


def test_script_is_a_script(machine, tmp_path):
    script = script_of(machine, tmp_path)
    for shell in ("bash", "dash"):
        checked = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, timeout=30, check=False)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_script_writes_and_takes_back(machine, tmp_path, shell):
    script = script_of(machine, tmp_path)
    tree = tmp_path / "target"
    tree.mkdir()
    ended = run(shell, script, root=tree)
    assert ended.returncode == 0, ended.stderr
    written = files_of(tree)
    assert set(written) == WRITTEN
    assert "LimitNOFILE=1048576\n" in written["etc/systemd/system/roost.service.d/90-roost.conf"]
    assert "* hard nofile 1048576\n" in written["etc/security/limits.d/90-roost.conf"]
    values = dict(line.split(" = ") for line in written["etc/sysctl.d/90-roost.conf"].splitlines() if " = " in line)
    assert int(values["fs.file-max"]) > 1001000
    assert len(values["net.ipv4.tcp_mem"].split()) == 3

    ended = run(shell, script, "undo", root=tree)
    assert ended.returncode == 0, ended.stderr
    assert files_of(tree) == {}
    assert run(shell, script, "nonsense", root=tree).returncode == 2


def test_what_the_script_writes_is_enough(machine, tmp_path):
    """The sysctls in the place of those that were there, and the unit's limit in the place of the process's."""
    script = script_of(machine, tmp_path)
    assert run("bash", script, root=machine).returncode == 0
    for line in (machine / "etc/sysctl.d/90-roost.conf").read_text().splitlines():
        if " = " in line:
            key, value = line.split(" = ")
            (machine / "proc/sys" / key.replace(".", "/")).write_text(value + "\n")
    (machine / "proc/self/limits").write_text("Max open files   1048576   1048576   files\n")
    assert doctor(machine).returncode == 0


def test_io_uring_that_the_kernel_refuses(machine, tmp_path):
    """Where the tables do not hold them it is fixed like any other setting, and where they do it is left alone."""
    (machine / "proc/sys/kernel").mkdir()
    (machine / "proc/sys/kernel/io_uring_disabled").write_text("2\n")
    (machine / "proc/self/limits").write_text("Max open files   20000   20000   files\n")
    refused = json.loads(doctor(machine, "--json").stdout)
    assert refused["shards"] > 50
    script = script_of(machine, tmp_path)
    tree = tmp_path / "target"
    tree.mkdir()
    assert run("bash", script, root=tree).returncode == 0
    assert "kernel.io_uring_disabled = 0\n" in (tree / "etc/sysctl.d/90-roost.conf").read_text()
    assert "io_uring_disabled='2'" in script.read_text()

    (machine / "proc/sys/kernel/io_uring_disabled").write_text("0\n")
    assert json.loads(doctor(machine, "--json").stdout)["shards"] == 1
    (machine / "proc/sys/kernel/io_uring_disabled").write_text("2\n")
    (machine / "proc/self/limits").write_text("Max open files   1048576   1048576   files\n")
    assert "io_uring_disabled" not in script_of(machine, tmp_path).read_text()


def test_apply_sets_and_says_how_to_take_it_back(machine):
    (machine / "proc/self/limits").write_text("Max open files   1048576   1048576   files\n")
    ended = doctor(machine, "--apply")
    assert ended.returncode == 0, ended.stdout
    assert "fs.file-max: 150000 -> " in ended.stdout
    assert "undo: sysctl -w fs.file-max='150000'" in ended.stdout
    assert "They fit." in ended.stdout
    now = files_of(machine)
    assert set(now) == set(FILES), "it sets what is there, and writes no other file"
    assert int(now["proc/sys/fs/file-max"]) > 1001000
    assert now["sys/kernel/mm/transparent_hugepage/enabled"] == "madvise"
    assert now["proc/sys/fs/nr_open"] == FILES["proc/sys/fs/nr_open"]
    # What it said takes it back; there is nothing more to set then.
    for line in ended.stdout.splitlines():
        if line.startswith("  undo: sysctl -w "):
            key, value = line.removeprefix("  undo: sysctl -w ").split("=")
            (machine / "proc/sys" / key.replace(".", "/")).write_text(value.strip("'"))
    assert files_of(machine)["proc/sys/net/ipv4/tcp_mem"].split() == FILES["proc/sys/net/ipv4/tcp_mem"].split()


def test_apply_says_what_no_file_can_set_now(machine):
    ended = doctor(machine, "--apply")
    assert ended.returncode == 1
    assert "descriptors, hard: not set: to fix it: LimitNOFILE=" in ended.stdout
    assert "fs.file-max: 150000 -> " in ended.stdout
    assert "1 of the limits that are too low could not be set now" in ended.stdout


def test_apply_says_what_the_kernel_refuses(machine):
    """A figure of the kernel that not even root may change, as all of /proc/sys is in most containers."""
    (machine / "proc/self/limits").write_text("Max open files   1048576   1048576   files\n")
    read_only = machine / "proc/sys/net/core/somaxconn"
    read_only.unlink()
    read_only.symlink_to("/proc/sys/kernel/cap_last_cap")
    ended = doctor(machine, "--apply")
    assert ended.returncode == 1
    assert re.search(r"net.core.somaxconn: not set: /proc/sys/net/core/somaxconn: (Permission denied|Read-only file system)",
                     ended.stdout), ended.stdout
    assert "1 of the limits that are too low could not be set now" in ended.stdout
