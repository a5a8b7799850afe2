"""The real program under test: started on a free port, watched through its log, stopped with SIGTERM."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import listeners
import proxy_heads
import transports
from admin import Admin
from broker import Broker
from mqtt_wire import TIMEOUT_S

ROOT = Path(__file__).resolve().parent.parent.parent
ROOST = os.environ.get("ROOST", str(ROOT / "build" / "roost"))
OPTIONS = os.environ.get("ROOST_OPTIONS", "").split()
# Sanitizers keep memory of their own beside every object, reserve address space for it, and keep what was freed.
SANITIZED = any(name in Path(ROOST).parent.name for name in ("asan", "tsan"))
UPGRADE_TIMEOUT_S = 60
UPGRADED = r"\bupgraded from\b|\bnot upgraded\b"
# Any test may have its servers' program replaced all the while, so many seconds apart. Clients notice nothing.
UPGRADES_S = float(os.environ.get("ROOST_UPGRADES", "0"))
# Another program: servers are upgraded to it and back in turn, as if one were installed over the other.
UPGRADE_TO = "ROOST_UPGRADE_TO"
STOP_TIMEOUT_S = 30

SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehavior|runtime error:|Sanitizer:DEADLYSIGNAL")
# A machine with much else to do lets a shard wait for a tenth of a second, after which clients are refused by default.
PATIENT = ["--overload-refuse-ms", "60000"]
ADMIN = re.compile(r"admin on (https?://\S+)")
LISTENING = re.compile(r"listening on ((?:tcp|tls|mqtts|ws|wss|unix)://\S+)")


def roost(*arguments, **options):
    """Runs the program to its end: what it does where it cannot serve."""
    options.setdefault("input", "")
    return subprocess.run([ROOST, *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False, **options)


class Installed:
    """A name under which now one of two programs is found, now the other."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.program = str(Path(self.folder.name) / "roost")
        self.programs = [str(Path(path).resolve()) for path in (ROOST, os.environ[UPGRADE_TO])]
        os.symlink(self.programs[0], self.program)

    def other(self):
        self.programs.reverse()
        link = f"{self.program}-new"
        os.symlink(self.programs[0], link)
        os.replace(link, self.program)


class Server(Broker):
    """`roost serve` with a log that tests can wait on. transport: how its one listener is reached, where listen does not say
    which there are. log_level, admin: None where a file of options says what they are."""

    def __init__(self, *options, listen=None, transport=transports.DEFAULT, log_level="debug", admin="off", files_max=None,
                 prefix=()):
        self.installed = Installed() if UPGRADE_TO in os.environ else None
        command = [*prefix, self.installed.program if self.installed else ROOST, "serve", *OPTIONS]
        command += listeners.arguments(transport, options) if listen is None else listeners.arguments_for(listen, options)
        if log_level:
            command += ["--log-level", log_level]
        if "--overload-refuse-ms" not in options:
            command += PATIENT
        if admin and "--admin" not in options:
            command += ["--admin", admin]
        self.lines = []
        self.grown = threading.Condition()
        self.ended = False
        self.crashed = False
        self.ends = threading.Event()

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
        assert self.urls, "the log names no listener:\n" + self.log()
        self.addresses = [self._address_of(url, transport if listen is None else None) for url in self.urls]
        self.ports = [address[1] for address in self.addresses if not isinstance(address, str)]
        self.port = self.ports[0] if self.ports else None
        self.address = self.addresses[0]
        if UPGRADES_S:
            threading.Thread(target=self._keep_upgrading, daemon=True).start()

    @staticmethod
    def _address_of(url, transport):
        address = transports.address_of(url)
        return address.over(transports.Proxied(proxy_heads.v2()), *address.layers) if transport == "proxied" else address

    def over(self, scheme, *layers):
        """The address of its first listener of this scheme; with other layers, if there are some."""
        found = next(address for url, address in zip(self.urls, self.addresses) if url.startswith(scheme + "://"))
        return found.over(*layers) if layers else found

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

    def _keep_upgrading(self):
        """All the while that the server is there, as ROOST_UPGRADES asks for."""
        while not self.ends.wait(UPGRADES_S):
            start = len(self.lines)
            if self.installed:
                self.installed.other()
            with contextlib.suppress(ProcessLookupError, AssertionError):
                self.process.send_signal(signal.SIGUSR2)
                self.wait_line(UPGRADED, start, timeout=UPGRADE_TIMEOUT_S)

    def upgrade(self):
        """Has the server replace its program by the same one, or as UPGRADE_TO says, under the clients that are there, and
        waits until it serves on. The sentence of the log."""
        start = len(self.lines)
        if self.installed:
            self.installed.other()
        self.process.send_signal(signal.SIGUSR2)
        line = self.lines[self.wait_line(UPGRADED, start, timeout=UPGRADE_TIMEOUT_S)]
        assert "upgraded from" in line, self.log()
        return line

    def stop(self, timeout=STOP_TIMEOUT_S):
        """Ends the server as an operator would, and looks at how it went. Returns the seconds that it took."""
        begin = time.monotonic()
        self.ends.set()
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

    def crash(self):
        """Ends the server as a loss of its process would: nothing is written or sent any more."""
        self.crashed = True
        self.kill()
        self.check_log()

    def check_log(self):
        reports = [index for index, line in enumerate(self.lines) if SANITIZER.search(line)]
        assert not reports, "sanitizer report:\n" + "\n".join(self.lines[max(0, reports[0] - 2):reports[0] + 80])

    def kill(self):
        self.ends.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(TIMEOUT_S)
