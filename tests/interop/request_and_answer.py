"""Clients that acknowledge a request and then answer it. Neither library switches Nagle's algorithm off: each answer is
held back until TCP has acknowledged the PUBACK before it, and must not wait for the server's delayed acknowledgement,
which comes after 40 ms. The kernel counts those, for each network namespace."""

import subprocess
from pathlib import Path

import pytest

from mqtt_wire import Client
from namespaces import SERVER_ADDRESS, Namespaces

ROUNDS = 50
FILES, CROWD = 128, 300


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("request_and_answer") / "request_and_answer"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["cc", "-Wall", "-Wextra", "-o", path, source, "-lmosquitto", "-lpaho-mqtt3c", "-lpthread"], check=True, timeout=60)
    return path


def delayed_acknowledgements(server):
    """That its kernel has sent for want of anything to send them with."""
    lines = [line.split() for line in Path(f"/proc/{server.pid}/net/netstat").read_text().splitlines() if line.startswith("TcpExt:")]
    return int(dict(zip(*lines))["DelayedACKs"])


def ask(program, library, spaces, server):
    before = delayed_acknowledgements(server)
    asked = subprocess.run(["ip", "netns", "exec", spaces.clients, program, library, SERVER_ADDRESS, str(server.port), str(ROUNDS)],
                           capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return delayed_acknowledgements(server) - before


@pytest.mark.parametrize("library", ["mosquitto", "paho"])
def test_an_answer_does_not_wait_for_the_kernel(serve, program, library):
    with Namespaces() as spaces:
        server = serve("--anonymous", "always", "--shards", "2", listen=[f"tcp://{SERVER_ADDRESS}:0"], prefix=spaces.prefix)
        assert ask(program, library, spaces, server) < ROUNDS // 4
        # As many as there are acknowledgements of requests and of answers, give or take those that travel with others.
        assert server.counter("quick_acks") > ROUNDS


def test_the_same_in_fixed_files(serve, program):
    with Namespaces() as spaces:
        server = serve("--anonymous", "always", "--connections", "1000", "--shards", "2", "--gates", "1",
                       listen=[f"tcp://{SERVER_ADDRESS}:0"], prefix=spaces.prefix, files_max=FILES)
        if not any("io_uring's tables" in line for line in server.lines):
            pytest.skip("the kernel, or its owner, has no io_uring for us")
        address = (SERVER_ADDRESS, server.port)
        crowd = spaces.as_client(lambda: [Client(address, f"c-{number}") for number in range(CROWD)])
        assert server.counter("connections_fixed") > CROWD / 3
        assert ask(program, "mosquitto", spaces, server) < ROUNDS // 4
        assert server.counter("quick_acks") > ROUNDS
        assert server.counter("fixed_file_failures") == 0
        for client in crowd:
            client.close()
