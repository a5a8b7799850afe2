"""SIGHUP and the API have the configuration read again: all of it or nothing, with the fault named, and nobody is dropped."""

import select
import signal
import socket

import pytest

from mqtt_wire import SERVER_KEEPALIVE, connect
from tokens import secret_file, token

TEXT = "keepalive_max_s: 100\nconnect_timeout_ms: 10000\nshards: 2\n"


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "roost.yaml"
    file.write_text(TEXT)
    return file


@pytest.fixture
def server(serve, file):
    return serve("--config", str(file), "--admin", "http://127.0.0.1:0")


def keepalive_of_a_newcomer(server):
    with server.client("newcomer", 5, keepalive=60000) as client:
        return client.connack.properties[SERVER_KEEPALIVE]


def hang_up(server):
    start = len(server.lines)
    server.process.send_signal(signal.SIGHUP)
    line = server.wait_line(r"reloaded", start)
    return server.lines[start:line + 1]


@pytest.mark.threads
def test_by_signal_and_nobody_is_dropped(server, file):
    clients = [server.client(f"client-{number}", 5) for number in range(20)]
    for client in clients:
        client.subscribe("t")
    assert keepalive_of_a_newcomer(server) == 100
    for seconds in range(200, 220):
        file.write_text(TEXT.replace("100", str(seconds)))
        assert any(f"-> {seconds}" in line for line in hang_up(server))
        assert keepalive_of_a_newcomer(server) == seconds
        clients[0].publish("t", str(seconds))
        for client in clients:
            assert client.message().payload == str(seconds).encode()
    for client in clients:
        client.expect_nothing_before_ping()
        client.close()


def test_by_the_api(server, file):
    admin = server.admin()
    assert admin.post("/api/v1/reload").json == {"changed": []}
    file.write_text(TEXT + "session_expiry_max_s: 77\n")
    assert admin.post("/api/v1/reload").json == {"changed": ["session_expiry_max_s: 4294967295 -> 77"]}


FAULTS = {
    "nonsense": (TEXT + "no_such_key: 1\n", ":4:", "no_such_key"),
    "out of range": (TEXT.replace("10000", "1"), ":2:", "connect_timeout_ms"),
    "not while it runs": (TEXT.replace("shards: 2", "shards: 3"), ":3:", "shards"),
    "queue smaller than a packet": (TEXT + "queue_bytes_max: 100000\n", ":4:", "packet-bytes-max"),
    "no yaml": ("}", ":1:", ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_all_or_nothing(server, file, name):
    text, line, key = FAULTS[name]
    file.write_text(text.replace("100\n", "300\n"))
    answer = server.admin().post("/api/v1/reload")
    assert answer.status == 400
    assert f"{file}{line}" in answer.json["error"] and key in answer.json["error"]
    assert any("nothing has changed" in logged for logged in hang_up(server))
    assert keepalive_of_a_newcomer(server) == 100


def test_file_that_is_gone(server, file):
    file.unlink()
    answer = server.admin().post("/api/v1/reload")
    assert answer.status == 400 and str(file) in answer.json["error"]


def test_new_token(serve, file, tmp_path):
    token = tmp_path / "token"
    token.write_text("the-old-token-of-the-gateway")
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0", "--admin-token-file", str(token))
    admin = server.admin(token="the-old-token-of-the-gateway")
    token.write_text("the-new-token-of-the-gateway")
    assert admin.get("/api/v1/stats").status == 200
    hang_up(server)
    assert admin.get("/api/v1/stats").status == 401
    admin.token = "the-new-token-of-the-gateway"
    assert admin.get("/api/v1/stats").status == 200
    token.write_text("short")
    assert admin.post("/api/v1/reload").status == 400
    assert admin.get("/api/v1/stats").status == 200


def test_rules_and_keys(serve, file, tmp_path):
    """All files or none: keys that are good are not taken together with rules that are not."""
    rules = tmp_path / "rules"
    rules.write_text("allow all old/#\n")
    server = serve("--config", str(file), "--admin", "http://127.0.0.1:0", "--token-secret-file", secret_file(tmp_path),
                   "--rule-file", str(rules), "--no-allow-by-default")
    other = "fedcba9876543210fedcba9876543210"
    with server.client("c", 5, user="", password=token()) as client:
        assert client.subscribe("old/x", "new/x") == [0, 0x87]
        secret_file(tmp_path, other)
        rules.write_text("allow all new/#\nallow nonsense\n")
        answer = server.admin().post("/api/v1/reload")
        assert answer.status == 400 and f"{rules}:2:" in answer.json["error"]
        server.client("with-the-old-key", 5, user="", password=token()).close()
        rules.write_text("allow all new/#\n")
        assert server.admin().post("/api/v1/reload").status == 200
        assert client.subscribe("old/y", "new/y") == [0x87, 0]
    server.client("with-the-new-key", 5, user="", password=token(other)).close()
    with server.raw(5) as connection:
        connection.send(connect("with-the-old-key", 5, user="", password=token()))
        connection.expect_connack_refusal(0x86)


def test_limits_of_addresses(server, file):
    server.client("before").close()
    file.write_text(TEXT + "address_denied: [127.0.0.0/8]\n")
    assert server.admin().post("/api/v1/reload").json == {"changed": ["address_denied:  -> 127.0.0.0/8"]}
    server.wait_counter("denied_networks_kept_out", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as denied:
        denied.setblocking(False)
        denied.connect_ex(server.address)
        assert select.select([], [denied], [], 0) == ([], [], [])
    file.write_text(TEXT)
    # The admin side is not one of these listeners.
    assert server.admin().post("/api/v1/reload").json == {"changed": ["address_denied: 127.0.0.0/8 -> "]}
    server.wait_counter("denied_networks_kept_out", 0)
    server.client("after").close()
