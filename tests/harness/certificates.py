"""Certificates for tests of TLS: a CA that they all trust, servers, clients, and every kind that has to be refused.

Each is made when it is first asked for, in a folder that lives as long as the tests' process. Keys are ECDSA P-256 unless the
name says RSA, and whoever needs a key of their own asks for it: keys are shared otherwise, since making them takes longest."""

import atexit
import datetime
import functools
import ipaddress
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@functools.cache
def folder():
    made = tempfile.mkdtemp(prefix="roost-certificates-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


@functools.cache
def key(kind="ecdsa", number=0):
    """Always the same one for the same number."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key({"ecdsa": ec.SECP256R1, "ecdsa384": ec.SECP384R1}[kind]())


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def general_name(text):
    """Of an address, a URI, an e-mail address, or else of a host."""
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        kind = x509.UniformResourceIdentifier if ":" in text else x509.RFC822Name if "@" in text else x509.DNSName
        return kind(text)


def distinguished(common_name, **more):
    parts = [x509.NameAttribute(getattr(NameOID, name.upper()), value) for name, value in more.items()]
    if common_name is not None:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the two files of them. chain: the certificate, then those that sign it."""
    certificate: x509.Certificate
    private_key: object
    chain: str
    key: str

    @property
    def serial(self):
        return self.certificate.serial_number


def write(name, data):
    path = folder() / name
    path.touch(0o600)
    path.write_bytes(data)
    return str(path)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(private_key):
    return private_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Authority:
    """Signs. above: the authority that has signed it, where it is an intermediate one."""

    def __init__(self, name, kind="ecdsa", above=None):
        self.name, self.above = name, above
        self.key = key(kind, f"authority {name}")
        issuer, issuer_key = (above.certificate.subject, above.key) if above else (distinguished(name), self.key)
        self.certificate = (
            x509.CertificateBuilder().subject_name(distinguished(name)).issuer_name(issuer).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now() - 400 * DAY).not_valid_after(now() + 4000 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False,
                                         key_encipherment=False, data_encipherment=False, key_agreement=False,
                                         encipher_only=False, decipher_only=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(issuer_key, hashes.SHA256()))
        self.file = write(f"authority-{name}-{self.certificate.serial_number:x}.pem", pem(self.certificate))

    def sign(self, common_name, names=(), kind="ecdsa", begins=-DAY, ends=90 * DAY, usage=None, private_key=None, padding=0,
             file=None, **subject):
        """An Identity. begins, ends: from now on. padding: bytes of a comment in the certificate."""
        private_key = private_key or key(kind)
        builder = (
            x509.CertificateBuilder().subject_name(distinguished(common_name, **subject)).issuer_name(self.certificate.subject)
            .public_key(private_key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now() + begins).not_valid_after(now() + ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general_name(text) for text in names]), critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if padding:
            comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"\x16" * padding)
            builder = builder.add_extension(comment, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        file = file or f"{self.name}-{certificate.serial_number:x}"
        chain = pem(certificate) + (pem(self.certificate) if self.above else b"")
        return Identity(certificate, private_key, write(f"{file}.pem", chain), write(f"{file}.key", key_pem(private_key)))

    def server(self, *names, **options):
        names = names or LOCAL_NAMES
        return self.sign(names[0], names, usage=ExtendedKeyUsageOID.SERVER_AUTH, **options)

    def client(self, common_name, names=(), **options):
        return self.sign(common_name, names, usage=ExtendedKeyUsageOID.CLIENT_AUTH, **options)

    def revoke(self, *identities, file="revoked", next_update=30 * DAY):
        """The file with the list of those that are revoked, all others of this authority not."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
                   .last_update(now() - DAY).next_update(now() + next_update))
        for identity in identities:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(identity.serial).revocation_date(now() - DAY).build())
        return write(f"{file}.crl", builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


# What most tests need

@functools.cache
def authority():
    """Whom servers and clients trust."""
    return Authority("test")


@functools.cache
def stranger():
    """Whom nobody trusts."""
    return Authority("stranger")


@functools.cache
def intermediate():
    """Signed by the trusted one."""
    return Authority("intermediate", above=authority())


@functools.cache
def server(kind="ecdsa"):
    return authority().server(kind=kind)


@functools.cache
def client(common_name="sensor-17"):
    return authority().client(common_name, organization_name="Example")


def server_options(identity=None):
    """Of a server whose listeners all have this certificate."""
    identity = identity or server()
    return ["--tls-certificate", identity.chain, "--tls-key", identity.key]
