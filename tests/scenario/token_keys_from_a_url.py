"""Keys of tokens that are fetched from a URL: they are rotated there, and the URL may be down."""

import datetime
import http.server
import ipaddress
import os
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mqtt_wire import CONNACK, Connection, connect
from tokens import hs256, jwk_set

OLD, NEW = b"the old secret is thirty-two bytes", b"the new secret is thirty-two bytes"
BAD = 0x86  # bad user name or password


class Site:
    """An HTTP server with one document."""

    def __init__(self, body, tls=None, **headers):
        self.body, self.headers, self.status = body, headers, 200
        self.tls = tls
        self.requests = []  # the ETag that each asked for
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                known = self.headers.get("If-None-Match")
                site.requests.append(known)
                fresh = known is not None and known == site.headers.get("ETag")
                self.send_response(304 if fresh else site.status)
                for name, value in site.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                body = b"" if fresh else site.body
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.handler = Handler
        self.port = 0
        self.open()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/keys.json"

    def open(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    opened = Site(jwk_set(old=OLD))
    yield opened
    opened.close()


@pytest.fixture
def start(serve, site):
    def run(*options, fetched=True):
        server = serve("--shards", "2", "--anonymous", "never", "--token-jwks-url", site.url, "--token-jwks-cooldown-s", "1",
                       *options)
        if fetched:
            server.wait_line("fetched keys are in use")
        return server

    return run


def refusal(server, secret, kid, version=5):
    """The CONNACK's code; 0: it was let in."""
    with Connection(server.address, version) as connection:
        connection.send(connect("c", version, user="u", password=hs256(secret, kid, sub="alice")))
        return connection.expect_kind(CONNACK).reason


def wait_admission(server, secret, kid):
    deadline = time.monotonic() + 20
    while (reason := refusal(server, secret, kid)) != 0:
        assert time.monotonic() < deadline, f"still {reason:#x}"
        time.sleep(0.05)


@pytest.mark.threads
def test_rotation(start, site):
    """A token with a key that nobody knows makes the server ask again."""
    server = start()
    assert refusal(server, OLD, "old") == 0
    assert refusal(server, NEW, "old") == BAD
    site.body = jwk_set(old=OLD, new=NEW)
    assert refusal(server, NEW, "new") == BAD
    wait_admission(server, NEW, "new")
    assert refusal(server, OLD, "old") == 0
    site.body = jwk_set(new=NEW)
    assert refusal(server, NEW, "newest") == BAD
    deadline = time.monotonic() + 20
    while refusal(server, OLD, "old") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.counter("jwks_failures") == 0


def test_unknown_keys_ask_no_more_often_than_allowed(start, site):
    server = start("--token-jwks-cooldown-s", "3600")
    for number in range(200):
        assert refusal(server, NEW, f"new-{number}") == BAD
    server.wait_counter("jwks_fetches", 1)
    assert len(site.requests) == 1


@pytest.mark.threads
def test_url_is_down(start, site):
    """The keys that were there stay in use, and those of its return are taken."""
    server = start()
    site.close()
    assert refusal(server, NEW, "new") == BAD
    down = server.wait_line("keys fetched before stay in use")
    assert refusal(server, OLD, "old") == 0
    site.body = jwk_set(old=OLD, new=NEW)
    site.open()
    server.wait_line("answers again", down)
    wait_admission(server, NEW, "new")


def test_url_is_down_at_start(start, site):
    site.close()
    server = start(fetched=False)
    server.wait_line("keys fetched before stay in use")
    assert refusal(server, OLD, "old") == BAD
    site.open()
    wait_admission(server, OLD, "old")


@pytest.mark.parametrize("status, body, told", [
    (200, b"<html>", "keys fetched before stay in use"), (200, b'{"keys": []}', "the set has no usable key"),
    (200, b" " * (1 << 20) + b"{}", "larger than a key set may be"), (404, b"", "status is 404"), (302, b"", "status is 302"),
], ids=["no JSON", "no keys", "too large", "not there", "elsewhere"])
def test_answer_is_no_key_set(start, site, status, body, told):
    server = start()
    site.status, site.body = status, body
    assert refusal(server, NEW, "new") == BAD
    server.wait_line(told)
    assert refusal(server, OLD, "old") == 0
    server.wait_counter("jwks_failures", lambda value: value >= 1)


def test_etag_saves_the_transfer(start, site):
    site.headers = {"ETag": '"first"', "Cache_Control": "public, max-age=3600"}
    server = start("--token-jwks-refresh-s", "1")
    server.wait_counter("jwks_fetches", lambda value: value >= 3)
    assert site.requests[0] is None and set(site.requests[1:]) == {'"first"'}
    site.body, site.headers = jwk_set(new=NEW), {"ETag": '"second"'}
    wait_admission(server, NEW, "new")
    assert server.counter("jwks_failures") == 0


def test_hanging_url_does_not_hold_up_the_end(serve, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    import socket
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = serve("--token-jwks-url", f"https://127.0.0.1:{listener.getsockname()[1]}/")
        listener.accept()
        assert server.stop() < 5


@pytest.fixture
def certificate(tmp_path):
    """A file with a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's site")])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256()))
    file = tmp_path / "site.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return file


def test_https(serve, certificate, monkeypatch):
    """The certificate is checked: against the file that is named, or what the system trusts."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    site = Site(jwk_set(old=OLD), tls)
    options = ["--anonymous", "never", "--token-jwks-url", site.url]
    try:
        server = serve(*options, "--token-jwks-ca-file", str(certificate))
        server.wait_line("fetched keys are in use")
        assert refusal(server, OLD, "old") == 0
        distrustful = serve(*options)
        distrustful.wait_line("certificate")
        assert refusal(distrustful, OLD, "old") == BAD
    finally:
        site.close()


def test_stop_in_the_middle_of_a_fetch(serve, site):
    """A site that takes the request and never answers does not hold the server up, and no process is left of the fetch."""
    hold = threading.Event()
    asked = threading.Event()

    class Handler(site.handler):
        def do_GET(self):
            asked.set()
            hold.wait(60)

    site.server.RequestHandlerClass = Handler
    server = serve("--anonymous", "never", "--token-jwks-url", site.url)
    assert asked.wait(20)
    children = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    fetchers = [int(pid) for file in children for pid in file.read_text().split()]
    assert len(fetchers) == 1
    started = time.monotonic()
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert time.monotonic() - started < 5  # a fetch by itself may take ten seconds
    hold.set()
    with pytest.raises(ProcessLookupError):
        os.kill(fetchers[0], 0)
