"""Files that the server is to trust and that others may read or write, or that are no keys: it does not start, and says
which file and why."""

import json
import os

import pytest

from server import roost
from tokens import SECRET, part, password_line, private_file, private_key, public_pem, secret_file

SET = json.dumps({"keys": [{"kty": "oct", "alg": "HS256", "kid": "k", "k": part(SECRET.encode())}]})
# option: what makes the file, and the modes that are refused: a secret may not be read by all, nothing may be written by all
FILES = {
    "--token-secret-file": (SECRET, (0o644, 0o604, 0o602, 0o620, 0o666)),
    "--token-jwks-file": (SET, (0o644, 0o602, 0o666)),
    "--token-key-file": (public_pem(private_key("ES256")), (0o602, 0o666)),
    "--password-file": (password_line("alice", "secret"), (0o644, 0o602, 0o666)),
    "--rule-file": ("allow all #\n", (0o602, 0o666)),
}


def ended(option, path):
    return roost("serve", "--listen", "tcp://127.0.0.1:0", option, str(path))


def check(result, path, *words):
    assert result.returncode > 0 and "ready" not in result.stderr
    assert str(path) in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


@pytest.mark.parametrize("option, mode", [(option, mode) for option, (_, modes) in FILES.items() for mode in modes],
                         ids=lambda value: value if isinstance(value, str) else f"{value:o}")
def test_modes(tmp_path, option, mode):
    path = tmp_path / "file"
    private_file(path, FILES[option][0])
    path.chmod(mode)
    check(ended(option, path), path)


@pytest.mark.parametrize("option", FILES)
def test_that_they_are_taken_otherwise(serve, tmp_path, option):
    path = tmp_path / "file"
    private_file(path, FILES[option][0])
    assert serve(option, str(path)).counter("connections_open") == 0


@pytest.mark.parametrize("option", FILES)
def test_not_a_file(tmp_path, option):
    check(ended(option, tmp_path / "none"), tmp_path / "none", "No such file")
    check(ended(option, tmp_path), tmp_path, "directory")


@pytest.mark.parametrize("option, content", [
    ("--token-secret-file", b""), ("--token-secret-file", b"short"), ("--token-key-file", b"no PEM"),
    ("--token-key-file", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), ("--token-jwks-file", b"{}"),
    ("--token-jwks-file", b"[" * 100000), ("--token-jwks-file", b'{"keys": [{"kty": "oct"}]}'),
    ("--token-jwks-file", os.urandom(1000)), ("--password-file", b"alice\n"), ("--rule-file", b"allow all a/#/b\n"),
    ("--rule-file", b"\xff\xfe\n"),
])
def test_no_keys(tmp_path, option, content):
    path = tmp_path / "file"
    private_file(path, content)
    check(ended(option, path), path)


def test_a_mistake_on_line_40_of_passwords(tmp_path):
    path = tmp_path / "passwords"
    private_file(path, "".join(password_line(f"user{number}", "secret") for number in range(39)) + "mallory\n")
    check(ended("--password-file", path), path, f"{path}:40:")


def test_the_secret_is_not_in_the_log(serve, tmp_path):
    server = serve("--token-secret-file", secret_file(tmp_path))
    with server.raw(5) as connection:
        connection.send(b"\x00")
        connection.ends()
    assert not any(SECRET in line for line in server.lines)
