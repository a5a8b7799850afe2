"""Killed at a moment when files come and go: while it starts, in a checkpoint, while a tool writes. Nothing that was acknowledged
is lost, and the second attempt succeeds."""

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from durable_load import Held
from power import QUEUE_OPTIONS, SEED, Recording
from server import ROOST

# `make power` does more of each.
MORE = int(os.environ.get("ROOST_POWER_KILLS", "1"))
STARTS, CHECKPOINT_KILLS, TOOL_KILLS, UPGRADE_KILLS = 12 * MORE, 4 * MORE, 4 * MORE, 8 * MORE
# So that a checkpoint comes after some dozens of syncs: with small messages it is some hundreds, which a busy disk takes long for.
CHECKPOINT_PAYLOAD_BYTES = 30000


def test_while_it_starts(tmp_path):
    draw = random.Random(SEED)
    with Recording(tmp_path) as recording:
        with recording.round():
            recording.run_for(0.7)
            recording.crash()
        begin = time.monotonic()
        recording.start()
        took = time.monotonic() - begin
        for _ in range(STARTS):
            recording.stored.server.kill()
            # Before it is ready, mostly; and then while its first checkpoint is written.
            process = subprocess.Popen([*recording.disk.prefix, ROOST, "serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off",
                                        "--store", str(recording.disk.directory), *QUEUE_OPTIONS], stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0, 1.5 * took))  # the moment of the kill
            process.kill()
            process.wait()
            assert recording.faults_now() == [], f"seed {SEED}"
        recording.start()
        recording.stop()
        assert recording.faults_now() == []


def test_while_its_program_is_replaced(tmp_path):
    """Under load: while the next program is tried, while clients wait, and while the next program begins. What it was asked to do
    it has done, or it has not; the log is as sound in either case."""
    draw = random.Random(SEED)
    with Recording(tmp_path) as recording:
        with recording.round():
            begin = time.monotonic()
            recording.upgrade()
            took = time.monotonic() - begin
        for _ in range(UPGRADE_KILLS):
            with recording.round():
                recording.run_for(0.1)
                os.kill(recording.stored.server.pid, signal.SIGUSR2)
                time.sleep(draw.uniform(0, 1.5 * took))  # the moment of the kill
                recording.stored.server.crash()
            assert recording.faults_now() == [], f"seed {SEED}"
            recording.start()
        recording.stop()


def test_in_a_checkpoint(tmp_path):
    """Under load, at an operation of a checkpoint: a segment is made, or removed."""
    draw = random.Random(SEED)
    with Recording(tmp_path, payload_bytes=CHECKPOINT_PAYLOAD_BYTES) as recording:
        for number in range(CHECKPOINT_KILLS):
            with recording.round():
                kind = ("create", "remove")[number % 2]
                recording.run_for(0.2)
                recording.wait_under_load(lambda record, kind=kind: record.kind == kind)
                time.sleep(draw.uniform(0, 0.01))  # the moment of the kill
                recording.stored.server.crash()
            assert recording.faults_now() == [], f"seed {SEED}"
            recording.start()
        recording.stop()


def test_the_record_of_an_operation_is_cut_off(tmp_path):
    """By a kill while the library writes it: it is no record, and the next server's are read."""
    with Recording(tmp_path) as recording:
        recording.stored.server.crash()
        before, begin = len(recording.disk.records()), recording.disk.size()
        with open(recording.disk.trace, "ab") as trace:
            trace.write(b"x" * 5000)
        assert len(recording.disk.records()) == before
        recording.start()
        recording.disk.wait(lambda record: record.kind == "create" and record.name.endswith(".log"), begin)
        recording.stop()


def prepared(tmp_path):
    with Recording(tmp_path) as recording:
        with recording.round():
            recording.run_for(1)
            recording.crash()
    return recording.disk.directory


def same(left, right):
    return (left.queues, left.retained, left.subscriptions, left.handed_on) == (right.queues, right.retained, right.subscriptions,
                                                                                right.handed_on)


def run(*words):
    return subprocess.run([ROOST, "store", *map(str, words)], capture_output=True, text=True, check=False)


def durations(words, copy):
    begin = time.monotonic()
    ended = run(*words)
    assert ended.returncode == 0, ended.stderr
    shutil.rmtree(copy)
    return time.monotonic() - begin


@pytest.mark.parametrize("command", ["compact", "repair"])
def test_while_a_tool_writes(tmp_path, command):
    draw = random.Random(SEED)
    store = prepared(tmp_path)
    before = Held(store)
    copy = tmp_path / "copy"
    shutil.copytree(store, copy)
    took = durations([command, copy], copy)
    for _ in range(TOOL_KILLS):
        shutil.copytree(store, copy)
        process = subprocess.Popen([ROOST, "store", command, str(copy)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0, took))  # the moment of the kill
        process.kill()
        process.wait()
        held = Held(copy)
        assert (held.status, held.said) == (0, ""), held.said
        assert same(before, held)
        again = run(command, copy)
        assert again.returncode == 0, again.stderr
        assert same(before, Held(copy))
        shutil.rmtree(copy)


def test_while_a_backup_is_written(tmp_path):
    """What is there of it is no store, or is whole; the store itself is as it was."""
    draw = random.Random(SEED)
    store = prepared(tmp_path)
    before = Held(store)
    to = tmp_path / "to"
    took = durations(["backup", store, to], to)
    for _ in range(TOOL_KILLS):
        process = subprocess.Popen([ROOST, "store", "backup", str(store), str(to)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(0, took))  # the moment of the kill
        process.kill()
        process.wait()
        assert same(before, Held(store))
        if to.exists():
            held = Held(to)
            assert held.status != 0 or same(before, held)
            shutil.rmtree(to)
        again = run("backup", store, to)
        assert again.returncode == 0, again.stderr
        assert same(before, Held(to))
        shutil.rmtree(to)
