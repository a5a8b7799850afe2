"""What a TLS listener speaks: 1.2 and 1.3, with the suites of Mozilla's intermediate profile that have AEAD, in our order, and
nothing that is old or was left away for a reason. Looked at with openssl s_client, and with hellos by hand where it would not
say them."""

import ssl
import subprocess

import pytest

import certificates
import transports
from ends import expect_end, name_of, unnoticed
from s_client import s_client
from tls_end import (DATA, FALLBACK_SCSV, HANDSHAKE, HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, INAPPROPRIATE_FALLBACK,
                     MODERN_CIPHERS, PROTOCOL_VERSION, RENEGOTIATION_SCSV, SERVER_HELLO, SSL3, TLS10, TLS11, TLS12, TLS13,
                     client_hello, extension, make_context, plain_alert, read_records, record)

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls", "wss")]

TLS12_ECDSA = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
TLS12_RSA = ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"]
TLS13_SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]


def open_wire(server):
    return transports.connect(server.address, timeout=20, layers=())


@pytest.mark.parametrize("version", [SSL3, TLS10, TLS11])
def test_old_versions_are_refused(server, version):
    with unnoticed(server), open_wire(server) as wire:
        name = name_of(wire)
        wire.sendall(record(HANDSHAKE, client_hello(version, supported=None, ciphers=(0xC013, 0x002F, 0x000A)), min(version, TLS10)))
        # SSL 3 has no alert for it.
        assert plain_alert(wire) == (HANDSHAKE_FAILURE if version == SSL3 else PROTOCOL_VERSION)
        expect_end(server, "tls_version", name)


@pytest.mark.parametrize("option, version", [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_these_versions_are_spoken(server, option, version):
    seen = s_client(server.address, option)
    assert seen.connected and seen.status == 0, seen.output
    assert seen.says(f"New, {version}, ") and seen.says("Verification: OK")
    assert seen.says("Compression: NONE") and not seen.says("SSL handshake has read 0 bytes")


def test_only_1_3_if_asked(serve):
    server = serve("--tls-min-version", "1.3")
    assert s_client(server.address, "-tls1_3").connected
    seen = s_client(server.address, "-tls1_2")
    assert not seen.connected and "alert protocol version" in seen.output
    expect_end(server, "tls_version")


def order_of(address, option, names, *more):
    """What the server chooses of these, of those that are left, and so on."""
    chosen, left = [], list(names)
    while left:
        seen = s_client(address, option, ":".join(left), *more)
        if not seen.connected:
            break
        chosen.append(seen.cipher)
        left.remove(seen.cipher)
    return chosen


def all_ciphers():
    """Those of TLS 1.2 and before that openssl s_client can offer."""
    listed = subprocess.run(["openssl", "ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"], capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.strip().split(":") if not name.startswith("TLS_")]


def test_suites_of_1_2_in_order(serve):
    """Whatever a client offers, and in whichever order."""
    rsa = certificates.server("rsa")
    ecdsa = certificates.server()
    server = serve(*certificates.server_options(ecdsa), "--tls-certificate", rsa.chain, "--tls-key", rsa.key)
    names = list(reversed(all_ciphers()))
    assert len(names) > 50
    assert order_of(server.address, "-cipher", [*names, "@SECLEVEL=0"], "-tls1_2")[:1] == TLS12_ECDSA[:1]
    both = order_of(server.address, "-cipher", names, "-tls1_2")
    assert sorted(both) == sorted(TLS12_ECDSA + TLS12_RSA)
    # AES-128 before all others, as the cheapest at rest and on the way.
    assert both.index(TLS12_ECDSA[0]) < both.index(TLS12_ECDSA[1]) and both.index(TLS12_RSA[0]) < both.index(TLS12_RSA[1])


def test_suites_of_1_3_in_order(server):
    offered = [*TLS13_SUITES[::-1][1:], "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256", TLS13_SUITES[2]]
    assert order_of(server.address, "-ciphersuites", offered, "-tls1_3") == TLS13_SUITES


@pytest.mark.parametrize("option, first, others", [
    ("-tls1_3", TLS13_SUITES[2], TLS13_SUITES[:2]), ("-tls1_2", TLS12_ECDSA[2], TLS12_ECDSA[:2])])
def test_chacha20_where_a_client_puts_it_first(server, option, first, others):
    """As those do that have no AES in hardware."""
    kind = "-ciphersuites" if option == "-tls1_3" else "-cipher"
    assert s_client(server.address, option, kind, ":".join([first, *others])).cipher == first


@pytest.mark.parametrize("ciphers", [(0x002F, 0x0035, 0xC013, 0xC014), (0xC023, 0xC024, 0x009C), (0x0005, 0x000A), (0x00A8,), (0x009E,)])
def test_no_cipher_in_common(server, ciphers):
    """CBC, RSA key exchange, RC4 and 3DES, PSK, finite-field DHE."""
    with unnoticed(server), open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(supported=None, ciphers=ciphers)))
        assert plain_alert(wire) == HANDSHAKE_FAILURE
        expect_end(server, "tls_cipher")


def server_hello(wire):
    """(version, random, session id, cipher, compression, {extension: data}) of the server's answer."""
    for kind, content in read_records(wire):
        assert kind == HANDSHAKE and content[0] == SERVER_HELLO, (kind, content.hex(" "))
        body = content[4:]
        version, random, id_bytes = int.from_bytes(body[:2], "big"), body[2:34], body[34]
        rest = body[35 + id_bytes:]
        extensions, at = {}, 5
        while at < int.from_bytes(content[1:4], "big") - 35 - id_bytes:
            one, size = int.from_bytes(rest[at:at + 2], "big"), int.from_bytes(rest[at + 2:at + 4], "big")
            extensions[one] = rest[at + 4:at + 4 + size]
            at += 4 + size
        return version, random, body[35:35 + id_bytes], int.from_bytes(rest[:2], "big"), rest[2], extensions
    raise AssertionError("no answer")


def test_no_compression(server):
    with open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(supported=None, compression=b"\x01\x00")))
        version, _, _, _, compression, _ = server_hello(wire)
        assert (version, compression) == (TLS12, 0)
    with open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(compression=b"\x01\x00")))
        assert plain_alert(wire) == ILLEGAL_PARAMETER


def test_secure_renegotiation_is_told(server):
    """And the extended master secret, by which no session is another's."""
    seen = s_client(server.address, "-tls1_2")
    assert seen.says("Secure Renegotiation IS supported") and seen.says("Extended master secret: yes")
    with open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(supported=None, ciphers=(*MODERN_CIPHERS, RENEGOTIATION_SCSV))))
        *_, extensions = server_hello(wire)
        assert extensions[0xFF01] == b"\0"


def test_who_speaks_1_3_is_not_talked_down(server):
    """TLS 1.2 with a server that has 1.3 says so in its random [RFC 8446, 4.1.3]; who has come down to it says so, and is
    refused [RFC 7507]."""
    with open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(supported=None)))
        _, random, *_ = server_hello(wire)
        assert random[-8:] == b"DOWNGRD\x01"
    with unnoticed(server), open_wire(server) as wire:
        name = name_of(wire)
        wire.sendall(record(HANDSHAKE, client_hello(supported=(TLS12,), ciphers=(*MODERN_CIPHERS, FALLBACK_SCSV))))
        assert plain_alert(wire) == INAPPROPRIATE_FALLBACK
        expect_end(server, "tls_version", name)


def test_no_early_data(server):
    """A session says that none is taken, and what a client sends nevertheless is none of MQTT's."""
    seen = s_client(server.address, "-tls1_3", "-ign_eof", said=b"\xc0\x00")
    assert seen.says("Max Early Data: 0") or not seen.says("Max Early Data"), seen.output
    assert not seen.says("Early data was accepted")
    with unnoticed(server), open_wire(server) as wire:
        wire.sendall(record(HANDSHAKE, client_hello(more=extension(42, b"")), 0x0301) + record(DATA, bytes(100)))
        version, *_, extensions = server_hello(wire)
        assert extensions[43] == TLS13.to_bytes(2, "big") and 42 not in extensions


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_alpn(serve, version, transport):
    """The protocol's name is answered; a client that has no name for it is let in; one that wants another is not."""
    server = serve()
    spoken = "http/1.1" if transport == "wss" else "mqtt"
    assert s_client(server.address, version, "-alpn", f"x,{spoken}").says(f"ALPN protocol: {spoken}")
    assert s_client(server.address, version).says("No ALPN negotiated")
    seen = s_client(server.address, version, "-alpn", "h2,ftp")
    assert not seen.connected and "alert no application protocol" in seen.output
    expect_end(server, "tls_alpn")


def test_a_hello_of_many_records(server):
    """A library may cut its hello anywhere."""
    hello = client_hello()
    with open_wire(server) as wire:
        wire.sendall(b"".join(record(HANDSHAKE, hello[at:at + 20], 0x0301) for at in range(0, len(hello), 20)))
        version, *_, extensions = server_hello(wire)
        assert extensions[43] == TLS13.to_bytes(2, "big")


def test_the_first_alert_is_the_clients(server):
    """It does not trust the certificate, which is its right, and the operator's to know."""
    with unnoticed(server):
        with pytest.raises(ssl.SSLCertVerificationError):
            server.raw(to=server.address.over(transports.Tls(context=make_context(authority=certificates.stranger().file))))
        expect_end(server, "tls_certificate_refused")
