"""A real Prometheus scrapes the gateway with the configuration of deploy/, its rules load, and every query behind the
dashboard's panels finds data."""

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import suppress

import pytest
import yaml

import certificates
import listeners
from mqtt_wire import TIMEOUT_S
from other_broker import free_port
from server import ROOT

DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
VARIABLES = {"$instance": ".*", "$__rate_interval": "30s"}
# Nothing of these need to have happened.
MAY_BE_EMPTY = {"roost_connections_ended_total"}


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules():
    promtool("check", "rules", "deploy/prometheus-rules.yml")
    promtool("test", "rules", "tests/deploy/rules_test.yml")
    promtool("check", "config", "deploy/prometheus.yml")


class Prometheus:
    def __init__(self, folder, target, **scrape):
        """scrape: further keys of the scrape_config."""
        config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
        config["global"]["scrape_interval"] = config["global"]["evaluation_interval"] = "1s"
        config["rule_files"] = [str(DEPLOY / "prometheus-rules.yml")]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        config["scrape_configs"][0].update(scrape)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "log", "w", encoding="utf-8")
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address={self.url.removeprefix('http://')}"], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)

    def get(self, path, **query):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=TIMEOUT_S) as answer:
            return json.loads(answer.read())["data"]

    def query(self, text):
        return self.get("/api/v1/query", query=text)["result"]

    def wait(self, reached, what, timeout=60):
        """It tells nobody when it has scraped: it is asked until it has."""
        deadline = time.monotonic() + timeout
        while True:
            with suppress(OSError):
                if reached():
                    return
            assert self.process.poll() is None and time.monotonic() < deadline, what
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


@pytest.fixture
def administered(serve):
    """With TLS as well: there are certificates to show."""
    words = listeners.arguments_for(["tcp://127.0.0.1:0", "tls://127.0.0.1:0"])
    return serve(*words, "--shards", "2", "--admin", "http://127.0.0.1:0", listen=[])


@pytest.fixture
def prometheus(administered, tmp_path):
    prometheus = Prometheus(tmp_path, administered.admin().host)
    yield prometheus
    prometheus.stop()


def queries():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            yield panel["title"], text


def test_dashboard(administered, prometheus):
    with administered.client("a", 5) as sender, administered.client("b") as receiver:
        receiver.subscribe(("t", 1))

        def talked():
            for qos in (0, 1):
                sender.hand_over("t", b"x", qos=qos)
                receiver.take()
            scraped = prometheus.query("count_over_time(roost_turns_total[30s])")
            return scraped and float(scraped[0]["value"][1]) >= 4

        prometheus.wait(lambda: talked() and all(entry["health"] == "up" for entry in prometheus.get("/api/v1/targets")["activeTargets"]),
                        "Prometheus never scraped the gateway")
        groups = prometheus.get("/api/v1/rules")["groups"]
        assert groups and all(rule["health"] != "err" for group in groups for rule in group["rules"])
        for title, text in queries():
            optional = any(name in text and "> 0" in text for name in MAY_BE_EMPTY)
            found = prometheus.query(text)
            assert found or optional, f"{title}: {text} finds nothing"
        connected = prometheus.query('sum(roost_clients{state="connected"})')[0]["value"][1]
        assert connected == "2"


def test_scraped_over_tls(serve, tmp_path):
    """As OPERATIONS.md says: with the scheme, whom to trust, and a certificate where one is asked for."""
    shown, own, authority = certificates.server(), certificates.client("prometheus"), certificates.authority().file
    server = serve("--admin", "https://127.0.0.1:0", "--admin-tls-certificate", shown.chain, "--admin-tls-key", shown.key,
                   "--admin-tls-client-ca-file", authority)
    prometheus = Prometheus(tmp_path, server.admin().host, scheme="https",
                            tls_config={"ca_file": authority, "cert_file": own.chain, "key_file": own.key})
    try:
        prometheus.wait(lambda: prometheus.query("roost_build_info"), "Prometheus never scraped the gateway")
        assert all(entry["health"] == "up" for entry in prometheus.get("/api/v1/targets")["activeTargets"])
    finally:
        prometheus.stop()


def test_dashboard_is_whole():
    """What Grafana asks of a dashboard: panels with numbers of their own, on a grid without overlaps, and queries of metrics that
    are documented."""
    documented = set(re.findall(r"^\| `(\w+)` ", (ROOT / "docs" / "METRICS.md").read_text(), re.MULTILINE))
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for _, text in queries():
        for name in re.findall(r"\b(?:roost|process)_\w+", text):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in documented or name in documented, name
    rules = (DEPLOY / "prometheus-rules.yml").read_text()
    for name in re.findall(r"\broost_\w+", rules):
        assert re.sub(r"_bucket$", "", name) in documented, name
