"""Each listener has options of its own in the configuration file; those of all apply to the others. A reload changes what can
change, and says of the rest that it cannot."""

import json
import ssl

import pytest

import certificates
import listeners
import transports
from mqtt_wire import Closed, Refused
from server import roost
from tls_end import Alert

pytestmark = pytest.mark.roost_only("it has Roost's configuration")


def entry(identity, **more):
    return {"url": "tls://127.0.0.1:0", "tls_certificate": identity.chain, "tls_key": identity.key, **more}


def common_name(server, number):
    end = transports.connect(server.addresses[number])
    try:
        subject = end.ssl.getpeercert()["subject"]
        return dict(pair[0] for pair in subject)["commonName"]
    finally:
        end.close()


def test_each_has_its_own(serve):
    authority = certificates.authority()
    names = [authority.server(f"{name}.example.org", "localhost") for name in ("one", "two", "all")]
    server = serve(*listeners.configured(
        entry(names[0]), entry(names[1], tls_min_version="1.3"), "tls://127.0.0.1:0",
        {"url": "wss://127.0.0.1:0/other", "websocket_origin": ["https://example.org"]},
        tls_certificate=names[2].chain, tls_key=[names[2].key]), listen=[])
    assert [common_name(server, number) for number in range(3)] == ["one.example.org", "two.example.org", "all.example.org"]
    old = transports.Tls(maximum=ssl.TLSVersion.TLSv1_2)
    server.client("old", 5, to=server.addresses[0].over(old)).close()
    with pytest.raises(Exception):  # noqa: B017  an alert, whichever way the client's library tells it
        server.client("old", 5, to=server.addresses[1].over(old))
    server.client("by the other path", 5, to=server.addresses[3]).close()


def reloaded(server):
    answer = server.admin().post("/api/v1/reload")
    return answer.json["changed"] if answer.status == 200 else answer.json["error"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "roost.yaml"


def write(file, *entries, **more):
    file.write_text(json.dumps({"listen": list(entries), **more}))


def test_a_reload(serve, file, tmp_path):
    one, two = certificates.authority().server("one.example.org", "localhost"), certificates.authority().server("two.example.org", "localhost")
    socket = {"url": f"unix://{tmp_path}/roost.sock", "unix_mode": "0600"}
    write(file, entry(one), socket)
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0", listen=[])
    with server.client("stays", 5) as stays:
        assert common_name(server, 0) == "one.example.org"
        write(file, entry(two, tls_client_certificates="required", tls_client_ca_file=certificates.authority().file), socket)
        changed = reloaded(server)
        assert sorted(line.split(" of ")[0] for line in changed) == [
            "tls_certificate", "tls_client_ca_file", "tls_client_certificates", "tls_key"]
        with pytest.raises((Alert, Refused, Closed, OSError)):
            server.client("shows none", 5).expect_nothing_before_ping()
        shows = server.addresses[0].over(transports.Tls(identity=certificates.client()))
        server.client("shows one", 5, to=shows).close()
        # What cannot change is named, and nothing else is taken over either.
        write(file, entry(one), {**socket, "unix_mode": "0660"})
        assert "unix_mode" in reloaded(server) and "restart" in reloaded(server)
        server.client("shows one", 5, to=shows).close()
        stays.expect_nothing_before_ping()


def test_a_reload_with_bad_files(serve, file, tmp_path):
    identity = certificates.server()
    write(file, entry(identity))
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0", listen=[])
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    write(file, {"url": "tls://127.0.0.1:0", "tls_certificate": str(bad), "tls_key": identity.key}, keepalive_max_s=77)
    said = reloaded(server)
    assert str(bad) in said
    assert 'roost_tls_reloads_total{result="failed"} 1' in server.admin().get("/metrics").text
    assert server.admin().get("/api/v1/stats").json["tls"]["reload_failures"] == 1
    server.client("comes in", 5).close()
    write(file, entry(identity))
    assert reloaded(server) == []  # the other change was not taken over


WRONG = {
    "no certificates to check with": ({"tls_client_certificates": "required"}, "tls_client_certificates"),
    "a key too many": ({"tls_key": ["a", "b"]}, "tls_key"),
    "what the listener is not": ({"unix_mode": "0600"}, "unix_mode"),
    "no such key": ({"gates": 3}, "gates"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_entries(file, name):
    more, key = WRONG[name]
    write(file, {**entry(certificates.server()), **more})
    ended = roost("serve", "--config", str(file))
    assert ended.returncode > 0
    assert f"{file}:1: {key}: " in ended.stderr


def test_ciphers_that_are_none(file):
    write(file, entry(certificates.server(), tls_ciphers="AES128-SHA"))
    ended = roost("serve", "--config", str(file))
    assert ended.returncode > 0 and "AES128-SHA" in ended.stderr
