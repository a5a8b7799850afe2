#!/usr/bin/python3
"""Checks that includes under src/ only point down, and that the pure layers stay pure.

    tools/layers.py [SRC]       one line a fault; exit status 1 where there is any
    tools/layers.py --self-test shows on small trees that each kind of fault is found; TAP on stdout
"""

import re
import sys

from source_check import run

# Lowest first: a layer may include from those before it, or from those alone that BELOW names.
ORDER = [
    "base", "memory", "capacity", "reactor", "net", "mqtt", "http", "redis", "tls", "ws", "transport", "auth", "cluster", "fetch", "topics", "session", "store", "commit", "subscriptions",
    # The gateway.
    "runtime", "access", "state", "deliver", "route", "client", "lifecycle", "gate", "shard", "layout", "control",
    "bridge", "asking", "relay", "nodes", "admin", "upgrade",
]
BELOW = {layer: set(ORDER[:place]) for place, layer in enumerate(ORDER)}
BELOW.update({
    "memory": {"base"},
    # How many connections fit: the server and the doctor count alike.
    "capacity": {"base"},
    # What lies where in memory; made from the objects of the layers above, of which it includes nothing.
    "layout": {"base", "memory"},
    # What lies below a directory, and how fast it syncs.
    "device": {"base"},
    "reactor": {"base", "memory"},
    "net": {"base", "memory"},
    "mqtt": {"base"},
    "http": {"base"},
    # What a URL of a Redis says, and what servers say of where things are.
    "redis": {"base"},
    "fetch": {"base", "memory", "reactor", "net"},
    # Bytes in, bytes out; what they have to do with sockets is the transport's affair.
    "tls": {"base"},
    "ws": {"base", "http"},
    "transport": {"base", "memory", "net", "http", "tls", "ws"},
    "auth": {"base", "memory"},
    # What nodes say to each other; bytes and time in, bytes and decisions out.
    "cluster": {"base", "memory", "mqtt"},
    "store": {"base", "memory", "reactor", "mqtt", "cluster", "topics", "session"},
    "commit": {"base", "memory", "reactor", "mqtt", "cluster", "topics", "session", "store"},
    "topics": {"base", "memory", "mqtt", "cluster"},
    "session": {"base", "memory", "mqtt", "cluster", "topics"},
    "subscriptions": {"base", "memory", "mqtt", "cluster", "topics", "session"},
    # Command lines of all commands but the server's.
    "cli": {"base"},
    # They measure the server, so they must not share its faults.
    "bench": {"base", "device", "memory", "cli", "reactor", "net", "mqtt", "http", "tls", "ws", "transport"},
    "doctor": {"base", "device", "memory", "capacity", "cli", "reactor", "net", "mqtt", "http", "redis", "tls", "ws", "transport"},
    "tool": {"base", "memory", "cli", "tls", "auth", "mqtt", "cluster", "topics", "session", "store"},
    # It knows the gateway by its API alone.
    "ctl": {"base", "cli", "fetch"},
})
BELOW["daemon"] = set(BELOW)

# The folders of a layer that has some, lowest first: each may include from those before it. The layer's own files, which
# lie beside the folders, come last.
INSIDE = {
    "net": ["filter"],
    "mqtt": ["field"],
    "store": ["format", "model"],
    "commit": ["told", "log", "follow"],
    "auth": ["text", "rules", "token", "password", "outside", "revocation"],
    "bench": ["measure", "report", "dial", "target", "options", "client", "floor", "load", "pubsub", "hold", "storm", "scenario", "sessions", "restart", "run", "durable", "crash", "stored"],
    "doctor": ["machine", "limits", "fix", "show", "plan", "store", "listener", "redis"],
    "admin": ["snapshot", "metrics", "http", "api", "clients", "nodes", "backends"],
    # What both ends of all messages share; links and members, which know nothing of what they carry; and what is carried.
    "cluster": ["wire", "link", "members", "common", "publish", "takeover", "copy"],
    # The bus; the thread as its services see it; services.
    "nodes": ["bus", "thread", "interest", "publish", "retained", "revoked", "session", "replica"],
    "topics": ["index"],
    # Sessions and the store; sessions as bytes for another node.
    "lifecycle": ["stored", "packed", "due"],
    "runtime": ["settings", "nodes"],
    # A handshake, and what it may have to wait for.
    "gate": ["handshake"],
    # Where a message comes from, for Roost's own clients.
    "deliver": ["origin", "bodies"],
    "tool": ["store"],
    "transport": ["tls"],
    # What a context is made of: files read, names, ciphers; and what the other side does: its hello, how it fails.
    "tls": ["certificate", "peer"],
    # How a shard stops without letting go of its clients; and how it lets go of them, evenly over a time.
    "shard": ["freeze", "emptying", "nodes"],
    # Certificates and ticket keys, which the main thread keeps.
    "control": ["tls"],
    # Items of the configuration, and what they make of a message: bytes in, bytes out; clients of Roost's own; rules;
    # consumers; the table of who is online; hooks; bridges.
    "relay": ["item", "json", "entry", "session", "stream", "consumer", "table", "hook", "bridging"],
    "daemon": ["options"],
}

# No sockets, threads or clock: the pure layers may include these of the system's headers and no others.
PURE = {"capacity", "mqtt", "http", "redis", "tls", "ws", "auth", "cluster", "topics", "session", "subscriptions"}
PURE_SYSTEM = {
    "assert.h", "ctype.h", "endian.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h",
}
PURE_SYSTEM_ALSO = {
    # A date is written from a time that comes in.
    "http": re.compile(r"time\.h"),
    # The routing index is read under RCU, and its writers take a lock.
    "topics": re.compile(r"urcu.*\.h|urcu/.*\.h|pthread\.h"),
    # Handshakes on bytes, ciphers; a lock around what all handshakes share.
    "tls": re.compile(r"openssl/.*\.h|pthread\.h"),
    # An answer, as it is after it was read.
    "redis": re.compile(r"hiredis/hiredis\.h"),
    "ws": re.compile(r"openssl/.*\.h"),
    # Checksums of datagrams.
    "cluster": re.compile(r"xxhash\.h"),
    "auth": re.compile(r"sodium\.h|openssl/.*\.h|jansson\.h"),
}
# Reading the clock, said by our own name.
PURE_NOT_OURS = {"base/clock.h"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def faults(src):
    """Each fault of the tree as one line, in the order of the files."""
    found = []
    graph = {}
    for path in sorted(p for p in src.rglob("*") if p.suffix in (".c", ".h")):
        name = path.relative_to(src).as_posix()
        layer = name.split("/")[0]
        if layer not in BELOW:
            found.append(f"{name}: layer {layer} is not in the table of tools/layers.py")
            continue
        if folder_of(name) != layer and folder_of(name)[len(layer) + 1:] not in INSIDE.get(layer, []):
            found.append(f"{name}: folder {folder_of(name)} is not in the table of tools/layers.py")
            continue
        graph[name] = []
        text = path.read_text()
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            quote, target = match.groups()
            where = f"{name}:{line}"
            if quote == '"':
                graph[name].append(target)
                found.extend(own_faults(src, where, layer, target))
            else:
                found.extend(system_faults(where, layer, target))
    if not graph:
        found.append("no sources found")
    found.extend(cycles(graph))
    return found


def own_faults(src, where, layer, target):
    if "/" not in target or not (src / target).is_file():
        return [f'{where}: "{target}" is not the "layer/file.h" of a header under src']
    to = target.split("/")[0]
    if to != layer and to not in BELOW[layer]:
        return [f"{where}: {layer} may not include {target}"]
    if to == layer and rank(layer, target) > rank(layer, where):
        return [f"{where}: {folder_of(where)} may not include {target}"]
    if layer in PURE and target in PURE_NOT_OURS:
        return [f"{where}: {layer} is pure and may not include {target}"]
    return []


def folder_of(name):
    return name.rsplit("/", 1)[0]


def rank(layer, name):
    """How high the file's folder stands within its layer."""
    folders = INSIDE.get(layer, [])
    below = folder_of(name)[len(layer) + 1:]
    return folders.index(below) if below in folders else len(folders)


def system_faults(where, layer, target):
    if layer not in PURE or target in PURE_SYSTEM:
        return []
    also = PURE_SYSTEM_ALSO.get(layer)
    if also and also.fullmatch(target):
        return []
    return [f"{where}: {layer} is pure and may not include <{target}>"]


def cycles(graph):
    """Headers that include each other round in a circle."""
    found = []
    done = set()

    def visit(name, path):
        if name in path:
            found.append("cycle: " + " -> ".join(path[path.index(name):] + [name]))
            return
        if name in done or name not in graph:
            return
        for target in graph[name]:
            visit(target, path + [name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


# What it is about, the files, and a piece of each fault expected.
SELF_TESTS = [
    ("a tree that points down is clean",
     {"base/a.h": "#include <pthread.h>\n", "mqtt/b.c": '#include "base/a.h"\n#include <stdint.h>\n',
      "topics/c.c": "#include <urcu-qsbr.h>\n#include <pthread.h>\n", "daemon/d.c": '#include "base/a.h"\n'}, []),
    ("an include that points up",
     {"base/a.c": '#include "net/b.h"\n', "net/b.h": ""}, ["base/a.c:1: base may not include net/b.h"]),
    ("an include to the side",
     {"mqtt/a.c": '\n  #  include "net/b.h"\n', "net/b.h": ""}, ["mqtt/a.c:2: mqtt may not include net/b.h"]),
    ("the bench looks into the server",
     {"bench/a.c": '#include "session/b.h"\n', "session/b.h": ""}, ["bench may not include session/b.h"]),
    ("a session that knows the store",
     {"session/a.c": '#include "session/journal.h"\n#include "store/store.h"\n', "session/journal.h": "", "store/store.h": ""},
     ["session/a.c:2: session may not include store/store.h"]),
    ("a socket in a pure layer",
     {"mqtt/a.c": "#include <sys/socket.h>\n"}, ["mqtt is pure and may not include <sys/socket.h>"]),
    ("a clock in a pure layer",
     {"session/a.c": "#include <time.h>\n"}, ["session is pure and may not include <time.h>"]),
    ("our own clock in a pure layer",
     {"session/a.c": '#include "base/clock.h"\n', "base/clock.h": ""}, ["session is pure and may not include base/clock.h"]),
    ("a thread in the codec",
     {"mqtt/a.h": "#include <pthread.h>\n"}, ["mqtt is pure and may not include <pthread.h>"]),
    ("headers that include each other",
     {"base/a.h": '#include "base/b.h"\n', "base/b.h": '#include "base/a.h"\n'},
     ["cycle: base/a.h -> base/b.h -> base/a.h"]),
    ("a header named without its layer",
     {"base/a.c": '#include "b.h"\n', "base/b.h": ""}, ['"b.h" is not the "layer/file.h"']),
    ("a header that does not exist",
     {"base/a.c": '#include "base/gone.h"\n'}, ['"base/gone.h" is not']),
    ("a folder that is no layer",
     {"misc/a.c": "", "base/b.c": ""}, ["layer misc is not in the table"]),
    ("a folder within a layer that is not in the table",
     {"base/misc/a.c": "", "base/b.c": ""}, ["folder base/misc is not in the table"]),
    ("no folder at all", {}, ["no sources found"]),
]


if __name__ == "__main__":
    sys.exit(run(faults, SELF_TESTS))
