"""Users whose records are in Redis, and what they are answered."""

import time

from mqtt_wire import CONNACK, TIMEOUT_S, Connection, connect
from tokens import password_line

BAD = {4: 4, 5: 0x86}


def put(redis, name, secret="secret", key="roost:user", **fields):
    """Makes or changes a user's record."""
    hashed = password_line("x", secret).strip().split(":", 1)[1]
    words = [word for pair in {"password": hashed, **fields}.items() for word in pair]
    redis.ask(("HSET", f"{key}:{name}", *words))


def answer(server, user, password="secret", version=5, client="c"):
    """The CONNACK's code."""
    with Connection(server.address, version) as connection:
        connection.send(connect(client, version, user=user, password=password))
        return connection.expect_kind(CONNACK).reason


def wait_answer(server, wanted, *arguments, **options):
    """Tries until the answer is this one: what was told elsewhere is on its way."""
    deadline = time.monotonic() + TIMEOUT_S
    while answer(server, *arguments, **options) != wanted:
        assert time.monotonic() < deadline, f"{wanted} never came:\n{server.log()}"
        time.sleep(0.002)
