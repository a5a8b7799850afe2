"""IPv6, beside IPv4 or alone."""

import socket

from mqtt_wire import Client


def test_both_at_once(serve, version):
    server = serve(listen=["tcp://127.0.0.1:0", "tcp://[::1]:0"])
    assert server.urls[1].startswith("tcp://[::1]:")
    with server.client("four", version) as four, \
            Client(("::1", server.ports[1]), "six", version, family=socket.AF_INET6) as six:
        six.subscribe("t")
        four.publish("t", b"x")
        assert six.message().payload == b"x"


def test_alone(serve, version):
    server = serve(listen=["tcp://[::1]:0"])
    with Client(("::1", server.port), "six", version, family=socket.AF_INET6) as six:
        six.expect_nothing_before_ping()
