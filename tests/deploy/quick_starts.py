"""The blocks of docs/START.md do what they say, as a reader would run them, on ports of the tests' own."""

import re
import subprocess
from pathlib import Path

import pytest

from server import ROOST

ROOT = Path(__file__).resolve().parents[2]
START = (ROOT / "docs" / "START.md").read_text()


def blocks(part, language):
    """Of the part with this heading."""
    text = START.split(f"## {part}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run(command, folder, **words):
    for old, new in words.items():
        command = command.replace({"port": "1883", "admin": "127.0.0.1:9883", "roost": "build/roost"}[old], str(new))
    done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_device_in_python(administered, tmp_path):
    (code,), (command,) = blocks("A device in Python", "python"), blocks("A device in Python", "sh")
    (tmp_path / "device.py").write_text(code)
    with administered.client("reader") as reader:
        reader.subscribe(("home/#", 1))
        said = run(command.replace("python3", "/usr/bin/python3"), tmp_path, port=administered.port)
        assert said == "the server has it\n"
        assert reader.take().payload == b"21.5"


def test_a_load(administered, tmp_path):
    (commands,) = blocks("A load test", "sh")
    said = run(commands.replace("-n 2000 --hold 5", "-n 200 --hold 1"), tmp_path, port=administered.port, roost=ROOST)
    assert "still connected at the end" in said


def test_metrics(administered, tmp_path):
    commands = blocks("Prometheus and Grafana", "sh")[0].splitlines()
    said = run(commands[0], tmp_path, admin=administered.admin().host)
    assert said.count("roost_clients{") >= 3 and 'state="connected"' in said
    assert commands[1] == "prometheus --config.file deploy/prometheus.yml" and (ROOT / "deploy" / "prometheus.yml").exists()


def test_tokens(serve, tmp_path):
    begin, sign_in = blocks("Tokens", "sh")
    make_secret, start = begin.splitlines()
    run(make_secret, tmp_path)
    assert start.split()[:2] == ["build/roost", "serve"] and start.endswith("--token-secret-file secret")
    server = serve("--token-secret-file", str(tmp_path / "secret"))
    run(sign_in.replace("mosquitto_pub", f"mosquitto_pub -p {server.port}"), tmp_path, roost=ROOST)
    server.wait_counter("messages_in", 1)


def test_the_page_and_its_listener():
    """The page itself is opened in tests/browser."""
    (command,), (page,) = blocks("A page in a browser", "sh"), blocks("A page in a browser", "html")
    assert re.search(r"--listen (ws://127\.0\.0\.1:8083/mqtt)", command).group(1) in page


def prose(text):
    """Without blocks of code, in which # begins a comment and ]( is no link."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text):
    """Of its headings, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_comments_in_code_are_no_headings():
    text = "# One\n\n```sh\n# two\n```\n\n1. x\n\n   ```sh\n   # three\n# four\n   ```\n\n## Five, six\n"
    assert anchors(text) == {"one", "five-six"}


@pytest.mark.parametrize("path", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)(#[^)\s]*)?\)", prose(path.read_text())):
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{path}: {target}"
        if anchor and there.suffix == ".md":
            assert anchor[1:] in anchors(there.read_text()), f"{path}: {target}{anchor}"
