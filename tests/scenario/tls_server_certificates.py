"""Which certificate a server shows: RSA and ECDSA side by side, by the name that a client asks for, a chain, a renewed one
without dropping anyone; and files that no server can start with, each named with what is wrong with it."""

import os
import subprocess

import pytest

import certificates
import transports
from ends import unnoticed
from s_client import s_client
from server import roost
from tls_end import make_context

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls")]


def shown(server, *options, name="localhost"):
    """(subject's common name, kind of key) of the certificate that is shown."""
    seen = s_client(server.address, *options, name=name)
    assert seen.connected, seen.output
    pem = seen.output[seen.output.index("-----BEGIN CERTIFICATE-----"):seen.output.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-text"], input=pem, capture_output=True, text=True, check=True).stdout
    common_name = text.splitlines()[0].rpartition("CN = ")[2]
    return common_name, "rsa" if "rsaEncryption" in text else "ecdsa"


def pairs(*identities):
    return [word for identity in identities for word in certificates.server_options(identity)]


def test_rsa_and_ecdsa(serve):
    server = serve(*pairs(certificates.server("rsa"), certificates.server()))
    assert shown(server)[1] == "ecdsa"
    assert shown(server, "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")[1] == "rsa"
    assert shown(server, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256")[1] == "rsa"
    assert shown(server, "-tls1_3", "-sigalgs", "ECDSA+SHA256")[1] == "ecdsa"


def test_by_name(serve):
    authority = certificates.authority()
    one, two = authority.server("one.example.org"), authority.server("two.example.org", "2.example.org")
    wild = authority.server("*.wild.example.org")
    server = serve(*pairs(one, two, wild))
    assert shown(server, name="one.example.org")[0] == "one.example.org"
    assert shown(server, name="two.example.org")[0] == "two.example.org"
    assert shown(server, name="2.EXAMPLE.org")[0] == "two.example.org"
    assert shown(server, name="a.wild.example.org")[0] == "*.wild.example.org"
    for other in ("other.example.org", "a.b.wild.example.org", "wild.example.org", None):
        assert shown(server, name=other)[0] == "one.example.org"  # the first is for all others


def test_names_in_both_kinds(serve):
    authority = certificates.authority()
    made = [authority.server(name, kind=kind) for name in ("one.example.org", "two.example.org") for kind in ("rsa", "ecdsa")]
    server = serve(*pairs(*made))
    for name in ("one.example.org", "two.example.org"):
        assert shown(server, name=name) == (name, "ecdsa")
        assert shown(server, "-tls1_3", "-sigalgs", "RSA-PSS+SHA256", name=name) == (name, "rsa")


def test_a_chain(serve):
    server = serve(*pairs(certificates.intermediate().server()))
    assert s_client(server.address).says("Verification: OK")
    server.client("trusts").close()


def test_renewed_without_dropping_anyone(serve, tmp_path):
    """By a reload; the clients from before stay, and their sessions resume."""
    authority = certificates.authority()
    old, new = authority.server("old.example.org", "localhost"), authority.server("new.example.org", "localhost", private_key=certificates.key("ecdsa", 2))
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def put(identity):
        chain.write_text(open(identity.chain, encoding="ascii").read())
        key.write_text(open(identity.key, encoding="ascii").read())
        key.chmod(0o600)

    put(old)
    server = serve("--tls-certificate", str(chain), "--tls-key", str(key), "--admin", "http://127.0.0.1:0")
    assert shown(server)[0] == "old.example.org"
    context = make_context()
    with server.client("stays", 5) as stays, \
            server.client("keeps a ticket", 5, to=server.address.over(transports.Tls(context=context))) as keeper:
        keeper.expect_nothing_before_ping()
        put(new)
        assert server.admin().post("/api/v1/reload").status == 200
        assert shown(server)[0] == "new.example.org"
        stays.expect_nothing_before_ping()
        again = transports.Tls(context=context, session=keeper.socket.session)
        with server.client("again", 5, to=server.address.over(again)) as client:
            assert client.socket.resumed
    # A pair that does not belong together is not taken, and the one from before goes on.
    with unnoticed(server):
        key.write_text(open(old.key, encoding="ascii").read())
        assert server.admin().post("/api/v1/reload").status != 200
        assert str(key) in server.log() or str(chain) in server.log()
        assert shown(server)[0] == "new.example.org"


def test_renewed_by_whoever_writes_the_files(serve, tmp_path):
    """As certbot does at night: the files are watched."""
    authority = certificates.authority()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def put(identity):
        for path, source in ((key, identity.key), (chain, identity.chain)):
            beside = tmp_path / "beside"
            beside.write_text(open(source, encoding="ascii").read())
            beside.chmod(0o600)
            os.replace(beside, path)

    put(authority.server("old.example.org", "localhost"))
    server = serve("--tls-certificate", str(chain), "--tls-key", str(key))
    with server.client("stays", 5) as stays:
        before = len(server.lines)
        put(authority.server("new.example.org", "localhost"))
        server.wait_line("certificate", before)
        assert shown(server)[0] == "new.example.org"
        stays.expect_nothing_before_ping()


def bad_files(folder):
    """{name: (certificate, key, words that the message has)}"""
    good, other = certificates.server(), certificates.authority().server("other", private_key=certificates.key("ecdsa", 7))
    empty, text, half = folder / "empty.pem", folder / "text.pem", folder / "half.pem"
    empty.write_text("")
    text.write_text("no certificate\n")
    half.write_text(open(good.chain, encoding="ascii").read()[:200])
    for path in (empty, text, half):
        path.chmod(0o600)
    return {
        "a key that does not match": (good.chain, other.key, "is not that of the certificate"),
        "no such certificate": (str(folder / "missing.pem"), good.key, "missing.pem"),
        "no such key": (good.chain, str(folder / "missing.key"), "missing.key"),
        "an empty file": (str(empty), good.key, "empty.pem"),
        "a file with something else": (str(text), good.key, "text.pem"),
        "half a certificate": (str(half), good.key, "half.pem"),
        "a key for a certificate": (good.key, good.key, good.key),
        "a certificate for a key": (good.chain, good.chain, good.chain),
        "a directory": (str(folder), good.key, str(folder)),
    }


@pytest.mark.parametrize("name", ["a key that does not match", "no such certificate", "no such key", "an empty file", "a file with something else",
                                  "half a certificate", "a key for a certificate", "a certificate for a key", "a directory"])
def test_files_that_are_refused(tmp_path, name):
    chain, key, words = bad_files(tmp_path)[name]
    ended = roost("serve", "--listen", "tls://127.0.0.1:0", "--admin", "off", "--tls-certificate", chain, "--tls-key", key)
    assert ended.returncode != 0
    assert words in ended.stderr, ended.stderr


@pytest.mark.parametrize("begins, ends, words", [(-30, -1, "expired"), (1, 30, "not valid yet"), (-30, 3, "expire")])
def test_certificates_out_of_their_time(serve, begins, ends, words):
    """A server starts with them, and says so: clients would not tell its operator."""
    day = certificates.DAY
    identity = certificates.authority().server(begins=begins * day, ends=ends * day)
    server = serve("--tls-certificate", identity.chain, "--tls-key", identity.key)
    assert [line for line in server.lines if "certificate" in line and words in line and ("warning" in line or "error" in line)], server.log()
