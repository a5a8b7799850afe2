#!/usr/bin/python3
"""What each attack of tests/harness/hostile.py costs others.

    tools/hostile.py [--seconds S] [NAME...]

For each attack a server with default limits on one shard (ROOST: the program), the attack in a process of its own, and
beside it another client that pings: its quiet median and p99, its p99 and worst under attack, the server's longest turn,
the most work of a turn and of a step, and the memory that was kept. Not a test: it is about time, and wants a machine of
its own. Needs what tests need.
"""

import argparse
import multiprocessing
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "harness"))

from hostile import ATTACKS, Crew  # noqa: E402
from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES  # noqa: E402
from server import ROOST, Server  # noqa: E402

QUIET_PINGS = 500
STRIKE_S = 0.005
PREPARE_S = 120
COLUMNS = ("p50 ms", "p99 ms", "p99 ms", "worst ms", "turn ms", "turn work", "step work", "MiB")


def strike(address, name, ready, stop):
    with Crew(address) as crew:
        for _ in ATTACKS[name].play(crew):
            ready.set()
            if stop.wait(STRIKE_S):
                return


def ping_ms(client):
    begin = time.perf_counter()
    client.send(PINGREQ_BYTES)
    client.expect(PINGRESP_BYTES)
    return 1000 * (time.perf_counter() - begin)


def pings_for(client, seconds):
    end = time.monotonic() + seconds
    found = []
    while time.monotonic() < end:
        found.append(ping_ms(client))
        time.sleep(0.001)
    return sorted(found)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def largest(text, name):
    values = re.findall(rf"^roost_shard_{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
    return max(map(float, values), default=float("nan"))


def measure(name, seconds):
    server = Server("--shards", "1", "--admin", "http://127.0.0.1:0", *ATTACKS[name].options, log_level="info")
    ready, stop = multiprocessing.Event(), multiprocessing.Event()
    attacker = multiprocessing.Process(target=strike, args=(server.address, name, ready, stop))
    try:
        with server.client("bystander", keepalive=0) as bystander:
            quiet = sorted(ping_ms(bystander) for _ in range(QUIET_PINGS))
            resident = server.resident_bytes()
            attacker.start()
            prepared = ready.wait(PREPARE_S)
            attacked = pings_for(bystander, seconds)
            text = server.admin().get("/metrics").text
            kept = (server.resident_bytes() - resident) / (1 << 20)
        stop.set()
        attacker.join(20)
        row = [percentile(quiet, .5), percentile(quiet, .99), percentile(attacked, .99), attacked[-1],
               1000 * largest(text, "longest_turn_seconds"), largest(text, "largest_turn_work_units"),
               largest(text, "largest_step_work_units"), kept]
        return row, prepared
    finally:
        if attacker.is_alive():
            attacker.kill()
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("names", nargs="*", choices=[*ATTACKS, []], metavar="NAME")
    arguments = parser.parse_args()
    print(f"{ROOST}\n{'':44}{'quiet':^18}{'under attack':^18}{'server':^40}")
    print(f"{'':44}" + "".join(f"{column:>10}" for column in COLUMNS))
    for name in arguments.names or ATTACKS:
        try:
            row, prepared = measure(name, arguments.seconds)
        except (AssertionError, OSError) as error:
            print(f"{name:44}{str(error).splitlines()[0]}", flush=True)
            continue
        print(f"{name:44}" + "".join(f"{value:10.2f}" if value < 1000 else f"{value:10.0f}" for value in row) +
              ("" if prepared else "  not prepared in time"), flush=True)


if __name__ == "__main__":
    main()
