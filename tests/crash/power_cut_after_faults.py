"""A write, a sync, or the making of a file fails under load. Nothing is acknowledged on the strength of what the disk may have
dropped: the server goes on in another file, and what was acknowledged outlives a kill, and a loss of power at any time since."""

import os

import pytest

from power import SEED, Examiner, Recording

CUTS = os.environ.get("ROOST_POWER_CUTS", "3")
SECONDS = float(os.environ.get("ROOST_POWER_SECONDS", "0.6"))

FAULTS = {
    "a sync fails once": (["sync EIO 1"], "sync", True),
    "syncs fail for a time": (["sync EIO"], "sync", True),
    "a write fails once": (["write EIO 1"], "write", True),
    "a write finds half the room": (["write short 1", "write ENOSPC 3"], "write", True),
    "no room for files": (["write ENOSPC", "allocate ENOSPC"], "write", True),
    "a sync finds no room": (["sync ENOSPC 1"], "sync", True),
    "no file can be made": (["sync EIO 1", "create EIO 2"], "sync", True),
    "the directory's sync fails": (["sync EIO 1", "names EIO 1"], "sync", True),
    "files stay that should go": (["remove EIO"], None, False),
    "short writes": (["write short"], "write", False),
    "interrupted writes": (["write EINTR 20"], "write", False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_it_fails_and_works_again(tmp_path, name):
    rules, kind, is_seen = FAULTS[name]
    full = ("hold", "refuse")[(list(FAULTS).index(name) + SEED) % 2]
    with Recording(tmp_path, "--store-full", full) as recording:
        with recording.round():
            recording.run_for(SECONDS / 4)
            begin, server = recording.disk.size(), recording.stored.server
            recording.disk.fail(*rules)
            if kind:
                recording.disk.wait_fault(kind, begin)
            recording.run_for(SECONDS / 4)
            recording.disk.work()
            if is_seen:
                server.wait_line("store: the device works again")
            recording.run_for(SECONDS / 2)
            recording.crash()
        if not is_seen and kind:
            assert not [line for line in server.lines if "store:" in line and "failed" in line]
        assert recording.faults_now() == []
        recording.start()
        recording.stop()
    examiner = Examiner(recording)
    chosen = range(examiner.cuts) if CUTS == "all" else examiner.draw.sample(range(examiner.cuts), min(examiner.cuts, int(CUTS)))
    examiner.look_at(set(chosen), start_every=11)
    assert not examiner.faults, f"seed {SEED}: {len(examiner.faults)} faults, in {tmp_path}:\n" + "\n".join(examiner.faults[:20])


def test_killed_while_it_fails(tmp_path):
    """What was told and could not be written was not acknowledged."""
    with Recording(tmp_path) as recording:
        with recording.round():
            recording.run_for(SECONDS / 4)
            begin = recording.disk.size()
            recording.disk.fail("write EIO")
            recording.disk.wait_fault("write", begin)
            recording.run_for(SECONDS / 4)
            recording.crash()
        assert recording.faults_now() == []
