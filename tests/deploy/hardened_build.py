"""What the build promises against faults in the code: seen in the program itself."""

import re
import subprocess

import pytest

from server import ROOST


@pytest.fixture(scope="module")
def elf():
    return subprocess.run(["readelf", "-W", "--file-header", "--program-headers", "--dynamic", "--dyn-syms", ROOST], capture_output=True,
                          text=True, timeout=30, check=True).stdout


def test_loaded_anywhere(elf):
    assert re.search(r"^ *Type: +DYN \(Position-Independent Executable", elf, re.MULTILINE)
    assert re.search(r"\(FLAGS_1\).*\bPIE\b", elf)


def test_addresses_of_functions_cannot_be_overwritten(elf):
    assert re.search(r"^ *GNU_RELRO ", elf, re.MULTILINE)
    assert re.search(r"\(FLAGS\).*\bBIND_NOW\b", elf)


def test_stack_is_not_executed(elf):
    assert re.search(r"^ *GNU_STACK .* RW +0x", elf, re.MULTILINE)
    assert not re.search(r"^ *LOAD .* RWE ", elf, re.MULTILINE)


def test_stack_is_guarded(elf):
    assert "__stack_chk_fail@" in elf


@pytest.mark.parametrize("function", ["memcpy", "vsnprintf", "fread"])
def test_sizes_are_checked(elf, function):
    """Where the compiler sees how large the target is, the call goes to a function that looks."""
    assert f" __{function}_chk@" in elf
