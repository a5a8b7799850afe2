"""A server's disk that fails as a test says, and whose loss of power can be played: what tests/crash/disk_trace.c has traced is
rebuilt as it may be after one.

What is promised by a disk, and no more: what was written to a file before a sync of it is there after the loss, and names that
were made, changed or removed before a sync of the directory are as they were. What came later is there or not, each 512 bytes
of a write for themselves, and each name too. After a sync that failed, what was to be synced may be lost for good, however many
syncs succeed afterwards."""

import os
import random
import struct
import time
from pathlib import Path

import pytest

from fake_clock import SANITIZERS
from mqtt_wire import TIMEOUT_S
from server import ROOST

LIBRARY = Path(ROOST).parent / "tests" / "crash" / "disk_trace.so"
SIZE = struct.Struct("<Q")  # of the trace, at its beginning
HEAD = struct.Struct("<IIQQQQiHH")
KINDS = ("", "create", "write", "sync", "allocate", "truncate", "rename", "remove", "names")
SECTOR = 512
WHOLE_SHARE = 0.05
ZEROS_BYTES = 1 << 16


class Record:
    """One operation. name is in the directory; began and ended are in nanoseconds of time.monotonic_ns()."""

    def __init__(self, data, at):
        (self.bytes, kind, self.began, self.ended, self.inode, self.number, self.result, name,
         self.is_fault) = HEAD.unpack_from(data, at)
        text, self.end = at + HEAD.size, at + self.bytes
        self.kind, self.name = KINDS[kind], data[text:text + name].decode()
        self.data = data[text + name:self.end]

    def __repr__(self):
        return f"{self.kind} {self.name} {self.number}+{len(self.data)} = {self.result}"


class Disk:
    """Below a directory, for the servers whose command begins with .prefix."""

    def __init__(self, directory, folder):
        if any(name in Path(ROOST).read_bytes() for name in SANITIZERS):
            pytest.skip("a sanitizer's program cannot have another library before its own")
        assert LIBRARY.exists(), f"{LIBRARY} is missing: tools/build.sh build -Dtests=enabled"
        self.directory, self.trace, self.faults = Path(directory), folder / "trace", folder / "faults"
        self.work()

    @property
    def prefix(self):
        return ("env", f"LD_PRELOAD={LIBRARY}", f"ROOST_DISK_DIRECTORY={self.directory.resolve()}",
                f"ROOST_DISK_TRACE={self.trace}", f"ROOST_DISK_FAULTS={self.faults}")

    def fail(self, *rules):
        """From the next operation on: "sync EIO 1", "write short", "sync delay 10000 1"; disk_trace.c has all."""
        fresh = self.faults.with_suffix(".new")
        fresh.write_text("".join(f"{rule}\n" for rule in rules))
        fresh.rename(self.faults)

    def work(self):
        self.fail()

    def records(self, start=SIZE.size):
        data, at, records = self.read(start, self.size()), 0, []
        while at < len(data):
            records.append(Record(data, at))
            at = records[-1].end
        return records

    def read(self, start, end):
        if not self.trace.exists():
            return b""
        with open(self.trace, "rb") as file:
            file.seek(start)
            return file.read(end - start)

    def size(self):
        """Of the trace, up to the end of a record: its file is longer before one is all there, and after a kill."""
        head = self.read(0, SIZE.size)
        return SIZE.unpack(head)[0] if len(head) == SIZE.size else SIZE.size

    def wait(self, wanted, start=SIZE.size):
        """Until there is a record that is wanted, behind the trace's size of then. For what one operation brings: what takes many
        of them takes as long as the disk is slow, and is for wait_under_load() in power.py."""
        deadline = time.monotonic() + TIMEOUT_S
        for record in self.follow(start):
            if record is not None and wanted(record):
                return record
            assert record is not None or time.monotonic() < deadline, "no such operation on the disk"
        return None

    def follow(self, start):
        """The records behind that size of the trace, without an end; None: there are no more for now. Nobody tells when one is
        written, so it looks again after a moment."""
        while True:
            for record in self.records(start):
                start += record.bytes
                yield record
            yield None
            time.sleep(0.01)

    def wait_fault(self, kind, start=SIZE.size):
        return self.wait(lambda record: record.kind == kind and record.is_fault, start)


class File:
    def __init__(self):
        self.content, self.size = bytearray(), 0
        self.pending = []  # Records that are not synced
        self.doomed = set()  # of these, by id(): a sync of them failed

    def copy(self):
        copied = File()
        copied.content, copied.size = bytearray(self.content), self.size
        return copied

    def write(self, offset, data):
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset:offset + len(data)] = data
        self.size = max(self.size, offset + len(data))

    def apply(self, record):
        if record.kind == "write":
            self.write(record.number, record.data)
        elif record.kind == "allocate":
            self.size = max(self.size, record.number)
        else:
            self.size = record.number
            del self.content[record.number:]

    def apply_torn(self, record, keeps):
        """Of a write, the sectors that are kept; keeps(sector) says it of the next write to this one."""
        if record.kind != "write":
            self.apply(record)
            return
        at, end = record.number, record.number + len(record.data)
        while at < end:
            upto = min(end, at - at % SECTOR + SECTOR)
            if keeps(at // SECTOR):
                self.write(at, record.data[at - record.number:upto - record.number])
            at = upto

    def synced(self, record):
        """Only what was done when the sync began."""
        rest = []
        for one in self.pending:
            if one.ended > record.began or id(one) in self.doomed:
                rest.append(one)
            elif record.result < 0:
                self.doomed.add(id(one))
                rest.append(one)
            else:
                self.apply(one)
        self.pending = rest


def apply_name(names, record, file):
    if record.kind == "create":
        names[record.name] = file
    elif record.kind == "rename":
        before, after = record.name.split("/")
        if names.get(before) is file:
            del names[before]
        names[after] = file
    elif names.get(record.name) is file:
        del names[record.name]


class Loss:
    """The power fails between two syncs. What is there for certain, and what may be. Nobody can have been told of anything that
    the later sync made safe."""

    def __init__(self, number, names, pending, record):
        self.number, self.names, self.pending = number, names, pending
        self.before, self.at = record.ended, record

    def build(self, directory, how, draw):
        """how: "none" of what was not synced is there, "all", or "some". Returns the directory."""
        copies = {}  # id(File) -> its copy
        names = dict(self.names)
        for record, file in self.pending:
            if how == "all" or (how == "some" and draw.random() < 0.5):
                apply_name(names, record, file)
        directory.mkdir(mode=0o700)
        for name, file in names.items():
            copied = copies.setdefault(id(file), self.after_loss(file, how, draw))
            with open(directory / name, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
                out.write(copied.content)
                # The zeros that were allocated ahead take long to read: most remains have few of them.
                out.truncate(copied.size if draw.random() < WHOLE_SHARE else min(copied.size, len(copied.content) + ZEROS_BYTES))
        return directory

    @staticmethod
    def after_loss(file, how, draw):
        copied = file.copy()
        if how == "none":
            return copied
        lost = set()  # sectors of which a write is lost: a later one would have had it too

        def keeps(sector):
            if sector not in lost and share < 1 and draw.random() >= share:
                lost.add(sector)
            return sector not in lost

        for record in file.pending:
            share = 1 if how == "all" else draw.choice((0, 0.5, 1))
            if record.kind == "write" or share == 1 or draw.random() < share:
                copied.apply_torn(record, keeps)
        return copied


def losses(records):
    """One before the end of each sync, and one at the end of the trace. To be used before the next is asked for."""
    files, names, certain, pending, number = {}, {}, {}, [], 0
    for record in records:
        if record.kind in ("sync", "names"):
            yield Loss(number, certain, pending, record)
            number += 1
        if record.kind == "names":
            if record.result == 0:
                for one, file in pending:
                    if one.ended <= record.began:
                        apply_name(certain, one, file)
                pending = [(one, file) for one, file in pending if one.ended > record.began]
        elif record.kind in ("create", "rename", "remove"):
            if record.result != 0:
                continue
            if record.kind == "create":
                files[record.inode] = File()
            file = names.get(record.name) if record.kind == "remove" else files.get(record.inode)
            if file is not None:
                apply_name(names, record, file)
                pending.append((record, file))
        elif record.inode in files:
            if record.kind == "sync":
                files[record.inode].synced(record)
            elif record.result == 0:
                files[record.inode].pending.append(record)
    if records:
        yield Loss(number, certain, pending, records[-1])


def draws(seed):
    return random.Random(seed)
