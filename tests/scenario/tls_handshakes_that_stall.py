"""TLS handshakes that a client begins and does not go on with: they take every place there is, and are given up where others wait
for one."""

import socket
import ssl

import pytest

import listeners
from ends import SENTENCES
from tls_end import default_context

pytestmark = [pytest.mark.roost_only("it looks at Roost's TLS"), pytest.mark.threads]

PLACES = 16


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    return outgoing.read()


def stalled(server):
    end = socket.create_connection(server.address[:2], timeout=20)
    end.sendall(client_hello())
    assert end.recv(5)[0] == 0x16  # the server's part of it
    return end


def test_others_get_their_places(serve):
    server = serve("--tls-handshakes-max", str(PLACES), listen=[listeners.url_for("tls")])
    with server.client("before") as before:
        ends = [stalled(server) for _ in range(PLACES)]
        server.wait_counter("tls_handshakes_open", PLACES)
        with server.client("after") as after:
            after.expect_nothing_before_ping()
        line = server.lines[server.wait_line("refused a connection")]
        assert SENTENCES["tls_handshake_timeout"] in line
        before.expect_nothing_before_ping()
        # Only as many as were waited for: the others may still go on.
        assert server.counter("end_tls_handshake_timeout") == 1
        for end in ends:
            end.close()
        server.wait_counter("tls_handshakes_open", 0)


def test_nobody_is_hurried_without_need(serve):
    server = serve("--tls-handshakes-max", str(PLACES), "--tls-handshake-timeout-ms", "3000", listen=[listeners.url_for("tls")])
    ends = [stalled(server) for _ in range(PLACES)]
    server.wait_counter("end_tls_handshake_timeout", PLACES)
    for end in ends:
        end.close()
