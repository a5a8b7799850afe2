#!/usr/bin/python3
"""Runs test suites of brokers that were not written here against Roost, and says in one closing line how that went.

    tools/conformance.py [--broker PROGRAM] [--transport tls|ws|wss] [TEST...]

mosquitto's tests of its broker come from Debian's source package, which is fetched once into a cache folder outside the
repository (ROOST_CACHE, else $XDG_CACHE_HOME/roost or ~/.cache/roost) and is never part of ours. tests/conformance/ has the
adapter and the list of tests that ask for something Roost does not have, each with its reason. A test that fails is run
once more, alone, since the suite sleeps where it could wait. --broker /usr/sbin/mosquitto runs the tests against the broker
that they were written for, which shows what the adapter is worth.

Exit status: 1 where a test failed, 77 where the suite cannot be had (no source packages, no network).
"""

import argparse
import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "tests" / "conformance"
NOT_APPLICABLE = OURS / "not_applicable.txt"
JOBS = 6  # they sleep most of the time
TEST_TIMEOUT_S = 60
FETCH_TIMEOUT_S = 120
PORTS_A_TEST = 3
STATUS_NO_SUITE = 77


class NoSuite(Exception):
    """It cannot be had here."""


# The source package

def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("ROOST_CACHE") or Path(base, "roost"))


def run_apt(arguments, folder):
    """With lists and locks of its own: it touches nothing of the machine's, and needs no root."""
    options = ["-o", f"Dir::Etc::SourceList={folder}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null",
               "-o", f"Dir::State::Lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache", "-o", "Acquire::Retries=2",
               "-o", "APT::Sandbox::User="]
    try:
        got = subprocess.run(["apt-get", "-q", *options, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoSuite(f"apt-get: {error}") from error
    if got.returncode != 0:
        raise NoSuite(f"apt-get {arguments[0]}: {(got.stderr or got.stdout).strip().splitlines()[-1:]}")


def source_lines():
    """For each of Debian's lists of packages that this machine knows, the line for the list of sources beside it."""
    form = "$(ORIGIN)\t$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(SIGNED_BY)"
    try:
        got = subprocess.run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], capture_output=True,
                             text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoSuite(f"apt-get: {error}") from error
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    found = {tuple(line.split("\t")[1:4]) for line in got.stdout.splitlines() if line.startswith("Debian\t")}
    if not found:
        raise NoSuite("no lists of Debian's packages here")
    signed = f"[signed-by={keys}] " if Path(keys).exists() else ""
    return [f"deb-src {signed}{uri} {release} {component}" for uri, release, component in sorted(found)]


def fetch(cache):
    """mosquitto's source as its authors released it, unpacked. apt checks the sums."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "lists" / "partial").mkdir(parents=True)
        (folder / "cache" / "archives" / "partial").mkdir(parents=True)
        (folder / "sources.list").write_text("\n".join(source_lines()) + "\n")
        run_apt(["update"], folder)
        run_apt(["source", "--download-only", "mosquitto"], folder)
        archives = list(folder.glob("mosquitto_*.orig.tar.*"))
        if len(archives) != 1:
            raise NoSuite(f"the source package has {len(archives)} archives")
        with tarfile.open(archives[0]) as archive:
            archive.extractall(folder / "unpacked")
        source = next((folder / "unpacked").iterdir())
        cache.mkdir(parents=True, exist_ok=True)
        part = cache / f"{source.name}.part{os.getpid()}"
        shutil.move(source, part)
        part.rename(cache / source.name)
        return cache / source.name


def find_suite():
    cache = cache_folder()
    known = sorted(path for path in cache.glob("mosquitto-*") if path.suffix[:5] != ".part" and (path / "test").is_dir())
    return (known[-1] if known else fetch(cache)) / "test"


# Running

def lay_out(suite, folder):
    """The tests start ../../src/mosquitto, import mosq_test, and write their configuration beside themselves."""
    shutil.copytree(suite, folder / "test")
    (folder / "test" / "mosq_test.py").rename(folder / "test" / "mosq_test_of_suite.py")
    shutil.copy(OURS / "mosq_test.py", folder / "test")
    (folder / "src").mkdir()
    (folder / "src" / "mosquitto").symlink_to(OURS / "stand_in.py")
    return folder / "test"


def free_ports(count):
    """Distinct ones that nobody listens on, and that no other connection is given as its own."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    found = []
    for port in range(first - 1, 1024, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports")


def ports_of(test):
    """As many as it asks for: it has its own when called without exactly that many."""
    text = test.read_text()
    for count in (3, 2):
        if f"get_port({count})" in text:
            return count
    return 1


def transport_environment(transport):
    """What the adapter is told; of TLS, certificates that all tests share."""
    if transport in ("tls", "wss"):
        sys.path.insert(0, str(ROOT / "tests" / "harness"))
        import certificates

        identity = certificates.server()
        return {"ROOST_TRANSPORT": transport, "ROOST_TEST_CA": certificates.authority().file,
                "ROOST_TEST_CERTIFICATE": identity.chain, "ROOST_TEST_KEY": identity.key}
    return {"ROOST_TRANSPORT": transport}


def run_test(test, ports, broker, transport):
    """("passed" or "failed", output). All that the test has started ends with it."""
    command = ["/usr/bin/python3", test.name, *map(str, ports[:ports_of(test)])]
    environment = {**os.environ, "BROKER_UNDER_TEST": str(broker), "ROOST_HARNESS": str(ROOT / "tests" / "harness"),
                   "PYTHONPATH": str(test.parent.parent), "PYTHONDONTWRITEBYTECODE": "1", **transport}
    with subprocess.Popen(command, cwd=test.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", env=environment, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=TEST_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            output = f"not done after {TEST_TIMEOUT_S} s\n"
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if output.startswith("not done"):
            output += process.communicate()[0]
    return ("passed" if process.returncode == 0 else "failed"), output


def run_all(tests, broker, transport):
    """Yields (test, outcome, output) as they end; the failed ones a second time, when nothing else runs."""
    sets = free_ports(JOBS * PORTS_A_TEST)
    sets = [sets[i::JOBS] for i in range(JOBS)]

    def one(test):
        ports = sets.pop()
        try:
            return test, *run_test(test, ports, broker, transport)
        finally:
            sets.append(ports)

    again = []
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for test, outcome, output in pool.map(one, tests):
            if outcome == "failed":
                again.append(test)
            else:
                yield test, outcome, output
    for test in again:
        yield one(test)


def read_list():
    """{name: reason}"""
    reasons = {}
    for line in NOT_APPLICABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, reason = line.partition(": ")
            assert reason, f"{NOT_APPLICABLE}: {line!r} gives no reason"
            reasons[name] = reason
    return reasons


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", default=str(ROOT / "build" / "roost"), help="program to test")
    parser.add_argument("--transport", default="tcp", choices=["tcp", "tls", "ws", "wss"], help="what the clients come over")
    parser.add_argument("tests", nargs="*", metavar="TEST", help="name of a test, such as 02-subpub-qos1; all of them")
    options = parser.parse_args()
    try:
        suite = find_suite()
    except NoSuite as error:
        print(f"conformance: mosquitto's source package cannot be had here: {error}")
        return STATUS_NO_SUITE
    reasons = read_list()
    with tempfile.TemporaryDirectory() as scratch:
        folder = lay_out(suite, Path(scratch)) / "broker"
        known = {path.stem for path in folder.glob("[01][0-9]-*.py")}
        wrong = [name for name in reasons if name not in known] + [name for name in options.tests if name not in known]
        if wrong:
            print(f"conformance: {suite} has no {', '.join(wrong)}")
            return 1
        names = sorted(options.tests or known - set(reasons))
        failed = 0
        environment = transport_environment(options.transport)
        for test, outcome, output in run_all([folder / f"{name}.py" for name in names], Path(options.broker).resolve(), environment):
            if outcome == "failed":
                failed += 1
                print(f"FAILED {test.stem}\n" + "\n".join(f"    {line}" for line in output.rstrip().splitlines()[-20:]),
                      flush=True)
    skipped = 0 if options.tests else len(reasons)
    print(f"mosquitto's broker tests: {len(names) - failed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
