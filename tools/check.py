#!/usr/bin/python3
"""Runs every kind of test there is, one compact line a stage, and adds the results up in one closing line.

    tools/check.py                all that `make test` runs
    tools/check.py STAGE...       some of it
    tools/check.py campaign       what it has no time for
    tools/check.py --help         lists the stages

What counts as one test: a cmocka test function, a pytest test, a replayed fuzz corpus of one target, a check of the
sources, a hold of clients. Exit status 1 where anything failed, and where a stage ran nothing at all. Logs of each
stage are in build/logs.
"""

import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs"
PYTHON = "/usr/bin/python3"
JOBS = max(2, len(os.sched_getaffinity(0)))
# Tests over sockets wait about as long as they compute. Several shares for each place, since they end at different times.
PYTEST_JOBS = 2 * JOBS
PYTEST_SHARES = 3 * PYTEST_JOBS
OUTPUT_LINES = 60  # of a failure, on the terminal; the whole is in the log

# Enough to name functions and lines, and a linker that is quick with it: over a hundred programs are linked.
QUICK = ["-Dtests=enabled", "-Db_lundef=false", "-Doptimization=1", "-Ddebug=false", "-Dc_args=-g1", "-Dc_link_args=-fuse-ld=gold"]
BUILD_OPTIONS = {
    "build": ["-Dtests=enabled"],
    "build-asan": [*QUICK, "-Db_sanitize=address,undefined"],
    "build-tsan": [*QUICK, "-Db_sanitize=thread"],
}

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:exitcode=99",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
    "TSAN_OPTIONS": f"suppressions={ROOT}/tests/tsan.supp:second_deadlock_stack=1:exitcode=99",
}

# `bench hold` in the hold stage: enough clients to need several tables and turns, few enough for any machine.
HOLD_CLIENTS = 5000
HOLD_SECONDS = 8
# `make crash` has 1,000.
CRASH_ROUNDS = 6
HOLD_KEEPALIVE_SECONDS = 4


class Result:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.unavailable = ""  # why there was nothing to run, where that is no fault
        self.messages = []

    def passes(self, count=1):
        self.passed += count

    def fails(self, name, output=""):
        self.failed += 1
        self.messages.append((name, output))

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.messages += other.messages


def run(command, log, timeout, env=None, cwd=ROOT):
    """(exit status or None after the timeout, output). The output also goes to the log of this name. What a command
    has started ends with it: it gets a process group of its own."""
    with subprocess.Popen(command, cwd=cwd, env={**os.environ, **SANITIZERS, **(env or {})}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            output += f"\nended after {timeout} s\n"
            status = None
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / f"{log}.log").write_text(output)
    return status, output


builds = {}  # (directory, whether with unit tests and corpora) -> Future of (exit status, output)
builder = concurrent.futures.ThreadPoolExecutor(1)


def begin_build(directory, with_tests=False):
    """Each is built once a run, one behind the other, while the stages go on that need none or another."""
    if (directory, with_tests) not in builds:
        builds[directory, with_tests] = builder.submit(run_build, directory, with_tests)


def run_build(directory, with_tests):
    command = ["nice", "tools/build.sh", directory, *BUILD_OPTIONS[directory], "--"]
    log = f"compile-{directory}" + ("-tests" if with_tests else "")
    status, output = run([*command, "build.ninja"], log, timeout=120)
    return run([*command, *targets_of(directory, with_tests)], log, timeout=1800) if status == 0 else (status, output)


def targets_of(directory, with_tests):
    """What the stages ask of a directory: `build` has what is installed, and what tests run beside it; the sanitizers have the
    server alone. Unit tests and corpora come with them where they are run, under TSan those that start threads."""
    wanted = set()
    for target in introspect(directory, "targets"):
        folder = Path(target["defined_in"]).parent.relative_to(ROOT)
        names = {Path(name).relative_to(ROOT / directory).as_posix() for name in target["filename"]}
        is_test = folder.is_relative_to("tests/unit") or folder.is_relative_to("tests/fuzz")
        by_default = directory == "build" and target["build_by_default"] and not is_test
        if by_default or "roost" in names or (SIMULATE in names and directory != "build-tsan"):
            wanted |= names
    if with_tests:
        tests = unit_tests(directory) + (tests_of(directory, "fuzz") if directory != "build-tsan" else [])
        wanted |= {Path(test["cmd"][0]).relative_to(ROOT / directory).as_posix() for test in tests if is_made(directory, test)}
    return sorted(wanted)


def is_made(directory, test):
    """Whether its program is built there, and is no script of the tests."""
    return Path(test["cmd"][0]).is_relative_to(ROOT / directory)


def introspect(directory, what):
    listed = subprocess.run(["meson", "introspect", f"--{what}", directory], cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(listed.stdout)


def tests_of(directory, suite):
    """What Meson says of the tests of a suite. A program left over from an older build is not among them."""
    return [test for test in introspect(directory, "tests") if any(s.split(":")[-1] == suite for s in test["suite"])]


# Unit tests that start threads. Of those that run over several kinds of scene two are enough: commits come from elsewhere.
THREAD_TESTS = {
    "access_authority", "admin_handshake", "auth_revocation_file", "auth_revocation_threads", "base_memory_root", "bench_limits",
    "bench_load", "bench_run", "bench_storm", "bench_threads", "bridge_redis_nodes", "commit_store", "commit_store_pause", "commit_writer", "fetch_run", "gateway_addresses",
    "gateway_command", "gateway_command_tls", "gateway_journal_play", "gateway_journal_play_commits", "gateway_origin",
    "gateway_origin_commits", "gateway_password_workers", "gateway_principal", "gateway_retained", "gateway_retained_commits",
    "gateway_routing", "gateway_routing_commits", "gateway_session", "gateway_shared", "gateway_shared_commits", "gateway_turn_work",
    "lifecycle_restore", "memory_notes", "net_fdtable", "net_mailbox", "net_poller", "net_poller_poll", "net_waker",
    "session_commit_waits_threads", "session_index", "session_index_groups", "session_index_groups_threads", "session_index_slices",
    "session_index_threads", "session_retained_threads", "session_subscriptions", "shard_adopt", "shard_freeze", "tls_handshake_threads",
}


def unit_tests(directory):
    """Those that a build is for: all, under TSan those that start threads; a script that looks at no program once."""
    tests = tests_of(directory, "unit")
    unknown = THREAD_TESTS - {test["name"] for test in tests}
    if unknown:
        raise ValueError(f"no unit test {', '.join(sorted(unknown))}")
    return [test for test in tests if (directory != "build-tsan" or test["name"] in THREAD_TESTS)
            and (directory == "build" or is_made(directory, test))]


def build(directory, result, with_tests=False):
    """True where the directory is built; waits until it is."""
    begin_build(directory, with_tests)
    status, output = builds[directory, with_tests].result()
    if status != 0:
        result.fails(f"build of {directory}", output)
    return status == 0


# Unit tests and corpora: programs known to Meson

TAP_PLAN = re.compile(r"^\s*1\.\.(\d+)\s*$", re.MULTILINE)
TAP_LINE = re.compile(r"^\s*(not )?ok \d+\b(.*)$", re.MULTILINE)


def count_tap(name, status, output):
    """A cmocka program: each function counts, and so does a program that ends before it has run them all."""
    result = Result()
    planned = sum(int(count) for count in TAP_PLAN.findall(output))
    ran = 0
    for failed, rest in TAP_LINE.findall(output):
        ran += 1
        if "# SKIP" in rest:
            result.skipped += 1
        elif failed:
            result.fails(f"{name}: {rest.strip(' -')}")
        else:
            result.passes()
    if result.failed:
        result.messages.append((name, output))
    elif status != 0 or ran != planned or ran == 0:
        result.fails(f"{name}: exit status {status}, {ran} of {planned} tests ran", output)
    return result


def run_meson_test(directory, test, suite):
    env = {**test["env"], "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    status, output = run(["nice", *test["cmd"]], f"{directory}-{test['name']}", timeout=900, env=env,
                         cwd=test["workdir"] or ROOT / directory)
    if suite == "unit":
        return count_tap(test["name"], status, output)
    result = Result()
    if status == 0:
        result.passes()
    else:
        result.fails(test["name"], output)
    return result


def meson_suite(directory, suite):
    """All programs of a suite, some at a time."""
    result = Result()
    if not build(directory, result, with_tests=True):
        return result
    tests = unit_tests(directory) if suite == "unit" else tests_of(directory, suite)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for one in pool.map(lambda test: run_meson_test(directory, test, suite), tests):
            result.add(one)
    return result


# Scenarios and real clients: pytest against the program

PYTEST_NONE_CHOSEN = 5  # exit status where no test of the files has the mark
TEST_TIMEOUT_S = 60  # for one answer of the server, under a sanitizer and on a machine with much else to do


def names_in(folder):
    return sorted(path.stem for path in (ROOT / "tests" / folder).glob("*.py"))


def pytest(directory, folder, marks=None, options="", names=None, versions="one"):
    """All files of a folder, or some. Each process has its share of them. versions: "all", or "one" (tests/conftest.py)."""
    result = Result()
    if not build(directory, result):
        return result
    files = [f"tests/{folder}/{name}.py" for name in names or names_in(folder)]
    shares = [share for share in (files[i::PYTEST_SHARES] for i in range(PYTEST_SHARES)) if share]
    with concurrent.futures.ThreadPoolExecutor(PYTEST_JOBS) as pool:
        for one in pool.map(lambda number: pytest_files(directory, folder, number, shares[number], marks, options, versions=versions),
                            range(len(shares))):
            result.add(one)
    return result


def pytest_files(directory, folder, number, files, marks, options, program="roost", transport="tcp", versions="one"):
    result = Result()
    name = f"{directory if program == 'roost' else program}-{folder}-{number}" + (f"-{transport}" if transport != "tcp" else "")
    env = {"ROOST": str(ROOT / directory / program), "ROOST_OPTIONS": options, "PYTHONDONTWRITEBYTECODE": "1",
           "ROOST_TEST_TIMEOUT_S": str(TEST_TIMEOUT_S), "ROOST_TEST_VERSIONS": versions, "ROOST_TRANSPORT": transport}
    with tempfile.TemporaryDirectory() as scratch:
        command = ["-o", f"cache_dir={scratch}/cache", *files, *(["-m", marks] if marks else [])]
        status, output, cases = run_pytest(command, name, scratch, env)
        failed = [case for case, outcome in cases.items() if outcome == "failed"]
        if may_try_again(failed):
            _, again, second = run_pytest([*command, "--last-failed", "--last-failed-no-failures=none"], f"{name}-again", scratch, env)
            if set(second) == set(failed) and "failed" not in second.values():
                result.messages.append((f"{name}: passed at the second try", "\n".join(failed)))
                status, cases = 0, {**cases, **second}
            else:
                output += again
    for case, outcome in cases.items():
        if outcome == "failed":
            result.fails(f"{directory} {case}")
        elif outcome == "skipped":
            result.skipped += 1
        else:
            result.passes()
    if result.failed:
        result.messages.append((name, output))
    elif status not in (0, PYTEST_NONE_CHOSEN):
        result.fails(f"{name}: exit status {status}", output)
    return result


def run_pytest(arguments, name, scratch, env):
    """(exit status, output, {test: "passed", "failed" or "skipped"})."""
    report = Path(scratch, "junit.xml")
    report.unlink(missing_ok=True)
    status, output = run([PYTHON, "-m", "pytest", "-q", "--tb=short", "--maxfail=25", f"--junitxml={report}", *arguments], name,
                         timeout=1200, env=env)
    if not report.exists():
        return status or 1, output, {}
    cases = {}
    for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
        kinds = {child.tag for child in case}
        test = f"{case.get('classname')}.{case.get('name')}"
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if cases.get(test) != "failed":  # a test and what is torn down after it are two
            cases[test] = outcome
    return status, output, cases


# Several servers, their tests and compilers share the machine's few processors, and now and then one of thousands of tests over
# sockets waits too long for the other end. It may try again, and is named; more than so many of a whole run is no chance.
SECOND_TRIES_MAX = 8
second_tries = []
trying_again = threading.Lock()


def may_try_again(failed):
    with trying_again:
        if not failed or len(second_tries) + len(failed) > SECOND_TRIES_MAX:
            return False
        second_tries.extend(failed)
        return True


# What a server does with sockets, in every way that it has: reading, blocked writing, ends of every kind, handing over.
POLL_SCENARIOS = ["ping", "publish_reaches_subscriber", "slow_reader", "vanish", "take_over", "take_over_in_the_middle",
                  "several_gates", "first_packet_not_connect", "drain_on_sigterm", "order_across_shards", "qos2_from_server",
                  "session_keeps_messages", "connections_limit", "upgrade_waits_by_poll"]


def poll_scenarios():
    """Scenarios with the server that waits with poll(2): no more than reactor/poller.h promises is relied upon."""
    result = Result()
    if not build("build", result):
        return result
    status, output = run(["nice", "tools/build.sh", "build", "--", "roost-poll"], "compile-roost-poll", timeout=300)
    if status != 0:
        result.fails("build of roost-poll", output)
        return result
    files = [f"tests/scenario/{name}.py" for name in POLL_SCENARIOS]
    with concurrent.futures.ThreadPoolExecutor(PYTEST_JOBS) as pool:
        for one in pool.map(lambda number: pytest_files("build", "scenario", number, [files[number]], None, "", "roost-poll"),
                            range(len(files))):
            result.add(one)
    return result


# What reading and writing make the most of: large packets, bursts, backlogs, packets cut at every byte, ends in the middle. Over
# what lies on top of a socket everything else is as it is over TCP.
TRANSPORT_SCENARIOS = ["bursts_at_qos_1_and_2", "malformed_packets_cut_at_every_byte", "slow_reader", "packet_too_large", "drain_on_sigterm",
                       "publisher_faster_than_subscribers", "take_over_in_the_middle", "session_keeps_messages", "packet_identifiers",
                       "order_across_shards"]
TRANSPORTS = ["tls", "wss"]


def transport_scenarios(all_of_them=False):
    """Scenarios that were written for TCP, each over one of the others, or over all."""
    result = Result()
    if not build("build", result):
        return result
    runs = [(name, transport) for number, name in enumerate(TRANSPORT_SCENARIOS) for place, transport in enumerate(TRANSPORTS)
            if all_of_them or place == number % len(TRANSPORTS)]
    with concurrent.futures.ThreadPoolExecutor(PYTEST_JOBS) as pool:
        for one in pool.map(lambda run: pytest_files("build", "scenario", run[0], [f"tests/scenario/{run[0]}.py"], None, "",
                                                     transport=run[1]), runs):
            result.add(one)
    return result


def deploy(packages):
    return pytest("build", "deploy", names=[name for name in names_in("deploy") if name.startswith("package_") == packages])


installing = threading.Lock()


def install_mqttjs():
    """From npm, at the versions and with the sums of the lock file. None, or a failure."""
    folder = ROOT / "tests" / "interop"
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_text() != lock.read_text():
        status, output = run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], "npm", timeout=300, cwd=folder)
        if status != 0:
            return output
        stamp.write_text(lock.read_text())
    return None


def interop(directory, versions="one"):
    with installing:
        failure = install_mqttjs()
    if failure is not None:
        result = Result()
        result.fails("npm ci in tests/interop", failure)
        return result
    return pytest(directory, "interop", versions=versions)


def all_versions():
    result = pytest("build", "scenario", versions="all")
    result.add(interop("build", versions="all"))
    result.add(conformance("build", TRANSPORTS))
    return result


SUITE_SUMS = re.compile(r"^.*: (\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)
STATUS_NO_SUITE = 77
# Those that are run over other transports, too; all of them with tools/conformance.py --transport.
CONFORMANCE_TESTS = ["02-subpub-qos0", "02-subpub-qos1", "02-subpub-qos2", "03-publish-b2c-disconnect-qos2", "03-publish-b2c-qos1-len",
                     "03-publish-c2b-disconnect-qos2", "04-retain-qos0", "07-will-qos0"]


def conformance(directory, over=()):
    """Suites that others wrote, from Debian's source packages; a machine that has no way to them goes without. over: other
    transports, which some of the tests run over, too."""
    result = Result()
    if not build(directory, result):
        return result
    for transport, tests in {"tcp": [], **{transport: CONFORMANCE_TESTS for transport in over}}.items():
        result.add(conformance_over(directory, transport, tests))
        if not result.passed:
            break
    if not result.passed and not result.failed:
        result.unavailable = result.messages.pop()[1]
    return result


def conformance_over(directory, transport, tests):
    """All tests, or some."""
    result = Result()
    status, output = run([PYTHON, "tools/conformance.py", "--broker", str(ROOT / directory / "roost"), "--transport", transport, *tests],
                         f"{directory}-conformance-{transport}", timeout=600)
    sums = SUITE_SUMS.search(output)
    if status == STATUS_NO_SUITE:
        result.messages.append(("conformance", output.strip().removeprefix("conformance: ")))
    elif not sums or (status != 0 and sums.group(2) == "0"):
        result.fails(f"conformance over {transport}: exit status {status}", output)
    else:
        result.passed, result.skipped = int(sums.group(1)), int(sums.group(3))
        for name in re.findall(r"^FAILED (\S+)", output, re.MULTILINE):
            result.fails(f"conformance over {transport}: {name}")
        if result.failed:
            result.messages.append((f"conformance over {transport}", output))
    return result


RANDOM_SECONDS = 12
RANDOM_PLAYS = {"tcp": 0.25, "tls": 0.25, "wss": 0.25, "tcp --rule": 0.25}  # how, and its share of the time
RANDOM_SUMS = re.compile(r"^random plays, .*: (\d+) passed, (\d+) failed$", re.MULTILINE)


def random_plays(directory):
    """Each play of clients against the model counts; the seeds are in the log."""
    result = Result()
    if not build(directory, result):
        return result
    for how, share in RANDOM_PLAYS.items():
        status, output = run([PYTHON, "tests/random/play.py", "--seconds", str(share * RANDOM_SECONDS), "--transport", *how.split()],
                             f"{directory}-random-{how.replace(' --', '-')}", timeout=300,
                             env={"ROOST": str(ROOT / directory / "roost"), "PYTHONDONTWRITEBYTECODE": "1",
                                  "ROOST_TEST_TIMEOUT_S": str(TEST_TIMEOUT_S)})
        sums = RANDOM_SUMS.search(output)
        if status == 0 and sums:
            result.passes(int(sums.group(1)))
        else:
            result.fails(f"random plays over {how}: exit status {status}", output)
    return result


# Plays on three nodes, of fixed seeds; `make partitions` has others. Each takes some ten seconds, most of which it waits.
PARTITIONS_SEED, PARTITIONS_ROUNDS = 1, 1
PARTITIONS_SUMS = re.compile(r"^partitions, seeds \d+ to \d+: (\d+) passed, (\d+) failed;", re.MULTILINE)


def partitions(directory):
    """The checker over histories that were made up, and over those of a few plays."""
    result = pytest(directory, "cluster", names=["checker_finds"])
    status, output = run([PYTHON, "tests/cluster/partitions.py", "--seed", str(PARTITIONS_SEED), "--rounds", str(PARTITIONS_ROUNDS)],
                         f"{directory}-partitions", timeout=300,
                         env={"ROOST": str(ROOT / directory / "roost"), "PYTHONDONTWRITEBYTECODE": "1",
                              "ROOST_TEST_TIMEOUT_S": str(TEST_TIMEOUT_S)})
    sums = PARTITIONS_SUMS.search(output)
    if status == 0 and sums:
        result.passes(int(sums.group(1)))
    else:
        result.fails(f"partitions: exit status {status}", output)
    return result


SIMULATE = "tests/unit/sim/simulate"
SIMULATE_SECONDS = 6
SIMULATE_SUMS = re.compile(r"^simulated plays from seed \d+: (\d+) passed, (\d+) failed$", re.MULTILINE)


def simulate(directory):
    """Fresh seeds; those that are the same in every run are in the unit tests."""
    result = Result()
    if not build(directory, result):
        return result
    status, output = run(["nice", f"{directory}/{SIMULATE}", "--seconds", str(SIMULATE_SECONDS), "--shrink"],
                         f"{directory}-simulate", timeout=300)
    sums = SIMULATE_SUMS.search(output)
    if status == 0 and sums and int(sums.group(1)) != 0:
        result.passes()  # there are thousands of them
    else:
        result.fails(f"simulated plays: exit status {status}", output)
    return result


# Checks of the sources

def check_statements():
    """That docs/CONFORMANCE.md is what the tests say."""
    result = Result()
    status, output = run([PYTHON, "tools/conformance_table.py", "--check"], "statements", timeout=60)
    if status == 0:
        result.passes()
    else:
        result.fails("statements", output)
    status, output = run([PYTHON, "tools/conformance_table.py", "--self-test"], "statements-self-test", timeout=60)
    result.add(count_tap("tools/conformance_table.py --self-test", status, output))
    return result


def sources(*suffixes):
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split("\0")
    return [name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file()]


def check_layers():
    """That folders stand in their order, and that the code has the shape that its readers rely on."""
    result = Result()
    for tool in ("layers", "shape", "memory_layout"):
        if tool != "memory_layout":  # the build runs it
            status, output = run([PYTHON, f"tools/{tool}.py"], tool, timeout=60)
            if status == 0:
                result.passes()
            else:
                result.fails(f"tools/{tool}.py", output)
        status, output = run([PYTHON, f"tools/{tool}.py", "--self-test"], f"{tool}-self-test", timeout=60)
        result.add(count_tap(f"tools/{tool}.py --self-test", status, output))
    return result


def check_format():
    result = Result()
    names = sources(".c", ".h")
    status, output = run(["clang-format", "--dry-run", "-Werror", *names], "format", timeout=120)
    wrong = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error:", output, re.MULTILINE)))
    if not names:
        return result
    if status == 0:
        result.passes()
    else:
        result.fails("format; `make format` puts it right", "\n".join(wrong) or output)
    return result


def check_tidy():
    """One test a file: it takes long enough to want to know which."""
    result = Result()
    if not build("build", result):
        return result
    known = {Path(entry["directory"], entry["file"]).resolve()
             for entry in json.loads((ROOT / "build/compile_commands.json").read_text())}
    names = [name for name in sources(".c") if (ROOT / name).resolve() in known]

    def one(name):
        return name, *run(["clang-tidy", "-p", "build", "--quiet", name], "tidy-" + name.replace("/", "-"), timeout=300)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, status, output in pool.map(one, names):
            if status == 0:
                result.passes()
            else:
                result.fails(f"clang-tidy {name}", output)
    return result


def check_cppcheck():
    result = Result()
    status, output = run(["cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--enable=warning,portability",
                          "--std=c11", "--suppress=missingIncludeSystem", "-Isrc", f"-j{JOBS}", "src"], "cppcheck", timeout=600)
    if status == 0:
        result.passes()
    else:
        result.fails("cppcheck", output)
    return result


# A hold of some thousands of clients

def hold():
    result = Result()
    if not build("build", result):
        return result
    command = ["tools/with-server.sh", "--connections", str(HOLD_CLIENTS + 1000), "--", "build/roost", "bench", "hold",
               "-n", str(HOLD_CLIENTS), "--hold", str(HOLD_SECONDS), "--keepalive", str(HOLD_KEEPALIVE_SECONDS), "--json",
               "--url", "@URL@", "--server-pid", "@PID@"]
    status, output = run(command, "hold", timeout=120)
    found = re.search(r"^\{.*?^\}", output, re.MULTILINE | re.DOTALL)
    figures = json.loads(found.group()) if found else {}
    if status == 0 and figures.get("held") == HOLD_CLIENTS and figures.get("lost") == 0:
        result.passes()
    else:
        result.fails(f"hold of {HOLD_CLIENTS} clients: exit status {status}", output)
    return result


# A store whose disk fails, whose power is cut, whose server is killed

CRASH_OPTIONS = ["--rounds", str(CRASH_ROUNDS), "--kill-after", "500..3000", "--upgrade", "100", "--quiet", "500", "--json"]


def bench_crash():
    """`bench crash`, at all QoS mixed: each round counts in which the server was killed with kill -9, started again, and had
    all that it had acknowledged. Its program is replaced meanwhile, or about to be."""
    result = Result()
    status, output = run(["build/roost", "bench", "crash", *CRASH_OPTIONS], "bench-crash", timeout=300)
    found = re.search(r"^\{.*?^\}", output, re.MULTILINE | re.DOTALL)
    figures = json.loads(found.group()) if found else {}
    if status == 0 and figures.get("rounds") == CRASH_ROUNDS and figures.get("acknowledged", 0) > 0 and figures.get("upgrades", 0) > 0:
        result.passes(CRASH_ROUNDS)
    else:
        result.fails(f"bench crash: exit status {status}; the seed and where the store is kept are in the log", output)
    return result


def crash():
    """The rounds beside the tests, many of which wait."""
    result = Result()
    if not build("build", result):
        return result
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        rounds = pool.submit(bench_crash)
        result.add(pytest("build", "crash"))
        result.add(rounds.result())
    return result


# ThreadSanitizer takes five to fifteen times as long: it is for the scenarios in which threads meet, marked "threads", and for
# the unit tests that start some. It tells descriptors by their number alone, so that with private tables it takes one thread's
# socket for another's.
STAGES = {
    "layers": ("includes point down, pure layers are pure, no circles, no long functions", check_layers),
    "statements": ("docs/CONFORMANCE.md is made of the tests as they are", check_statements),
    "format": ("clang-format has nothing to change", check_format),
    "unit": ("cmocka", lambda: meson_suite("build", "unit")),
    "fuzz": ("corpora replayed", lambda: meson_suite("build", "fuzz")),
    "scenario": ("one behaviour a file, over real sockets; each test in one version of MQTT", lambda: pytest("build", "scenario")),
    "versions": ("scenarios, other clients and suites in all versions, and over all transports that they are about", all_versions),
    "transport": (f"scenarios over {' or '.join(TRANSPORTS)} instead of TCP", transport_scenarios),
    "transports": ("the same over each of them", lambda: transport_scenarios(all_of_them=True)),
    "poll": ("scenarios over poll(2) instead of epoll", poll_scenarios),
    "crash": (f"stores on disks that fail or lose power, servers that are killed; {CRASH_ROUNDS} rounds of bench crash", crash),
    "interop": ("clients that others wrote", lambda: interop("build")),
    "deploy": ("what deploy/ and docs/ promise, with a real Prometheus", lambda: deploy(packages=False)),
    "package": ("the Debian package: what is in it, and its service in a Debian with systemd", lambda: deploy(packages=True)),
    "browser": ("the admin side's page, and pages that speak MQTT, in Chromium", lambda: pytest("build", "browser")),
    "conformance": ("suites for brokers that others wrote", lambda: conformance("build")),
    "random": (f"random plays against a model, over {', '.join(RANDOM_PLAYS)}, for {RANDOM_SECONDS} s", lambda: random_plays("build")),
    "partitions": ("plays on three nodes with faults, and a checker over what clients saw", lambda: partitions("build")),
    "simulate": (f"random plays on a simulated kernel, for {SIMULATE_SECONDS} s", lambda: simulate("build")),
    "hold": (f"{HOLD_CLIENTS} clients held", hold),
    "asan-unit": ("cmocka under ASan and UBSan", lambda: meson_suite("build-asan", "unit")),
    "asan-fuzz": ("corpora under ASan and UBSan", lambda: meson_suite("build-asan", "fuzz")),
    "asan-scenario": ("scenarios under ASan and UBSan", lambda: pytest("build-asan", "scenario")),
    "asan-interop": ("other clients under ASan and UBSan", lambda: interop("build-asan")),
    "asan-simulate": ("plays on a simulated kernel under ASan and UBSan", lambda: simulate("build-asan")),
    "asan-partitions": ("plays on three nodes under ASan and UBSan", lambda: partitions("build-asan")),
    "asan-random": ("random plays under ASan and UBSan", lambda: random_plays("build-asan")),
    "tsan-unit": ("cmocka under TSan, where threads are started", lambda: meson_suite("build-tsan", "unit")),
    "tsan-scenario": ("scenarios in which threads meet under TSan",
                      lambda: pytest("build-tsan", "scenario", "threads", "--no-private-tables")),
    "tidy": ("clang-tidy; in `make lint`", check_tidy),
    "cppcheck": ("cppcheck; in `make lint`", check_cppcheck),
}
# What `make test` has no time for. Unit tests and corpora run under ASan and UBSan there, which see all that a build without them
# would; without, every step is taken of what is tried again and again (tests/unit/tries.h). `make campaign` has these too,
# `make lint` the last two.
CAMPAIGN = ["versions", "transports", "unit", "fuzz", "simulate", "package", "asan-scenario", "asan-interop", "asan-random", "asan-partitions", "tsan-unit",
            "tsan-scenario"]
NOT_BY_DEFAULT = {*CAMPAIGN, "tidy", "cppcheck"}
# Counts what is lost when clients ping in time: nothing may keep them from it.
ALONE = {"hold"}
# They compute, and need no answer in time: beside the others, with what time these leave.
COMPUTING = {"layers", "statements", "format", "unit", "fuzz", "simulate", "asan-unit", "asan-fuzz", "asan-simulate", "tsan-unit", "tidy",
             "cppcheck"}


def directory_of(name):
    """What the stage needs to be built, or None."""
    if name in ("layers", "statements", "format", "cppcheck"):
        return None
    prefix = name.split("-")[0]
    return f"build-{prefix}" if prefix in ("asan", "tsan") else "build"


def run_stage(name):
    start = time.monotonic()
    try:
        result = STAGES[name][1]()
    except (OSError, ValueError, subprocess.SubprocessError, xml.etree.ElementTree.ParseError) as error:
        result = Result()
        result.fails(f"{name}: {error!r}")
    if result.unavailable:
        print(f"{name:14} skipped: {result.unavailable}\n", end="", flush=True)
        return result
    if result.passed + result.failed == 0:
        result.fails(f"{name}: ran no test")
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    lines = [f"{name:14} {result.passed:5} passed, {result.failed} failed{skipped}  ({time.monotonic() - start:.1f} s)"]
    for title, output in result.messages:
        lines.append(f"  FAILED {title}" if not output else f"  ---- {title}")
        lines += [f"    {line}" for line in output.rstrip().splitlines()[-OUTPUT_LINES:]]
    print("\n".join(lines) + "\n", end="", flush=True)
    return result


def run_stages(names):
    """Those that compute beside those that wait; yields their results as they come."""
    for name in names:
        if directory_of(name):
            begin_build(directory_of(name), with_tests=name.endswith(("unit", "fuzz")))
    lanes = [[name for name in names if name not in ALONE and (name in COMPUTING) == computing] for computing in (True, False)]
    with concurrent.futures.ThreadPoolExecutor(1) as computing, concurrent.futures.ThreadPoolExecutor(1) as waiting:
        stages = [pool.submit(run_stage, name) for pool, lane in zip((computing, waiting), lanes) for name in lane]
        for stage in concurrent.futures.as_completed(stages):
            yield stage.result()
    for name in names:
        if name in ALONE:
            yield run_stage(name)


def main():
    names = sys.argv[1:]
    if any(name in ("-h", "--help") for name in names):
        print(__doc__)
        for name, (what, _) in STAGES.items():
            print(f"  {name:14} {what}")
        return 0
    if names == ["campaign"]:
        names = CAMPAIGN
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        print(f"check.py: no stage {', '.join(unknown)}; there are {', '.join(STAGES)}", file=sys.stderr)
        return 2
    total = Result()
    if LOGS.exists():
        shutil.rmtree(LOGS)
    for result in run_stages(names or [name for name in STAGES if name not in NOT_BY_DEFAULT]):
        total.add(result)
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    closing = f"{total.passed} passed, {total.failed} failed{skipped}"
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / "closing").write_text(closing + "\n")
    print(closing)
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
