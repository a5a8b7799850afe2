#!/usr/bin/python3
"""What `roost serve` takes before its first client: memory and mapped objects, of one or several builds side by side.

    tools/startup_memory.py BUILD...                  a table of medians, one column a build
    tools/startup_memory.py BUILD... --runs 9
    tools/startup_memory.py BUILD --maps              and where it is: each object or kind of mapping, largest first
    tools/startup_memory.py BUILD... -- OPTION...     with options of `roost serve`

A build is the path of a program. The rounds go through all builds in turn, so that they have the same machine. A server is
measured when its log says that it listens and that its admin side is there. Without options of its own it takes the
defaults, but for the ports, which the kernel chooses.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile

READY = re.compile(r"\blistening\b|\badmin on\b")
DEFAULTS = ["--listen", "tcp://127.0.0.1:0", "--admin", "http://127.0.0.1:0"]
FIGURES = ["Rss", "Pss", "Private_Dirty", "Private_Clean", "Anonymous", "VmData", "objects", "threads"]
KILOBYTES = FIGURES[:6]


class Server:
    """A server that has said that it is ready."""

    def __init__(self, program, options):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([program, "serve", *options], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        waits_for = 1 + ("--admin" in options and options[options.index("--admin") + 1] not in ("", "off"))
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            waits_for -= READY.search(line) is not None
            if waits_for == 0:
                return
        self.process.wait()
        sys.exit(f"{program} did not start:\n{''.join(lines)}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()

    def read(self, name):
        with open(f"/proc/{self.process.pid}/{name}") as file:
            return file.read()


def figures(server):
    found = {}
    for line in server.read("smaps_rollup").splitlines() + server.read("status").splitlines():
        name, _, value = line.partition(":")
        if name in KILOBYTES:
            found[name] = int(value.split()[0])
    paths = {line.split(maxsplit=5)[5] for line in server.read("maps").splitlines() if len(line.split(maxsplit=5)) == 6}
    found["objects"] = sum(os.path.exists(path) and not path.startswith("/dev/") for path in paths)
    found["threads"] = len(os.listdir(f"/proc/{server.process.pid}/task"))
    return found


def parts(server):
    """Rss, Pss and Private_Dirty in kB of each object or kind of mapping."""
    sums = {}
    name = ""
    for line in server.read("smaps").splitlines():
        words = line.split()
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            size = int(words[0].split("-")[1], 16) - int(words[0].split("-")[0], 16)
            name = os.path.basename(words[5]) if len(words) > 5 else f"[anonymous, {words[1]}, {size >> 10} kB]"
        elif words[0] in ("Rss:", "Pss:", "Private_Dirty:"):
            sums.setdefault(name, {}).setdefault(words[0], 0)
            sums[name][words[0]] += int(words[1])
    return sorted(((part["Rss:"], part["Pss:"], part["Private_Dirty:"], name) for name, part in sums.items()), reverse=True)


def main():
    arguments = sys.argv[1:]
    options = DEFAULTS
    if "--" in arguments:
        options = arguments[arguments.index("--") + 1:]
        arguments = arguments[:arguments.index("--")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", nargs="+")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--maps", action="store_true")
    given = parser.parse_args(arguments)
    os.sync()  # pages of a program that was just linked are dirty until they are written
    samples = {build: [] for build in given.builds}
    for _ in range(given.runs):
        for build in given.builds:
            with Server(build, options) as server:
                samples[build].append(figures(server))
    first = given.builds[0]
    print(f"{'':16}" + "".join(f"{build[-22:]:>24}" for build in given.builds) + ("      ratio" if len(given.builds) > 1 else ""))
    for figure in FIGURES:
        medians = [statistics.median(sample[figure] for sample in samples[build]) for build in given.builds]
        unit = "kB" if figure in KILOBYTES else ""
        ratio = f"{medians[-1] / medians[0]:11.2f}" if len(medians) > 1 and medians[0] else ""
        print(f"{figure:12}{unit:>4}" + "".join(f"{median:24.0f}" for median in medians) + ratio)
    if given.maps:
        with Server(first, options) as server:
            print(f"\n{'Rss':>7}{'Pss':>7}{'dirty':>7}  kB")
            for rss, pss, dirty, name in parts(server):
                if rss:
                    print(f"{rss:7}{pss:7}{dirty:7}  {name}")


if __name__ == "__main__":
    main()
