"""mosquitto_pub and mosquitto_sub, in both versions."""

import contextlib
import subprocess

import pytest

TIMEOUT_S = 20
VERSIONS = {4: "mqttv311", 5: "mqttv5"}


def arguments(server, version):
    return ["-h", "127.0.0.1", "-p", str(server.port), "-V", VERSIONS[version]]


@contextlib.contextmanager
def mosquitto_sub(server, version, *options):
    """Runs it, and goes on once it says that its subscription stands."""
    with subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", "-W", str(TIMEOUT_S), *arguments(server, version), *options],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout:
                if line.startswith("Subscribed"):
                    break
            else:
                pytest.fail("mosquitto_sub ended before it had subscribed")
            yield process
        finally:
            process.kill()


def mosquitto_pub(server, version, *options, **named):
    return subprocess.run(["mosquitto_pub", *arguments(server, version), *options], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False, **named)


@pytest.mark.parametrize("sender", VERSIONS)
@pytest.mark.parametrize("receiver", VERSIONS)
def test_hello(server, sender, receiver):
    with mosquitto_sub(server, receiver, "-t", "greetings/#", "-C", "2", "-F", "got %t %p") as subscriber:
        for word in ("hello", "goodbye"):
            published = mosquitto_pub(server, sender, "-t", f"greetings/{word}", "-m", f"{word}, world")
            assert published.returncode == 0, published.stderr
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
        assert subscriber.returncode == 0
    assert "got greetings/hello hello, world\n" in output
    assert "got greetings/goodbye goodbye, world\n" in output


def test_properties(server):
    with mosquitto_sub(server, 5, "-t", "t", "-C", "1", "-F", "got %p %C %R %D %P") as subscriber:
        published = mosquitto_pub(server, 5, "-t", "t", "-m", "x", "-D", "publish", "content-type", "text/x",
                                  "-D", "publish", "response-topic", "re/ply", "-D", "publish", "correlation-data", "7",
                                  "-D", "publish", "user-property", "key", "value")
        assert published.returncode == 0, published.stderr
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert "got x text/x re/ply 7 key:value\n" in output


def test_lines_of_a_file(server, version):
    lines = [f"line {number}" for number in range(1000)]
    with mosquitto_sub(server, version, "-t", "lines", "-C", "1000", "-F", "got %p") as subscriber:
        published = mosquitto_pub(server, version, "-t", "lines", "-l", input="\n".join(lines) + "\n")
        assert published.returncode == 0, published.stderr
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert [line[4:] for line in output.splitlines() if line.startswith("got ")] == lines


def test_large_payload(server, version, tmp_path):
    payload = tmp_path / "payload"
    payload.write_bytes(b"0123456789" * 50000)
    with mosquitto_sub(server, version, "-t", "t", "-C", "1", "-F", "got %l") as subscriber:
        assert mosquitto_pub(server, version, "-t", "t", "-f", str(payload)).returncode == 0
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert "got 500000\n" in output


@pytest.mark.parametrize("qos", ["1", "2"])
def test_acknowledged_messages(server, version, qos):
    with mosquitto_sub(server, version, "-t", "#", "-q", qos, "-C", "3", "-F", "got %p %q") as subscriber:
        for text in ("one", "two", "three"):
            assert mosquitto_pub(server, version, "-t", "t", "-m", text, "-q", qos).returncode == 0
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert [line for line in output.splitlines() if line.startswith("got")] == \
        [f"got {text} {qos}" for text in ("one", "two", "three")]


def test_will(server, version):
    with mosquitto_sub(server, version, "-t", "will", "-C", "1", "-F", "got %p") as watch:
        with mosquitto_sub(server, version, "-t", "x", "--will-topic", "will", "--will-payload", "gone") as victim:
            victim.kill()
        output, _ = watch.communicate(timeout=TIMEOUT_S)
    assert "got gone\n" in output


@pytest.mark.parametrize("client_version", VERSIONS)
def test_comes_back_after_a_stop(serve, client_version):
    """With its subscription, as soon as there is a server again."""
    first = serve()
    with mosquitto_sub(first, client_version, "-t", "t", "-C", "1", "-F", "got %p") as subscriber:
        first.stop()
        second = serve(listen=[f"tcp://127.0.0.1:{first.port}"])
        second.wait_counter("subscriptions_open", 1)
        assert mosquitto_pub(second, client_version, "-t", "t", "-m", "again").returncode == 0
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert "got again\n" in output


def test_one_shot_with_response(server):
    """mosquitto_rr, request and response in version 5: its own answer comes back to it."""
    with mosquitto_sub(server, 5, "-t", "ask", "-C", "1", "-F", "got %R") as service:
        asking = subprocess.Popen(["mosquitto_rr", *arguments(server, 5), "-t", "ask", "-e", "answer", "-m", "?", "-W", "15"],
                                  stdout=subprocess.PIPE, text=True)
        output, _ = service.communicate(timeout=TIMEOUT_S)
        assert "got answer\n" in output
        assert mosquitto_pub(server, 5, "-t", "answer", "-m", "42").returncode == 0
        answer, _ = asking.communicate(timeout=TIMEOUT_S)
    assert answer == "42\n"
