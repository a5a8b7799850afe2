"""A directory that is no store of this server's, or that is in use, is refused in a sentence that says why, and is left as it
is."""

import os
import struct

import pytest

from server import roost
from store import refused


def test_in_use(stored):
    with stored.server.client("there") as client:
        said = refused(stored.directory)
        assert "uses it" in said and str(stored.server.pid) in said
        client.expect_nothing_before_ping()


def test_in_use_without_its_lock_file(stored):
    """Somebody takes it for one that was left over."""
    (stored.directory / "lock").unlink()
    assert "another process uses it" in refused(stored.directory)
    checked = roost("store", "check", str(stored.directory))
    assert checked.returncode == 1
    assert "in use" in checked.stderr


def test_free_again_after_a_kill(stored):
    """The lock ends with its process."""
    stored.again("crash").client("a").close()


def test_other_files(tmp_path):
    directory = tmp_path / "home"
    directory.mkdir(mode=0o700)
    (directory / "letter.txt").write_text("dear")
    (directory / "0000000001.log").write_text("a log of something else, which begins in its own way" * 4)
    said = refused(directory)
    assert str(directory) in said
    assert (directory / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_that_others_may_write_to(tmp_path, mode):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(mode)
    assert str(directory) in refused(directory)


def test_that_is_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    assert str(path) in refused(path)


def test_whose_parent_is_not_there(tmp_path):
    assert "No such file" in refused(tmp_path / "not" / "there")


def test_of_another_user(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root gives a directory away")
    directory = tmp_path / "other"
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)
    assert str(directory) in refused(directory)


def test_of_a_newer_format(stored):
    """The format is the second field of a segment's header."""
    with stored.server.session("a", 5) as client:
        client.subscribe(("t", 1))
    stored.server.stop()
    segments = stored.segments()
    assert segments
    before = {}
    for path in segments:
        data = bytearray(path.read_bytes())
        data[8:12] = struct.pack("<I", 1000)
        path.write_bytes(data)
        before[path] = bytes(data)
    said = refused(stored.directory)
    assert "newer" in said
    assert {path: path.read_bytes() for path in segments} == before


def test_damage_in_the_middle(stored):
    """What was acknowledged is not there as it was: the operator has to know, and decide."""
    with stored.server.client("from") as publisher:
        for number in range(200):
            publisher.hand_over(f"r/{number}", b"x" * 1000, retain=True)
    stored.server.crash()
    path = max(stored.segments(), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    used = len(bytes(data).rstrip(b"\0"))
    data[used // 2] ^= 0xFF
    path.write_bytes(data)
    said = refused(stored.directory)
    assert path.name in said


@pytest.mark.parametrize("options", [("--durability", "sometimes"), ("--store-full", "wait"), ("--sync-interval-ms", "1")])
def test_options_that_are_none(tmp_path, options):
    ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--store", str(tmp_path / "s"), *options)
    assert ended.returncode == 2 and options[0] in ended.stderr
    assert not (tmp_path / "s").exists()
