#!/usr/bin/python3
"""The tail of the latency, as one table: a light load and a storm, of build/roost, of Debian's mosquitto and of another build
(ROOST_BEFORE=PATH), on a quiet machine and beside a busy neighbour. Rounds go from one broker to the next; the table has
their medians, and Roost's ratio to each.

    tools/tail.py [--rounds N] [--duration S] [light|closed|storm ...]      all three where none is named
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
BEFORE = os.environ.get("ROOST_BEFORE")

LATENCY = ("p50", "p99", "p999")
TITLES = {"p50": "p50", "p99": "p99", "p999": "p99.9"}
LOADS = {
    "light": ("a light load: 200 clients, 2 publishers, 2,000 messages/s", ["latency", "--rate", "2000"]),
    "closed": ("two messages under way: 200 clients, 2 publishers, closed loop", ["latency", "--window", "1"]),
    "storm": ("a storm of sign-ins beside 2,000 clients and 2,000 messages/s",
              ["storm", "--serve", "", "--nice", "19", "--established-rate", "2000"]),
}
# What a row shows: a title, and the key of the report with %s for the percentile.
PARTS = {
    "latency": [("latency", "latency_%s_us"), ("from send() to the socket", "passage_%s_us")],
    "storm": [("quiet", "quiet_latency_%s_us"), ("storm", "storm_latency_%s_us")],
}


def run(words, rounds, duration, neighbour):
    """The report, and the names of its brokers as its keys have them."""
    command = [ROOST, "bench", *words, "--beside", "mosquitto", "--rounds", str(rounds), "--duration", str(duration), "--json"]
    if BEFORE:
        command += ["--beside", BEFORE]
    if neighbour:
        command.append("--neighbour")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL)
    if not done.stdout:
        sys.exit(f"tail.py: {' '.join(command)} ended with status {done.returncode}")
    if done.returncode != 0:
        print(f"tail.py: {' '.join(command)}: messages or clients were lost", file=sys.stderr)
    figures = json.loads(done.stdout)
    end = "_messages" if words[0] == "latency" else "_sign_ins_per_s"
    return figures, [key.removesuffix(end) for key in figures if key.endswith(end)]


def number(value, decimals=0):
    return "n/a" if value is None else f"{value:,.{decimals}f}"


def ratio(first, other):
    return "n/a" if not first or not other else f"{first / other:.2f}"


def print_part(title, key, figures, brokers):
    for broker in brokers:
        cells = [number(figures[f"{broker}_{key % name}"]) for name in LATENCY]
        print(f"| {title} | {broker} | " + " | ".join(cells) + " |")
    for other in brokers[1:]:
        cells = [ratio(figures[f"{brokers[0]}_{key % name}"], figures[f"{other}_{key % name}"]) for name in LATENCY]
        print(f"| {title} | {brokers[0]} / {other} | " + " | ".join(cells) + " |")


def print_sign_ins(figures, brokers):
    print("\n| | sign-ins a second | longest latency meanwhile, us |\n|---|---|---|")
    for broker in brokers:
        print(f"| {broker} | {number(figures[broker + '_sign_ins_per_s'])} | "
              f"{number(figures[broker + '_storm_latency_max_us'])} |")


def print_others(figures):
    """What else ran on the machine spoils a figure that is called quiet."""
    others = [value for key, value in figures.items() if "other_cpu_percent" in key and value is not None]
    print(f"\nOthers took {max(others, default=0):.0f} % of a core at most.", flush=True)


def print_load(name, rounds, duration):
    title, words = LOADS[name]
    for neighbour in (False, True):
        figures, brokers = run(words, rounds, duration, neighbour)
        print(f"\n{title}; {'beside a busy neighbour' if neighbour else 'alone'}; medians of {rounds} "
              "rounds, us\n")
        print("| | | " + " | ".join(TITLES[name] for name in LATENCY) + " |\n|---|---|" + "---|" * len(LATENCY))
        for part_title, key in PARTS[words[0]]:
            print_part(part_title, key, figures, brokers)
        if words[0] == "storm":
            print_sign_ins(figures, brokers)
        print_others(figures)


def main():
    parser = argparse.ArgumentParser(description="The tail of the latency, beside mosquitto and another build.")
    parser.add_argument("--rounds", type=int, default=5, help="of each broker (5)")
    parser.add_argument("--duration", type=int, default=5, help="seconds of each round (5)")
    parser.add_argument("loads", nargs="*", metavar="LOAD", help=f"{', '.join(LOADS)} (all)")
    options = parser.parse_args()
    unknown = [name for name in options.loads if name not in LOADS]
    if unknown:
        parser.error(f"no load {', '.join(unknown)}")
    for name in options.loads or LOADS:
        print_load(name, options.rounds, options.duration)


if __name__ == "__main__":
    main()
