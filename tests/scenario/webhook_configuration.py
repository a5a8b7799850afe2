"""Mistakes in `hooks` are told with their place, at the start and at a reload, files that cannot be read among them; and change
nothing."""

import pytest

from hooks import wait_hook, works, write
from server import roost

pytestmark = pytest.mark.roost_only("others have no such hooks")

GOOD = {"name": "all", "topics": "t/#", "url": "http://127.0.0.1:1/"}


def refuse(tmp_path, **keys):
    """What is said of a hook with these keys that stands in line 40."""
    text = "# \n" * 38 + "hooks:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in {**GOOD, **keys}.items()) + "\n"
    (tmp_path / "roost.yaml").write_text(text)
    ended = roost("serve", "--config", str(tmp_path / "roost.yaml"), "--listen", "tcp://127.0.0.1:0", "--admin", "off")
    assert ended.returncode == 2
    return ended.stderr.removeprefix(f"roost: {tmp_path}/roost.yaml:")


def test_values(tmp_path):
    assert refuse(tmp_path, url="gopher://h/").startswith('42:10: hooks: url: "gopher://h/" begins neither with http:// nor')
    assert refuse(tmp_path, qos=2).startswith('43:10: hooks: qos: "2" is neither 0')
    assert refuse(tmp_path, retry="x").startswith("43:5: hooks: retry: a hook has no such key; it has name, topics, url,")
    assert refuse(tmp_path, retry_for_s=60).startswith("40:5: hooks: hook all has retry_for_s and no dead_letter_file")


def test_files(tmp_path):
    secret = tmp_path / "secret"
    assert refuse(tmp_path, secret_file=secret) == f"40: hooks: all: secret_file: {secret}: No such file or directory\n"
    secret.write_text("\n")
    secret.chmod(0o600)
    assert refuse(tmp_path, secret_file=secret) == f"40: hooks: all: secret_file: {secret} is empty\n"
    secret.write_text("one\ntwo\n")
    assert refuse(tmp_path, header_files=f'"A: {secret}"') == f"40: hooks: all: header_files: {secret} is not one line with a value\n"
    secret.chmod(0o644)
    assert f"secret_file: {secret}: " in refuse(tmp_path, secret_file=secret)
    assert "ca_file: /nowhere: No such file" in refuse(tmp_path, url="https://h/", ca_file="/nowhere")
    assert "dead_letter_file: /nowhere/x: No such file" in refuse(tmp_path, dead_letter_file="/nowhere/x")


def test_a_reload_with_a_mistake_changes_nothing(serve, tmp_path):
    server = serve("--config", write(tmp_path, GOOD), "--admin", "http://127.0.0.1:0")
    wait_hook(server, "all", works)
    write(tmp_path, {**GOOD, "url": "http://127.0.0.1:2/", "secret_file": "/nowhere"})
    answer = server.admin().post("/api/v1/reload")
    assert answer.status == 400 and "secret_file: /nowhere: No such file" in answer.text
    assert wait_hook(server, "all", works)["url"] == GOOD["url"]
