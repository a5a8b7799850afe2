#!/usr/bin/python3
"""Stands in for mosquitto in mosquitto's own tests of its broker: reads the options and configuration lines that they
use, and becomes `roost serve` with the same meaning. BROKER_UNDER_TEST names the program; where its last part is
mosquitto, the arguments go to it as they are, which shows what is the tests' and what is the adapter's."""

import os
import sys
from pathlib import Path

# mosquitto's defaults, where tests count on them. [mosquitto.conf(5)]
OPTIONS = {"--inflight-max": "20", "--receive-max": "20", "--topic-alias-max": "10", "--drain-ms": "1000",
           "--log-level": "warning", "--shards": "2"}

# A configuration line -> the option with the same meaning; None: Roost does so anyway, or it changes nothing here.
LINES = {
    "allow_anonymous": None,
    "max_inflight_messages": ("--inflight-max", "--receive-max"),
    "max_inflight_bytes": None,
    "max_queued_messages": ("--queue-messages-max",),
    "max_queued_bytes": ("--queue-bytes-max",),
    "max_packet_size": ("--packet-bytes-max",),
    "max_keepalive": ("--keepalive-max-s",),
}


class NoSuchLine(Exception):
    pass


def read_configuration(path):
    """(ports, {option: value})"""
    ports, options = [], {}
    for line in Path(path).read_text().splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] in ("port", "listener"):
            ports.append(words[1])
        elif words[0] not in LINES or words == ["allow_anonymous", "false"]:
            raise NoSuchLine(line)
        else:
            options.update({option: words[1] for option in LINES[words[0]] or ()})
    return ports, options


def command_line(arguments):
    ports, options = [], dict(OPTIONS)
    arguments = iter(arguments)
    for argument in arguments:
        if argument == "-p":
            ports.append(next(arguments))
        elif argument == "-c":
            more, changed = read_configuration(next(arguments))
            ports += more
            options.update(changed)
        elif argument != "-v":
            raise NoSuchLine(argument)
    # A queue must hold the largest packet.
    if "--queue-bytes-max" in options:
        options.setdefault("--packet-bytes-max", options["--queue-bytes-max"])
    transport = os.environ.get("ROOST_TRANSPORT", "tcp")
    path = "/mqtt" if transport in ("ws", "wss") else ""
    command = ["serve"]
    for port in ports:
        command += ["--listen", f"{transport}://127.0.0.1:{port}{path}", "--listen", f"{transport}://[::1]:{port}{path}"]
    if transport in ("tls", "wss"):
        command += ["--tls-certificate", os.environ["ROOST_TEST_CERTIFICATE"], "--tls-key", os.environ["ROOST_TEST_KEY"]]
    return command + [word for pair in options.items() for word in pair]


def main():
    program = os.environ["BROKER_UNDER_TEST"]
    if Path(program).name == "mosquitto":
        os.execv(program, [program, *sys.argv[1:]])
    try:
        arguments = command_line(sys.argv[1:])
    except NoSuchLine as error:
        print(f"stand-in: {error}: Roost has nothing like it", file=sys.stderr)
        return 2
    os.execv(program, [program, *arguments])


if __name__ == "__main__":
    sys.exit(main())
