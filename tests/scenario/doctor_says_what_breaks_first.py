"""`roost doctor` on this machine and on copies of others: what it reads, what it names, and how it ends."""

import json
import os
import resource
import subprocess
from pathlib import Path

import pytest

from server import ROOST, roost

SYSCTLS = ["fs/nr_open", "fs/file-max", "net/core/somaxconn", "net/ipv4/tcp_fin_timeout", "vm/max_map_count"]
# What is told with the number that is used now moves from look to look.
MACHINE = {
    "proc/self/limits": "Max open files            1024                 1048576              files     \n",
    "proc/sys/fs/file-max": "150000\n",
    "proc/sys/fs/file-nr": "1000 0 150000\n",
    "proc/sys/net/core/somaxconn": "128\n",
    "proc/meminfo": "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n",
}


def doctor(*options, **named):
    ended = roost("doctor", *options, **named)
    assert "Sanitizer" not in ended.stderr, ended.stderr
    return ended


def limits_of(ended):
    report = json.loads(ended.stdout)
    return report, {limit["key"]: limit for limit in report["limits"]}


@pytest.fixture
def machine(tmp_path):
    for name, text in MACHINE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_this_machine():
    ended = doctor("--json")
    assert ended.returncode == 0, ended.stderr
    report, limits = limits_of(ended)
    assert report["connections"] is None
    for name in SYSCTLS:
        key = name.replace("/", ".")
        path = Path("/proc/sys", name)
        if path.exists() and int(path.read_text().split()[0]) < 2**62:
            assert limits[key]["now"] == int(path.read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limits["descriptors, hard"]["now"] == (hard if hard != resource.RLIM_INFINITY else None)
    held = [limit["allows"] for limit in report["limits"] if limit["kind"] == "holds" and limit["allows"] is not None]
    assert held == sorted(held)
    assert report["holds"] == (held[0] if held else None)


def test_a_limit_of_descriptors_is_named():
    def lower():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    ended = doctor("--connections", "1000000", "--json", preexec_fn=lower)
    assert ended.returncode == 1
    report, limits = limits_of(ended)
    assert report["breaks_first"] == "descriptors, hard"
    assert limits["descriptors, hard"]["state"] == "short"
    assert "LimitNOFILE" in limits["descriptors, hard"]["mend"]
    assert doctor("--connections", "10", preexec_fn=lower).returncode == 0


def test_a_few_descriptors_are_enough_with_fixed_files():
    """One shard a core holds a million, where io_uring is allowed."""
    ended = doctor("--connections", "1000000", "--json",
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096)))
    report, limits = limits_of(ended)
    if limits["io_uring fixed files"]["now"] == "yes":
        assert report["shards"] == len(os.sched_getaffinity(0))
        assert limits["io_uring fixed files"]["state"] == "fine"
    else:
        assert report["shards"] > 100
        assert "short" in (limits["io_uring fixed files"]["state"], limits["kernel.io_uring_disabled"]["state"])


def test_copy_of_another_machine(machine):
    ended = doctor("--root", str(machine), "--connections", "200_000")
    assert ended.returncode == 1
    assert "for 200,000 connections: they do not fit. fs.file-max breaks first, at 147,976." in ended.stdout
    assert "sysctl -w fs.file-max=" in ended.stdout
    assert "\033" not in ended.stdout
    assert doctor("--root", str(machine), "--connections", "100000").returncode == 0


def test_files_that_say_nothing(machine):
    for name in MACHINE:
        (machine / name).write_text("garbage -1 max\n\n\xff\n")
    ended = doctor("--root", str(machine), "--connections", "200000", "--json")
    assert ended.returncode == 0
    _, limits = limits_of(ended)
    assert limits["fs.file-max"]["state"] == "unknown"
    assert limits["memory"]["state"] == "unknown"
    empty = machine / "empty"
    empty.mkdir()
    assert "nothing that is known here limits them" in doctor("--root", str(empty)).stdout


@pytest.mark.parametrize("options, named", [
    (["--connections", "many"], "--connections"),
    (["--connections", "-1"], "--connections"),
    (["--connections", "0"], "--connections"),
    (["--connections"], "connections"),
    (["--apply"], "--connections"),
    (["--fix-script"], "--connections"),
    (["--plan"], "--connections"),
    (["--connections", "5", "--plan", "--qos", "3"], "--qos"),
    (["--connections", "5", "--rate", "5"], "--plan"),
    (["--no-such-option"], "no-such-option"),
    (["stray"], "stray"),
])
def test_wrong_options(options, named):
    ended = doctor(*options)
    assert ended.returncode == 2
    assert named in ended.stderr
    assert ended.stdout == ""


def test_help_tells_all():
    ended = doctor("--help")
    assert ended.returncode == 0
    for option in ("--connections", "--json", "--fix-script", "--apply", "--plan", "--root", "--rate", "--payload", "--qos",
                   "--subscribers", "--keepalive", "Exit status"):
        assert option in ended.stdout


def test_an_output_that_nobody_reads_ends_it():
    """A closed pipe is no reason to hang, or to say that all is well."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = subprocess.run([ROOST, "doctor"], stdout=writing, stderr=subprocess.DEVNULL, timeout=10, check=False)
    finally:
        os.close(writing)
    assert ended.returncode != 0
