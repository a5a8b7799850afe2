#!/usr/bin/python3
"""How long it takes from a revocation to the end of the live session, with many clients connected.

    tools/revocation.py [--clients N] [--sessions N]

Starts a gateway and a redis-server on free ports, has `roost bench hold` keep the clients, and ends sessions of its own
one after the other: by token, user and client id, through the API and through Redis. Prints percentiles of the time from
before the request is sent until DISCONNECT is there. Bounded, and ends what it starts. Needs what tests need.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "harness"))

from mqtt_wire import DISCONNECT  # noqa: E402
from redis_server import Redis  # noqa: E402
from server import ROOST, Server  # noqa: E402
from tokens import secret_file, token  # noqa: E402

KINDS = ("token", "user", "client")
CONNECT_S = 300


def hold(server, secret, clients):
    """A process that keeps them; returns when all are there."""
    url = f"tcp://{server.address[0]}:{server.address[1]}"
    process = subprocess.Popen([ROOST, "bench", "hold", "-n", str(clients), "--hold", "600", "--token-secret", secret, "--url", url],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + CONNECT_S
    while server.counter("connections_open") < clients:
        assert process.poll() is None and time.monotonic() < deadline, "they do not connect"
        time.sleep(0.5)
    return process


def through_api(admin, redis):
    return lambda kind, name: admin.post("/api/v1/revocations", {"kind": kind, "id": name, "seconds": 600})


def through_redis(admin, redis):
    return lambda kind, name: redis.revoke(kind, name, 600)


def measure(server, revoke, sessions, label):
    times = []
    for number in range(sessions):
        kind = KINDS[number % len(KINDS)]
        names = {"token": f"{label}-t{number}", "user": f"{label}-u{number}", "client": f"{label}-c{number}"}
        signed = token(sub=names["user"], jti=names["token"])
        with server.client(names["client"], 5, user="", password=signed) as client:
            begin = time.perf_counter()
            revoke(kind, names[kind])
            client.expect_kind(DISCONNECT)
            times.append((time.perf_counter() - begin) * 1000)
    times.sort()
    return {f"p{part}_ms": round(times[min(len(times) - 1, len(times) * part // 100)], 2) for part in (50, 99)} | {
        "max_ms": round(times[-1], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clients", type=int, default=100000)
    parser.add_argument("--sessions", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        secret = secret_file(Path(folder))
        redis = Redis()
        server = Server("--token-secret-file", secret, "--redis", redis.url, "--admin", "http://127.0.0.1:0", "--log-level",
                        "info", "--connections", str(options.clients * 11 // 10 + 1000))
        holder = hold(server, secret, options.clients)
        try:
            for way in (through_api, through_redis):
                label = way.__name__.replace("through_", "")
                result = measure(server, way(server.admin(), redis), options.sessions, label)
                print(json.dumps({"clients": options.clients, "through": label, "sessions": options.sessions, **result}))
        finally:
            holder.terminate()
            holder.wait()
            server.kill()
            redis.close()


if __name__ == "__main__":
    main()
