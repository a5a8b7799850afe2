"""A consumer publishes what stands in a Redis stream, and carries out what is commanded there: all of it, in its order, and
nothing is acknowledged to Redis before the gateway has it safe, whatever ends in between."""

import os
import signal
import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest


from consumers import add, unsettled, wait_consumer, wait_settled, waits, works, write
from mqtt_wire import CONTENT_TYPE, CORRELATION_DATA, FOREVER, MESSAGE_EXPIRY, SESSION_EXPIRY, USER_PROPERTY, Refused
from redis_server import Redis, Relay
from server import roost
from store import fill, small_disk

pytestmark = pytest.mark.roost_only("others have no such consumers")

ORDERS = {"name": "orders", "stream": "in"}
SYNCED = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def redis(opening):
    return partial(opening, Redis)


@pytest.fixture
def start(serve, tmp_path):
    """start(redis, consumer...): a server with these consumers, once they work. Its store is there for another one."""
    def begin(redis, *items, wait=True, store="store", **options):
        (tmp_path / store).mkdir(exist_ok=True)
        config = write(tmp_path / store, *items, redis=redis.url, **options)
        server = serve("--config", config, "--shards", "2", "--store", str(tmp_path / store / "data"), "--admin", "http://127.0.0.1:0")
        for item in items if wait else ():
            wait_consumer(server, item["name"], works)
        return server

    return begin


def subscriber(server, *filters, client_id="to", qos=1, **options):
    client = server.client(client_id, 5, **options)
    client.subscribe(*((one, qos) for one in filters or ("#",)))
    return client


def messages(numbers, topic="t/{}"):
    return [{"topic": topic.format(n % 5), "payload": n} for n in numbers]


def take_until(client, last):
    """Payloads, as numbers, until this one has come."""
    got = []
    while not got or got[-1] != last:
        got.append(int(client.take().payload))
    return got


def without_repetition(sequence):
    return list(dict.fromkeys(sequence))


def dead_letters(redis, stream="roost:dead"):
    return [dict(zip(fields[::2], fields[1::2])) for _, fields in redis.ask(("XRANGE", stream, "-", "+"))[0]]


def wait_dead(redis, count, stream="roost:dead"):
    deadline = time.monotonic() + 20
    while redis.ask(("XLEN", stream))[0] < count:
        assert time.monotonic() < deadline, dead_letters(redis, stream)
        time.sleep(0.02)
    return dead_letters(redis, stream)


# ---- messages ----

def test_a_message_comes_as_its_entry_says(redis, start):
    redis = redis()
    server = start(redis, ORDERS)
    with subscriber(server, "a/#", qos=2) as client:
        properties = '{"content_type":"x/y","user":[["one","1"],["two","2"]],"correlation_data":"AAH/"}'
        add(redis, "in", {"topic": "a/0"},
            {"topic": "a/1", "payload": b"\x00\xff", "qos": 2, "retain": 1, "expiry_s": 100, "properties": properties, "order": "O-17"},
            {"topic": "a/2", "payload": "at most once", "qos": 0, "properties": '{"message_expiry_s":50}'})
        zero, one, two = client.take(), client.take(), client.take()
    assert (zero.topic, zero.payload, zero.qos, zero.retain) == ("a/0", b"", 1, False)
    assert (one.payload, one.qos) == (b"\x00\xff", 2)
    assert dict(one.pairs)[CONTENT_TYPE] == "x/y" and dict(one.pairs)[CORRELATION_DATA] == b"\x00\x01\xff"
    assert [value for name, value in one.pairs if name == USER_PROPERTY] == [("one", "1"), ("two", "2")]
    assert 0 < dict(one.pairs)[MESSAGE_EXPIRY] <= 100
    assert (two.payload, two.qos) == (b"at most once", 0) and 0 < dict(two.pairs)[MESSAGE_EXPIRY] <= 50
    with subscriber(server, "a/#", client_id="later") as client:
        assert client.take().topic == "a/1"
    wait_settled(redis, "in")
    consumer = wait_consumer(server, "orders", works)
    assert consumer["published"] == 3 and consumer["dead_letters"] == 0 and consumer["last_error"] is None
    shown = roost("ctl", "--url", server.admin().url, "consumers").stdout
    assert "orders" in shown and "working" in shown


def test_time_in_the_stream_counts(redis, start):
    """An entry's id says when it was added; one that is no time says nothing."""
    redis = redis()
    server = start(redis, ORDERS)
    with subscriber(server) as client:
        redis.ask(("XADD", "in", "1-1", "topic", "a", "payload", "no time", "expiry_s", 100))
        added_ms = int(time.time() * 1000) - 100000
        redis.ask(("XADD", "in", f"{added_ms}-0", "topic", "a", "payload", "too old", "expiry_s", 60),
                  ("XADD", "in", f"{added_ms}-1", "topic", "a", "payload", "old", "expiry_s", 200))
        first, second = client.take(), client.take()
    assert (first.payload, second.payload) == (b"no time", b"old")
    assert dict(first.pairs)[MESSAGE_EXPIRY] > 90 and dict(second.pairs)[MESSAGE_EXPIRY] <= 100
    wait_settled(redis, "in")
    consumer = wait_consumer(server, "orders", lambda one: one["expired"] == 1)
    assert consumer["published"] == 2 and consumer["dead_letters"] == 0


def test_order(redis, start):
    """More than a batch has, from before the gateway was there and from afterwards."""
    redis = redis()
    add(redis, "in", *messages(range(2500)))
    server = start(redis, {**ORDERS, "batch": 1000}, {"name": "new", "stream": "in", "group": "late", "from": "new"}, wait=False)
    wait_consumer(server, "new", works)
    wait_consumer(server, "orders", lambda one: one["published"] == 2500)
    assert unsettled(redis, "in", "late") == (0, 0)
    with subscriber(server, "t/#", qos=1) as client:
        add(redis, "in", *messages(range(2500, 5000)))
        got = [int(client.take().payload) for _ in range(5000)]
    # Both groups have what came later, each in its order.
    assert sorted(got) == sorted([*range(2500, 5000)] * 2)
    assert without_repetition(got) == list(range(2500, 5000))
    assert wait_consumer(server, "new", lambda one: one["pending"] == 0)["published"] == 2500
    assert wait_consumer(server, "orders", works)["published"] == 5000


def test_what_is_done_is_deleted_where_that_is_wanted(redis, start):
    redis = redis()
    server = start(redis, {**ORDERS, "delete": True})
    with subscriber(server) as client:
        add(redis, "in", *messages(range(50)), {"payload": "of nothing"})
        assert take_until(client, 49) == list(range(50))
    wait_dead(redis, 1)
    wait_settled(redis, "in")
    deadline = time.monotonic() + 10
    while redis.ask(("XLEN", "in"))[0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- commands ----

def test_commands(redis, start):
    redis = redis()
    server = start(redis, ORDERS)
    with subscriber(server, "to/#", client_id="c-1", pairs=[(SESSION_EXPIRY, FOREVER)]) as client:
        add(redis, "in", {"topic": "to/c-1", "payload": "goodbye"}, {"command": "disconnect", "client": "c-1"})
        assert client.message().payload == b"goodbye"  # what stands before a command is carried out before it
        client.ends()
    assert server.admin().client("c-1")["state"] == "offline"
    add(redis, "in", {"command": "end_session", "client": "c-1"}, {"command": "disconnect", "client": "nobody"},
        {"command": "revoke", "kind": "client", "id": "c-2", "seconds": 60}, {"command": "revoke", "kind": "user", "id": "u"})
    wait_consumer(server, "orders", lambda one: one["commands"] == 5)
    assert server.admin().get("/api/v1/clients/c-1").status == 404
    with pytest.raises(Refused):
        server.client("c-2", 5)
    kinds = {row["kind"]: row for row in server.admin().get("/api/v1/revocations").json["revocations"]}
    assert kinds["user"]["until"] is None and time.time() < kinds["client"]["until"] < time.time() + 70
    add(redis, "in", {"command": "lift", "kind": "client", "id": "c-2"}, {"command": "lift", "kind": "token", "id": "none"})
    wait_consumer(server, "orders", lambda one: one["commands"] == 7)
    server.client("c-2", 5).close()
    assert dead_letters(redis) == []


# ---- what cannot be carried out ----

POISON = [
    ({"payload": "x"}, "topic: it is missing"),
    ({"topic": "a/#", "payload": "x"}, "topic: topic name contains a wildcard"),
    ({"topic": "", "payload": "x"}, "topic: "),
    ({"topic": "$SYS/x", "payload": "x"}, "topic: "),
    ({"topic": b"a\xff", "payload": "x"}, "topic: "),
    ({"topic": "a" * 70000, "payload": "x"}, "topic: "),
    ({"topic": "a", "payload": b"." * (2 << 20)}, "payload: the packet would be larger than packet-bytes-max"),
    ({"topic": "a", "qos": "3"}, "qos: a whole number from 0 to 2"),
    ({"topic": "a", "qos": "one"}, "qos: a whole number"),
    ({"topic": "a", "retain": "true"}, "retain: a whole number from 0 to 1"),
    ({"topic": "a", "expiry_s": "-1"}, "expiry_s: a whole number"),
    ({"topic": "a", "expiry_s": "4294967296"}, "expiry_s: a whole number"),
    ({"topic": "a", "properties": "{"}, "properties: "),
    ({"topic": "a", "properties": "[]"}, "properties: an object"),
    ({"topic": "a", "properties": '{"colour":"red"}'}, "properties: colour: there is no such property"),
    ({"topic": "a", "properties": '{"correlation_data":"A"}'}, "properties: correlation_data: at most 65535 bytes in base64"),
    ({"topic": "a", "properties": '{"response_topic":"a/#"}'}, "properties: response_topic: a topic without wildcards"),
    ({"topic": "a", "properties": '{"user":[["a"]]}'}, "properties: user: a list of [name, value]"),
    ({"command": "reboot"}, "command: disconnect, end_session, revoke or lift"),
    ({"command": "disconnect"}, "client: it is missing"),
    ({"command": "disconnect", "client": "$roost/consumer/orders"}, "client: client ids that begin with $roost/ are the server's own"),
    ({"command": "end_session", "client": "$roost/rule/all"}, "client: client ids that begin with $roost/ are the server's own"),
    ({"command": "revoke", "kind": "house", "id": "x"}, "kind: token, user or client"),
    ({"command": "revoke", "kind": "user", "id": "x", "seconds": "0"}, "seconds: 1 or more"),
    ({"command": "lift", "kind": "user"}, "id: it is missing"),
]


def test_poison_goes_to_the_dead_letters_with_its_reason(redis, start):
    redis = redis()
    server = start(redis, ORDERS)
    with subscriber(server, "good/#") as client:
        for n, (entry, _) in enumerate(POISON):
            add(redis, "in", entry, {"topic": f"good/{n}"})
        ids = [id_ for id_, _ in redis.ask(("XRANGE", "in", "-", "+"))[0]][::2]
        assert [client.take().topic for _ in POISON] == [f"good/{n}" for n in range(len(POISON))]
    letters = wait_dead(redis, len(POISON))
    for (entry, reason), letter, id_ in zip(POISON, letters, ids):
        assert reason in letter.pop(b"reason").decode(), entry
        assert (letter.pop(b"consumer"), letter.pop(b"stream"), letter.pop(b"entry")) == (b"orders", b"in", id_)
        assert letter == {name.encode(): str(value).encode() if not isinstance(value, bytes) else value for name, value in entry.items()}
    wait_settled(redis, "in")
    consumer = wait_consumer(server, "orders", lambda one: one["dead_letters"] == len(POISON))
    assert "goes to roost:dead: id: it is missing" in consumer["last_error"]


def test_what_is_cut_in_the_middle_of_a_character_is_shown(redis, start):
    """A consumer whose last error is no UTF-8 would be in no answer of the API."""
    redis = redis()
    server = start(redis, ORDERS)
    add(redis, "in", {"topic": "a", "properties": '{"x%s":1}' % ("ä" * 30)})
    consumer = wait_consumer(server, "orders", lambda one: one["dead_letters"] == 1)
    assert "there is no such property" in consumer["last_error"]


def test_a_field_that_is_there_twice(redis, start):
    redis = redis()
    start(redis, {**ORDERS, "dead_letters": "my:dead"})
    redis.ask(("XADD", "in", "*", "topic", "a", "payload", "1", "topic", "b"))
    assert wait_dead(redis, 1, "my:dead")[0][b"reason"] == b"topic: it is there for the second time"
    assert redis.ask(("EXISTS", "roost:dead"))[0] == 0


def test_the_gateway_does_not_take_it(redis, start):
    """Whoever asked for it is not there to be told, so the dead letters are."""
    redis = redis()
    server = start(redis, ORDERS, payload_format_check=True)
    add(redis, "in", {"topic": "a", "payload": b"\xff", "properties": '{"payload_format":1}'}, {"topic": "a", "payload": "good"})
    assert b"the gateway refused it with reason 0x99" in wait_dead(redis, 1)[0][b"reason"]
    wait_settled(redis, "in")
    assert wait_consumer(server, "orders", lambda one: one["dead_letters"] == 1)["published"] == 1


def test_what_the_gateway_would_end_the_connection_for(redis, start):
    """At QoS 0 there is no acknowledgement that could refuse it: it must not be sent again and again."""
    redis = redis()
    server = start(redis, ORDERS, payload_format_check=True)
    with subscriber(server) as client:
        add(redis, "in", {"topic": "a", "payload": b"\xff", "qos": 0, "properties": '{"payload_format":1}'}, {"topic": "a", "payload": "good"})
        assert client.take().payload == b"good"
    assert wait_dead(redis, 1)[0][b"reason"] == b"payload: payload is said to be UTF-8 and is not"
    wait_settled(redis, "in")


@pytest.mark.parametrize("fields", [("one", 33, "two", 33), ("one", 65)], ids=["in all", "in one field"])
def test_an_entry_longer_than_can_be_read(redis, start, fields):
    """64 MiB: it is passed over, without its fields, and what stands around it comes."""
    redis = redis()
    server = start(redis, ORDERS)
    with subscriber(server) as client:
        add(redis, "in", *messages(range(3)))
        redis.ask(("XADD", "in", "*", "topic", "a", *(one if isinstance(one, str) else b"." * (one << 20) for one in fields)))
        add(redis, "in", *messages(range(3, 6)))
        assert without_repetition(take_until(client, 5)) == list(range(6))
    letter = wait_dead(redis, 1)[0]
    assert b"longer than can be read" in letter[b"reason"] and letter.keys() == {b"consumer", b"reason", b"stream", b"entry"}
    wait_settled(redis, "in")


def test_a_store_that_is_full_is_waited_for(redis, serve, tmp_path):
    """It is full for all, and for a while: a stream is not to go to the dead letters for that."""
    redis = redis()
    with small_disk(tmp_path / "disk", 256 << 20) as disk:
        config = write(tmp_path, ORDERS, redis=redis.url)
        server = serve("--config", config, "--shards", "2", "--store", str(disk / "store"), "--store-full", "refuse",
                       "--admin", "http://127.0.0.1:0")
        wait_consumer(server, "orders", works)
        with server.session("to", 5) as client:
            client.subscribe(("t", 1))
            client.disconnect()
        ballast = fill(disk)
        with server.client("filler", 5) as filler:
            while filler.hand_over("r", b"x" * 100000, retain=True) != 0x97:
                pass
            add(redis, "in", *messages(range(200), topic="t"))
            begin = server.counter("store_pauses")
            server.wait_counter("store_pauses", lambda value: value > begin)
            ballast.unlink()
            server.wait_line(r"store: .*works again")
        with server.session("to", 5) as client:
            assert without_repetition(take_until(client, 199)) == list(range(200))
        wait_settled(redis, "in")
        assert redis.ask(("EXISTS", "roost:dead"))[0] == 0
        server.stop()


# ---- members of a group ----

def test_two_gateways_share_a_group(redis, start):
    redis = redis()
    one = start(redis, {**ORDERS, "batch": 10}, store="one", node="one")
    two = start(redis, {**ORDERS, "batch": 10}, store="two", node="two")
    with subscriber(one) as left, subscriber(two) as right:
        # Slow enough that both are asking all the while.
        for n in range(200):
            add(redis, "in", {"topic": "t", "payload": n})
        wait_settled(redis, "in")
        counts = [wait_consumer(server, "orders", works)["published"] for server in (one, two)]
        got = [sorted(int(client.take().payload) for _ in range(count)) for client, count in zip((left, right), counts)]
    assert sum(counts) == 200 and min(counts) > 0, counts
    assert sorted(got[0] + got[1]) == list(range(200))


def test_what_a_lost_gateway_has_read_is_taken_over(redis, start):
    redis = redis()
    redis.ask(("XGROUP", "CREATE", "in", "roost", "0", "MKSTREAM"))
    add(redis, "in", *messages(range(30)))
    redis.ask(("XREADGROUP", "GROUP", "roost", "lost", "COUNT", 20, "STREAMS", "in", ">"))
    redis.ask(("XDEL", "in", redis.ask(("XRANGE", "in", "-", "+"))[0][3][0]))  # one that is gone by then
    server = start(redis, {**ORDERS, "claim_after_s": 1}, wait=False)
    consumer = wait_consumer(server, "orders", lambda one: one["published"] == 29)
    assert consumer["claimed"] >= 19
    wait_settled(redis, "in")


def test_nothing_is_taken_over_where_that_is_not_wanted(redis, start):
    redis = redis()
    redis.ask(("XGROUP", "CREATE", "in", "roost", "0", "MKSTREAM"))
    add(redis, "in", *messages(range(30)))
    redis.ask(("XREADGROUP", "GROUP", "roost", "lost", "COUNT", 20, "STREAMS", "in", ">"))
    server = start(redis, {**ORDERS, "claim_after_s": 0})
    wait_consumer(server, "orders", lambda one: one["published"] == 10)
    time.sleep(1.5)
    assert unsettled(redis, "in") == (20, 0)


# ---- faults ----

def producing(redis, over):
    """Adds entries until it is told to stop, over a connection of its own, also while Redis is away."""
    added = []

    def produce():
        while not over.is_set():
            try:
                add(redis, "in", {"topic": f"t/{len(added) % 5}", "payload": len(added)})
                added.append(len(added))
            except (OSError, AssertionError):
                time.sleep(0.05)

    thread = threading.Thread(target=produce)
    thread.start()
    return added, thread


def test_redis_away_and_back(redis, start):
    redis = redis(*SYNCED)
    server = start(redis, ORDERS)
    with subscriber(server) as client:
        add(redis, "in", *messages(range(20)))
        take_until(client, 19)
        wait_settled(redis, "in")
        for _ in range(2):
            redis.kill()
            consumer = wait_consumer(server, "orders", waits)
            assert consumer["last_error"].startswith("redis: ")
            client.send(b"\xc0\x00")
            assert client.packet().raw == b"\xd0\x00"
            redis.start()
            wait_consumer(server, "orders", works)
        add(redis, "in", *messages(range(20, 40)))
        assert take_until(client, 39) == list(range(20, 40))


def test_redis_hangs(redis, start):
    redis = redis()
    server = start(redis, ORDERS)
    os.kill(redis.process.pid, signal.SIGSTOP)
    wait_consumer(server, "orders", waits)
    os.kill(redis.process.pid, signal.SIGCONT)
    with subscriber(server) as client:
        add(redis, "in", *messages(range(20)))
        assert without_repetition(take_until(client, 19)) == list(range(20))


def test_redis_refuses_to_hand_over_what_others_have_read(redis, start):
    """Its own entries can be read all the while, so it is not well, and pauses grow."""
    redis = redis()
    redis.ask(("ACL", "SETUSER", "default", "-xautoclaim"))
    server = start(redis, {**ORDERS, "claim_after_s": 1}, wait=False)
    consumer = wait_consumer(server, "orders", lambda one: one["retries"] >= 5)
    assert "XAUTOCLAIM" in consumer["last_error"].upper()
    assert not any("it goes on" in line for line in server.lines)
    redis.ask(("ACL", "SETUSER", "default", "+xautoclaim"))
    with subscriber(server) as client:
        add(redis, "in", *messages(range(20)))
        assert take_until(client, 19) == list(range(20))
    wait_consumer(server, "orders", works)


def bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def too_many_entries(count):
    """The answer to XREADGROUP with more of them than were asked for."""
    one = b"*2\r\n" + bulk(b"1-1") + b"*2\r\n" + bulk(b"topic") + bulk(b"t/garbage")
    return b"*1\r\n*2\r\n" + bulk(b"in") + b"*%d\r\n" % count + one * count


@pytest.mark.threads
@pytest.mark.parametrize("garbage", [b"+OK\r\n", b":1\r\n", b"-ERR out of order\r\n", b"*1\r\n" * 100, b"%1\r\n+a\r\n+b\r\n",
                                     bytes(range(256)), too_many_entries(4)],
                         ids=["word", "number", "error", "nested", "map", "bytes", "too-many"])
def test_garbage(redis, start, garbage):
    """Something else speaks in Redis' name for once. The answer that comes afterwards is to no question that is asked then."""
    redis = redis()
    relay = Relay(redis.port)
    try:
        server = start(SimpleNamespace(url=relay.url), {**ORDERS, "batch": 3})
        with subscriber(server, "t/#") as client:
            relay.say(garbage)
            server.wait_line("consumer orders: (redis: |ERR out of order)")
            add(redis, "in", *messages(range(10), "t/x"))
            assert take_until(client, 9) == list(range(10))
        wait_settled(redis, "in")
        assert wait_consumer(server, "orders", works)["published"] == 10
    finally:
        relay.close()


@pytest.mark.parametrize("begins", ["start", "new"])
def test_redis_loses_its_data(redis, start, begins):
    """The group is made again, and begins with what was added in between."""
    redis = redis()
    server = start(redis, {**ORDERS, "from": begins})
    with subscriber(server) as client:
        for round_ in range(3):
            redis.ask(("FLUSHALL",))
            add(redis, "in", *messages(range(10 * round_, 10 * round_ + 10)))
            assert take_until(client, 10 * round_ + 9) == list(range(10 * round_, 10 * round_ + 10))
    server.wait_line("consumer orders: made the group roost of stream in")


@pytest.mark.parametrize("breaks, mends, told", [
    ([("SET", "in", "1")], [("DEL", "in")], "WRONGTYPE"),
    ([("ACL", "SETUSER", "default", "-xreadgroup")], [("ACL", "SETUSER", "default", "+@all")], "NOPERM"),
])
def test_redis_refuses(redis, start, breaks, mends, told):
    redis = redis()
    redis.ask(*breaks)
    server = start(redis, ORDERS, wait=False)
    assert told in wait_consumer(server, "orders", waits)["last_error"]
    redis.ask(*mends)
    with subscriber(server) as client:
        add(redis, "in", *messages(range(5)))
        assert take_until(client, 4) == list(range(5))
    server.wait_line("consumer orders: it goes on")


def test_dead_letters_wait_where_redis_does_not_take_them(redis, start):
    redis = redis()
    server = start(redis, ORDERS)
    add(redis, "in", {"payload": "of nothing"}, {"topic": "t", "payload": 1})
    wait_dead(redis, 1)
    wait_settled(redis, "in")
    # The stream for dead letters is no stream now: what goes there waits, is not lost, and not taken for done.
    redis.ask(("DEL", "roost:dead"), ("SET", "roost:dead", "x"))
    add(redis, "in", {"payload": "of nothing, too"})
    assert "WRONGTYPE" in wait_consumer(server, "orders", waits)["last_error"]
    assert unsettled(redis, "in")[0] == 1
    redis.ask(("DEL", "roost:dead"))
    assert wait_dead(redis, 1)[0][b"payload"] == b"of nothing, too"
    wait_settled(redis, "in")


def test_kill_9_of_redis_under_load(redis, start):
    redis = redis(*SYNCED)
    server = start(redis, {**ORDERS, "batch": 50})
    over = threading.Event()
    with subscriber(server) as client:
        added, thread = producing(redis, over)
        seen = []
        for count in (100, 250, 400):
            while len(added) < count:
                time.sleep(0.01)
            redis.kill()
            redis.start()
        over.set()
        thread.join()
        last = len(added) + 1000
        add(redis, "in", {"topic": "t/end", "payload": last})
        while not seen or seen[-1] != last:
            seen.append(int(client.take().payload))
    assert set(added) <= set(seen)


@pytest.mark.parametrize("end", ["crash", "stop"])
def test_the_gateway_ends_under_load(redis, start, end):
    """What Redis was told is done is in the gateway's store."""
    redis = redis(*SYNCED)
    roomy = {"queue_messages_max": 1000000}  # a slow machine adds many between the ends
    server = start(redis, {**ORDERS, "batch": 50}, **roomy)
    options = {"pairs": [(SESSION_EXPIRY, FOREVER)], "clean": False}
    subscriber(server, client_id="to", **options).disconnect()
    over = threading.Event()
    added, thread = producing(redis, over)
    for count in (100, 200, 300):
        while len(added) < count:
            time.sleep(0.01)
        getattr(server, end)()
        server = start(redis, {**ORDERS, "batch": 50}, **roomy)
    over.set()
    thread.join()
    wait_settled(redis, "in")
    with server.client("to", 5, **options) as client:
        seen = []
        while set(seen) != set(added):
            seen.append(int(client.take().payload))
    assert without_repetition(seen) == added
    if end == "stop":
        assert len(seen) < 2 * len(added)


def test_upgrade_under_load(redis, start):
    redis = redis()
    server = start(redis, {**ORDERS, "batch": 50})
    over = threading.Event()
    with subscriber(server, qos=1) as client:
        added, thread = producing(redis, over)
        for round_ in range(3):
            while len(added) < 100 * (round_ + 1):
                time.sleep(0.01)
            server.upgrade()
        over.set()
        thread.join()
        seen = []
        while not set(added) <= set(seen):
            seen.append(int(client.take().payload))
    assert without_repetition(seen) == added


def test_a_subscriber_that_is_slow_holds_up_nobody_else(redis, start):
    """The consumer waits for it at most as any publisher does; entries stay in Redis."""
    redis = redis()
    server = start(redis, ORDERS, queue_messages_max=100)
    slow = subscriber(server, "slow", client_id="slow", receive_buffer=4096)
    with subscriber(server, "fast") as fast:
        add(redis, "in", *[{"topic": "slow", "payload": b"." * 60000}] * 300, {"topic": "fast", "payload": "1"})
        with server.client("other", 5) as other:
            for n in range(20):
                other.hand_over("elsewhere", b"%d" % n)
        assert unsettled(redis, "in") != (0, 0)
        for _ in range(300):
            slow.take()
        assert fast.take().payload == b"1"
    slow.close()
    wait_settled(redis, "in")


def test_consumers_come_and_go(redis, start, tmp_path):
    redis = redis()
    server = start(redis, ORDERS)

    def reload(*items):
        write(tmp_path / "store", *items, redis=redis.url)
        answer = server.admin().post("/api/v1/reload")
        assert answer.status == 200, answer.text
        return answer.json["changed"]

    with subscriber(server) as client:
        assert reload({**ORDERS, "stream": "other"}, {"name": "more", "stream": "more"}) == [
            "consumers: consumer orders has changed", "consumers: consumer more is new"]
        wait_consumer(server, "more", works)
        wait_consumer(server, "orders", lambda one: works(one) and one["stream"] == "other")
        add(redis, "in", {"topic": "no", "payload": 0})
        add(redis, "other", {"topic": "t", "payload": 1})
        assert take_until(client, 1) == [1]
        add(redis, "more", {"topic": "t", "payload": 2})
        assert take_until(client, 2) == [2]
        assert reload() == ["consumers: consumer orders is gone", "consumers: consumer more is gone"]
        deadline = time.monotonic() + 10
        while server.admin().get("/api/v1/consumers").json != {"consumers": []}:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "there are no consumers" in roost("ctl", "--url", server.admin().url, "consumers").stdout


def test_round_trip_by_a_rule_and_a_consumer(redis, serve, tmp_path):
    """What a rule sends, a consumer can publish: the fields have the same names."""
    redis = redis()
    consumers_list = [{"name": "back", "stream": "s"}]
    config = write(tmp_path, *consumers_list, redis=redis.url,
                   streams=[{"name": "out", "topics": "up/#", "stream": "raw", "fields": ["topic", "payload", "qos", "retain", "properties"]}])
    server = serve("--config", config, "--admin", "http://127.0.0.1:0")
    wait_consumer(server, "back", works)
    with server.client("from", 5) as client:
        client.hand_over("up/1", b"there and back", pairs=[(CONTENT_TYPE, "t"), (USER_PROPERTY, ("a", "b"))], qos=2)
        deadline = time.monotonic() + 10
        while not (raw := redis.ask(("XRANGE", "raw", "-", "+"))[0]):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        fields = [b"down/1" if word == b"up/1" else word for word in raw[0][1]]
        client.subscribe(("down/#", 1))
        redis.ask(("XADD", "s", "*", *fields))
        message = client.take()
    assert message.payload == b"there and back"
    assert dict(message.pairs)[CONTENT_TYPE] == "t" and dict(message.pairs)[USER_PROPERTY] == ("a", "b")


@pytest.mark.parametrize("text, told", [
    ("consumers:\n  - name: a\n", ":2:5: consumers: consumer a has no stream"),
    ("consumers:\n  - name: a\n    stream: roost:dead\n", ":2:5: consumers: consumer a would read its own dead letters"),
    ("consumers:\n  - name: a\n    stream: s\n    from: middle\n", ":4:11: consumers: from: \"middle\" is neither start"),
    ("consumers:\n  - name: a\n    stream: s\n    batch: 0\n", ":4:12: consumers: batch: \"0\" is not a number from 1 to 10000"),
    ("consumers:\n  - name: a\n    stream: s\n    topics: t\n", ":4:5: consumers: topics: a consumer has no such key; it has name, stream"),
    ("consumers:\n  - {name: a, stream: s}\n  - {name: a, stream: t}\n", ":3:5: consumers: the consumer in line 2 is named a, too"),
    ("consumers:\n  - {name: a, stream: s}\n  - {name: b, stream: s, group: g}\n  - {name: c, stream: s, group: roost}\n",
     ":4:5: consumers: the consumer in line 2 reads the same stream in the same group, too"),
    ("consumers:\n  - {name: a, stream: s}\n", ":2: consumers: a consumer needs the server that the option redis names"),
])
def test_mistakes_are_told_with_their_place(tmp_path, text, told):
    path = tmp_path / "roost.yaml"
    path.write_text(text)
    ended = roost("serve", "--config", str(path))
    assert ended.returncode == 2 and told in ended.stderr
