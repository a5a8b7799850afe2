"""An HTTP server is asked who is let in: what it hears, what its answers do, how long they are kept, and what happens when it
does not answer, or otherwise than agreed."""

import hashlib
import hmac
import ssl

import certificates
import pytest
import transports

from mqtt_wire import CONNACK, Connection, connect
from redis_users import BAD, answer, wait_answer
from sign_in_server import SignInServer
from tokens import password_line, private_file, secret_file, token

UNAVAILABLE = {4: 3, 5: 0x88}
STORM = 2000


def knows(question):
    """As a small service would: one user, one password."""
    good = question.get("username") == "alice" and question.get("password") == "secret"
    return {"result": "allow"} if good else {"result": "deny"}


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    opened = SignInServer(knows)
    yield opened
    opened.close()


@pytest.fixture
def start(serve, site, tmp_path):
    def run(*options, url=None):
        return serve("--shards", "2", "--auth-http", url or site.url, "--token-secret-file", secret_file(tmp_path), *options)

    return run


def test_right_and_wrong_passwords(start, site, version):
    server = start()
    for _ in range(2):
        assert answer(server, "alice", version=version) == 0
        assert answer(server, "alice", "wrong", version=version) == BAD[version]
        assert answer(server, "bob", version=version) == BAD[version]
    assert len(site.questions) == 3
    assert answer(server, "", token(), version=version) == 0
    assert len(site.questions) == 3
    counters = server.counters()
    assert counters["authority_hits"] == counters["authority_misses"] == counters["authority_asked"] == 3
    assert counters["authority_connected"] == 1


@pytest.mark.transports("tcp", "tls", "ws", "wss")
def test_what_it_hears(start, site, version, transport):
    server = start()
    with Connection(server.address, version) as connection:
        connection.send(connect("sensor-1", version, user="alice", password="secret"))
        assert connection.expect_kind(CONNACK).reason == 0
    headers, question = site.questions[0]
    assert headers["Content-Type"] == "application/json"
    assert question == {"client_id": "sensor-1", "username": "alice", "password": "secret", "address": "127.0.0.1",
                        "transport": transport, "version": version}
    assert site.paths == ["/sign-in"]


def test_a_password_that_is_no_text(start, site):
    server = start()
    assert answer(server, "alice", b"\xff\x00") == BAD[5]
    assert site.questions[0][1]["password_base64"] == "/wA="


def test_the_certificate_of_a_client(serve, site, version):
    ca = certificates.authority().file
    server = serve("--auth-http", site.url, "--tls-client-certificates", "optional", "--tls-client-ca-file", ca,
                   *certificates.server_options(), transport="tls")
    address = server.over("tls", transports.Tls(identity=certificates.client("sensor-17")))
    with Connection(address, version) as connection:
        connection.send(connect("c", version, user="alice", password="secret"))
        assert connection.expect_kind(CONNACK).reason == 0
    assert "sensor-17" in site.questions[0][1]["certificate"]


def test_rights_and_the_name(start, site, version):
    site.decide = lambda _: {"result": "allow", "user": "bob", "permissions": {"publish": ["u/%u"], "subscribe": ["#"]}}
    server = start()
    with server.client("c", version, user="alice", password="secret") as client:
        client.subscribe("#")
        client.publish("u/alice")
        client.publish("u/bob")
        assert client.message().topic == "u/bob"
    assert server.counter("messages_denied") == 1


def test_how_long_it_is_kept(start, site, version):
    site.decide = lambda _: {"result": "allow", "ttl_s": 0}
    server = start()
    for count in (1, 2):
        assert answer(server, "alice", version=version) == 0
        assert len(site.questions) == count
    site.decide = lambda _: {"result": "deny", "ttl_s": 0}
    for count in (3, 4):
        assert answer(server, "alice", version=version) == BAD[version]
        assert len(site.questions) == count
    assert server.counter("authority_entries") == 0


def test_the_end_of_a_session(start, site, version):
    site.decide = lambda _: {"result": "allow", "expires_s": 1000000000}
    server = start()
    assert answer(server, "alice", version=version) == {4: 5, 5: 0x87}[version]


@pytest.mark.parametrize("status", [401, 403])
def test_statuses_that_refuse(start, site, version, status):
    site.decide = lambda _: (status, {}, b"whatever")
    server = start()
    for _ in range(2):
        assert answer(server, "alice", version=version) == BAD[version]
    assert len(site.questions) == 1


def test_the_password_file_goes_first(start, site, version, tmp_path):
    server = start("--password-file", private_file(tmp_path / "passwords", password_line("alice", "of the file")))
    assert answer(server, "alice", "of the file", version) == 0
    assert answer(server, "alice", "secret", version) == BAD[version]
    assert not site.questions


def test_it_knows_who_asks(start, site, tmp_path):
    server = start("--auth-http-token-file", private_file(tmp_path / "token", "abc.def\n"),
                   "--auth-http-secret-file", private_file(tmp_path / "key", "a shared secret\n"))
    assert answer(server, "alice") == 0
    headers = site.questions[0][0]
    assert headers["Authorization"] == "Bearer abc.def"
    at, tag = (part.split("=")[1] for part in headers["Roost-Signature"].split(","))
    assert tag == hmac.new(b"a shared secret", at.encode() + b"." + site.bodies[0], hashlib.sha256).hexdigest()


FAULTS = {
    "silence": ("silence", r"[Tt]imed? ?out|Operation"),
    "close": ("close", r"sign-in: "),
    "cut": ("cut", r"sign-in: "),
    "flood": ("flood", r"sign-in: .*(larg|exceed|long)"),
    "500": ((500, {}, b"{}"), r"status is 500"),
    "204": ((204, {}, b""), r"status is 204"),
    "redirect": ((302, {"Location": "/elsewhere"}, b'{"result":"allow"}'), r"status is 302, and redirects are not followed"),
    "html": ((200, {}, b"<html>"), r"cannot be read: it is no JSON"),
    "empty": ((200, {}, b""), r"cannot be read: it is no JSON"),
    "no result": ({}, r"cannot be read: result: is missing"),
    "slip": ({"result": "allow", "permission": {}}, r"cannot be read: permission: there is no such member"),
    "rights": ({"result": "allow", "permissions": {"publsih": []}}, r"cannot be read: permissions: are"),
}


@pytest.mark.threads
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_answer(start, site, version, fault):
    """Nobody is let in by it, and nobody else waits; nothing of it is kept."""
    says, words = FAULTS[fault]
    server = start("--auth-http-timeout-ms", "1000")
    with server.client("stays", version, user="", password=token()) as stays:
        site.decide = lambda _: says
        assert answer(server, "alice", version=version) == UNAVAILABLE[version]
        stays.expect_nothing_before_ping()
        server.wait_line(words)
        site.decide = knows
        assert answer(server, "alice", version=version) == 0
        server.wait_line("answers again")
        stays.expect_nothing_before_ping()
    assert not any("elsewhere" in path for path in site.paths)
    assert server.counter("authority_failed") == 1


@pytest.mark.threads
def test_it_is_not_there(start, site, version):
    site.close()
    server = start()
    assert answer(server, "alice", version=version) == UNAVAILABLE[version]
    assert answer(server, "", token(), version=version) == 0
    site.open()
    assert answer(server, "alice", version=version) == 0


def test_what_is_kept_may_do_for_a_time(start, site, version):
    server = start("--auth-cache-s", "0", "--auth-stale-s", "3600")
    assert answer(server, "alice", version=version) == 0
    site.decide = lambda _: {"result": "allow", "ttl_s": 1}
    assert answer(server, "carol", version=version) == 0
    site.decide = lambda _: (500, {}, b"")
    # Of alice nothing was kept at all.
    assert answer(server, "alice", version=version) == UNAVAILABLE[version]
    for _ in range(3):
        assert answer(server, "carol", version=version) == 0


@pytest.mark.threads
def test_many_while_it_is_silent(start, site, version):
    """After some who waited for nothing the others are refused at once, until it answers again."""
    server = start("--auth-http-timeout-ms", "1000")
    site.decide = lambda _: "silence"
    with server.client("stays", version, user="", password=token()) as stays:
        coming = []
        for number in range(STORM // 4):
            coming.append(Connection(server.address, version))
            coming[-1].send(connect(f"c{number}", version, user=f"u{number}", password="secret"))
        stays.expect_nothing_before_ping()
        assert {connection.expect_kind(CONNACK).reason for connection in coming} == {UNAVAILABLE[version]}
        stays.expect_nothing_before_ping()
        for connection in coming:
            connection.close()
    site.decide = knows
    site.wake.set()
    wait_answer(server, 0, "alice", version=version)


@pytest.mark.threads
def test_many_with_different_users(start, site, version):
    site.decide = lambda question: {"result": "allow"} if question["password"] == "secret" else {"result": "deny"}
    server = start("--auth-http-timeout-ms", "60000", "--connect-timeout-ms", "60000")
    coming = []
    with server.client("stays", version, user="", password=token()) as stays:
        for number in range(STORM):
            coming.append(Connection(server.address, version))
            coming[-1].send(connect(f"c{number}", version, user=f"u{number}", password="secret"))
        stays.expect_nothing_before_ping()
        assert {connection.expect_kind(CONNACK).reason for connection in coming} == {0}
    for connection in coming:
        connection.close()
    assert len(site.questions) == STORM


@pytest.mark.threads
def test_many_with_the_same_question(start, site, version):
    server = start("--auth-http-timeout-ms", "60000", "--connect-timeout-ms", "60000")

    def late(question):
        site.wake.wait(20)
        return knows(question)

    site.decide = late
    coming = []
    for _ in range(STORM // 4):
        coming.append(Connection(server.address, version))
        coming[-1].send(connect("c", version, user="alice", password="secret"))
    server.wait_counter("authority_waiting", STORM // 4)
    site.wake.set()
    assert {connection.expect_kind(CONNACK).reason for connection in coming} == {0}
    assert len(site.questions) == 1
    for connection in coming:
        connection.close()


@pytest.mark.threads
def test_an_upgrade_goes_on(start, site, version):
    server = start()
    with server.client("a", version, user="alice", password="secret") as alice:
        for _ in range(2):
            server.upgrade()
            alice.expect_nothing_before_ping()
            assert answer(server, "alice", version=version) == 0
    assert len(site.questions) == 3  # each program asks for itself


def test_over_tls(start, monkeypatch, version):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    identity = certificates.authority().server("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.chain, identity.key)
    site = SignInServer(knows, tls=context)
    try:
        trusting = start("--auth-http-ca-file", certificates.authority().file, url=site.url)
        assert answer(trusting, "alice", version=version) == 0
        stranger = start("--auth-http-ca-file", certificates.stranger().file, url=site.url)
        assert answer(stranger, "alice", version=version) == UNAVAILABLE[version]
        stranger.wait_line(r"sign-in: .*certificate")
    finally:
        site.close()


def test_options_that_do_not_fit(tmp_path):
    from server import roost
    url = ["--auth-http", "http://127.0.0.1:1/"]
    open_file = tmp_path / "open"
    open_file.write_text("x")
    open_file.chmod(0o644)
    for arguments, words in ((["--auth-http", "ftp://x/"], "--auth-http: ftp://x/ begins neither"),
                             ([*url, "--auth-redis", "a:{user}", "--redis", "redis://x"], "there or in Redis"),
                             (["--auth-http-token-file", "/x"], "auth-http-token-file: is for the server"),
                             ([*url, "--auth-http-token-file", "/nowhere"], "/nowhere: "),
                             ([*url, "--auth-http-ca-file", "/nowhere"], "/nowhere: "),
                             ([*url, "--auth-http-secret-file", str(open_file)], f"{open_file}: "),
                             ([*url, "--auth-http-token-file", private_file(tmp_path / "two", "a b\n")], "one line without blanks")):
        result = roost("serve", "--listen", "tcp://127.0.0.1:0", *arguments)
        assert result.returncode == 2 and words in result.stderr, result.stderr
