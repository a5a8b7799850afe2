"""Consumers that read Redis Streams: the configuration file of a test, entries, and how a consumer is doing."""

import time
from pathlib import Path

import yaml

from mqtt_wire import TIMEOUT_S


def write(folder, *consumers, **options):
    """A configuration file with these consumers, each a dict, and other options. Its path."""
    path = Path(folder) / "roost.yaml"
    path.write_text(yaml.safe_dump({**options, "consumers": list(consumers)}, sort_keys=False))
    return str(path)


def add(redis, stream, *entries):
    """Adds entries, each a dict. Their ids."""
    return redis.ask(*(("XADD", stream, "*", *(part for pair in entry.items() for part in pair)) for entry in entries))


def wait_consumer(server, name, reached, timeout=TIMEOUT_S):
    """Asks the API until reached(consumer) is true of this consumer. What was answered of it."""
    admin = server.admin()
    deadline = time.monotonic() + timeout
    while True:
        consumers = {consumer["name"]: consumer for consumer in admin.get("/api/v1/consumers").json["consumers"]}
        if name in consumers and reached(consumers[name]):
            return consumers[name]
        assert time.monotonic() < deadline, f"{consumers}\n{server.log()}"
        time.sleep(0.02)


def works(consumer):
    return consumer["state"] == "working"


def waits(consumer):
    return consumer["state"] == "waiting"


def unsettled(redis, stream, group="roost"):
    """How many entries members of the group have read and not acknowledged, and how many they have not read, where Redis
    knows: of a group that was made to begin with what is new it does not."""
    for info in redis.ask(("XINFO", "GROUPS", stream))[0]:
        group_info = dict(zip(info[::2], info[1::2]))
        if group_info[b"name"] == group.encode():
            return group_info[b"pending"], group_info[b"lag"] or 0
    raise AssertionError(f"there is no group {group}")


def wait_settled(redis, stream, group="roost", timeout=TIMEOUT_S):
    deadline = time.monotonic() + timeout
    while (left := unsettled(redis, stream, group)) != (0, 0):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
