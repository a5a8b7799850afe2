"""Rules that send publishes to Redis Streams: the configuration file of a test, and what is in the streams."""

import time
from pathlib import Path

import yaml

from mqtt_wire import TIMEOUT_S


def write(folder, *rules, **options):
    """A configuration file with these rules, each a dict, and other options. Its path."""
    path = Path(folder) / "roost.yaml"
    path.write_text(yaml.safe_dump({**options, "streams": list(rules)}, sort_keys=False))
    return str(path)


def entries(redis, stream):
    """The entries of a stream, in its order, each a dict of bytes."""
    answer = redis.ask(("XRANGE", stream, "-", "+"))[0]
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in answer]


def payloads(redis, stream):
    return [entry[b"payload"] for entry in entries(redis, stream)]


def wait_entries(redis, stream, count, timeout=TIMEOUT_S):
    """Asks until the stream has so many entries. All of them."""
    deadline = time.monotonic() + timeout
    while (there := redis.ask(("XLEN", stream))[0]) < count:
        assert time.monotonic() < deadline, f"{stream} has {there} entries, and not {count}"
        time.sleep(0.02)
    return entries(redis, stream)


def wait_rule(server, name, reached, timeout=TIMEOUT_S):
    """Asks the API until reached(rule) is true of this rule. What was answered of it."""
    admin = server.admin()
    deadline = time.monotonic() + timeout
    while True:
        rules = {rule["name"]: rule for rule in admin.get("/api/v1/rules").json["rules"]}
        if name in rules and reached(rules[name]):
            return rules[name]
        assert time.monotonic() < deadline, f"{rules}\n{server.log()}"
        time.sleep(0.02)


def works(rule):
    return rule["state"] == "working"


def is_drained(rule):
    return works(rule) and rule["backlog_messages"] == 0
