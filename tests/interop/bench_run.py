"""`roost bench run` with tiny scenarios, against Roost and against Debian's mosquitto: what is sent comes, is counted and
reported, and what goes wrong is said."""

import json
import re
import select
import signal
import socket
import subprocess
import time
import xml.etree.ElementTree

import pytest

from server import ROOST, ROOT, SANITIZER

MOSQUITTO = "/usr/sbin/mosquitto"
START_TIMEOUT_S = 10
RUN_TIMEOUT_S = 90
CONFIGURATION = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
connection_messages false
max_queued_messages 0
log_dest stderr
"""

CHAT = """
name: tiny chat
ramp_up_s: 0
warm_up_ms: 200
duration_s: 1
steps: [100, 200]
objectives: {{lost: 0, doubled: 0, error_rate: 0}}
groups:
  - {{name: people, count: 20, role: both, qos: {qos}, version: {version}, subscribe: room/%g, publish: room/%g, circles: 5,
     size: [32, 500], rate: load}}
"""

TELEMETRY_AND_STORM = """
name: tiny storm
ramp_up_s: 0
warm_up_ms: 200
duration_s: 1
objectives: {lost: 0, doubled: 0, error_rate: 0}
groups:
  - {name: collector, count: 2, role: subscriber, qos: 1, subscribe: telemetry/+/state}
  - {name: device, count: 20, role: publisher, qos: 1, version: 5, clean_start: false, publish: telemetry/%n/state,
     interval_ms: 200}
  - {name: stormer, count: 30, version: 5, reconnects: 60}
"""


def started(command, ready):
    """The process, once its log says that it is ready, and the log until then."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = b""
    deadline = time.monotonic() + START_TIMEOUT_S
    while not re.search(ready, log):
        readable, _, _ = select.select([process.stderr], [], [], max(0, deadline - time.monotonic()))
        more = process.stderr.read1() if readable else b""
        if not more:
            process.kill()
            process.communicate()
            raise AssertionError(f"did not start: {log.decode()}")
        log += more
    return process, log.decode()


def start_mosquitto(folder):
    with socket.create_server(("127.0.0.1", 0)) as drawn:
        port = drawn.getsockname()[1]
    configuration = folder / "mosquitto.conf"
    configuration.write_text(CONFIGURATION.format(port=port))
    process, _ = started([MOSQUITTO, "-c", str(configuration)], rb"mosquitto version \S+ running")
    return process, f"tcp://127.0.0.1:{port}"


def start_roost(_folder):
    process, log = started([ROOST, "serve", "--listen", "tcp://127.0.0.1:0"], rb"\bready\b")
    return process, re.search(r"listening on (tcp://\S+)", log).group(1)


@pytest.fixture(params=[start_roost, start_mosquitto], ids=["roost", "mosquitto"])
def broker(request, tmp_path):
    """A process that serves, and its URL."""
    process, url = request.param(tmp_path)
    yield process, url
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=START_TIMEOUT_S)


def bench(path, *arguments):
    done = subprocess.run([ROOST, "bench", "run", str(path), *arguments], capture_output=True, text=True,
                          timeout=RUN_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def scenario(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return path


def assert_clean(step):
    assert step["due"] == step["sent"] > 0
    assert step["expected"] == step["received"]
    for kind in ("lost", "doubled", "reordered", "foreign", "unsent", "unacknowledged", "clients_lost"):
        assert step[kind] == 0, kind
    assert step["held"], step["breach"]


@pytest.mark.parametrize("qos, version", [(0, "3.1.1"), (1, "5"), (2, "3.1.1")])
def test_steps(broker, tmp_path, qos, version):
    done = bench(scenario(tmp_path, CHAT.format(qos=qos, version=version)), "--url", broker[1], "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    figures = json.loads(done.stdout)
    steps = figures["server"]["steps"]
    assert [step["load"] for step in steps] == [100, 200]
    for step in steps:
        assert_clean(step)
        assert step["expected"] == 4 * step["due"]
        assert 0 < step["latency_p50_ms"] <= step["latency_p99_ms"] <= step["latency_max_ms"]
        assert step["server_cpu_us_per_message"] > 0
    assert figures["knee_load"] == 200


def test_storm_beside_messages(broker, tmp_path):
    done = bench(scenario(tmp_path, TELEMETRY_AND_STORM), "--url", broker[1], "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    (step,) = json.loads(done.stdout)["server"]["steps"]
    assert_clean(step)
    assert step["expected"] == 2 * step["due"]
    assert step["reconnects"] >= 60
    assert step["sign_in_p99_ms"] > 0


def test_floor_and_html(broker, tmp_path):
    html = tmp_path / "report.html"
    done = bench(scenario(tmp_path, CHAT.format(qos=0, version="5")), "--url", broker[1], "--floor", "--html", str(html))
    assert done.returncode == 0, done.stderr + done.stdout
    assert "no knee up to load 200" in done.stdout
    root = xml.etree.ElementTree.fromstring(html.read_text().replace("<!DOCTYPE html>", ""))
    captions = [element.text for element in root.iter("figcaption")]
    assert "Distance to the floor" in captions and "Percentiles of latency" in captions
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == len(captions)


def test_server_that_dies(broker, tmp_path):
    """The step under way is kept, and the report says what happened."""
    process, url = broker
    html = tmp_path / "report.html"
    path = scenario(tmp_path, CHAT.format(qos=1, version="5").replace("duration_s: 1", "duration_s: 60")
                    .replace("steps: [100, 200]", "steps: [100, 200, 300]"))
    with subprocess.Popen([ROOST, "bench", "run", str(path), "--url", url, "--json", "--html", str(html)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as run:
        for line in run.stderr:
            if "measuring" in line:
                break
        process.kill()
        out, err = run.communicate(timeout=RUN_TIMEOUT_S)
    assert run.returncode == 1
    assert "the server was gone in the middle of the run" in err
    figures = json.loads(out)
    assert figures["server"]["died"] and not figures["good"]
    (step,) = figures["server"]["steps"]
    assert step["received"] > 0 and step["clients_lost"] == 20
    assert "Ended early" in html.read_text()


def test_tokens(broker, tmp_path):
    """mosquitto does not look at them; Roost lets anybody in on loopback."""
    secret = tmp_path / "secret"
    secret.write_text("a secret of the test\n")
    text = CHAT.format(qos=0, version="5").replace("rate: load}", f"rate: load, token_secret: {secret}}}")
    done = bench(scenario(tmp_path, text), "--url", broker[1], "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(done.stdout)["server"]["connected"] == 20


@pytest.mark.parametrize("line, fault", [
    ("colour: red", "scenario.yaml:11: colour: there is no such key"),
    ("threads: 0", "scenario.yaml:11: threads: a number from 1 to 64"),
])
def test_fault_in_the_file(tmp_path, line, fault):
    done = bench(scenario(tmp_path, CHAT.format(qos=0, version="5") + line + "\n"))
    assert done.returncode == 2
    assert fault in done.stderr


def test_larger_than_the_machine(broker, tmp_path):
    text = CHAT.format(qos=0, version="5").replace("count: 20", "count: 1999999").replace("circles: 5", "circles: 1999999")
    done = bench(scenario(tmp_path, text), "--url", broker[1])
    assert done.returncode == 1
    assert "larger than this machine: 1999999 clients in one table of descriptors" in done.stderr


def test_nobody_listens(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as drawn:
        port = drawn.getsockname()[1]
    done = bench(ROOT / "deploy" / "scenarios" / "chat.yaml", "--url", f"tcp://127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"tcp://127.0.0.1:{port}: Connection refused" in done.stderr
