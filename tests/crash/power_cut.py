"""The power fails, between any two syncs of the disk: the store is sound, and holds all that had been acknowledged by then.

A server under load is stopped and killed some times, while all that it does to its disk is recorded; the recording is cut at
each sync, and what a disk may have kept of it is looked at. Environment: ROOST_POWER_CUTS: how many of the cuts are looked at,
"all" or a number; ROOST_POWER_SECONDS: of load; ROOST_POWER_SEED. `make power` looks at all."""

import os

from power import SEED, Examiner, Recording

CUTS = os.environ.get("ROOST_POWER_CUTS", "5")
SECONDS = float(os.environ.get("ROOST_POWER_SECONDS", "2"))
START_EVERY = 20


def test_what_was_acknowledged_is_there_when_programs_were_replaced(tmp_path):
    """Each goes on in the log of the one before. The cuts are between any two syncs of all of them."""
    with Recording(tmp_path) as recording:
        for end in ("crash", "stop", "crash"):
            with recording.round():
                for _ in range(3):
                    recording.run_for(SECONDS / 12)
                    recording.upgrade()
                recording.run_for(SECONDS / 12)
                if end == "crash":
                    recording.crash()
            if end == "stop":
                recording.stop()
            assert recording.faults_now() == [], f"seed {SEED}"
            recording.start()
        recording.stop()
    look(recording, tmp_path)


def test_what_was_acknowledged_is_there(tmp_path):
    with Recording(tmp_path) as recording:
        for end in ("crash", "stop", "crash"):
            if end == "crash":
                with recording.round():
                    recording.run_for(SECONDS / 3)
                    recording.crash()
            else:
                with recording.round():
                    recording.run_for(SECONDS / 3)
                recording.stop()
            recording.start()
        recording.stop()
    look(recording, tmp_path)


def look(recording, folder):
    examiner = Examiner(recording)
    count = examiner.cuts
    starts = sorted(examiner.while_it_starts())
    assert len(starts) >= 4
    examiner.look_at(set(starts), start_every=7)
    examiner.look_at(set(range(count) if CUTS == "all" else examiner.draw.sample(range(count), min(count, int(CUTS)))), START_EVERY)
    said = f"seed {SEED}: {examiner.looked} remains of {count} cuts, the server started on {examiner.started}"
    print(said)
    assert not examiner.faults, f"{said}, {len(examiner.faults)} faults, in {folder}:\n" + "\n".join(examiner.faults[:20])
