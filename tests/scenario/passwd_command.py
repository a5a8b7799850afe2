"""`roost passwd` adds, changes and deletes users of a password file, and leaves the rest of it alone."""

import os
import pty
import re
import select
import stat
import subprocess
import time

import pytest

from mqtt_wire import TIMEOUT_S
from server import ROOST

LINE = re.compile(r"^(\S+):\$argon2id\$v=19\$m=7168,t=5,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$")
OTHER = "bob:$argon2id$v=19$m=8,t=1,p=1$11gULrCzpx7oM/KiV1ssiQ$qndHYj3P7VPoFbb+HjUW85zc+ImRzNmu8fjjTzC0gII"


def passwd(*arguments, password="secret\n"):
    return subprocess.run([ROOST, "passwd", *map(str, arguments)], input=password, capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False)


def users_file(tmp_path, text):
    file = tmp_path / "users"
    file.write_text(text)
    file.chmod(0o640)
    return file


def test_makes_the_file(tmp_path):
    file = tmp_path / "users"
    ended = passwd(file, "alice")
    assert ended.returncode == 0, ended.stderr
    assert LINE.match(file.read_text()).group(1) == "alice"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_other_lines_stay(tmp_path):
    text = f"# who may\n\n{OTHER}\n  # the end"
    file = users_file(tmp_path, text)
    assert passwd(file, "alice").returncode == 0
    lines = file.read_text().splitlines()
    assert lines[:4] == text.splitlines()
    assert LINE.match(lines[4]).group(1) == "alice"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["users"]


def test_changes_the_line_in_its_place(tmp_path):
    file = users_file(tmp_path, f"# first\n  {OTHER}\n# last\n")
    assert passwd(file, "bob").returncode == 0
    lines = file.read_text().splitlines()
    assert (lines[0], lines[2]) == ("# first", "# last")
    assert LINE.match(lines[1]).group(1) == "bob"


def test_deletes(tmp_path):
    file = users_file(tmp_path, f"# first\n{OTHER}\n{OTHER.replace('bob', 'bobby')}\n")
    ended = passwd("--delete", file, "bob")
    assert ended.returncode == 0, ended.stderr
    assert file.read_text() == f"# first\n{OTHER.replace('bob', 'bobby')}\n"
    ended = passwd("--delete", file, "bob")
    assert ended.returncode == 1
    assert "no such user" in ended.stderr


@pytest.mark.parametrize("user", ["", "a:b", "#a", " a", "a ", "a\nb"])
def test_names_that_cannot_stand_in_a_file(tmp_path, user):
    file = tmp_path / "users"
    ended = passwd(file, user)
    assert ended.returncode == 1
    assert "no name for a user" in ended.stderr
    assert not file.exists()


@pytest.mark.parametrize("password, fault", [
    ("", "empty"), ("\n", "empty"), ("x" * 5000 + "\n", "too long"), ("a\0b\n", "null character")])
def test_passwords_that_are_none(tmp_path, password, fault):
    file = users_file(tmp_path, f"{OTHER}\n")
    ended = passwd(file, "alice", password=password)
    assert ended.returncode == 1
    assert fault in ended.stderr
    assert file.read_text() == f"{OTHER}\n"


def test_file_that_the_server_would_refuse(tmp_path):
    file = users_file(tmp_path, f"{OTHER}\n# x\nalice:plain\n")
    ended = passwd(file, "carol")
    assert ended.returncode == 1
    assert f"{file}:3: " in ended.stderr
    assert file.read_text() == f"{OTHER}\n# x\nalice:plain\n"


def test_file_that_everyone_may_read(tmp_path):
    file = users_file(tmp_path, f"{OTHER}\n")
    file.chmod(0o644)
    ended = passwd(file, "carol")
    assert ended.returncode == 1
    assert "everyone may read it" in ended.stderr


def test_files_of_mosquitto(tmp_path):
    """Its hashes are taken over; a changed password becomes one of ours."""
    file = tmp_path / "users"
    file.touch(0o600)
    subprocess.run(["mosquitto_passwd", "-b", file, "alice", "secret"], check=True, timeout=TIMEOUT_S)
    subprocess.run(["mosquitto_passwd", "-b", file, "bob", "secret"], check=True, timeout=TIMEOUT_S)
    assert passwd(file, "alice").returncode == 0
    lines = file.read_text().splitlines()
    assert LINE.match(lines[0]).group(1) == "alice"
    assert lines[1].startswith("bob:$7$")


class Terminal:
    """The command on a terminal of its own."""

    def __init__(self, *arguments):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execv(ROOST, [ROOST, "passwd", *map(str, arguments)])
        self.shown = b""

    def await_text(self, text):
        end = time.monotonic() + TIMEOUT_S
        while text not in self.shown:
            assert select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0], self.shown
            self.shown += os.read(self.terminal, 4096)

    def type(self, text):
        os.write(self.terminal, text)

    def await_end(self):
        try:
            while select.select([self.terminal], [], [], TIMEOUT_S)[0]:
                self.shown += os.read(self.terminal, 4096)
        except OSError:
            pass  # the other end is closed
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_terminal_does_not_show_it(tmp_path):
    terminal = Terminal(tmp_path / "users", "alice")
    terminal.await_text(b"Password: ")
    terminal.type(b"top secret\n")
    terminal.await_text(b"Again: ")
    terminal.type(b"top secret\n")
    assert terminal.await_end() == 0
    assert b"top secret" not in terminal.shown
    assert LINE.match((tmp_path / "users").read_text()).group(1) == "alice"


def test_terminal_asks_twice(tmp_path):
    terminal = Terminal(tmp_path / "users", "alice")
    terminal.await_text(b"Password: ")
    terminal.type(b"one\n")
    terminal.await_text(b"Again: ")
    terminal.type(b"other\n")
    assert terminal.await_end() == 1
    assert b"not the same" in terminal.shown
    assert not (tmp_path / "users").exists()


@pytest.mark.parametrize("arguments", [[], ["users"], ["users", "alice", "bob"], ["--nonsense", "users", "alice"]])
def test_usage(arguments):
    assert passwd(*arguments).returncode == 2


def test_help():
    ended = passwd("--help")
    assert ended.returncode == 0
    assert "--delete" in ended.stdout


def test_prints_a_hash():
    ended = passwd("--print")
    assert ended.returncode == 0 and LINE.match("x:" + ended.stdout.rstrip("\n")), ended.stderr
    for arguments in (("--print", "alice"), ("--print", "--delete")):
        ended = passwd(*arguments)
        assert ended.returncode == 2 and "--print stands alone" in ended.stderr
