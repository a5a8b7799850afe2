"""The real program under test: started on a free port, watched through its log, stopped with SIGTERM."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

from admin import Admin
from broker import Broker
from mqtt_wire import TIMEOUT_S

ROOT = Path(__file__).resolve().parent.parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
OPTIONS = os.environ.get("ROOST_OPTIONS", "").split()
# Sanitizers keep memory of their own beside every object, reserve address space for it, and keep what was freed.
SANITIZED = any(name in Path(ROOST).parent.name for name in ("asan", "tsan"))
STOP_TIMEOUT_S = 30

SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior|runtime error:|Sanitizer:DEADLYSIGNAL")
ADMIN = re.compile(r"admin on (http://\S+)")
LISTENING = re.compile(r"listening on (tcp://\S+:(\d+))")


def roost(*arguments, **options):
    """Runs the program to its end: what it does where it cannot serve."""
    options.setdefault("input", "")
    return subprocess.run([ROOST, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)


class Server(Broker):
    """`roost serve` with a log that tests can wait on."""

    def __init__(self, *options, listen=("tcp://127.0.0.1:0",), log_level="debug", files_max=None, prefix=()):
        command = [*prefix, ROOST, "serve", *OPTIONS]
        for url in listen:
            command += ["--listen", url]
        if log_level:
            command += ["--log-level", log_level]
        if "--admin" not in options:
            command += ["--admin", "off"]
        self.lines = []
        self.grown = threading.Condition()
        self.ended = False

        # Without it Python need not fork, which costs more than the server's own start.
        def limit_files():
            resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))

        self.process = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, bufsize=0,
                                        preexec_fn=limit_files if files_max else None)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self.wait_line(r"\bready\b")
        except AssertionError:
            self.kill()
            raise
        self.urls = [match.group(1) for line in self.lines if (match := LISTENING.search(line))]
        self.ports = [int(match.group(2)) for line in self.lines if (match := LISTENING.search(line))]
        assert self.ports, "the log names no listener:\n" + self.log()
        self.port = self.ports[0]
        self.address = ("127.0.0.1", self.port)

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        """All that is there at a time: who waits is woken once for it, not for each of a hundred counters."""
        rest = b""
        while data := self.process.stderr.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            with self.grown:
                self.lines += [line.decode(errors="replace") for line in lines]
                self.grown.notify_all()
        with self.grown:
            self.lines += [rest.decode(errors="replace")] if rest else []
            self.ended = True
            self.grown.notify_all()

    def log(self, last=80):
        return "\n".join(self.lines[-last:])

    def wait_line(self, pattern, start=0, timeout=TIMEOUT_S):
        """The index of the first line from start on that the pattern is found in, as soon as it is written."""
        search = re.compile(pattern).search
        deadline = time.monotonic() + timeout
        with self.grown:
            while True:
                for index in range(start, len(self.lines)):
                    if search(self.lines[index]):
                        return index
                start = max(start, len(self.lines))
                left = deadline - time.monotonic()
                assert not self.ended and left > 0, f"no line with {pattern!r} in the log:\n{self.log()}"
                self.grown.wait(left)

    def counters(self):
        """Every counter, as of now."""
        begin = len(self.lines)
        self.process.send_signal(signal.SIGUSR1)
        begin = self.wait_line(r"\bcounters begin\b", begin)
        end = self.wait_line(r"\bcounters end\b", begin)
        found = {}
        for line in self.lines[begin:end]:
            match = re.search(r"\bcounter (\w+) (-?\d+)", line)
            if match:
                found[match.group(1)] = int(match.group(2))
        assert found
        return found

    def counter(self, name):
        counters = self.counters()
        assert name in counters, f"no counter {name}; there are {', '.join(sorted(counters))}"
        return counters[name]

    def wait_counter(self, name, wanted, timeout=TIMEOUT_S):
        """Asks until the counter has the value, or until wanted(value) is true. A line in the log makes it ask again at
        once; counters that change without a line are asked for again after a moment, a longer one each time."""
        reached = wanted if callable(wanted) else lambda value: value == wanted
        deadline = time.monotonic() + timeout
        moment_s = 0.01
        while True:
            value = self.counter(name)
            if reached(value):
                return value
            assert time.monotonic() < deadline, f"{name} is still {value}:\n{self.log()}"
            with self.grown:
                self.grown.wait(moment_s)
            moment_s = min(moment_s * 1.3, 0.1)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def admin(self, **options):
        """Its admin side, of a server that was started with --admin."""
        return Admin(ADMIN.search(self.lines[self.wait_line(ADMIN.pattern)]).group(1), **options)

    def stop(self, timeout=STOP_TIMEOUT_S):
        """Ends the server as an operator would, and looks at how it went. Returns the seconds that it took."""
        begin = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"the server did not stop within {timeout} s:\n{self.log()}") from error
        seconds = time.monotonic() - begin
        self.reader.join(TIMEOUT_S)
        self.check_log()
        assert status == 0, f"exit status {status}:\n{self.log()}"
        return seconds

    def check_log(self):
        reports = [index for index, line in enumerate(self.lines) if SANITIZER.search(line)]
        assert not reports, "sanitizer report:\n" + "\n".join(self.lines[max(0, reports[0] - 2):reports[0] + 80])

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(TIMEOUT_S)
