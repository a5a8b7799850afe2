"""Sessions that are resumed with a ticket: at once, after a restart, at another node with the same keys, and not where they
should not be. One ticket comes with a handshake."""

import re
import ssl
import subprocess

import pytest

import certificates
import listeners
import transports
from ends import unnoticed
from mqtt_wire import PINGREQ_BYTES, PINGRESP_BYTES, connect
from s_client import TICKET, s_client
from tls_end import DATA, HANDSHAKE, NEW_SESSION_TICKET, Records, make_context

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.transports("tls", "wss")]

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(params=list(VERSIONS))
def tls(request):
    return VERSIONS[request.param]


def come(server, context, session=None, address=None):
    """(whether it was resumed, the session for the next time)"""
    address = address or server.address
    with server.client("", 5, to=address.over(transports.Tls(context=context, session=session), *address.layers[1:])) as client:
        client.subscribe("t")
        client.publish("t", b"x")
        assert client.message().payload == b"x"
        end = client.socket if len(address.layers) == 1 else client.socket.below
        return end.resumed, end.session


def test_again_and_again(server, tls):
    """A resumed client is as good as any other, and gets the next ticket."""
    context = make_context(minimum=tls, maximum=tls)
    resumed, session = come(server, context)
    assert not resumed
    for _ in range(5):
        resumed, session = come(server, context, session)
        assert resumed


def test_openssl_resumes(server, tmp_path):
    for version in ("-tls1_2", "-tls1_3"):
        kept = str(tmp_path / f"session{version}")
        until = TICKET if version == "-tls1_3" else None
        assert not s_client(server.address, version, "-sess_out", kept, until=until).resumed
        assert s_client(server.address, version, "-sess_in", kept).resumed


def test_one_ticket_a_handshake(server, tmp_path):
    layer = transports.Tls(key_log=str(tmp_path / "keys"), minimum=VERSIONS["1.3"])
    end = transports.connect(server.address, timeout=20, layers=(layer,))
    records = Records(end)
    if len(server.address.layers) == 1:
        records.send(records.seal(connect("counts", 4)))
        tickets = 0
        while (got := records.next_record()) and got[0] != DATA:
            tickets += got[0] == HANDSHAKE and got[1][0] == NEW_SESSION_TICKET
        records.send(records.seal(PINGREQ_BYTES))
        assert records.next_record() == (DATA, PINGRESP_BYTES)
    else:
        kind, content = records.next_record()
        tickets = kind == HANDSHAKE and content[0] == NEW_SESSION_TICKET
    assert tickets == 1
    end.wire.close()


def test_over_a_restart(serve, tls, tmp_path, transport):
    """With a file for the keys; and a file that only its owner may read."""
    keys = tmp_path / "tickets"
    context = make_context(minimum=tls, maximum=tls)
    first = serve("--tls-ticket-file", str(keys))
    _, session = come(first, context)
    first.stop()
    assert keys.stat().st_mode & 0o077 == 0
    second = serve("--tls-ticket-file", str(keys))
    resumed, session = come(second, context, session)
    assert resumed
    second.crash()
    third = serve("--tls-ticket-file", str(keys))
    assert come(third, context, session)[0]


def test_at_another_node(serve, tls, tmp_path):
    """That has the same file, and so the same keys."""
    keys = str(tmp_path / "tickets")
    context = make_context(minimum=tls, maximum=tls)
    one, other = serve("--tls-ticket-file", keys), serve("--tls-ticket-file", keys)
    _, session = come(one, context)
    assert come(other, context, session)[0]


def test_not_at_a_stranger(serve, tls):
    """Another process with keys of its own: the client comes in with a full handshake."""
    context = make_context(minimum=tls, maximum=tls)
    one, other = serve(), serve()
    _, session = come(one, context)
    with unnoticed(other):
        resumed, _ = come(other, context, session)
        assert not resumed


def test_by_any_gate(serve, tls):
    server = serve("--gates", "4", "--shards", "4")
    context = make_context(minimum=tls, maximum=tls)
    _, session = come(server, context)
    for _ in range(12):
        resumed, session = come(server, context, session)
        assert resumed


def test_not_at_a_listener_that_asks_for_more(serve, tls, transport):
    """A session of a listener that asks for no certificate is none at one that does."""
    url = listeners.url_for(transport)
    server = serve(*listeners.configured(
        {"url": url, "tls-certificate": [certificates.server().chain], "tls-key": [certificates.server().key]},
        {"url": url, "tls-certificate": [certificates.server().chain], "tls-key": [certificates.server().key],
         "tls-client-certificates": "required", "tls-client-ca-file": certificates.authority().file}), listen=[])
    context = make_context(minimum=tls, maximum=tls)
    _, session = come(server, context)
    strict = server.addresses[1]
    with unnoticed(server):
        with pytest.raises(Exception):  # noqa: B017  an alert, in the handshake or behind it
            come(server, context, session, strict)
        server.wait_counter("end_tls_certificate_missing", 1)


def test_tickets_that_are_spoilt(server, tmp_path):
    """Each byte of a session's ticket: a full handshake, and never an end."""
    kept = tmp_path / "session"
    s_client(server.address, "-tls1_2", "-sess_out", str(kept))
    text = subprocess.run(["openssl", "sess_id", "-in", str(kept), "-outform", "DER"], capture_output=True, check=True).stdout
    printed = subprocess.run(["openssl", "sess_id", "-in", str(kept), "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    begin = bytes.fromhex(re.search(r"0000 - ([0-9a-f -]+?)  ", printed).group(1).replace("-", " ").replace(" ", "")[:16])
    at = text.index(begin)
    with unnoticed(server):
        for offset in (0, 8, 20, 60, 100):
            spoilt = bytearray(text)
            spoilt[at + offset] ^= 0x55
            file = tmp_path / "spoilt.der"
            file.write_bytes(bytes(spoilt))
            pem = tmp_path / "spoilt.pem"
            subprocess.run(["openssl", "sess_id", "-in", str(file), "-inform", "DER", "-out", str(pem)], check=True, capture_output=True)
            seen = s_client(server.address, "-tls1_2", "-sess_in", str(pem))
            assert seen.connected and not seen.resumed
