"""A wall clock of the server's own that a test can set while the server runs (Debian's libfaketime). Its other clocks are the
machine's. Debian's libfaketime 0.9.10 takes the deadlines of conditions on the monotonic clock for times of day, and each wait
for them ends at once, unless it is told that this C library needs no fix."""

from pathlib import Path

import pytest

from server import ROOST

LIBRARY = "/usr/$LIB/faketime/libfaketimeMT.so.1"
# Preloaded libraries come before a sanitizer's own, which it does not take.
SANITIZERS = (b"__asan_init", b"__tsan_init")


class FakeClock:
    def __init__(self, folder):
        assert list(Path("/usr/lib").glob("*/faketime")), "libfaketime is missing: tools/setup.sh test"
        if any(name in Path(ROOST).read_bytes() for name in SANITIZERS):
            pytest.skip("a sanitizer's program cannot have another library before its own")
        self.file = folder / "clock"
        self.set(0)

    def set(self, seconds):
        """So far is the server's clock from the machine's, from its next look at it on."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.rename(self.file)

    @property
    def prefix(self):
        """What the server's command begins with."""
        return ("env", f"LD_PRELOAD={LIBRARY}", f"FAKETIME_TIMESTAMP_FILE={self.file}", "FAKETIME_NO_CACHE=1",
                "DONT_FAKE_MONOTONIC=1", "FAKETIME_FORCE_MONOTONIC_FIX=0")
