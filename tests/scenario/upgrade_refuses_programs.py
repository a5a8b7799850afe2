"""An upgrade that cannot be is refused in a sentence, and the old program serves on, whatever stands where the new one should."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from server import ROOST, roost

SAME = Path(ROOST).resolve()

pytestmark = pytest.mark.roost_only("it replaces Roost's program")
E_MACHINE = 18  # where an ELF header has the machine


@pytest.fixture
def talked(administered):
    """A server with a client that must notice nothing, which is tried at the end."""
    with administered.client("there", 5) as client:
        client.subscribe(("t", 1))
        yield administered
        client.hand_over("t", b"still")
        assert client.take().payload == b"still"
        assert administered.counter("connections_signed_in") == 1
        state = administered.admin().get("/api/v1/upgrade").json
        assert (state["state"], state["done"]) == ("refused", 0) and state["error"]


def ctl(server, *words):
    return subprocess.Popen([ROOST, "ctl", "--url", server.admin().url, "upgrade", *map(str, words)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def refused(server, path):
    """What the operator is told; the log says the same."""
    asked = ctl(server, path)
    _, said = asked.communicate(timeout=60)
    assert asked.returncode == 1, said
    why = said.strip().rpartition("serves on: ")[2]
    assert why and "roost ctl: not upgraded, version" in said
    server.wait_line("not upgraded: " + re.escape(why))
    return why


def program(folder, name="roost", of=ROOST):
    path = folder / name
    shutil.copy(Path(of).resolve(), path)
    path.chmod(0o755)
    return path


def test_what_is_no_program(talked, tmp_path):
    assert "No such file" in refused(talked, tmp_path / "nothing")
    assert "not a regular file" in refused(talked, tmp_path)
    text = tmp_path / "text"
    text.write_text("not a program\n")
    assert "may not be executed" in refused(talked, text)
    text.chmod(0o755)
    assert "is not a program" in refused(talked, text)
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\nexec {ROOST} "$@"\n')
    script.chmod(0o755)
    assert "is not a program" in refused(talked, script)


def test_a_program_of_another_machine(talked, tmp_path):
    path = program(tmp_path)
    data = bytearray(path.read_bytes())
    data[E_MACHINE] ^= 0xFF
    path.write_bytes(data)
    assert "another machine" in refused(talked, path)


def test_a_program_that_is_cut_short(talked, tmp_path):
    path = program(tmp_path)
    os.truncate(path, 20000)
    assert str(path) in refused(talked, path)


def test_a_program_that_others_may_write(talked, tmp_path):
    path = program(tmp_path)
    path.chmod(0o777)
    assert "may be written by others" in refused(talked, path)
    path.chmod(0o755)
    os.chown(path, 12345, 12345)
    assert "belongs neither to root nor" in refused(talked, path)


@pytest.fixture
def endless(tmp_path):
    """A program that says something for ever."""
    source, path = tmp_path / "endless.c", tmp_path / "endless"
    source.write_text("#include <unistd.h>\nint main(void)\n{\n\twhile (write(1, \"word \", 5) > 0)\n\t\tusleep(1000);\n}\n")
    subprocess.run(["gcc", "-o", path, source], check=True)
    return path


def test_another_program(talked, tmp_path):
    assert "exit status 1" in refused(talked, program(tmp_path, "false", shutil.which("false")))
    assert "does not know how" in refused(talked, program(tmp_path, "true", shutil.which("true")))


def test_a_program_that_hangs_and_never_stops_talking(talked, endless):
    """Meanwhile another upgrade is refused at once."""
    first = ctl(talked, endless)
    while talked.admin().get("/api/v1/upgrade").json["state"] != "asked":
        pass
    second = ctl(talked, endless)
    assert "an upgrade is under way" in second.communicate(timeout=60)[1] and second.returncode == 1
    assert "did not answer within" in first.communicate(timeout=60)[1] and first.returncode == 1


def children_of(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


def test_a_program_that_is_killed_while_it_is_tried(talked, endless):
    asked = ctl(talked, endless)
    while not (children := children_of(talked.pid)):
        pass
    os.kill(children[0], signal.SIGKILL)
    assert "ended by signal 9" in asked.communicate(timeout=60)[1] and asked.returncode == 1


def test_a_configuration_with_a_mistake(serve, tmp_path):
    config = tmp_path / "roost.yaml"
    config.write_text("log_level: debug\n")
    server = serve("--config", str(config), "--admin", "http://127.0.0.1:0")
    with server.client("there") as client:
        config.write_text("log_level: debug\nqueue_messages_maxx: 3\n")
        why = refused(server, SAME)
        assert f"{config}:2" in why or "line 2" in why, why
        client.expect_nothing_before_ping()
        config.write_text("log_level: info\n")
        assert "upgraded from" in server.upgrade()
        client.expect_nothing_before_ping()


@pytest.mark.parametrize("what, why", [("fail", "does not start"), ("crash", "signal 11"), ("hang", "signal 14")])
@pytest.mark.parametrize("store", [False, True], ids=["memory", "store"])
def test_a_program_that_cannot_go_on(serve, tmp_path, monkeypatch, what, why, store):
    """It has replaced the old one by then, which takes its place again."""
    monkeypatch.setenv("ROOST_TEST_UPGRADE", what)
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0", *(("--store", str(tmp_path / "store")) if store else ()))
    away = server.session("away", 5)
    away.subscribe(("t", 2))
    away.disconnect()
    pid = server.pid
    with server.client("there", 5) as client:
        client.subscribe(("t", 1))
        for round_ in range(1 if what == "hang" else 2):
            client.hand_over("t", b"%d" % round_, qos=2)
            assert client.take().payload == b"%d" % round_
            assert why in refused(server, SAME)
            client.hand_over("t", b"after %d" % round_, qos=2)
            assert client.take().payload == b"after %d" % round_
    assert server.pid == pid
    with server.session("away", 5) as back:
        assert [back.take().payload for _ in range(2)] == [b"0", b"after 0"]


def test_a_path_that_is_not_absolute(talked):
    assert roost("ctl", "--url", talked.admin().url, "upgrade", "roost").returncode == 2
    assert talked.admin().post("/api/v1/upgrade", {"path": "roost"}).status == 400
    refused(talked, "/nowhere/roost")


def test_a_drain_meanwhile(talked, endless):
    """The program that follows would know nothing of it."""
    asked = ctl(talked, endless)
    while not children_of(talked.pid):
        pass
    drain = roost("ctl", "--url", talked.admin().url, "drain", "--no-wait", "--grace", "3600")
    assert drain.returncode == 1 and "an upgrade is under way" in drain.stderr
    assert talked.admin().get("/api/v1/drain").json["state"] == "none"
    assert "did not answer within" in asked.communicate(timeout=60)[1]
    drain = roost("ctl", "--url", talked.admin().url, "drain", "--no-wait", "--grace", "3600")
    assert drain.returncode == 0, drain.stderr
    assert roost("ctl", "--url", talked.admin().url, "drain", "--cancel").returncode == 0


def test_more_arguments_than_the_way_back_knows(serve):
    server = serve("--admin", "http://127.0.0.1:0", *["--log-level", "debug"] * 10000)
    with server.client("there", 5) as client:
        assert "arguments" in refused(server, SAME)
        client.expect_nothing_before_ping()


def test_the_way_back_with_many_arguments(serve, monkeypatch):
    """All of them, to the last."""
    monkeypatch.setenv("ROOST_TEST_UPGRADE", "fail")
    server = serve("--admin", "http://127.0.0.1:0", *["--log-level", "debug"] * 7000, "--packet-bytes-max", "5000")
    with server.client("there", 5) as client:
        assert "does not start" in refused(server, SAME)
        client.publish("t", b"x" * 6000)
        client.expect_refusal(0x95)
