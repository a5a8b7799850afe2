"""`roost doctor --tls` looks at what a running listener shows: trusted or not, a complete chain or not, and when it ends."""

import json

import pytest

import certificates
from redis_server import free_port
from server import roost

AUTHORITY = certificates.authority().file


def cut(identity):
    """Its certificate without those that sign it."""
    alone = certificates.write("alone.pem", certificates.pem(identity.certificate))
    return certificates.Identity(identity.certificate, identity.private_key, alone, identity.key)


def look(serve, identity, *options, authority=AUTHORITY):
    server = serve("--tls-certificate", identity.chain, "--tls-key", identity.key, listen=("tls://127.0.0.1:0",))
    return roost("doctor", "--tls", f"127.0.0.1:{server.ports[0]}", "--ca-file", authority, *options)


def test_all_is_well(serve):
    answer = look(serve, certificates.server())
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "trusted here, and its chain is complete" in answer.stdout and "TLSv1.3" in answer.stdout
    report = json.loads(look(serve, certificates.intermediate().server(), "--json").stdout)
    assert report["good"] and report["chain"] == 2 and report["warnings"] == [] and report["protocol"] == "TLSv1.3"


@pytest.mark.parametrize("identity, status, told", [
    (lambda: cut(certificates.intermediate().server()), 1, "certificate in between is missing"),
    (lambda: certificates.stranger().server(), 1, "--ca-file"),
    (lambda: certificates.authority().server("other.example"), 1, "not for the name or address"),
    (lambda: certificates.authority().server(begins=-90 * certificates.DAY, ends=-certificates.DAY), 1, "expired"),
    (lambda: certificates.authority().server(begins=certificates.DAY), 1, "not valid yet"),
    (lambda: certificates.authority().server(begins=-80 * certificates.DAY, ends=10 * certificates.DAY), 0, "is it being renewed?"),
], ids=["chain cut", "unknown authority", "another's name", "expired", "not yet valid", "ends soon"])
def test_what_is_wrong_is_named(serve, identity, status, told):
    answer = look(serve, identity())
    assert answer.returncode == status and told in answer.stdout, answer.stdout + answer.stderr
    assert "is trusted here" not in answer.stdout


def test_what_cannot_be_looked_at(serve):
    server = serve()
    for options, status, told in [((f"127.0.0.1:{free_port()}",), 1, "refused"), ((f"127.0.0.1:{server.port}",), 1, ""),
                                  (("nonsense",), 1, "host:port"), (("127.0.0.1:1", "--plan", "-n", "5"), 2, "--tls"),
                                  (("127.0.0.1:1", "--ca-file", "/nowhere"), 1, "/nowhere")]:
        answer = roost("doctor", "--tls", *options)
        assert answer.returncode == status and told in answer.stderr and answer.stderr, answer.stderr
