"""What is made from tables in the code is as the code makes it now."""

import re
import subprocess
from pathlib import Path

import pytest

from server import ROOST, ROOT

BUILD = Path(ROOST).resolve().parent


@pytest.mark.parametrize("what, file", [("metrics", "docs/METRICS.md"), ("example", "deploy/roost.yaml")])
def test_is_fresh(what, file):
    made = subprocess.run([BUILD / "roost-docs", what], capture_output=True, text=True, timeout=30, check=True).stdout
    assert (ROOT / file).read_text() == made, f"build/roost-docs {what} > {file}"


def test_example_starts_a_gateway(serve):
    """With the ports that it names replaced by free ones on the command line."""
    server = serve("--config", str(ROOT / "deploy" / "roost.yaml"), "--admin", "http://127.0.0.1:0")
    server.client("a").close()
    assert server.admin().post("/api/v1/reload").json == {"changed": []}


@pytest.mark.parametrize("page, names", [("roost.1", ["serve", "ctl", "bench"]), ("roost-ctl.1", ["inspect", "publish", "url"]), ("roost-serve.1", ["listen", "admin", "connections", "config"]),
                                         ("roost-doctor.1", ["json", "apply", "plan", "rate"]), ("roost-bench.1", ["hold", "run"]),
                                         ("roost-passwd.1", ["delete"]), ("roost-token.1", ["key", "help"]), ("roost-store.1", ["check", "backup"])])
def test_manual_pages(page, names):
    text = (BUILD / page).read_text()
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        assert f"\n.SH {section}\n" in text
    for name in names:
        assert re.search(rf"^\.B (\\-\\-)?{name}\b", text, re.MULTILINE)


def test_manual_pages_refer_to_each_other():
    others = re.findall(r"^\.BR roost\\-(\w+) \(1\)", (BUILD / "roost.1").read_text(), re.MULTILINE)
    assert len(others) > 4
    for other in others:
        assert (BUILD / f"roost-{other}.1").exists()
    token = (BUILD / "roost-token.1").read_text()
    assert token.split(".SH SYNOPSIS\n")[1].split(".SH ")[0].count("\n.B roost token ") == 2


def test_unit_names_only_options_that_there_are():
    unit = (ROOT / "deploy" / "roost.service").read_text()
    helped = subprocess.run([ROOST, "serve", "--help"], capture_output=True, text=True, timeout=30, check=True).stdout
    for option in re.findall(r"--[a-z-]+", unit):
        assert f"  {option} " in helped, option
    limit = int(re.search(r"^LimitNOFILE=(\d+)$", unit, re.MULTILINE).group(1))
    assert limit >= 1000000
