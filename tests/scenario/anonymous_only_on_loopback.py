"""Without sign-in, clients are let in on listeners bound to a loopback address and on no other."""

import socket

import pytest

from mqtt_wire import Connection, connect

REFUSED = {4: 5, 5: 0x87}


@pytest.mark.parametrize("url", ["tcp://0.0.0.0:0", "tcp://[::]:0"])
def test_any_address_is_not_loopback(serve, version, url):
    server = serve(listen=[url])
    family = socket.AF_INET6 if "[" in url else socket.AF_INET
    # The way in is over loopback; what the listener is bound to decides.
    with Connection(("::1" if "[" in url else "127.0.0.1", server.port), version, family) as connection:
        connection.send(connect("anyone", version))
        connection.expect_connack_refusal(REFUSED[version])
    server.wait_counter("end_not_authorized", 1)
    server.wait_line(r"anonymous")


def test_any_other_loopback_address_is(serve, version):
    server = serve(listen=["tcp://127.1.2.3:0"])
    with Connection(("127.1.2.3", server.port), version) as connection:
        connection.send(connect("anyone", version))
        assert connection.packet().reason == 0


def test_one_listener_does_not_open_the_other(serve, version):
    server = serve(listen=["tcp://127.0.0.1:0", "tcp://0.0.0.0:0"])
    for index, expected in ((0, 0), (1, REFUSED[version])):
        with Connection(("127.0.0.1", server.ports[index]), version) as connection:
            connection.send(connect("anyone", version))
            assert connection.packet().reason == expected


def test_the_start_says_so(serve):
    server = serve(listen=["tcp://0.0.0.0:0"])
    server.wait_line(r"anonymous")
