"""Redis over TLS (rediss://): it is followed as without, its certificate and its name are checked, ours is shown to it, and
what does not fit is told in a sentence and counted."""

import os
import re
import shutil
import signal

import pytest

import certificates
from mqtt_wire import CONNACK, Connection, connect
from redis_server import TlsRedis, free_port
from server import roost

BANNED = 0x8A
IN_STEP = r"redis: in step"
LOST = r"redis: .*trying again"
CA = ("--redis-ca-file", certificates.authority().file)


@pytest.fixture
def redis():
    opened = []

    def run(*arguments, **options):
        opened.append(TlsRedis(*arguments, **options))
        return opened[-1]

    yield run
    for server in opened:
        server.close()


def follow(serve, server, *options):
    return serve("--shards", "2", "--redis", server.url, "--redis-rescan-s", "3600", *(options or CA))


def answer(server, name):
    """The CONNACK's code."""
    with Connection(server.address, 5) as connection:
        connection.send(connect(name, 5))
        return connection.expect_kind(CONNACK).reason


def check_live(server, redis):
    with server.client("live", 5) as live:
        redis.revoke("client", "live", 60)
        live.expect_refusal(0x98)
        redis.lift("client", "live")
        server.wait_counter("redis_lifted", lambda value: value >= 1)


@pytest.mark.threads
@pytest.mark.parametrize("protocols", ["TLSv1.2", "TLSv1.3"])
def test_read_at_the_start_and_followed(serve, redis, protocols):
    redis = redis(None, "--tls-protocols", protocols)
    redis.write("client", "mallory")
    server = follow(serve, redis)
    server.wait_line("in step, 1 revocations")
    assert answer(server, "mallory") == BANNED
    check_live(server, redis)
    counters = server.counters()
    assert counters["redis_connected"] == 1 and counters["redis_tls_failures"] == 0


@pytest.mark.threads
def test_many_keys_and_messages(serve, redis):
    """Answers of many records, and several in one."""
    redis, many = redis(), 20000
    redis.ask(*[("SET", f"roost:revoked:token:early-{number}", "", "EX", 3600) for number in range(many)])
    server = follow(serve, redis)
    server.wait_line(f"in step, {many} revocations")
    redis.ask(*[("PUBLISH", "roost:revoked", f"token 3600 late-{number}") for number in range(many)])
    server.wait_counter("redis_revocations", 2 * many)
    assert server.counter("redis_losses") == 0


@pytest.mark.threads
def test_cut_and_hung(serve, redis):
    redis = redis()
    redis.write("client", "mallory")
    server = follow(serve, redis)
    server.wait_line(IN_STEP)
    redis.drop_clients()
    lost = server.wait_line(LOST)
    server.wait_line(IN_STEP, lost)
    os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        hung = server.wait_line("redis: .*no answer in.*trying again|redis: .*does not go on with the TLS handshake", lost)
        assert answer(server, "mallory") == BANNED
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)
    server.wait_line(IN_STEP, hung)
    check_live(server, redis)


@pytest.mark.threads
def test_away_and_back(serve, redis):
    redis = redis()
    server = follow(serve, redis)
    server.wait_line(IN_STEP)
    redis.kill()
    lost = server.wait_line(LOST)
    redis.start()
    server.wait_line(IN_STEP, lost)
    check_live(server, redis)


def test_certificate_renewed_at_redis(serve, redis):
    """Its new one counts from the next connection on; while it is one that nobody trusts, Redis is away."""
    redis = redis()
    server = follow(serve, redis)
    server.wait_line(IN_STEP)
    redis.renew(certificates.stranger().server())
    redis.drop_clients()
    lost = server.wait_line("redis: .*TLS: .*certificate.*trying again")
    assert server.counter("redis_connected") == 0
    redis.renew(certificates.authority().server())
    server.wait_line(IN_STEP, lost)
    check_live(server, redis)


def test_authority_renewed_on_disk(serve, redis, tmp_path):
    """The file is read for each connection: no reload is needed."""
    redis, file = redis(certificates.stranger().server()), tmp_path / "ca.pem"
    shutil.copy(certificates.authority().file, file)
    server = follow(serve, redis, "--redis-ca-file", str(file))
    told = server.wait_line("redis: .*TLS: .*trying again")
    assert server.counter("redis_tls_failures") >= 1
    shutil.copy(certificates.stranger().file, tmp_path / "fresh")
    (tmp_path / "fresh").rename(file)
    server.wait_line(IN_STEP, told)


@pytest.mark.parametrize("identity, told", [
    (lambda: certificates.stranger().server(), "TLS: .*(issuer|self-signed)"),
    (lambda: certificates.authority().server("redis.example.org"), r'TLS: .*"127\.0\.0\.1"'),
    (lambda: certificates.authority().server(begins=-20 * certificates.DAY, ends=-certificates.DAY), "TLS: .*expired"),
    (lambda: certificates.authority().server(begins=certificates.DAY), "TLS: .*not yet valid"),
], ids=["unknown authority", "another's name", "expired", "not yet valid"])
def test_certificate_that_is_refused(serve, redis, identity, told):
    server = follow(serve, redis(identity()))
    server.wait_line(f"redis: .*{told}.*trying again")
    server.wait_counter("redis_tls_failures", lambda value: value >= 1)
    assert server.counter("redis_connected") == 0


def test_name_that_is_not_the_url_s(serve, redis):
    redis = redis(certificates.authority().server("redis.example.org"))
    server = follow(serve, redis, *CA, "--redis-tls-name", "redis.example.org")
    server.wait_line(IN_STEP)


def test_certificate_of_ours(serve, redis):
    redis, ours = redis(asks_clients=True), certificates.client("roost")
    without = follow(serve, redis)
    without.wait_line("redis: .*TLS: .*alert.*trying again")
    without.wait_counter("redis_tls_failures", lambda value: value >= 1)
    follow(serve, redis, *CA, "--redis-tls-certificate", ours.chain, "--redis-tls-key", ours.key).wait_line(IN_STEP)


def test_plain_redis_where_tls_is_expected(serve, redis):
    redis = redis()
    redis.url = f"rediss://127.0.0.1:{redis.port}"
    server = follow(serve, redis)
    server.wait_line("redis: .*TLS: .*trying again")
    server.wait_counter("redis_tls_failures", lambda value: value >= 1)


@pytest.mark.parametrize("url, options, told", [
    ("rediss", ("--redis-ca-file", "/nowhere/ca.pem"), "/nowhere/ca.pem: .*No such file"),
    ("rediss", ("--redis-ca-file", "/dev/null"), "/dev/null: the file is empty"),
    ("redis", CA, "begins with rediss://"),
    ("redis+cluster", CA, "rediss.cluster://"),
    ("rediss", (*CA, "--redis-tls-key", "/nowhere/key"), "key of a --redis-tls-certificate"),
    ("rediss", (*CA, "--redis-tls-certificate", certificates.client("a").chain, "--redis-tls-key", certificates.server("rsa").key),
     "key"),
])
def test_options_that_do_not_fit(url, options, told):
    answer = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "off", "--redis", f"{url}://127.0.0.1:{free_port()}",
                   *options)
    assert answer.returncode == 2
    assert re.search(told, answer.stderr), answer.stderr
