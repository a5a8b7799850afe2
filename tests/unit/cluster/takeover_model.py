#!/usr/bin/python3
"""Checks all variants of src/cluster/takeover/takeover.pml, exhaustively: with several claims, a home that moves, a node that dies
and a time limit that is reached too early. Skipped where spin is missing.

    takeover_model.py MODEL     TAP, one test a variant; exit status 1 where a property does not hold
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

VARIANTS = [
    ("CLAIMS=5",),
    ("CLAIMS=3", "CHANGE"),
    ("CLAIMS=4", "LIMIT"),
    ("CLAIMS=3", "CHANGE", "CRASH"),
    ("CLAIMS=2", "CHANGE", "LIMIT"),
    ("CLAIMS=2", "CHANGE", "LIMIT", "CRASH"),
]
SECONDS_MAX = 60


def states_of(model, variant, folder):
    """The number of states that were looked at; a string: what is wrong."""
    defines = [f"-D{name}" for name in variant]
    made = subprocess.run(["spin", *defines, "-a", str(model)], cwd=folder, capture_output=True, text=True)
    if made.returncode != 0:
        return made.stdout + made.stderr
    subprocess.run(["cc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", "-o", "pan", "pan.c"], cwd=folder,
                   check=True)
    run = subprocess.run(["./pan", "-m100000", "-w22"], cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX)
    errors = re.search(r"errors: (\d+)", run.stdout)
    states = re.search(r"(\d+) states, stored", run.stdout)
    if errors is None or errors[1] != "0" or states is None or "max search depth too small" in run.stdout:
        return run.stdout
    return int(states[1])


def main():
    print(f"1..{len(VARIANTS)}")
    failed = False
    for number, variant in enumerate(VARIANTS, 1):
        name = " ".join(variant)
        if shutil.which("spin") is None:
            print(f"ok {number} - {name} # SKIP spin is not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            states = states_of(pathlib.Path(sys.argv[1]).resolve(), variant, folder)
        good = isinstance(states, int)
        failed |= not good
        print(f"ok {number} - {name}: {states} states" if good else f"not ok {number} - {name}\n{states}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
