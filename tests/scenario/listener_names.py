"""A listener's URL may have a name in place of an address: it is resolved at the start, and each address that this machine has
becomes a listener."""

import re
import socket

import pytest

from mqtt_wire import Client
from server import roost


def machine_has(family, address):
    try:
        with socket.socket(family) as probe:
            probe.bind((address, 0))
            return True
    except OSError:
        return False


def addresses_of(name):
    found = {(family, address[0]) for family, *_, address in socket.getaddrinfo(name, 0, type=socket.SOCK_STREAM)}
    return {(family, address) for family, address in found if machine_has(family, address)}


def test_localhost(serve, version):
    server = serve(listen=["tcp://localhost:0"])
    wanted = addresses_of("localhost")
    assert wanted and len(server.ports) == len(wanted)
    for url, port in zip(server.urls, server.ports):
        host = re.fullmatch(r"tcp://\[?(.+?)\]?:\d+", url).group(1)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        assert (family, host) in wanted
        server.wait_line(rf"tcp://localhost:0 resolves to {re.escape(url)}")
        with Client((host, port), "x", version, family=family) as client:  # let in without a name, as on any loopback address
            client.expect_nothing_before_ping()


def test_admin_on_localhost(serve):
    server = serve("--admin", "http://localhost:0")
    assert server.admin().get("/health").status == 200


@pytest.mark.parametrize("options", [("--listen", "tcp://roost.invalid:0", "--admin", "off"),
                                     ("--listen", "tcp://127.0.0.1:0", "--admin", "http://roost.invalid:0")],
                         ids=["listen", "admin"])
def test_a_name_that_there_is_not(options):
    ended = roost("serve", *options)
    assert ended.returncode == 1
    assert re.search(r"roost\.invalid:0: \w+", ended.stderr), ended.stderr
    assert "ready" not in ended.stderr.splitlines()[-1]
