"""The bench's clients come over every transport: held, in a storm, with messages, in a scenario; with tickets, with a certificate
of their own, and they say what was wrong where they are refused."""

import json
import subprocess

import pytest

import certificates
from server import ROOST, SANITIZER, roost

pytestmark = pytest.mark.roost_only("it starts Roost")

RUN_TIMEOUT_S = 120
URLS = ("tcp://127.0.0.1:0", "tls://127.0.0.1:0", "ws://127.0.0.1:0", "wss://127.0.0.1:0")


def bench(*arguments, status=0):
    done = subprocess.run([ROOST, "bench", *arguments, "--json"], capture_output=True, text=True, check=False,
                          timeout=RUN_TIMEOUT_S, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout)


def url_of(server, scheme):
    return next(url for url in server.urls if url.startswith(scheme + "://"))


@pytest.fixture
def listeners(serve):
    return serve("--shards", "2", listen=URLS)


@pytest.mark.parametrize("scheme", ["tls", "ws", "wss"])
def test_hold(listeners, scheme):
    figures = bench("hold", "-n", "60", "--hold", "1", "--keepalive", "1", "--server-pid", str(listeners.pid),
                    "--url", url_of(listeners, scheme), "--in-progress", "8")
    assert (figures["transport"], figures["connected"], figures["held"], figures["lost"]) == (scheme, 60, 60, 0)
    is_tls = scheme != "ws"
    assert figures.get("tls_handshakes", 0) == (60 if is_tls else 0)
    assert figures.get("tls_resumed_percent", 0) == 0
    assert figures.get("websocket_upgrades", 0) == (0 if scheme == "tls" else 60)
    assert figures["opening_bytes_per_connection"] > (500 if is_tls else 200)
    if is_tls:
        assert figures["tls_cipher"] == "TLS 1.3, AES-128-GCM"
    # At rest the bench's end is as slim as the server's.
    assert 0 < figures["bench_stream_bytes_per_client"] <= (200 if is_tls else 16)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tickets(listeners, version):
    """The first connections have none; each thread keeps its own."""
    figures = bench("hold", "-n", "100", "--hold", "0", "--in-progress", "2", "--threads", "1", "--tls-resume", "100",
                    "--tls-version", version, "--url", url_of(listeners, "tls"), "--server-pid", str(listeners.pid))
    assert figures["connected"] == 100 and figures["tls_cipher"].startswith(f"TLS {version}")
    assert 95 <= figures["tls_resumed_percent"] < 100
    half = bench("hold", "-n", "100", "--hold", "0", "--in-progress", "2", "--tls-resume", "50", "--tls-version", version,
                 "--url", url_of(listeners, "wss"), "--server-pid", str(listeners.pid))
    assert 45 <= half["tls_resumed_percent"] <= 50


@pytest.mark.parametrize("scheme", ["tls", "ws", "wss"])
@pytest.mark.parametrize("qos, size", [(0, 64), (2, 40000)])
def test_messages(listeners, scheme, qos, size):
    """Messages larger than a record or a masked frame, at a window that fills sockets."""
    figures = bench("pubsub", "--pattern", "one-to-one", "--clients", "20", "--publishers", "4", "--burst", "8", "--qos", str(qos),
                    "--size", str(size), "--duration", "1", "--warm-up", "0", "--server-pid", str(listeners.pid),
                    "--url", url_of(listeners, scheme))
    assert figures["server_transport"] == scheme
    assert figures["server_received"] > 0
    assert (figures["server_lost"], figures["server_out_of_order"], figures["server_doubled"]) == (0, 0, 0)
    assert (figures["server_unacknowledged"], figures["server_clients_lost"]) == (0, 0)


@pytest.mark.parametrize("transport", ["tls", "wss"])
def test_storm_beside_mosquitto(transport):
    """The bench gives both brokers that it starts a listener of this kind."""
    figures = bench("storm", "--established", "20", "--publishers", "4", "--duration", "1", "--warm-up", "0",
                    "--in-progress", "8", "--serve", "--shards 1", "--transport", transport, "--tls-resume", "50",
                    "--beside", "mosquitto")
    for broker in ("roost", "mosquitto"):
        assert figures[f"{broker}_lost"] == 0 and figures[f"{broker}_end_transport"] == 0
        assert figures[f"{broker}_sign_ins_per_s"] > 0 and figures[f"{broker}_storm_handshakes_per_s"] > 0
        assert 0 < figures[f"{broker}_tls_resumed_percent"] <= 50


def test_scenario_whose_groups_come_by_different_ways(listeners, tmp_path):
    path = tmp_path / "ways.yaml"
    path.write_text(f"""
name: ways
url: {url_of(listeners, "tls")}
ramp_up_s: 0
warm_up_ms: 0
duration_s: 1
groups:
  - {{name: phones, count: 6, role: both, subscribe: w/%n, publish: w/%n, rate: 200}}
  - {{name: pages, count: 4, url: {url_of(listeners, "wss")}, role: idle, reconnects: 20}}
  - {{name: hosts, count: 3, url: {url_of(listeners, "tcp")}, role: subscriber, subscribe: w/%n}}
""")
    result = bench("run", str(path), "--server-pid", str(listeners.pid))
    server = result["server"]
    assert server["connected"] == 13 and server["fault"] == ""
    assert server["websocket_upgrades"] >= 4
    assert server["tls_handshakes"] >= 10 and server["tls_handshakes"] == 6 + server["websocket_upgrades"]
    assert server["steps"][0]["tls_handshakes_per_s"] > 0
    assert server["steps"][0]["lost"] == 0


def test_certificates(serve):
    """The server's is checked where a CA is named, the client's shown where the server asks for it."""
    ca = str(certificates.authority().file)
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", ca, listen=("tls://127.0.0.1:0",))
    url = url_of(server, "tls")
    mine = certificates.client()
    hold = ("hold", "-n", "5", "--hold", "0", "--url", url, "--server-pid", str(server.pid), "--tls-ca", ca)
    assert bench(*hold, "--tls-cert", mine.chain, "--tls-key", mine.key)["connected"] == 5
    refused = bench(*hold, status=1)
    assert refused["connected"] == 0 and "peer ended TLS with a fatal alert" in refused["lost_reasons"]
    stranger = str(certificates.stranger().file)
    wrong = bench("hold", "-n", "5", "--hold", "0", "--url", url, "--server-pid", str(server.pid), "--tls-ca", stranger, status=1)
    assert "server's certificate is not signed by one that is trusted" in wrong["lost_reasons"]


def test_refusals(listeners):
    port = url_of(listeners, "tcp").rsplit(":", 1)[1]
    plain = bench("hold", "-n", "3", "--hold", "0", "--url", f"tls://127.0.0.1:{port}", status=1)
    assert plain["connected"] == 0 and plain["lost"] == 3
    path = url_of(listeners, "ws").replace("/mqtt", "/elsewhere")
    elsewhere = bench("hold", "-n", "3", "--hold", "0", "--url", path, status=1)
    assert elsewhere["lost_reasons"] == "3 refused by HTTP status: 404"
    ended = roost("bench", "hold", "-n", "1", "--url", url_of(listeners, "tls"), "--tls-ca", "/nowhere/ca.pem")
    assert ended.returncode == 1 and "/nowhere/ca.pem" in ended.stderr
