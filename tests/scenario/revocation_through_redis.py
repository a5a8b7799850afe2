"""What is revoked in Redis: it is read at start and followed live, ends sessions and refuses sign-ins, and may be lifted;
Redis may go away and come back."""

import socket
import threading
import time

import pytest

from mqtt_wire import CONNACK, Connection, connect
from redis_server import Redis
from tokens import hs256

SECRET = b"a secret of more than thirty-two bytes"
# At the door, and of a session that is there: Banned is CONNACK's alone.
REFUSED = {"token": 0x87, "user": 0x8A, "client": 0x8A}
ENDED = {"token": 0x87, "user": 0x98, "client": 0x98}
SERVER_BUSY = {4: 3, 5: 0x89}
IN_STEP = r"redis: in step"
LOST = r"redis: .*trying again"


@pytest.fixture
def redis():
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def start(serve, redis, tmp_path):
    """A server that follows Redis, and takes tokens."""
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    secret.chmod(0o600)

    def run(*options, in_step=True):
        server = serve("--shards", "2", "--token-secret-file", str(secret), "--redis", redis.url, "--redis-rescan-s", "3600",
                       *options)
        if in_step:
            server.wait_line(IN_STEP)
        return server

    return run


def signed_in(server, name, version=5, **claims):
    return server.client(name, version, user="u", password=hs256(SECRET, **claims))


def refusal(server, name, version=5, **claims):
    """The CONNACK's code; 0: it was let in."""
    with Connection(server.address, version) as connection:
        connection.send(connect(name, version, user="u", password=hs256(SECRET, **claims)))
        return connection.expect_kind(CONNACK).reason


def wait_refusal(server, wanted, name, version=5, **claims):
    """Tries until the answer is this one: what was told to Redis is under way."""
    deadline = time.monotonic() + 20
    while (reason := refusal(server, name, version, **claims)) != wanted:
        assert time.monotonic() < deadline, f"still {reason:#x}"
        time.sleep(0.01)


@pytest.mark.threads
def test_revoked_before_start(start, redis):
    redis.write("token", "t:1 of two", 3600)
    redis.write("user", "mallory")
    redis.write("client", "c-1", 3600)
    redis.ask(("SET", "roost:revoked:planet:mars", ""), ("SET", "roost:revoked:user:", ""), ("LPUSH", "another", "1"))
    server = start()
    server.wait_line("in step, 3 revocations")
    assert refusal(server, "a", jti="t:1 of two") == REFUSED["token"]
    assert refusal(server, "b", sub="mallory") == REFUSED["user"]
    assert refusal(server, "c-1", sub="alice") == REFUSED["client"]
    assert refusal(server, "c-2", sub="alice", jti="t:1") == 0
    counters = server.counters()
    assert counters["end_token_revoked"] == counters["end_user_revoked"] == counters["end_client_revoked"] == 1
    assert counters["redis_connected"] == 1


@pytest.mark.threads
@pytest.mark.parametrize("kind, name", [("token", "t-1"), ("user", "alice"), ("client", "c-1")])
def test_revoked_live_and_lifted(start, redis, version, kind, name):
    server = start()
    with signed_in(server, "c-1", version, sub="alice", jti="t-1") as client, \
            signed_in(server, "c-2", version, sub="bob", jti="t-2") as other:
        redis.revoke(kind, name, 3600)
        client.expect_refusal(ENDED[kind])
        assert refusal(server, "c-1", sub="alice", jti="t-1") == REFUSED[kind]
        other.expect_nothing_before_ping()
        redis.lift(kind, name)
        wait_refusal(server, 0, "c-1", sub="alice", jti="t-1")
        other.expect_nothing_before_ping()


def test_ends_with_its_time(start, redis):
    server = start()
    redis.revoke("user", "alice", 2)
    wait_refusal(server, REFUSED["user"], "c-1", sub="alice")
    wait_refusal(server, 0, "c-1", sub="alice")
    assert server.counter("redis_lifted") == 0


def test_keys_alone_are_found_by_reading_again(start, redis):
    """Whoever forgets the message is heard a little later: revoked and lifted."""
    server = start("--redis-rescan-s", "1")
    with signed_in(server, "c-1", sub="alice") as client:
        redis.write("user", "alice")
        client.expect_refusal(ENDED["user"])
    redis.ask(("DEL", "roost:revoked:user:alice"))
    wait_refusal(server, 0, "c-1", sub="alice")
    server.wait_counter("redis_scans", lambda value: value >= 3)


def test_messages_that_cannot_be_read(start, redis):
    server = start()
    for channel, text in [("revoked", ""), ("revoked", "user alice"), ("revoked", "user -1 alice"), ("revoked", "user 1 "),
                          ("revoked", "planet 1 mars"), ("lifted", "user"), ("lifted", "user "), ("revoked", b"\xff\x00\xff")]:
        redis.ask(("PUBLISH", f"roost:{channel}", text))
    server.wait_counter("redis_messages_bad", 8)
    redis.revoke("user", "alice", 60)
    wait_refusal(server, REFUSED["user"], "c-1", sub="alice")


@pytest.mark.threads
def test_many_at_once(start, redis):
    """More than the log between threads holds, all at once; none is lost."""
    many = 40000
    redis.ask(*[("SET", f"roost:revoked:token:early-{number}", "", "EX", 3600) for number in range(many)])
    server = start()
    server.wait_line(f"in step, {many} revocations")
    with signed_in(server, "first", jti="late-0") as first, signed_in(server, "last", jti=f"late-{many - 1}") as last, \
            signed_in(server, "stays", jti="another") as stays:
        redis.ask(*[("PUBLISH", "roost:revoked", f"token 3600 late-{number}") for number in range(many)])
        first.expect_refusal(ENDED["token"])
        last.expect_refusal(ENDED["token"])
        stays.expect_nothing_before_ping()
    server.wait_counter("redis_revocations", 2 * many)
    assert refusal(server, "c", jti=f"early-{many // 2}") == REFUSED["token"]


@pytest.mark.threads
def test_away_and_allowed(start, redis, version):
    """What was known stays in force, others come in; what changed meanwhile is read when Redis is back."""
    redis.write("user", "mallory")
    server = start()
    with signed_in(server, "c-1", version, sub="alice") as client:
        redis.write("user", "alice")  # without a message: the server does not know
        redis.ask(("DEL", "roost:revoked:user:mallory"), ("SAVE",))
        redis.kill()
        lost = server.wait_line(LOST)
        client.expect_nothing_before_ping()
        assert refusal(server, "c-2", version, sub="bob") == 0
        assert refusal(server, "c-3", 5, sub="mallory") == REFUSED["user"]
        counters = server.counters()
        assert (counters["redis_connected"], counters["redis_losses"]) == (0, 1)
        redis.start()
        server.wait_line(IN_STEP, lost)
        client.expect_refusal(ENDED["user"])
    assert refusal(server, "c-3", 5, sub="mallory") == 0
    server.wait_counter("redis_connected", 1)


@pytest.mark.threads
def test_away_and_refused(start, redis, version):
    server = start("--redis-unavailable", "refuse")
    with signed_in(server, "c-1", version, sub="alice") as client:
        redis.kill()
        lost = server.wait_line(LOST)
        assert refusal(server, "c-2", version, sub="bob") == SERVER_BUSY[version]
        client.expect_nothing_before_ping()
        server.wait_counter("end_revocations_away", lambda ended: ended >= 1)
        redis.start()
        server.wait_line(IN_STEP, lost)
        assert refusal(server, "c-2", version, sub="bob") == 0
        client.expect_nothing_before_ping()


def test_away_at_start(start, redis, version):
    redis.write("user", "mallory")
    redis.ask(("SAVE",))
    redis.kill()
    server = start("--redis-unavailable", "refuse", in_step=False)
    assert refusal(server, "c", version, sub="bob") == SERVER_BUSY[version]
    redis.start()
    server.wait_line(IN_STEP)
    assert refusal(server, "c", version, sub="bob") == 0
    assert refusal(server, "c", 5, sub="mallory") == REFUSED["user"]


def test_lost_is_logged_once(start, redis):
    server = start()
    redis.kill()
    lost = server.wait_line(LOST)
    server.wait_line("Connection refused.*trying again", lost)
    redis.start()
    server.wait_line(IN_STEP, lost)
    lines = [line for line in server.lines[lost:] if "redis:" in line]
    assert len(lines) <= 3, lines


class Pretender:
    """Something that listens where Redis should, and says the same to everyone."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}"
        self.answer = answer
        self.taken = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
                self.taken.append(connection)
                connection.sendall(self.answer)
            except OSError:
                return

    def close(self):
        self.listener.close()
        for connection in self.taken:
            connection.close()


@pytest.mark.parametrize("answer, told", [
    (b"", "no answer in"), (b"-LOADING Redis is loading the dataset in memory\r\n", "LOADING"), (b"HTTP/1.1 400 Bad\r\n", "rotocol"),
    (b"*3\r\n$9\r\nsubscribe\r\n$13\r\nroost:revoked\r\n:1\r\n" * 2, "no page"), (b"*1\r\n:1\r\n", "no message"),
], ids=["hangs", "error", "garbage", "wrong answers", "no message"])
def test_not_a_redis_that_works(serve, answer, told):
    pretender = Pretender(answer)
    server = serve("--redis", pretender.url, "--redis-unavailable", "refuse")
    server.wait_line(f"redis: .*{told}.*trying again")
    with Connection(server.address, 5) as connection:
        connection.send(connect("c", 5))
        assert connection.expect_kind(CONNACK).reason == SERVER_BUSY[5]
    pretender.close()


def test_password_and_database(serve):
    redis = Redis("--requirepass", "p@ss/word")
    redis.ask(("AUTH", "p@ss/word"), ("SELECT", "3"), ("SET", "roost:revoked:client:c-1", ""))
    where = redis.url.split("//")[1]
    wrong = serve("--redis", f"redis://:nonsense@{where}/3")
    wrong.wait_line("redis: .*WRONGPASS")
    server = serve("--redis", f"redis://:p%40ss%2Fword@{where}/3", "--anonymous", "always")
    server.wait_line("in step, 1 revocations")
    assert not any("p@ss" in line or "nonsense" in line for line in server.lines + wrong.lines)
    redis.close()


def test_unix_socket(serve, tmp_path):
    redis = Redis("--unixsocket", str(tmp_path / "redis.sock"))
    redis.write("client", "c-1")
    server = serve("--redis", f"unix://{tmp_path}/redis.sock")
    server.wait_line("in step, 1 revocations")
    redis.close()
