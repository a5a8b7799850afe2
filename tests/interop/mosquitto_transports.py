"""mosquitto_pub and mosquitto_sub over TLS, in both versions of either protocol, with a certificate of their own, and over a unix
socket. (Debian's have no WebSockets.)"""

import contextlib
import subprocess

import pytest

import certificates

TIMEOUT_S = 20
VERSIONS = {4: "mqttv311", 5: "mqttv5"}


def tls_arguments(server, *options):
    return ["-h", "localhost", "-p", str(server.port), "--cafile", certificates.authority().file, *options]


@contextlib.contextmanager
def mosquitto_sub(where, version, *options):
    """Runs it, and goes on once it says that its subscription stands."""
    with subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-d", "-W", str(TIMEOUT_S), *where, "-V", VERSIONS[version], *options],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("Subscribed"):
                    break
            else:
                pytest.fail("mosquitto_sub ended before it had subscribed: " + "".join(said))
            yield process
        finally:
            process.kill()


def mosquitto_pub(where, version, *options, **named):
    return subprocess.run(["mosquitto_pub", *where, "-V", VERSIONS[version], *options], capture_output=True, text=True,
                          timeout=TIMEOUT_S, check=False, **named)


def exchange(where, version, tmp_path):
    """A word, a thousand lines, half a megabyte."""
    payload = tmp_path / "payload"
    payload.write_bytes(b"0123456789" * 50000)
    with mosquitto_sub(where, version, "-t", "t", "-q", "1", "-C", "1002", "-F", "got %l") as subscriber:
        published = mosquitto_pub(where, version, "-t", "t", "-m", "hello", "-q", "1")
        assert published.returncode == 0, published.stderr
        lines = "".join(f"{number}\n" for number in range(1000))
        assert mosquitto_pub(where, version, "-t", "t", "-q", "1", "-l", input=lines).returncode == 0
        assert mosquitto_pub(where, version, "-t", "t", "-q", "1", "-f", str(payload)).returncode == 0
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    got = [line for line in output.splitlines() if line.startswith("got ")]
    assert got == ["got 5", *[f"got {len(str(number))}" for number in range(1000)], "got 500000"]


@pytest.mark.transports("tls")
@pytest.mark.parametrize("tls", ["tlsv1.2", "tlsv1.3"])
def test_tls(server, version, tls, tmp_path):
    exchange(tls_arguments(server, "--tls-version", tls, "--tls-alpn", "mqtt"), version, tmp_path)


@pytest.mark.transports("tls")
def test_its_own_certificate(serve, version, tmp_path):
    (tmp_path / "rules").write_text("allow publish %u/#\nallow subscribe %u/#\n")
    server = serve("--tls-client-certificates", "required", "--tls-client-ca-file", certificates.authority().file, "--tls-identity-as", "user",
                   "--rule-file", str(tmp_path / "rules"), "--no-allow-by-default", "--anonymous", "never")
    alice = certificates.authority().client("alice")
    where = tls_arguments(server, "--cert", alice.chain, "--key", alice.key)
    with mosquitto_sub(where, version, "-t", "alice/x", "-C", "1", "-F", "got %p") as subscriber:
        assert mosquitto_pub(where, version, "-t", "alice/x", "-m", "mine", "-q", "1").returncode == 0
        output, _ = subscriber.communicate(timeout=TIMEOUT_S)
    assert "got mine\n" in output
    assert mosquitto_pub(tls_arguments(server), version, "-t", "alice/x", "-m", "nobody's", "-q", "1").returncode != 0
    server.wait_counter("end_tls_certificate_missing", 1)


@pytest.mark.transports("tls")
def test_it_does_not_trust_a_stranger(server, version):
    where = ["-h", "localhost", "-p", str(server.port), "--cafile", certificates.stranger().file]
    # It resets the connection right behind its alert, which may get lost with that.
    for _ in range(20):
        assert mosquitto_pub(where, version, "-t", "t", "-m", "x").returncode != 0
        if server.counter("end_tls_certificate_refused"):
            return
    pytest.fail("no alert came")


@pytest.mark.transports("unix")
def test_unix_socket(server, version, tmp_path):
    exchange(["--unix", server.address], version, tmp_path)
