"""`roost cert` makes certificates that TLS libraries take, and keys that only their owner reads."""

import ipaddress
import stat
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mqtt_wire import TIMEOUT_S
from server import ROOST


def cert(*arguments):
    return subprocess.run([ROOST, "cert", *map(str, arguments)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def made(directory, *arguments):
    ended = cert("--out", directory, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def loaded(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def verifies(directory, name, purpose):
    ended = subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", directory / "ca.pem", directory / name],
                           capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    return ended.returncode == 0


def test_the_server_has_the_names_that_were_asked_for(tmp_path):
    out = made(tmp_path / "tls", "--name", "mqtt.example.com", "--name", "*.example.org", "--name", "192.0.2.1", "--name", "2001:db8::1")
    server = loaded(tmp_path / "tls/server.pem")
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mqtt.example.com", "*.example.org"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")]
    assert isinstance(server.public_key(), ec.EllipticCurvePublicKey)
    assert verifies(tmp_path / "tls", "server.pem", "sslserver")
    assert "ca.pem" in out and "SHA-256" in out


def test_without_names_it_is_for_this_machine(tmp_path):
    made(tmp_path)
    names = loaded(tmp_path / "server.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_only_the_owner_reads_the_keys(tmp_path):
    made(tmp_path, "--client", "sensor-17")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == (0o600 if path.suffix == ".key" else 0o644), path.name


def test_a_client_is_added_to_a_ca_that_is_there(tmp_path):
    made(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    made(tmp_path, "--client", "sensor-17")
    client = loaded(tmp_path / "client-sensor-17.pem")
    assert client.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "sensor-17"
    usage = client.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert verifies(tmp_path, "client-sensor-17.pem", "sslclient")
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())


def test_nothing_is_overwritten_without_force(tmp_path):
    made(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    ended = cert("--out", tmp_path)
    assert ended.returncode == 1
    assert "server.pem: it is there already" in ended.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_force_makes_a_new_server_under_the_same_ca(tmp_path):
    made(tmp_path)
    authority, server = (tmp_path / "ca.pem").read_bytes(), (tmp_path / "server.pem").read_bytes()
    (tmp_path / "server.key").chmod(0o644)
    made(tmp_path, "--force", "--rsa")
    assert (tmp_path / "ca.pem").read_bytes() == authority
    assert (tmp_path / "server.pem").read_bytes() != server
    assert isinstance(loaded(tmp_path / "server.pem").public_key(), rsa.RSAPublicKey)
    assert stat.S_IMODE((tmp_path / "server.key").stat().st_mode) == 0o600
    assert verifies(tmp_path, "server.pem", "sslserver")


def test_a_ca_without_its_key_is_not_replaced(tmp_path):
    made(tmp_path)
    (tmp_path / "ca.key").unlink()
    ended = cert("--out", tmp_path, "--force")
    assert ended.returncode == 1 and "ca.key" in ended.stderr


@pytest.mark.parametrize("arguments, fault", [
    ([], "--out: a directory is required"),
    (["--out", "x", "--client", "../x"], "--client: up to 64 letters"),
    (["--out", "x", "--client", ".."], "--client: up to 64 letters"),
    (["--out", "x", "--days", "0"], "--days"),
    (["--out", "x", "--days", "826"], "--days"),
])
def test_a_wrong_command_line_is_refused(arguments, fault):
    ended = cert(*arguments)
    assert ended.returncode == 2 and fault in ended.stderr


@pytest.mark.parametrize("name", ["a,IP:192.0.2.1", "", "a b", "*", "a*.example.com", "x" * 254])
def test_a_name_that_no_host_has_is_refused(tmp_path, name):
    ended = cert("--out", tmp_path / "tls", "--name", name)
    assert ended.returncode == 1 and "is no host's name" in ended.stderr
    assert not (tmp_path / "tls").exists()
