"""Users whose records are in Redis: who comes in, with which rights, what is kept of them, and how a change counts at once."""

import json

import pytest

from redis_server import Redis
from redis_users import BAD, answer, put, wait_answer
from tokens import password_line, private_file, secret_file, token

NOT_AUTHORIZED = {4: 5, 5: 0x87}
CONNECTED = r"redis: users: connected, and told of changes"


@pytest.fixture
def redis():
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def start(serve, redis):
    def run(*options, key="roost:user:{user}", line=CONNECTED):
        server = serve("--shards", "2", "--redis", redis.url, "--auth-redis", key, "--redis-rescan-s", "3600", *options)
        server.wait_line(line)
        return server

    return run


def test_right_and_wrong_passwords(start, redis, version):
    put(redis, "alice")
    server = start()
    for _ in range(3):
        assert answer(server, "alice", version=version) == 0
    assert answer(server, "alice", "Secret", version=version) == BAD[version]
    assert answer(server, "bob", version=version) == BAD[version]
    assert answer(server, "bob", version=version) == BAD[version]
    counters = server.counters()
    # Each user was asked for once, and the right password hashed once.
    assert counters["authority_asked"] == 2 and counters["authority_entries"] == 2
    assert counters["authority_misses"] == 2 and counters["authority_hits"] == 4
    assert counters["passwords_hashed"] == 4


def test_a_client_without_a_user_name(start, version):
    server = start()
    assert answer(server, None, None, version=version) == NOT_AUTHORIZED[version]
    assert answer(server, "", version=version) == BAD[version]
    assert server.counter("authority_asked") == 0


def test_tokens_and_the_password_file_go_first(start, redis, version, tmp_path):
    put(redis, "alice", "of redis")
    put(redis, "bob", "of redis")
    server = start("--token-secret-file", secret_file(tmp_path),
                   "--password-file", private_file(tmp_path / "passwords", password_line("alice", "of the file")))
    assert answer(server, "alice", "of redis", version) == BAD[version]
    assert answer(server, "alice", "of the file", version) == 0
    assert answer(server, "", token(), version) == 0
    assert server.counter("authority_asked") == 0
    assert answer(server, "bob", "of redis", version) == 0


def test_permissions_hold(start, redis, version):
    put(redis, "alice", permissions=json.dumps({"publish": ["a/%u"], "subscribe": ["a/+", "b/%c"]}))
    server = start()
    with server.client("c", version, user="alice", password="secret") as client:
        assert client.subscribe("a/+", "b/c", "b/d", "#") == [0, 0, *([0x87] * 2 if version == 5 else [0x80] * 2)]
        client.publish("a/alice", b"may")
        assert client.message().topic == "a/alice"
        client.publish("a/bob", b"may not")
        client.expect_nothing_before_ping()
    assert server.counter("messages_denied") == 1


def test_keys_of_clients(start, redis, version):
    put(redis, "meter-7", key="meter", permissions=json.dumps({"publish": ["%u/%c"], "subscribe": ["#"]}))
    server = start(key="meter:{client}")
    with server.client("meter-7", version, user="whoever", password="secret") as client:
        client.subscribe("#")
        client.publish("meter-7/meter-7")
        assert client.message().topic == "meter-7/meter-7"
    assert answer(server, "whoever", version=version, client="meter-8") == BAD[version]


def test_a_disabled_user_loses_his_sessions(start, redis, version):
    put(redis, "alice")
    put(redis, "bob")
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice, \
            server.client("b", version, user="bob", password="secret") as bob:
        put(redis, "alice", disabled="1")
        alice.expect_refusal(0x98) if version == 5 else alice.expect_close()
        bob.expect_nothing_before_ping()
        assert answer(server, "alice", version=version) == NOT_AUTHORIZED[version]
        assert answer(server, "alice", "wrong", version=version) == BAD[version]
        put(redis, "alice", disabled="0")
        wait_answer(server, 0, "alice", version=version)


def test_a_password_that_was_changed(start, redis, version):
    put(redis, "alice")
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice:
        put(redis, "alice", "other")
        wait_answer(server, 0, "alice", "other", version=version)
        assert answer(server, "alice", version=version) == BAD[version]
        alice.expect_nothing_before_ping()  # only who is disabled has to go
    redis.ask(("DEL", "roost:user:alice"))
    wait_answer(server, BAD[version], "alice", "other", version=version)


def test_a_user_who_is_new(start, redis, version):
    server = start("--auth-cache-denied-s", "3600")
    assert answer(server, "alice", version=version) == BAD[version]
    put(redis, "alice")
    wait_answer(server, 0, "alice", version=version)


def test_flushall(start, redis, version):
    put(redis, "alice")
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice:
        redis.ask(("FLUSHALL",))
        server.wait_line(r"redis: users: all keys are gone")
        assert answer(server, "alice", version=version) == BAD[version]
        alice.expect_nothing_before_ping()


def test_times(start, redis, version):
    put(redis, "over", expires_s="1000000000")
    put(redis, "later", expires_s="4000000000")
    server = start()
    assert answer(server, "over", version=version) == NOT_AUTHORIZED[version]
    assert answer(server, "later", version=version) == 0


@pytest.mark.parametrize("fields, words", [
    ({"permissions": "{"}, r"roost:user:eve: permissions: are no JSON"),
    ({"permissions": '{"publsih": []}'}, r"roost:user:eve: permissions: are \{\"publish\""),
    ({"password": "secret"}, r"roost:user:eve: password: the hash is neither"),
    ({"disabled": "maybe"}, r"roost:user:eve: disabled: is neither"),
    ({"expires_s": "soon"}, r"roost:user:eve: expires_s: is no time"),
])
def test_records_that_cannot_be_read(start, redis, version, fields, words):
    put(redis, "eve", **fields)
    server = start()
    assert answer(server, "eve", version=version) == BAD[version]
    server.wait_line(words)
    server.wait_counter("authority_bad", 1)


def test_a_key_of_another_type(start, redis, version):
    redis.ask(("SET", "roost:user:eve", "1"))
    server = start()
    assert answer(server, "eve", version=version) == BAD[version]
    server.wait_line(r"roost:user:eve: is no hash")
    put(redis, "alice")
    assert answer(server, "alice", version=version) == 0


def test_a_redis_that_cannot_tell_of_changes(serve, redis, version):
    """As Redis 5, and with a user who may not have it told."""
    redis.ask(("ACL", "SETUSER", "roost", "on", ">pw", "~roost:*", "&*", "+@all", "-client|tracking"))
    put(redis, "alice")
    put(redis, "bob")
    server = serve("--redis", redis.url.replace("//", "//roost:pw@"), "--auth-redis", "roost:user:{user}", "--auth-cache-s", "3600")
    server.wait_line(r"not told of changes \(NOPERM .*good until its time is up")
    assert answer(server, "alice", version=version) == 0
    put(redis, "alice", "other")
    put(redis, "bob", "other")
    assert answer(server, "bob", "other", version=version) == 0
    assert answer(server, "alice", version=version) == 0
    assert server.counter("authority_follows") == 0


@pytest.mark.threads
def test_an_upgrade_goes_on(start, redis, version):
    put(redis, "alice")
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice:
        server.upgrade()
        alice.expect_nothing_before_ping()
        assert answer(server, "alice", version=version) == 0
        put(redis, "alice", disabled="1")
        alice.expect_refusal(0x98) if version == 5 else alice.expect_close()


@pytest.mark.parametrize("tables", [[], ["--no-private-tables"]], ids=["private", "shared"])
def test_an_upgrade_leaves_no_connection_behind(start, redis, tables):
    """Redis would go on telling of changes there."""
    server = start(*tables)
    server.wait_line(r"redis: in step")

    def connections():
        return len(redis.ask(("CLIENT", "LIST"))[0].splitlines())

    before = connections()
    for _ in range(2):
        since = len(server.lines)
        server.upgrade()
        server.wait_line(CONNECTED, since)
        server.wait_line(r"redis: in step", since)
    assert connections() <= before


def test_options_that_do_not_fit():
    from server import roost
    for arguments, words in ((["--auth-redis", "roost:user:{user}"], "auth-redis: users are looked up"),
                             (["--auth-redis", "roost:user", "--redis", "redis://x"], "it has neither {user} nor {client}"),
                             (["--auth-redis", "{user}", "--redis", "redis://x"], "something has to stand in front"),
                             (["--auth-redis", "a{user}{client}", "--redis", "redis://x"], "more than one")):
        result = roost("serve", "--listen", "tcp://127.0.0.1:0", *arguments)
        assert result.returncode == 2 and words in result.stderr, result.stderr


def test_how_much_is_known_is_shown(start, redis):
    put(redis, "alice")
    server = start("--admin", "http://127.0.0.1:0")
    admin = server.admin()
    before = admin.get("/api/v1/stats").json["authority"]
    assert before == {"asks": "redis", "connected": True, "follows": True, "waiting": 0, "entries": 0, "hit_rate": None}
    for _ in range(4):
        assert answer(server, "alice") == 0
    server.wait_counter("authority_entries", 1)
    after = admin.get("/api/v1/stats").json["authority"]
    assert after["entries"] == 1 and after["hit_rate"] == 0.75


def test_the_rights_that_it_needs_in_redis(serve, redis, version):
    """As docs/SIGN_IN.md has them, beside those for revocations."""
    redis.ask(("ACL", "SETUSER", "roost", "on", ">pw", "%R~roost:*", "resetchannels", "&roost:revoked", "&roost:lifted",
               "&__redis__:invalidate", "+scan", "+pttl", "+subscribe", "+ping", "+hmget", "+client|id", "+client|tracking"))
    put(redis, "alice")
    server = serve("--redis", redis.url.replace("//", "//roost:pw@"), "--auth-redis", "roost:user:{user}")
    server.wait_line(CONNECTED)
    server.wait_line(r"redis: in step")
    assert answer(server, "alice", version=version) == 0
    put(redis, "alice", "other")
    wait_answer(server, 0, "alice", "other", version=version)


def test_the_command_that_makes_hashes(start, redis, version):
    from server import roost
    made = roost("passwd", "--print", input="secret\n").stdout.strip()
    redis.ask(("HSET", "roost:user:alice", "password", made))
    server = start()
    assert answer(server, "alice", version=version) == 0
    assert answer(server, "alice", "other", version=version) == BAD[version]
