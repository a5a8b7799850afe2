"""Networks that are denied: the kernel drops their first packet, so that they get no answer and cost nothing, counted by the
listener. Where the kernel has no room for that they are closed after accept. Nobody else notices."""

import contextlib
import select
import socket
import subprocess

import pytest

from mqtt_wire import Closed, Connection, connect
from namespaces import SERVER_ADDRESS, Namespaces

CLIENT_ADDRESS = "10.213.0.2"


@contextlib.contextmanager
def knocking(server, source):
    """A connection that has begun. On loopback its first packet has been answered, or dropped, when connect() returns."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as knocker:
        knocker.setblocking(False)
        knocker.bind((source, 0))
        knocker.connect_ex(server.address)
        yield knocker


def is_dropped(server, source):
    with knocking(server, source) as knocker:
        return select.select([], [knocker], [], 0) == ([], [], [])


def test_they_get_no_answer(serve, version):
    server = serve("--gates", "2", "--no-defer-accept", "--address-denied", "127.9.0.0/16", "--address-denied", "127.0.0.9",
                   "--address-exempt", "127.9.0.0/24")
    for number, source in enumerate(("127.9.0.1", "127.9.255.1", "127.0.0.9"), 1):
        assert is_dropped(server, source)
        server.wait_counter("listener_drops", number)
        server.client("inside", version, source="127.10.0.1").close()
        server.client("neighbour", version, source="127.0.0.8").close()
    counters = server.counters()
    assert counters["denied_networks_kept_out"] == 2
    assert counters["addresses_kept_out"] == 0
    assert counters["end_address_denied"] == 0
    assert counters["connections_accepted"] == 6


@pytest.mark.threads
def test_a_reload_denies_and_lets_in_again(serve, tmp_path, version):
    file = tmp_path / "roost.yaml"
    file.write_text("address_denied: [127.8.0.0/16]\n")
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0")
    with server.client("stays", version, source="127.9.0.1") as stays:
        assert is_dropped(server, "127.8.0.1")
        file.write_text("address_denied: [127.9.0.0/16]\n")
        assert server.admin().post("/api/v1/reload").status == 200
        server.wait_counter("denied_networks_kept_out", 1)
        server.client("was denied", version, source="127.8.0.1").close()
        assert is_dropped(server, "127.9.0.1")
        # Who is there already stays.
        stays.expect_nothing_before_ping()
        file.write_text("address_denied: []\n")
        assert server.admin().post("/api/v1/reload").status == 200
        server.wait_counter("denied_networks_kept_out", 0)
        server.client("again", version, source="127.9.0.1").close()


def test_limits_drop_nobody_that_they_do_not_count(serve, version):
    """An address that goes on although refused is dropped for a while, and with it all that counts as the same address, but
    not what is exempt."""
    server = serve("--address-rate", "1", "--address-bits-v4", "24", "--address-exempt", "127.0.2.8/29", "--address-denied",
                   "127.9.0.0/16")
    # Refused 200 times in one second, in whichever second that many fit.
    while server.counter("addresses_kept_out") == 0:
        for _ in range(400):
            with knocking(server, "127.0.2.2"):
                pass
    assert is_dropped(server, "127.0.2.3")
    assert is_dropped(server, "127.9.0.1")
    for source in ("127.0.2.9", "127.0.3.1"):
        server.client("let in", version, source=source).close()


def test_a_kernel_without_room(serve, version):
    with Namespaces() as namespaces:
        room = "/proc/sys/net/core/optmem_max"
        made = subprocess.run([*namespaces.prefix, "sh", "-c", f"echo 64 >{room}"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            pytest.skip(f"{room} is not a namespace's own here: {made.stderr.strip()}")
        server = serve("--anonymous", "always", "--address-denied", CLIENT_ADDRESS, "--address-denied", "10.213.0.77",
                       prefix=namespaces.prefix, listen=[f"tcp://{SERVER_ADDRESS}:0"])
        server.wait_line("the kernel keeps out 0 of 2 denied networks")
        namespaces.add_address("10.213.0.3")

        def be_refused():
            with Connection((SERVER_ADDRESS, server.port), version, source=CLIENT_ADDRESS) as connection:
                with contextlib.suppress(Closed):
                    connection.send(connect("denied", version))
                connection.expect_close()

        def come_in():
            with Connection((SERVER_ADDRESS, server.port), version, source="10.213.0.3") as connection:
                connection.send(connect("let in", version))
                return connection.packet().reason == 0

        namespaces.as_client(be_refused)
        assert namespaces.as_client(come_in)
        server.wait_counter("end_address_denied", 1)
        assert server.counter("denied_networks_kept_out") == 0
