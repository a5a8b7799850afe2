#!/usr/bin/python3
"""Plays of clients on a cluster whose nodes are killed, paused, cut off from each other and set to other times, and a checker
over the history of each.

    tests/cluster/partitions.py                         ten plays, the first with a seed by chance, which is printed
    tests/cluster/partitions.py --seed 17 --rounds 100
    tests/cluster/partitions.py --seed 17 --rounds 1 --shorten    a play that failed, made smaller
    tests/cluster/partitions.py --check FILE            what the checker says of a history that was kept

Histories of plays that fail are kept, with the logs of the nodes, in build/partitions. Every third play has clocks of its own for
each node (libfaketime), which are minutes apart. ROOST=PROGRAM says which program plays along.
"""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "tests" / "harness")]

from checker import Verdict  # noqa: E402
from history import History  # noqa: E402
from player import Player, describe, make_play  # noqa: E402
from server import SANITIZED  # noqa: E402

KEPT = ROOT / "build" / "partitions"
STEPS, ROUNDS = 60, 10
SHORTEN_S, SHORTEN_PLAYS = 400, 25
FAULTS_SHOWN = 3  # of each rule


def play(seed, steps, stay=False):
    """(the verdict on a play, its history)."""
    player = Player(clocks=seed % 3 == 0 and not SANITIZED, stay=stay)
    try:
        player.play(steps)
    except Exception:
        player.world.logs(KEPT)
        player.history.note("stopped", node="of the tester", status="cannot go on", words=traceback.format_exc().splitlines()[-30:])
    finally:
        if Verdict(player.history).faults:
            player.world.logs(KEPT)
        player.close()
    return Verdict(player.history), player.history


def kinds(verdict):
    return {words.split(":", 1)[0] for words in verdict.faults}


def shorten(seed, steps, stay, wanted):
    """Fewer steps that break one of the same rules, as far as the time goes."""
    deadline, plays, size = time.monotonic() + SHORTEN_S, 0, max(1, len(steps) // 2)
    while size >= 2:
        begin, shorter = 0, False
        while begin < len(steps):
            if plays >= SHORTEN_PLAYS or time.monotonic() > deadline:
                return steps
            candidate = steps[:begin] + steps[begin + size:]
            plays += 1
            if kinds(play(seed, candidate, stay)[0]) & wanted:
                steps, shorter = candidate, True
            else:
                begin += size
        if not shorter:
            size //= 2
    return steps


def show(verdict):
    for rule in sorted(kinds(verdict)):
        of_rule = [words for words in verdict.faults if words.startswith(rule + ":")]
        print("\n".join(f"    {words}" for words in of_rule[:FAULTS_SHOWN]))
        if len(of_rule) > FAULTS_SHOWN:
            print(f"    {rule}: and {len(of_rule) - FAULTS_SHOWN} more")


class Sums:
    def __init__(self):
        self.passed = self.failed = self.acknowledged = self.came = self.moves = self.faults = 0
        self.excused = {}

    def add(self, verdict, history):
        view = verdict.view
        self.passed += not verdict.faults
        self.failed += bool(verdict.faults)
        self.acknowledged += history.count("taken")
        self.came += history.count("got")
        self.faults += history.count("fault")
        self.moves += sum(len(view.moves(name, 0.0, float("inf"))) for name in {conn.id for conn in view.conns.values()})
        for row, count in verdict.excuses.counts.items():
            self.excused[row] = self.excused.get(row, 0) + count

    def __str__(self):
        excused = "".join(f"; {row}: {count}" for row, count in sorted(self.excused.items()))
        return (f"{self.passed} passed, {self.failed} failed; {self.faults} faults, {self.moves} sessions moved, {self.acknowledged} messages "
                f"acknowledged, {self.came} came{excused}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="of the first play")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="of a play")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to begin new plays for")
    parser.add_argument("--stay", action="store_true", help="each client comes to one node only: no session moves")
    parser.add_argument("--shorten", action="store_true", help="make a play that fails smaller, and end")
    parser.add_argument("--check", type=Path, metavar="FILE", help="a history that was kept")
    options = parser.parse_args()
    if options.check:
        verdict = Verdict(History.read(options.check))
        show(verdict)
        print(f"{len(verdict.faults)} faults; {verdict.excuses.counts}")
        return 1 if verdict.faults else 0
    return campaign(options)


def campaign(options):
    first = options.seed if options.seed is not None else int.from_bytes(os.urandom(3), "big")
    KEPT.mkdir(parents=True, exist_ok=True)
    print(f"partitions, seeds from {first}", flush=True)
    sums, deadline, seed = Sums(), time.monotonic() + options.seconds, first
    for seed in range(first, first + options.rounds):
        steps = make_play(seed, options.steps)
        verdict, history = play(seed, steps, options.stay)
        sums.add(verdict, history)
        if verdict.faults:
            history.write(KEPT / f"{seed}.jsonl")
            print(f"FAILED seed {seed}, {options.steps} steps; its history is build/partitions/{seed}.jsonl; again: make partitions SEED={seed} ROUNDS=1")
            show(verdict)
            if options.shorten:
                steps = shorten(seed, steps, options.stay, kinds(verdict))
                print(f"{len(steps)} of its steps are enough:")
                print("\n".join(f"    {describe(step)}" for step in steps))
                break
        sys.stdout.flush()
        if time.monotonic() > deadline:
            break
    print(f"partitions, seeds {first} to {seed}: {sums}")
    return 1 if sums.failed else 0


if __name__ == "__main__":
    sys.exit(main())
