"""Certificates of clients: asked for or required, checked against a CA and its list of those revoked, and the name in them as the
user or the client id. Each kind that is refused is told apart in the log, counted, and answered with the alert that TLS has for
it; a renewed CA or list ends the resumption of sessions from before."""

import contextlib
import datetime
import itertools
import ssl

import pytest

import certificates
import transports
from certificates import DAY
from ends import PEACEFUL, SENTENCES, ends_of, expect_end, name_of, unnoticed
from mqtt_wire import Closed, Refused, let_pass
from tls_end import Alert, make_context

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls", "wss")]

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(params=list(VERSIONS))
def tls(request):
    return VERSIONS[request.param]


def options(wanted="required", **more):
    words = ["--tls-client-certificates", wanted, "--tls-client-ca-file", certificates.authority().file]
    return words + [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]


def showing(server, identity, version=None, context=None, **named):
    """The server's address for a client that shows this certificate."""
    named = {"context": context, **named} if context else {"identity": identity, "minimum": version, "maximum": version, **named}
    return server.address.over(transports.Tls(**named), *server.address.layers[1:])


def come_in(server, identity, version=None, client_id="", mqtt=5, **named):
    return server.client(client_id, mqtt, to=showing(server, identity, version), **named)


def is_refused(server, identity, version):
    """The alert's name. Of TLS 1.3 a client learns of it only behind its own handshake."""
    with contextlib.closing(Tried(server, identity, version)) as tried:
        return tried.alert


class Tried:
    def __init__(self, server, identity, version):
        self.alert = None
        self.end = None
        try:
            self.end = transports.connect(server.address, timeout=20,
                                          layers=[transports.Tls(identity=identity, minimum=version, maximum=version)])
            self.name = name_of(self.end)
            got = self.end.recv(1)
            assert got == b"", got
        except Alert as error:
            self.alert = str(error)

    def close(self):
        if self.end:
            self.end.close()


def make_bad():
    authority = certificates.authority()
    return {
        "none": (None, "tls_certificate_missing"),
        "expired": (authority.client("late", begins=-30 * DAY, ends=-MINUTE), "tls_certificate_expired"),
        "not valid yet": (authority.client("early", begins=DAY, ends=30 * DAY), "tls_certificate_not_yet"),
        "of another CA": (certificates.stranger().client("sensor-17"), "tls_certificate_untrusted"),
        "signed by itself": (itself(), "tls_certificate_untrusted"),
        "a server's": (authority.server("sensor-17"), "tls_certificate_untrusted"),
    }


def itself():
    """Whose issuer has the trusted CA's name, and another key."""
    false = certificates.Authority("test", kind="ecdsa384")
    return false.client("sensor-17")


# Of which the alert's name has one.
ALERTS = {
    "none": ("HANDSHAKE_FAILURE", "CERTIFICATE_REQUIRED"), "expired": ("CERTIFICATE_EXPIRED",), "not valid yet": ("BAD_CERTIFICATE",),
    "of another CA": ("UNKNOWN_CA",), "signed by itself": ("UNKNOWN_CA", "DECRYPT_ERROR"), "a server's": ("UNSUPPORTED_CERTIFICATE",),
}


@pytest.mark.parametrize("name", ALERTS)
def test_is_refused(serve, tls, name):
    identity, error = make_bad()[name]
    server = serve(*options())
    with unnoticed(server, to=showing(server, certificates.client())):
        alert = is_refused(server, identity, tls)
        assert alert and any(word in alert for word in ALERTS[name]), alert
        expect_end(server, error)
        server.wait_counter("handshakes_open", 0)


def test_required_and_shown(serve, tls):
    server = serve(*options(), "--admin", "http://127.0.0.1:0")
    with come_in(server, certificates.client(), tls, "shows") as client:
        client.expect_nothing_before_ping()
        seen = server.admin().client("shows")
        assert "sensor-17" in str(seen) and "Example" in str(seen), seen  # the certificate's subject, for people


def test_optional(serve, tls):
    """Without one a client comes in as over any other listener; with a bad one it does not."""
    server = serve(*options("optional"))
    with come_in(server, None, tls) as without, come_in(server, certificates.client(), tls) as shows:
        without.expect_nothing_before_ping()
        shows.expect_nothing_before_ping()
        assert is_refused(server, certificates.stranger().client("sensor-17"), tls)
        expect_end(server, "tls_certificate_untrusted")


def test_the_file_names_the_ca_between_alone(serve, tls):
    """Its clients are let in, and those of the CA above it are not."""
    between = certificates.intermediate()
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", between.file)
    come_in(server, between.client("near"), tls).close()
    assert is_refused(server, certificates.authority().client("above"), tls)
    expect_end(server, "tls_certificate_untrusted")


def test_a_chain(serve, tls):
    """The client sends the certificate between its own and the CA's."""
    server = serve(*options())
    with come_in(server, certificates.intermediate().client("far"), tls) as client:
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("kind", ["rsa", "ecdsa384"])
def test_other_keys(serve, tls, kind):
    server = serve(*options())
    with come_in(server, certificates.authority().client("other", kind=kind), tls) as client:
        client.expect_nothing_before_ping()


# ---- revoked ----

def test_revoked(serve, tls):
    authority = certificates.authority()
    good, bad = authority.client("good"), authority.client("bad")
    server = serve(*options(tls_client_crl_file=authority.revoke(bad)))
    with unnoticed(server, to=showing(server, good)):
        assert "CERTIFICATE_REVOKED" in is_refused(server, bad, tls)
        expect_end(server, "tls_certificate_revoked")


def test_revoked_at_a_reload(serve, tls, tmp_path):
    """It does not come in with the ticket that it has either."""
    authority = certificates.authority()
    good, bad = authority.client("good"), authority.client("bad")
    path = tmp_path / "list.crl"
    path.write_text(open(authority.revoke(file="empty"), encoding="ascii").read())
    server = serve(*options(tls_client_crl_file=str(path)), "--admin", "http://127.0.0.1:0")
    context = make_context(identity=bad, minimum=tls, maximum=tls)
    session = session_of(server, context)
    assert resumes(server, context, session)
    with unnoticed(server, to=showing(server, good)), come_in(server, bad, tls, "was there") as was_there:
        path.write_text(open(authority.revoke(bad, file="with"), encoding="ascii").read())
        assert server.admin().post("/api/v1/reload").status == 200
        with pytest.raises((Alert, Closed)):
            server.client("resumes", 5, to=server.address.over(transports.Tls(context=context, session=session), *server.address.layers[1:]))
        server.wait_counter("end_tls_certificate_revoked", 1)
        assert SENTENCES["tls_certificate_revoked"] in server.lines[server.wait_line("refused a connection")]
        was_there.expect_nothing_before_ping()  # who is there stays: to end it is the API's


def session_of(server, context):
    with server.client("", 5, to=server.address.over(transports.Tls(context=context), *server.address.layers[1:])) as client:
        client.expect_nothing_before_ping()
        bottom = client.socket
        while not hasattr(type(bottom), "session"):
            bottom = bottom.below
        return bottom.session


def resumes(server, context, session):
    layers = [transports.Tls(context=context, session=session), *server.address.layers[1:]]
    with server.client("", 5, to=server.address.over(*layers)) as client:
        bottom = client.socket
        while not hasattr(type(bottom), "session"):
            bottom = bottom.below
        client.expect_nothing_before_ping()
        return bottom.resumed


def test_another_ca_ends_resumption(serve, tls, tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text(open(certificates.authority().file, encoding="ascii").read())
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", str(path), "--admin", "http://127.0.0.1:0")
    context = make_context(identity=certificates.client(), minimum=tls, maximum=tls)
    session = session_of(server, context)
    assert resumes(server, context, session)
    path.write_text(open(certificates.stranger().file, encoding="ascii").read())
    assert server.admin().post("/api/v1/reload").status == 200
    with pytest.raises((Alert, Closed)):
        server.client("", 5, to=server.address.over(transports.Tls(context=context, session=session), *server.address.layers[1:]))
    server.wait_counter("end_tls_certificate_untrusted", 1)


def test_a_certificate_that_expires_does_not_resume(serve):
    """Its session is younger than the ticket's lifetime; the certificate is what has ended."""
    soon = certificates.authority().client("soon", ends=datetime.timedelta(seconds=3))
    server = serve(*options(), transport="tls")
    contexts = [make_context(identity=soon, minimum=tls, maximum=tls) for tls in VERSIONS.values()]
    sessions = [session_of(server, context) for context in contexts]
    until = soon.certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    wait_until(until + datetime.timedelta(seconds=1))
    for context, session in zip(contexts, sessions):
        with pytest.raises((Alert, Closed)):
            server.client("", 5, to=server.address.over(transports.Tls(context=context, session=session)))
    server.wait_counter("end_tls_certificate_expired", 2)


def wait_until(moment):
    let_pass(max(0, (moment - certificates.now()).total_seconds()))


# ---- the name in it ----

NAMES = {
    "cn": lambda: certificates.authority().client("alice"),
    "dns": lambda: certificates.authority().client("other", ["alice"]),
    "email": lambda: certificates.authority().client("other", ["alice@example.org"]),
    "uri": lambda: certificates.authority().client("other", ["urn:alice"]),
}
EXPECTED = {"cn": "alice", "dns": "alice", "email": "alice@example.org", "uri": "urn:alice"}
RULES = "allow publish up/%u/#\nallow subscribe up/%u/#\n"


@pytest.mark.parametrize("kind", NAMES)
def test_as_the_user(serve, tmp_path, kind, version):
    """Rules apply to it, and neither password nor token is asked for."""
    (tmp_path / "rules").write_text(RULES)
    server = serve(*options(tls_identity_as="user", tls_identity_from=kind), "--rule-file", str(tmp_path / "rules"), "--no-allow-by-default",
                   "--anonymous", "never")
    name = EXPECTED[kind]
    with come_in(server, NAMES[kind](), client_id="device", mqtt=version, user="mallory", password="x") as client:
        assert client.subscribe((f"up/{name}/x", 1)) == [1]
        assert client.subscribe("up/mallory/x")[0] >= 0x80
        assert client.hand_over(f"up/{name}/x", b"mine") == 0
        assert client.take().payload == b"mine"


@pytest.mark.parametrize("kind", ["dns", "email", "uri"])
def test_without_such_a_name(serve, kind):
    server = serve(*options(tls_identity_as="user", tls_identity_from=kind))
    with unnoticed(server, to=showing(server, NAMES[kind]())):
        with pytest.raises((Alert, Closed, Refused)):
            come_in(server, NAMES["cn"]())
        expect_end(server, "tls_certificate_name")


def test_as_the_client_id(serve, version):
    server = serve(*options(tls_identity_as="client-id"))
    alice = certificates.authority().client("alice")
    with come_in(server, alice, client_id="alice", mqtt=version) as client:
        client.expect_nothing_before_ping()
        with pytest.raises((Refused, Closed)) as refused:
            come_in(server, alice, client_id="bob", mqtt=version)
        if isinstance(refused.value, Refused):
            assert refused.value.reason in ((0x85, 0x87) if version == 5 else (2, 5))
        expect_end(server, "certificate_client_id")
        client.expect_nothing_before_ping()


def test_a_client_id_is_assigned_from_it(serve):
    server = serve(*options(tls_identity_as="client-id"))
    with come_in(server, certificates.authority().client("alice")) as client:
        assert client.client_id == "alice"


@pytest.mark.parametrize("name", ["a\0b", "", "+", "x" * 64])
def test_names_that_are_none(serve, name):
    """What cannot be a user in MQTT, or would be read as another: refused, or it is that user and no other."""
    (identity,) = [certificates.authority().client(name or "nobody", [])] if name else [certificates.authority().sign(None)]
    server = serve(*options(tls_identity_as="user"))
    with unnoticed(server, to=showing(server, certificates.client())):
        try:
            come_in(server, identity).close()
            assert name in ("+", "x" * 64)
        except (Alert, Closed, Refused):
            assert set(ends_of(server)) - PEACEFUL <= {"end_tls_certificate_name", "end_tls_certificate_untrusted"}


def test_many_at_once(serve):
    """Each is who it is, whichever thread it comes to."""
    server = serve(*options(tls_identity_as="client-id"), "--shards", "2", "--gates", "2")
    identities = [certificates.authority().client(f"device-{number}") for number in range(8)]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(come_in(server, identity)) for identity in identities]
        assert [client.client_id for client in clients] == [f"device-{number}" for number in range(8)]
        for one, other in itertools.permutations(clients[:3], 2):
            one.subscribe(f"to/{one.client_id}")
            other.publish(f"to/{one.client_id}", other.client_id.encode())
            assert one.message().payload == other.client_id.encode()
