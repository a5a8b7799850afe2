"""The new program reads the configuration and every file that it names. What is wrong with them is found while it is tried;
what can only be found later, or cannot change under clients, costs no client anything."""

import json
import re
import shutil
import signal
import socket

import pytest

import certificates
from mqtt_wire import TIMEOUT_S
from server import UPGRADE_TIMEOUT_S, UPGRADED

pytestmark = [pytest.mark.roost_only("it replaces Roost's program"), pytest.mark.transports("tcp")]


class Configured:
    """A server with a file of options, and a client of it that must notice nothing."""

    def __init__(self, serve, folder, **options):
        self.path = folder / "roost.yaml"
        self.options = {"admin": "http://127.0.0.1:0", "listen": ["tcp://127.0.0.1:0"], **options}
        self.write()
        self.server = serve("--shards", "2", "--config", str(self.path), listen=[], admin=None)
        self.client = self.server.client("there", 5)
        self.client.subscribe(("t", 1))

    def write(self, **changed):
        """An option that is None is left out."""
        now = {name: value for name, value in {**self.options, **changed}.items() if value is not None}
        self.path.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in now.items()))

    def upgrade(self):
        """What the log says of it."""
        start = len(self.server.lines)
        self.server.process.send_signal(signal.SIGUSR2)
        said = self.server.lines[self.server.wait_line(UPGRADED, start, timeout=UPGRADE_TIMEOUT_S)]
        self.client.hand_over("t", b"still", qos=1)
        assert self.client.take().payload == b"still"
        return said

    def refused(self, **changed):
        self.write(**changed)
        said = self.upgrade()
        assert "not upgraded: " in said and "while it was tried" in said, said
        self.write()
        assert "upgraded from" in self.upgrade()
        return said


@pytest.fixture
def configured(serve, tmp_path):
    started = []

    def start(**options):
        started.append(Configured(serve, tmp_path, **options))
        return started[-1]

    yield start
    for each in started:
        each.client.close()


@pytest.mark.parametrize("option", ["token_secret_file", "token_key_file", "token_jwks_file", "password_file", "rule_file",
                                    "admin_token_file"])
def test_a_file_that_is_not_there(configured, tmp_path, option):
    gone = tmp_path / "gone"
    assert str(gone) in configured().refused(**{option: str(gone), "anonymous": "always"})


def test_a_file_that_was_good_before(configured, tmp_path):
    """The previous program would not start with it any more either."""
    rules = tmp_path / "rules"
    rules.write_text("allow all #\n")
    server = configured(rule_file=str(rules), anonymous="always", allow_by_default=True)
    good = rules.read_text()
    rules.write_text("nonsense\n")
    said = server.upgrade()
    assert "not upgraded: " in said and "while it was tried" in said and f"{rules}:1" in said
    rules.write_text(good)
    assert "upgraded from" in server.upgrade()


def test_a_certificate_that_is_damaged(configured, tmp_path):
    own = certificates.server()
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    shutil.copy(own.chain, chain)
    shutil.copy(own.key, key)
    key.chmod(0o600)
    server = configured(listen=["tcp://127.0.0.1:0", "tls://127.0.0.1:0"], tls_certificate=[str(chain)], tls_key=[str(key)])
    chain.write_text("damaged\n")
    said = server.upgrade()
    assert "not upgraded: " in said and "while it was tried" in said and str(chain) in said
    shutil.copy(own.chain, chain)
    assert "upgraded from" in server.upgrade()


def test_an_address_that_another_program_has(configured):
    """A new listener is found to be impossible only when the program runs: it does without."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = configured(listen=["tcp://127.0.0.1:0"])
        server.write(listen=["tcp://127.0.0.1:0", f"tcp://127.0.0.1:{port}"])
        assert "upgraded from" in server.upgrade()
        server.server.wait_line(f"nobody is let in on tcp://127.0.0.1:{port} until")
    server.server.client("another").close()
    assert "upgraded from" in server.upgrade()
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S):
        pass


def test_an_admin_address_that_another_program_has(configured):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = configured()
        before = server.server.admin().address
        server.write(admin=f"http://127.0.0.1:{taken.getsockname()[1]}")
        assert "upgraded from" in server.upgrade()
        server.server.wait_line("without the admin side")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(before, TIMEOUT_S)
    start = len(server.server.lines)
    assert "upgraded from" in server.upgrade()
    server.server.wait_line("admin on http", start)


def test_listeners_that_are_gone_and_new(configured):
    server = configured(listen=["tcp://127.0.0.1:0", "tcp://127.0.0.2:0"])
    line = server.server.lines[server.server.wait_line(r"listening on tcp://127\.0\.0\.2:\d+")]
    port = int(re.search(r":(\d+)$", line).group(1))
    server.write(listen=["tcp://127.0.0.1:0", "tcp://127.0.0.3:0"])
    start = len(server.server.lines)
    assert "upgraded from" in server.upgrade()
    line = server.server.lines[server.server.wait_line(r"listening on tcp://127\.0\.0\.3:\d+", start)]
    with socket.create_connection(("127.0.0.3", int(re.search(r":(\d+)$", line).group(1))), TIMEOUT_S):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), TIMEOUT_S)


CHANGED = {"gates": 2, "connections": 50, "packet_bytes_max": 4096, "queue_bytes_max": 2000000, "queue_messages_max": 3,
           "connect_bytes_max": 2048, "inflight_max": 2, "receive_max": 2, "topic_alias_max": 1, "sessions_offline_max": 1,
           "queue_memory_max": 1048576, "retained_max": 1, "retained_bytes_max": 100, "keepalive_max_s": 100, "sys_interval_s": 0,
           "session_expiry_max_s": 1, "client_subscriptions_max": 1, "tls_handshakes_max": 10, "password_threads": 1,
           "address_connections_max": 1, "private_tables": False, "fixed_files": False, "shards": 3}
WAIT = ("shards", "private_tables", "fixed_files")


@pytest.mark.parametrize("name", CHANGED)
def test_an_option_that_was_changed(serve, tmp_path, name):
    """It is in force afterwards, or waits for a restart; whoever has more than it allows keeps it."""
    config = tmp_path / "roost.yaml"
    config.write_text("drain_ms: 1000\n")
    server = serve("--config", str(config))
    with server.client("there", 5) as client, server.session("away", 5) as away:
        away.subscribe(("q", 2))
        away.disconnect()
        client.subscribe(("t", 2), ("u", 1), ("w/+", 1))
        for number in range(5):
            client.hand_over(f"r/{number}", b"x" * 300, qos=1, retain=True)
            client.hand_over("q", b"%d" % number, qos=2)
        config.write_text(f"{name}: {json.dumps(CHANGED[name])}\n")
        for _ in range(2):
            start = len(server.lines)
            assert "upgraded from" in server.upgrade()
            assert (name in WAIT) == any("until a restart" in line for line in server.lines[start:])
            client.hand_over("t", b"still", qos=2)
            assert client.take().payload == b"still"
    with server.session("away", 5) as back:
        assert [back.take().payload for _ in range(5)] == [b"%d" % number for number in range(5)]
