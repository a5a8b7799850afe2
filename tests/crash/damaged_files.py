"""Files of a store that are not as they were left: the server says which and where in one sentence, ends with 1, and changes
nothing. What was being written when the machine stopped is no damage."""

import hashlib
import os
import random
import re
import shutil
import struct
import subprocess

import pytest

from server import ROOST, Server
from store import Stored, refused

HEAD_BYTES = 64
COMMIT = struct.Struct("<IIQQq")  # magic, bytes, number, checksum, time
MAGIC = 0x74696D63
SEED = random.randrange(1 << 30)
SEGMENT_BYTES = 64 << 20
ZEROS_BYTES = 4096


def sums(directory):
    """The lock's file has the process identifier of who tried last."""
    return {path.name: hashlib.blake2b(path.read_bytes()).hexdigest() for path in directory.iterdir() if path.name != "lock"}


def commits(data):
    """Places of the commits of a segment."""
    at, found = HEAD_BYTES, []
    while at + COMMIT.size <= len(data) and COMMIT.unpack_from(data, at)[0] == MAGIC:
        found.append(at)
        at += COMMIT.size + COMMIT.unpack_from(data, at)[1]
    return found, at


def made(folder, messages, size):
    stored = Stored(Server, folder / "store", "--shards", "2")
    stored.start()
    with stored.server.session("away", 5) as client:
        client.subscribe(("t", 1))
        client.disconnect()
    with stored.server.client("from", 5) as publisher:
        for number in range(messages):
            publisher.hand_over("t" if size < 10000 else f"r/{number}", b"x" * size, retain=size >= 10000)
    stored.server.crash()
    for path in stored.segments():
        # The zeros that were allocated ahead would be copied, and read, again and again.
        os.truncate(path, min(path.stat().st_size, len(path.read_bytes().rstrip(b"\0")) + ZEROS_BYTES))
    return stored.directory


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One segment with many commits."""
    return made(tmp_path_factory.mktemp("small"), 40, 300)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A log of three segments."""
    return made(tmp_path_factory.mktemp("large"), 150, 1000000)


@pytest.fixture
def store(small, tmp_path):
    return shutil.copytree(small, tmp_path / "store")


def log_of(directory):
    return max(directory.glob("*.log"), key=lambda path: len(path.read_bytes().rstrip(b"\0")))


def write_at(path, at, data):
    with open(path, "r+b") as file:
        before = os.pread(file.fileno(), len(data), at)
        os.pwrite(file.fileno(), data, at)
    return before


def sentence(directory, *names):
    """The refusal's, which has these names in it, and leaves everything as it is."""
    before = sums(directory)
    said = refused(directory)
    assert sums(directory) == before
    errors = [line for line in said.splitlines() if re.match(r"\S+ error ", line)]
    assert 1 <= len(errors) <= 2, said
    assert all(any(name in line for line in errors) for name in names), said
    return errors[0]


def starts(directory):
    """It does, and says nothing of damage. The number of messages of the session."""
    server = Server("--store", str(directory), "--shards", "2")
    try:
        found = re.search(r"(\d+) messages for them", server.lines[server.wait_line(r"messages for them")])
        server.stop()
    finally:
        server.kill()
    return int(found.group(1))


def test_bits_that_flip(store):
    """Anywhere but in the last commit, which might have been being written."""
    path = log_of(store)
    data = path.read_bytes()
    places, _ = commits(data)
    draw = random.Random(SEED)
    chosen = [*range(0, HEAD_BYTES, 7), HEAD_BYTES - 1]
    for at in draw.sample(places[:-1], 8):
        chosen += [at + field for field in (0, 4, 8, 16, 24)]
    chosen += [draw.randrange(HEAD_BYTES, places[-1]) for _ in range(30)]
    for at in chosen:
        before = write_at(path, at, bytes([data[at] ^ 1 << draw.randrange(8)]))
        said = sentence(store, path.name)
        if at >= HEAD_BYTES:
            place = max(one for one in places if one <= at)
            assert f"byte {place} " in said, f"seed {SEED}, byte {at}: {said}"
        checked = subprocess.run([ROOST, "store", "check", str(store)], capture_output=True, text=True, check=False)
        assert checked.returncode == 1 and path.name in checked.stderr, checked
        write_at(path, at, before)
    assert starts(store) == 40


def test_bits_of_the_last_commit(store):
    path = log_of(store)
    data = path.read_bytes()
    places, end = commits(data)
    write_at(path, (places[-1] + end) // 2, b"\xff\x00\xff\x00")
    assert starts(store) == 39


def test_cut_short_anywhere(small, tmp_path):
    """The last segment: what is whole is there."""
    draw = random.Random(SEED)
    path = log_of(small)
    places, end = commits(path.read_bytes())
    for at in [0, 10, HEAD_BYTES - 1, HEAD_BYTES, *draw.sample(range(HEAD_BYTES, end), 12), end]:
        store = shutil.copytree(small, tmp_path / f"cut-{at}")
        os.truncate(store / path.name, at)
        whole = sum(1 for one, after in zip(places, [*places[1:], end]) if after <= at)
        count = starts(store)
        assert count <= 40 and (at < end or count == 40), f"cut at {at}: {count} messages"
        assert at > places[-3] or count <= whole
        shutil.rmtree(store)


def log_segments(directory):
    return sorted(path for path in directory.glob("*.log") if commits(path.read_bytes()[:1 << 20])[0])


def test_segments_in_the_middle(large):
    """Each is put back afterwards."""
    first, second, *_ = log_segments(large)
    places, end = commits(first.read_bytes())
    # Cut short, in a commit and between two.
    for at in (places[len(places) // 2] + 100, places[-1]):
        rest = first.read_bytes()[at:]
        os.truncate(first, at)
        sentence(large, first.name, "byte")
        with open(first, "ab") as file:
            file.write(rest)
    # Missing.
    aside = large.parent / "aside"
    second.rename(aside)
    sentence(large, "missing", "log")
    # Another one's in its place.
    shutil.copyfile(first, second)
    os.chmod(second, 0o600)
    sentence(large, second.name)
    aside.replace(second)
    assert end <= SEGMENT_BYTES
    subprocess.run([ROOST, "store", "check", str(large)], check=True, capture_output=True)


def test_foreign_segment(store):
    path = store / "0000000009.log"
    path.write_bytes(b"a log of something else, which begins in its own way. " * 10)
    path.chmod(0o600)
    sentence(store, path.name)


def test_of_another_store(store, tmp_path):
    """With an `id` of its own, which is in each segment's head and each commit's checksum."""
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", 1, 100)
    name = log_of(store).name
    shutil.copyfile(log_of(other), store / name)
    sentence(store, name, "another store")


def test_files_of_others_are_left_alone(store):
    """Where a store is, that is."""
    (store / "letter.txt").write_text("dear")
    (store / "folder").mkdir()
    assert starts(store) == 40
    assert (store / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("text, words", [
    ("", "id"), ("roost-store 2\nid 00\n", "newer"), ("something else\n", "not that of a Roost store"),
    ("roost-store 1\nid zz\n", "damaged"), ("roost-store 1\n" + "x" * 4000, "damaged")])
def test_id_file(store, text, words):
    (store / "id").write_text(text)
    sentence(store, "id", words)


def test_id_file_is_missing(store):
    (store / "id").unlink()
    sentence(store, "no file id")


def test_id_file_of_another_store(store, tmp_path):
    (tmp_path / "other").mkdir()
    other = made(tmp_path / "other", 1, 100)
    shutil.copyfile(other / "id", store / "id")
    sentence(store, ".log", "another store")


def test_modes_and_owners(store):
    for mode in (0o777, 0o770):
        store.chmod(mode)
        sentence(store, str(store), "chmod")
    store.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(store, 12345, 12345)
        sentence(store, str(store), "another user")
        os.chown(store, 0, 0)
    # Who may read it may look at it.
    store.chmod(0o755)
    assert starts(store) == 40


def test_read_only_file_system(store):
    mounted = subprocess.run(["mount", "--bind", "-o", "ro", str(store), str(store)], capture_output=True, text=True, check=False)
    remounted = subprocess.run(["mount", "-o", "remount,bind,ro", str(store)], capture_output=True, text=True, check=False)
    if mounted.returncode != 0 or remounted.returncode != 0:
        pytest.skip(f"nothing may be mounted here: {mounted.stderr.strip()} {remounted.stderr.strip()}")
    try:
        sentence(store, str(store), "Read-only file system")
    finally:
        subprocess.run(["umount", str(store)], check=True)


def test_file_in_place_of_the_directory(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    said = refused(path)
    assert str(path) in said and "Not a directory" in said
    assert path.read_text() == "x"


def test_segment_that_is_a_directory_or_a_link(store):
    path = log_of(store)
    aside = path.rename(store.parent / "aside")
    path.mkdir()
    sentence_of_names(store, path)
    path.rmdir()
    path.symlink_to(aside)
    sentence_of_names(store, path)


def sentence_of_names(store, path):
    said = refused(store)
    assert path.name in said, said
