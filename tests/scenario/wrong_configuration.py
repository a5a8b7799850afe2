"""A configuration that is wrong is refused with its file, line and key; options with their name."""

import pytest

from server import roost

WRONG = {
    # name: (text, line, what the error names)
    "unknown key": ("shards: 2\nshard_count: 3\n", 2, "shard_count"),
    "number that is none": ("gates: 1\nshards: many\n", 2, "shards"),
    "negative number": ("connect_timeout_ms: -1\n", 1, "connect_timeout_ms"),
    "number too large": ("\n\npacket_bytes_max: 99999999999\n", 3, "packet_bytes_max"),
    "list where a number belongs": ("shards:\n  - 1\n", None, "shards"),
    "number where a list belongs": ("listen: 1883\n", 1, "listen"),
    "bad url": ("shards: 1\nlisten:\n  - tcp://127.0.0.1:99999\n", 3, "tcp://127.0.0.1:99999"),
    "unknown scheme": ("listen:\n  - gopher://127.0.0.1:70\n", 2, "gopher://127.0.0.1:70"),
    "unknown level": ("log_level: loud\n", 1, "log_level"),
    "queue smaller than a packet": ("shards: 1\nqueue_bytes_max: 100000\n", 2, "packet-bytes-max"),
    "no yaml": ("listen: [tcp://127.0.0.1:0\nshards: }\n", 2, ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_file(tmp_path, name):
    text, line, key = WRONG[name]
    file = tmp_path / "roost.yaml"
    file.write_text(text)
    ended = roost("serve", "--config", str(file))
    assert ended.returncode > 0, ended.stderr
    assert str(file) in ended.stderr
    assert key in ended.stderr
    if line is not None:
        assert f"{file}:{line}" in ended.stderr or f"line {line}" in ended.stderr, ended.stderr


def test_file_that_is_not_there(tmp_path):
    file = tmp_path / "none.yaml"
    ended = roost("serve", "--config", str(file))
    assert ended.returncode > 0
    assert str(file) in ended.stderr
    assert "No such file" in ended.stderr


@pytest.mark.parametrize("options, named", [
    (["--shards", "many"], "shards"),
    (["--shards", "-1"], "shards"),
    (["--gates", "100000"], "gates"),
    (["--listen", "ws://localhost"], "ws://localhost"),
    (["--listen", "tcp://127.0.0.1:70000"], "tcp://127.0.0.1:70000"),
    (["--listen", "127.0.0.1"], "127.0.0.1"),
    (["--listen", "http://127.0.0.1:80"], "http://127.0.0.1:80"),
    (["--log-level", "loud"], "loud"),
    (["--no-such-option"], "no-such-option"),
    (["--connect-timeout-ms"], "connect-timeout-ms"),
    (["--packet-bytes-max", "2000000"], "queue-bytes-max"),
    (["stray"], "stray"),
])
def test_option(options, named):
    ended = roost("serve", *options)
    assert ended.returncode > 0
    assert named in ended.stderr, ended.stderr
    assert "ready" not in ended.stderr
