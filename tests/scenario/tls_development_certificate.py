"""TLS in one command: a listener without a certificate shows one that Roost makes, keeps, and says how to trust."""

import re
import ssl

import pytest

import certificates
import transports
from ends import unnoticed
from tls_end import make_context

pytestmark = [pytest.mark.roost_only("it makes its own certificate"), pytest.mark.transports("tls")]

LISTEN = ("--listen", "tls://127.0.0.1:0")

@pytest.fixture
def start(serve, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return lambda *options: serve(*options, listen=[])


def trusting(server, file):
    """The server's address for a client that trusts this file, and checks the server's name."""
    return server.address.over(transports.Tls(context=make_context(authority=file)))


def told(server, pattern):
    return re.search(pattern, "\n".join(server.lines)).group(1)


def test_is_told_and_kept(start, tmp_path):
    server = start(*LISTEN)
    ca, fingerprint = told(server, r"--cafile (\S+)"), told(server, r"SHA-256 (\S+)")
    assert ca.startswith(str(tmp_path / "home"))
    with server.client("trusts", 5, to=trusting(server, ca)) as client:
        client.expect_nothing_before_ping()
    server.stop()
    again = start(*LISTEN)
    assert told(again, r"SHA-256 (\S+)") == fingerprint
    again.client("still trusts", 5, to=trusting(again, ca)).close()


def test_in_the_store(start, tmp_path):
    server = start(*LISTEN, "--store", str(tmp_path / "store"))
    assert told(server, r"--cafile (\S+)") == str(tmp_path / "store" / "development-ca.pem")
    assert (tmp_path / "store" / "development.pem").stat().st_mode & 0o077 == 0
    server.client("trusts", 5, to=trusting(server, told(server, r"--cafile (\S+)"))).close()
    # Its sessions resume after a restart: the keys of tickets lie there, too.
    assert (tmp_path / "store" / "tls-tickets").stat().st_mode & 0o077 == 0


def test_nobody_else_trusts_it(start):
    server = start(*LISTEN)
    with pytest.raises(ssl.SSLError):
        server.client("a stranger", 5)


def test_a_certificate_ends_it(start, tmp_path):
    """One that is given later, on a reload: nobody is dropped."""
    file = tmp_path / "roost.yaml"
    file.write_text("listen: tls://127.0.0.1:0\n")
    server = start("--config", str(file), "--admin", "http://127.0.0.1:0")
    ca = told(server, r"--cafile (\S+)")
    with server.client("stays", 5, to=trusting(server, ca)) as stays:
        identity = certificates.server()
        file.write_text(f"listen: tls://127.0.0.1:0\ntls_certificate: {identity.chain}\ntls_key: {identity.key}\n")
        changed = server.admin().post("/api/v1/reload").json["changed"]
        assert [line.split(":")[0] for line in changed] == ["tls_certificate", "tls_key"]
        with unnoticed(server):
            server.client("comes later", 5).close()
        stays.expect_nothing_before_ping()

