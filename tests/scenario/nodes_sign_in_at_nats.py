"""Nodes use a NATS server that wants to know who they are: users, credentials of an operator, TLS with or without a certificate.
One that does not let them in is named, without a password, and they serve alone."""

import contextlib

import certificates
from cluster import Cluster
from nats_server import Nats, Operator


@contextlib.contextmanager
def server(**options):
    nats = Nats(**options)
    try:
        yield nats
    finally:
        nats.close()


def exchange(cluster):
    a, b = cluster.start_all(2)
    with b.client("to", 5) as to, a.client("from", 5) as publisher:
        to.subscribe(("t", 1))
        cluster.wait("the filter is known", lambda: cluster.peer("a", "b")["filters"] >= 1)
        publisher.hand_over("t", "hello", qos=1)
        assert to.take().payload == b"hello"


def refusal(cluster, word):
    """The node serves its own clients, and says why it is alone."""
    node = cluster.start("a")

    def said():
        fault = cluster.status("a")["fault"] or ""
        return word in fault and fault

    fault = cluster.wait("there is a fault", said)
    assert "secret" not in fault and "secret" not in node.log()
    with node.client("one", 5) as client:
        client.subscribe(("t", 0))
        client.publish("t", "here")
        assert client.take().payload == b"here"


def test_user_and_password(serve, tmp_path):
    with server(user="roost", password="secret") as nats:
        exchange(Cluster(serve, nats, tmp_path))


def test_a_wrong_password(serve, tmp_path):
    with server(user="roost", password="secret") as nats:
        nats.url = nats.url.replace("secret", "secret2")
        refusal(Cluster(serve, nats, tmp_path), "uthorization")


def test_credentials_of_an_operator(serve, tmp_path):
    operator = Operator(tmp_path)
    with server(lines=operator.lines) as nats:
        exchange(Cluster(serve, nats, tmp_path, "--cluster-credentials-file", str(operator.credentials)))


def test_credentials_of_another_operator(serve, tmp_path):
    with server(lines=Operator(tmp_path).lines) as nats:
        other = Operator(tmp_path)
        refusal(Cluster(serve, nats, tmp_path, "--cluster-credentials-file", str(other.credentials)), "uthorization")


def test_tls_with_certificates_of_both(serve, tmp_path):
    authority = certificates.authority()
    client = authority.client("node")
    with server(identity=certificates.server(), asks_clients=True) as nats:
        exchange(Cluster(serve, nats, tmp_path, "--cluster-ca-file", authority.file, "--cluster-certificate-file", client.chain,
                         "--cluster-key-file", client.key))


def test_a_server_that_is_not_trusted(serve, tmp_path):
    with server(identity=certificates.server()) as nats:
        refusal(Cluster(serve, nats, tmp_path), "SSL")
