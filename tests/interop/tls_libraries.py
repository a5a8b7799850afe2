"""Clients over other TLS libraries, GnuTLS, mbedTLS and OpenSSL by itself: every version and suite that they have in common with
Roost, records of every size, KeyUpdates in both directions, certificates of clients. What is sent through them is MQTT of the
tests' own client."""

import contextlib
import random
import socket
import subprocess
from pathlib import Path

import pytest

import certificates
import transports

pytestmark = pytest.mark.transports("tls", "wss")

TIMEOUT_S = 60
HERE = Path(__file__).parent
LIBRARIES = {"gnutls": ["-lgnutls"], "mbedtls": ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"], "openssl": ["-lssl", "-lcrypto"]}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls_pipe")
    for name, libraries in LIBRARIES.items():
        subprocess.run(["cc", "-Wall", "-Wextra", "-O1", "-o", folder / name, HERE / f"tls_pipe_{name}.c", *libraries], check=True,
                       timeout=TIMEOUT_S)
    return folder


class HandshakeFailed(Exception):
    """With the library's words."""


class Program:
    """A layer: what is sent goes through the program, which has the socket beneath."""

    def __init__(self, path, **options):
        self.path, self.options = path, options
        self.processes = []

    def open(self, below):
        ours, theirs = socket.socketpair()
        words = [f"{name}={value}" for name, value in self.options.items() if value is not None]
        process = subprocess.Popen([self.path, str(below.fileno()), "localhost", certificates.authority().file, *words], stdin=theirs,
                                   stderr=subprocess.PIPE, pass_fds=[below.fileno()], text=True)
        self.processes.append(process)
        timeout = below.gettimeout()
        theirs.close()
        below.close()
        self.said = process.stderr.readline().strip()  # of the handshake
        end = transports.Wire(fileno=ours.detach())
        end.settimeout(timeout)
        if not self.said.startswith("TLS"):
            end.close()
            raise HandshakeFailed(self.said)
        return end


@pytest.fixture
def through(programs):
    """through(server, "gnutls", version="1.3"): an address that is reached through the program, and its layer."""
    layers = []

    def make(server, library, **options):
        layers.append(Program(programs / library, **options))
        return server.address.over(layers[-1], *server.address.layers[1:]), layers[-1]

    yield make
    for process in (process for layer in layers for process in layer.processes):
        process.kill()
        process.wait()
        process.stderr.close()


def talk(client, seed, count=300, most=40000):
    """Messages of all sizes to itself, several at a time: what comes is what was sent, in order."""
    choice = random.Random(seed)
    client.subscribe(("self", 1))
    sent = []
    for _ in range(count):
        size = choice.choice((0, 1, 60, 500, 16384, choice.randrange(most)))
        sent.append(choice.randbytes(size))
        client.publish("self", sent[-1])
        if len(sent) == 8:
            assert [client.message().payload for _ in sent] == sent
            sent = []
    assert [client.message().payload for _ in sent] == sent
    client.expect_nothing_before_ping()


VERSIONS = {"gnutls": ["1.2", "1.3"], "mbedtls": [None], "openssl": ["1.2", "1.3"]}
CASES = [(library, version) for library, versions in VERSIONS.items() for version in versions]


@pytest.mark.parametrize("library, version_of_tls", CASES)
def test_messages_of_all_sizes(server, through, library, version_of_tls):
    address, layer = through(server, library, version=version_of_tls)
    with server.client("talks", 5, to=address) as client:
        assert (version_of_tls or "1.2").replace("1.", "") in layer.said, layer.said
        talk(client, library)
    server.wait_counter("connections_open", 0)


SUITES = [
    ("gnutls", "1.3", ":-CIPHER-ALL:+AES-128-GCM"), ("gnutls", "1.3", ":-CIPHER-ALL:+AES-256-GCM"), ("gnutls", "1.3", ":-CIPHER-ALL:+CHACHA20-POLY1305"),
    ("gnutls", "1.2", ":-CIPHER-ALL:+AES-128-GCM"), ("gnutls", "1.2", ":-CIPHER-ALL:+AES-256-GCM"), ("gnutls", "1.2", ":-CIPHER-ALL:+CHACHA20-POLY1305"),
    ("mbedtls", None, "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256"), ("mbedtls", None, "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384"),
    ("mbedtls", None, "TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256"),
]


@pytest.mark.parametrize("library, version_of_tls, suites", SUITES)
def test_each_suite(server, through, library, version_of_tls, suites):
    address, _ = through(server, library, version=version_of_tls, suites=suites)
    with server.client("talks", 5, to=address) as client:
        talk(client, suites, 60)


def test_a_suite_that_there_is_not(server, through):
    """CBC, which mbedTLS 2.28 would still speak."""
    address, _ = through(server, "mbedtls", suites="TLS-ECDHE-ECDSA-WITH-AES-128-CBC-SHA256")
    with pytest.raises(HandshakeFailed):
        server.client("old", to=address)
    server.wait_counter("end_tls_cipher", 1)


@pytest.mark.parametrize("library, version_of_tls", [*[case for case in CASES if case[0] != "gnutls"], ("gnutls", "1.3")])
@pytest.mark.parametrize("size", [512, 1024, 4096])
def test_small_records(server, through, library, version_of_tls, size):
    """A client that has little room asks for small records, and takes no others (max_fragment_length, record_size_limit)."""
    address, _ = through(server, library, version=version_of_tls, fragment=size)
    with server.client("small", 5, to=address) as client:
        talk(client, library, 60)


@pytest.mark.parametrize("library, every, most", [("gnutls", 1, 6), ("gnutls", 15, 6), ("openssl", 1, None), ("openssl", 7, None)])
def test_key_updates(server, through, library, every, most):
    """The library's, each of which asks for the server's: in the middle of what goes both ways. GnuTLS takes no more than eight
    in a second."""
    address, _ = through(server, library, version="1.3", update_every=every, updates_max=most)
    with server.client("updates", 5, to=address) as client:
        talk(client, library, 100)
    server.wait_counter("tls_key_updates", lambda value: value >= 2)  # one may answer several


def test_many_records(server, through):
    """So many that sequence numbers pass a byte and two."""
    address, _ = through(server, "gnutls", version="1.3", fragment=512)
    with server.client("many", 5, to=address) as client, server.client("sends", 5) as sender:
        client.subscribe("flood")
        for number in range(400):
            sender.publish("flood", number.to_bytes(2, "big") * 8000)
            if number % 20 == 19:
                for one in range(number - 19, number + 1):
                    assert client.message().payload == one.to_bytes(2, "big") * 8000
        # The client's own, of 512 bytes: 12,800 records.
        for number in range(400):
            client.publish("back", b"x" * 16000)
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("library, version_of_tls", CASES)
def test_client_certificates(serve, through, library, version_of_tls):
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", certificates.authority().file, "--tls-identity-as", "client-id")
    identity = certificates.authority().client("device-7")
    address, _ = through(server, library, version=version_of_tls, certificate=identity.chain, key=identity.key)
    with server.client("", 5, to=address) as client:
        assert client.client_id == "device-7"
        talk(client, library, 20)
    bad = certificates.stranger().client("device-7")
    address, _ = through(server, library, version=version_of_tls, certificate=bad.chain, key=bad.key)
    with contextlib.suppress(Exception):
        server.client("", 5, to=address)
    # GnuTLS shows none where it has none that the server would trust.
    server.wait_counter("end_tls_certificate_missing" if library == "gnutls" else "end_tls_certificate_untrusted", 1)


@pytest.mark.parametrize("library, version_of_tls", CASES)
def test_a_backlog(serve, through, library, version_of_tls):
    """A client that does not read for a while, and then all."""
    server = serve("--queue-bytes-max", "8388608")
    address, _ = through(server, library, version=version_of_tls)
    with server.client("late", 5, to=address, receive_buffer=4096) as late, server.client("sends", 5) as sender:
        late.subscribe(("flood", 1))
        for number in range(60):
            assert sender.hand_over("flood", number.to_bytes(4, "big") * 20000) == 0
        for number in range(60):
            assert late.take().payload == number.to_bytes(4, "big") * 20000


@pytest.mark.parametrize("library, version_of_tls", CASES)
def test_the_server_closes_in_order(server, through, library, version_of_tls):
    """With close_notify behind its last word: a library would take anything else for an attack."""
    address, layer = through(server, library, version=version_of_tls)
    with server.client("leaves", 5, to=address) as client:
        client.disconnect()
    assert layer.processes[0].wait(TIMEOUT_S) == 0
