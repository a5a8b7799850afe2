"""A server under durable load whose disk is recorded, and the look at what a loss of power may leave of it."""

import concurrent.futures
import contextlib
import os
import random
import shutil
import subprocess
import time

from disk import Disk, losses
from durable_load import PAYLOAD_BYTES, RETAINED_LEAST, Held, Load, said_by
from mqtt_wire import PUBCOMP, PUBLISH, PUBREL, TIMEOUT_S, acknowledge
from server import ROOST, Server
from store import Stored

SEED = int(os.environ.get("ROOST_POWER_SEED", time.time_ns() % 1000000))
HOWS = ("none", "all", "some")
CALIBRATION = "r/99"
UPGRADE_TRIES = 10
START_CUTS = 12
CHECKPOINT_BYTES = 1 << 20  # the least that there is
# A queue that is full would lose messages that were acknowledged; how much of the load waits, the load itself limits.
QUEUE_OPTIONS = ("--shards", "2", "--queue-messages-max", "1000000", "--queue-bytes-max", str(64 << 20))
OPTIONS = (*QUEUE_OPTIONS, "--checkpoint-bytes", str(CHECKPOINT_BYTES))
# Written to the log until a segment is removed, at most. After a checkpoint the log has no more than twice what lives in it (about
# BACKLOG_BYTES, and what is moved) and CHECKPOINT_BYTES; this is some times that.
LOG_BYTES_MAX = 32 << 20


class Recording:
    """with Recording(folder) as recording: the load runs in its .rounds."""

    def __init__(self, folder, *options, payload_bytes=PAYLOAD_BYTES):
        self.folder = folder
        self.disk = Disk(folder / "store", folder)
        self.stored = Stored(Server, folder / "store", *OPTIONS, *options, prefix=self.disk.prefix)
        self.load = Load(SEED, payload_bytes)

    def __enter__(self):
        self.stored.start()
        self.load.prepare(self.stored.server)
        with self.stored.server.client("calibrates", 5) as client:
            client.hand_over(CALIBRATION, b"x" * RETAINED_LEAST, retain=True)
        return self

    def __exit__(self, *_):
        self.load.stop()
        self.stored.server.kill()

    @contextlib.contextmanager
    def round(self):
        """The load runs meanwhile; the server may end in it."""
        self.load.start(self.stored.server)
        try:
            yield
        except AssertionError as error:
            error.add_note(f"failures of the load: {self.load.failures}")
            raise
        self.load.end()

    def run_for(self, seconds):
        time.sleep(seconds)  # of load

    def wait_under_load(self, wanted):
        """Until the log has the next operation that is wanted, which the load leads to. How long that takes the disk decides: a
        message costs syncs. What is bounded is what may be written meanwhile; that the load goes on, its own waits see to."""
        written, last = 0, time.monotonic()
        for record in self.disk.follow(self.disk.size()):
            if record is None:
                self.load.check()
                assert time.monotonic() - last < 2 * TIMEOUT_S, "no operation at all on the disk"
                continue
            last = time.monotonic()
            if record.name.endswith(".log"):
                if wanted(record):
                    return record
                written += len(record.data)
                assert written < LOG_BYTES_MAX, f"no such operation on the disk while {written} bytes were written"
        return None

    def crash(self):
        """Killed between a write and its sync, so that the last commits are in the kernel alone."""
        begin = self.disk.size()
        self.disk.fail("sync delay 5000")
        self.disk.wait(lambda record: record.kind == "write" and record.name.endswith(".log"), begin)
        self.stored.server.crash()
        self.disk.work()

    def upgrade(self):
        """The program is replaced under the load. It may be put off, as long as something is under way."""
        for _ in range(UPGRADE_TRIES):
            with contextlib.suppress(AssertionError):
                return self.stored.server.upgrade()
        raise AssertionError(f"not upgraded in {UPGRADE_TRIES} attempts:\n{self.stored.server.log()}")

    def start(self):
        return self.stored.start()

    def stop(self):
        self.stored.server.stop()

    def retained_base(self):
        """What a dump's figure of a retained message counts beside the payload."""
        return Held(self.disk.directory).retained[CALIBRATION] - RETAINED_LEAST

    def faults_now(self):
        """Of the directory as it is, which no server uses: all that was acknowledged is in it."""
        held = Held(self.disk.directory)
        assert (held.status, held.said) == (0, ""), held.said
        return self.load.faults(held, time.monotonic_ns(), held.retained[CALIBRATION] - RETAINED_LEAST)


class Examiner:
    """Of what losses of power leave of a recording that has ended."""

    def __init__(self, recording, seed=SEED):
        self.recording, self.load, self.draw = recording, recording.load, random.Random(seed)
        self.records = recording.disk.records()
        self.base = recording.retained_base()
        self.cuts = sum(1 for _ in losses(self.records))
        self.looked = self.started = 0
        self.faults = []

    def while_it_starts(self):
        """The cuts of each start of the server, up to the end of the first checkpoint and some beyond."""
        locks = [record.began for record in self.records if record.kind == "truncate" and record.name == "lock"]
        return {loss.number + i for begin, end in zip(locks, [*locks[1:], None]) for loss in self.first_after(begin, end)
                for i in range(START_CUTS)}

    def first_after(self, begin, end):
        for loss in losses(self.records):
            if loss.before > begin and (end is None or loss.before < end):
                return [loss]
        return []

    def look_at(self, chosen, start_every=0):
        """chosen: numbers of cuts. start_every: the server is started on so many-th of the remains."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            waiting = []
            for loss in losses(self.records):
                if loss.number not in chosen:
                    continue
                for how in HOWS:
                    place = loss.build(self.recording.folder / f"cut-{loss.number}-{how}", how, self.draw)
                    self.looked += 1
                    starts = bool(start_every) and self.looked % start_every == 0
                    waiting.append((place, f"cut {loss.number} at {loss.at!r}, {how}",
                                    pool.submit(self.look, place, loss.before, starts, self.draw.random() < 0.1)))
                while len(waiting) > 16:
                    self.settle(*waiting.pop(0))
            while waiting:
                self.settle(*waiting.pop(0))

    def settle(self, place, name, future):
        found = future.result()
        self.faults += [f"{name}: {fault}" for fault in found]
        if not found:
            shutil.rmtree(place)

    def look(self, place, when, starts, checks):
        """What is wrong with what was left."""
        held = Held(place)
        if held.status != 0 or held.said:
            if "no file `id`" not in held.said:
                return [f"dump says {held.status}: {held.said}"]
            # The power failed while the store was made: it is made anew.
            starts = True
        found = self.load.faults(held, when, self.base)
        if checks and held.status == 0:
            ended = subprocess.run([ROOST, "store", "check", str(place)], capture_output=True, text=True, check=False)
            if ended.returncode != 0 or said_by(ended.stderr):
                found.append(f"check says {ended.returncode}: {ended.stdout}{ended.stderr}")
        if starts:
            try:
                found += self.resume(place, held)
            except AssertionError as error:
                found.append(str(error)[-2000:])
        return found

    def resume(self, place, held):
        """What is wrong with what clients get of it. They are sent all that the dump has."""
        self.started += 1
        found = []
        server = Server("--store", str(place), *QUEUE_OPTIONS)
        try:
            for name, session in held.sessions.items():
                if name.startswith("s") and server.client(name, 5, clean=False, pairs=[(0x11, 3600)]).connack.session_present != 1:
                    found.append(f"the session of {name} is not present")
                if name.startswith("s"):
                    found += self.drain(server, name, session)
            with server.client("watch", 5) as watch:
                watch.subscribe(("r/#", 1))
                got = {(message := watch.take()).topic: len(message.payload) for _ in held.retained}
            wanted = {topic: size - self.base for topic, size in held.retained.items()}
            if got != wanted:
                found.append(f"retained {got}, and not {wanted}")
            server.crash()
        finally:
            server.kill()
        after = Held(place)
        if after.status != 0 or after.said or any(topics for name, topics in after.queues.items() if name.startswith("s")):
            found.append(f"after another kill: {after.said} {after.queues}")
        return found

    @staticmethod
    def drain(server, name, session):
        topics = [entry.get("topic") for entry in session["queue"]]
        with server.session(name, 5) as client:
            got = []
            for _ in topics:
                packet = client.packet()
                if packet.kind == PUBLISH:
                    got.append(client.accept(packet).topic)
                else:
                    assert packet.kind == PUBREL, packet
                    client.send(acknowledge(PUBCOMP, packet.packet_id))
                    got.append(None)
            client.subscribe(("own/end", 1))  # with its answer all that was acknowledged is safe
            client.disconnect()
        return [] if got == topics else [f"{name} got {got}, and not {topics}"]
