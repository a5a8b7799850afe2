"""The table of connected clients in Redis is what the API's list of them is, whatever ends or comes back in between."""

import json
import random
import signal
import subprocess
import time
from functools import partial

import pytest

from mqtt_wire import TIMEOUT_S
from redis_server import Redis
from server import ROOST, UPGRADE_TIMEOUT_S, UPGRADED, roost
from tokens import secret_file, token

pytestmark = [pytest.mark.roost_only("others have no such table"), pytest.mark.transports("tcp")]
TABLE, NODE = "roost:online", "n-1"
HASH = f"{TABLE}:{NODE}"
LIFE_S = 60
VERSIONS = {"3.1.1": 4, "5.0": 5}
MANY = 5000
# Together more than Roost keeps for Redis (src/relay/table/table_loop.h), and the sockets' buffers take.
LONG_USER_BYTES, MUCH_BYTES = 2800, 28 << 20
# A table that Redis has lost is noticed when it is renewed.
NOTICED_S = 2 * TIMEOUT_S


@pytest.fixture
def redis(opening):
    return partial(opening, Redis)


@pytest.fixture
def start(serve):
    def begin(redis, *options, node=NODE):
        return serve("--redis", redis.url, "--presence-table", TABLE, "--node", node, "--shards", "2", "--admin", "http://127.0.0.1:0",
                     *options)

    return begin


def table(redis, key=HASH):
    words = redis.ask(("HGETALL", key))[0]
    return {client.decode(): json.loads(value) for client, value in zip(words[::2], words[1::2])}


def listed(server):
    return {row["client_id"]: (row["transport"], row["address"], VERSIONS[row["protocol"]])
            for row in server.admin().clients(state="connected", limit=1000) if not row["client_id"].startswith("$roost/")}


def status(server):
    return server.admin().get("/api/v1/presence-table").json


def wait_status(server, reached, timeout=TIMEOUT_S):
    deadline = time.monotonic() + timeout
    while not reached(now := status(server)):
        assert time.monotonic() < deadline, f"{now}\n{server.log()}"
        time.sleep(0.02)
    return now


def wait_equal(server, redis, key=HASH, timeout=NOTICED_S):
    """Asks until both are the same. What the table says."""
    deadline = time.monotonic() + timeout
    while True:
        wanted = listed(server)
        there = table(redis, key)
        if wanted == {client: (entry["transport"], entry["address"], entry["version"]) for client, entry in there.items()}:
            assert status(server)["state"] != "off"
            return there
        assert time.monotonic() < deadline, (f"{len(there)} in the table, {len(wanted)} connected, not in both: "
                                             f"{sorted(set(there) ^ set(wanted))[:9]}\n{status(server)}\n{server.log()}")
        time.sleep(0.05)


@pytest.mark.threads
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_what_it_says(redis, serve, tmp_path, first):
    """Of clients who were there before Redis was, and of those who came by an event: the same."""
    redis = redis()
    if first:
        redis.kill()
    server = serve("--redis", redis.url, "--presence-table", TABLE, "--node", NODE, "--shards", "2", "--admin", "http://127.0.0.1:0",
                   "--token-secret-file", secret_file(tmp_path))
    if not first:
        wait_status(server, lambda now: now["state"] == "working")
    before_ms = time.time() * 1000
    with server.client('quo"te\\ zoë', 5, user="", password=token(sub='al"ice')) as client:
        if first:
            redis.start()
        wait_status(server, lambda now: now["state"] == "working" and now["clients"] == 1)
        there = wait_equal(server, redis)
        entry = there['quo"te\\ zoë']
        assert before_ms - 60_000 < entry.pop("since_ms") < time.time() * 1000 + 60_000
        assert entry == {"version": 5, "transport": "tcp", "user": 'al"ice', "address": "{}:{}".format(*client.socket.wire.getsockname())}
        assert 0 < redis.ask(("TTL", HASH))[0] <= LIFE_S
        nodes = redis.ask(("ZRANGE", TABLE, 0, -1, "WITHSCORES"))[0]
        assert nodes[0] == NODE.encode() and abs(float(nodes[1]) / 1000 - time.time()) < 600
    assert wait_equal(server, redis) == {}
    now = wait_status(server, lambda now: now["clients"] == 0)
    assert now["key"] == HASH and now["listings"] == 1
    shown = roost("ctl", "--url", server.admin().url, "presence-table").stdout
    assert "working" in shown and HASH in shown
    metrics = server.admin().get("/metrics").text
    assert 'roost_presence_table_state{state="working"} 1' in metrics and "roost_presence_table_listings_total 1" in metrics


def test_the_gateway_is_killed(redis, start):
    """What it leaves dies by itself; one that comes back under its name makes it right."""
    redis = redis()
    server = start(redis)
    clients = [server.client(f"c-{number}") for number in range(50)]
    assert len(wait_equal(server, redis)) == 50
    server.crash()
    assert 0 < redis.ask(("TTL", HASH))[0] <= LIFE_S
    assert redis.ask(("HLEN", HASH))[0] == 50
    for client in clients:
        client.close()
    server = start(redis)
    with server.client("c-7"), server.client("another"):
        assert set(wait_equal(server, redis)) == {"c-7", "another"}


def test_the_gateway_stops(redis, start):
    redis = redis()
    server = start(redis)
    with server.client("c"):
        wait_equal(server, redis)
        server.stop()
    assert redis.ask(("EXISTS", HASH), ("EXISTS", HASH + ":new"), ("ZCARD", TABLE)) == [0, 0, 0]


def test_redis_loses_its_data(redis, start):
    redis = redis()
    server = start(redis)
    clients = [server.client(f"c-{number}") for number in range(20)]
    wait_equal(server, redis)
    redis.ask(("FLUSHALL",))
    with server.client("later"):
        assert len(wait_equal(server, redis)) == 21
        now = wait_status(server, lambda now: now["listings"] == 2)
        assert "does not have" in now["last_error"]
        assert 0 < redis.ask(("TTL", HASH))[0] <= LIFE_S
    for client in clients:
        client.close()
    wait_equal(server, redis)


@pytest.mark.parametrize("keeps", [True, False], ids=["older data", "no data"])
def test_redis_ends_and_comes_back(redis, start, keeps):
    redis = redis(*(("--appendonly", "yes", "--appendfsync", "always") if keeps else ()))
    server = start(redis)
    clients = [server.client(f"c-{number}") for number in range(40)]
    wait_equal(server, redis)
    redis.kill()
    wait_status(server, lambda now: now["state"] == "waiting" and now["last_error"])
    for client in clients[::2]:
        client.disconnect()
    more = [server.client(f"d-{number}") for number in range(10)]
    redis.start()
    assert len(wait_equal(server, redis)) == 30
    for client in clients[1::2] + more:
        client.close()
    assert wait_equal(server, redis) == {}


def test_redis_is_not_there_at_the_start(redis, start):
    redis = redis()
    redis.kill()
    server = start(redis)
    with server.client("c", 5) as client:
        now = wait_status(server, lambda now: now["last_error"] is not None)
        assert now["state"] == "waiting" and now["last_error"].startswith("redis: ")
        client.expect_nothing_before_ping()
        redis.start()
        assert set(wait_equal(server, redis)) == {"c"}


@pytest.mark.parametrize("breaks, mends, told", [
    ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")], "READONLY"),
    ([("SET", HASH, "no hash"), ("SET", HASH + ":new", "no hash")], [("PING",)], "WRONGTYPE"),
], ids=["read-only", "other types"])
def test_redis_refuses(redis, start, breaks, mends, told):
    """It is tried again until it is taken, and takes the place of what stands there."""
    redis = redis()
    server = start(redis)
    with server.client("a"):
        wait_equal(server, redis)
        redis.ask(*breaks)
        with server.client("b"):
            wait_status(server, lambda now: told in (now["last_error"] or ""), NOTICED_S)
            redis.ask(*mends)
            wait_status(server, lambda now: now["listings"] == 2 and now["state"] == "working")
            assert set(wait_equal(server, redis)) == {"a", "b"}


def hold(server, count):
    """Clients of a process that is to be killed."""
    url = f"tcp://127.0.0.1:{server.port}"
    holding = subprocess.Popen([ROOST, "bench", "hold", "-n", str(count), "--hold", "600", "--keepalive", "600", "--url", url],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server.wait_counter("connections_open", count, timeout=60)
    return holding


def test_redis_hangs(redis, start):
    """Clients notice nothing, and the table has it all afterwards."""
    redis = redis()
    server = start(redis)
    with server.client("stays", 5) as stays:
        wait_equal(server, redis)
        redis.process.send_signal(signal.SIGSTOP)
        for number in range(200):
            server.client(f"c-{number}").disconnect()
            stays.expect_nothing_before_ping()
        with server.client("comes"):
            redis.process.send_signal(signal.SIGCONT)
            assert set(wait_equal(server, redis)) == {"stays", "comes"}


def test_redis_takes_less_than_there_is(redis, start, tmp_path):
    """More than may wait for it: the table is left as it is, and made anew when Redis has had what was sent."""
    redis = redis()
    server = start(redis, "--token-secret-file", secret_file(tmp_path))
    wait_status(server, lambda now: now["state"] == "working")
    redis.process.send_signal(signal.SIGSTOP)
    long = token(sub="u" * LONG_USER_BYTES)
    client = server.client("c", 5, user="", password=long)
    for _ in range(MUCH_BYTES // LONG_USER_BYTES):
        older, client = client, server.client("c", 5, user="", password=long)
        older.close()
    wait_status(server, lambda now: "takes less" in (now["last_error"] or ""))
    redis.process.send_signal(signal.SIGCONT)
    with client:
        wait_status(server, lambda now: now["listings"] == 2 and now["state"] == "working")
        assert set(wait_equal(server, redis)) == {"c"}


def test_many_vanish_at_once(redis, start):
    redis = redis()
    server = start(redis)
    wait_status(server, lambda now: now["state"] == "working")
    holding = hold(server, MANY)
    assert len(wait_equal(server, redis)) == MANY
    holding.kill()
    holding.wait()
    assert wait_equal(server, redis) == {}
    now = wait_status(server, lambda now: now["clients"] == 0)
    assert now["listings"] == 1 and now["events"] == 2 * MANY


@pytest.mark.threads
@pytest.mark.parametrize("seed", range(3))
def test_comings_and_goings_while_redis_ends_and_begins(redis, start, seed):
    chance = random.Random(seed)
    redis = redis()
    server = start(redis)
    clients = {}
    for step in range(600):
        name = f"c-{chance.randrange(80)}"
        if name in clients and chance.random() < 0.5:
            getattr(clients.pop(name), chance.choice(("close", "reset", "disconnect")))()
        else:
            older = clients.pop(name, None)
            clients[name] = server.client(name)  # takes an older one over
            if older:
                older.close()
        if step % 60 == 30:
            redis.kill() if redis.process.poll() is None else redis.start()
        if step % 200 == 199 and redis.process.poll() is None:
            redis.ask((chance.choice(("FLUSHALL", "PING")),))
    if redis.process.poll() is not None:
        redis.start()
    assert set(wait_equal(server, redis)) == set(clients)
    for client in clients.values():
        client.close()
    assert wait_equal(server, redis) == {}


def test_two_gateways(redis, start):
    redis = redis()
    servers = [start(redis, node=node) for node in ("a", "b")]
    with servers[0].client("on-a"), servers[1].client("on-b"):
        for server, node in zip(servers, "ab"):
            assert set(wait_equal(server, redis, f"{TABLE}:{node}")) == {f"on-{node}"}
        assert set(redis.ask(("ZRANGE", TABLE, 0, -1))[0]) == {b"a", b"b"}


def test_an_operator_ends_its_connection(redis, start):
    redis = redis()
    server = start(redis)
    with server.client("c"):
        wait_equal(server, redis)
        assert roost("ctl", "--url", server.admin().url, "disconnect", "$roost/presence-table").returncode == 0
        wait_status(server, lambda now: now["listings"] == 2 and now["state"] == "working")
        with server.client("d"):
            assert set(wait_equal(server, redis)) == {"c", "d"}


def test_an_upgrade(redis, start):
    """The table stays there, and is made anew."""
    redis = redis()
    server = start(redis)
    with server.client("c"):
        wait_equal(server, redis)
        begin = len(server.lines)
        server.process.send_signal(signal.SIGUSR2)
        server.wait_line(UPGRADED, begin, timeout=UPGRADE_TIMEOUT_S)
        assert redis.ask(("HLEN", HASH))[0] == 1
        wait_status(server, lambda now: now["state"] == "working")
        with server.client("d"):
            assert set(wait_equal(server, redis)) == {"c", "d"}


@pytest.mark.parametrize("options, told", [
    (["--presence-table", TABLE], "presence-table: it is kept in the server that the option redis names"),
    (["--node", "a:b"], 'node: "a:b" has something else'),
])
def test_mistakes(options, told):
    ended = roost("serve", "--listen", "tcp://127.0.0.1:0", *options)
    assert ended.returncode != 0 and told in ended.stderr, ended.stderr


def test_events_name_the_node(start, redis):
    server = start(redis())
    with server.client("watch", 5) as watch:
        watch.subscribe("$SYS/presence/connected")
        with server.client("c"):
            assert json.loads(watch.message().payload)["node"] == NODE
