"""The admin side over TLS (--admin https://): requests are served as without; whoever shows no certificate where one is asked
for, or speaks no TLS, is told so, in the log too; certificates are renewed while it runs."""

import contextlib
import http.client
import re
import shutil
import signal
import socket
import ssl

import pytest

import certificates
import tls_end
from mqtt_wire import TIMEOUT_S
from server import roost

SHOWN = certificates.server()
FILES = ("--admin-tls-certificate", SHOWN.chain, "--admin-tls-key", SHOWN.key)
FAILED = re.compile(rb"^roost_admin_handshakes_failed_total (\d+)$", re.MULTILINE)


@pytest.fixture
def start(serve):
    def run(*options, **more):
        return serve("--shards", "2", "--admin", "https://127.0.0.1:0", *(options or FILES), **more)

    return run


def failed(admin):
    return int(FAILED.search(admin.get("/metrics").body).group(1))


def serial(admin):
    """Of the certificate that is shown now."""
    with socket.create_connection(admin.address, TIMEOUT_S) as plain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as end:
            return certificates.x509.load_der_x509_certificate(end.getpeercert(binary_form=True)).serial_number


@pytest.mark.threads
@pytest.mark.parametrize("tls_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_everything_is_served(start, tls_version):
    server = start()
    admin = server.admin(context=tls_end.make_context(minimum=tls_version, maximum=tls_version, alpn="http/1.1"))
    assert admin.get("/health").status == admin.get("/ready").status == 200
    assert b"<!doctype html>" in admin.get("/").body.lower()
    assert b"roost_admin_requests_total" in admin.get("/metrics").body
    with server.client("a") as client:
        client.subscribe(("t", 1))
        assert admin.client("a")["client_id"] == "a"
        admin.publish("t", "x" * 200000)
        assert len(client.take().payload) == 200000
        batch = {"messages": [{"topic": "none", "payload": "y" * 100000} for _ in range(30)]}
        assert admin.post("/api/v1/publish/batch", batch).status == 200
    assert failed(admin) == 0


def test_several_requests_on_a_connection(start):
    connection = start().admin().connection()
    for _ in range(50):
        connection.request("GET", "/metrics")
        assert b"roost_build_info" in connection.getresponse().read()
        connection.request("POST", "/api/v1/publish", b'{"topic": "t", "payload": "x"}', {"Content-Type": "application/json"})
        assert connection.getresponse().read()
    connection.close()


def test_requests_in_one_record_and_cut_anywhere(start):
    admin = start().admin()
    request = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with tls_end.make_context().wrap_socket(admin.raw(), server_hostname="localhost") as end:
        end.sendall(request * 20)
        for byte in request:
            end.send(bytes([byte]))
        end.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        data = b""
        while more := end.recv(1 << 16):
            data += more
        assert data.count(b"HTTP/1.1 200 OK") == 22


def test_answer_that_is_read_slowly(start):
    """More than the sockets' buffers hold: what is cut goes on where it was cut."""
    admin = start(*FILES).admin()
    with admin.raw() as plain:
        with tls_end.make_context().wrap_socket(plain, server_hostname="localhost") as end:
            count = 200
            end.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * count)
            answers = end.makefile("rb")
            for _ in range(count):
                assert answers.readline().startswith(b"HTTP/1.1 200")
                size = int(http.client.parse_headers(answers)["Content-Length"])
                assert b"roost_build_info" in answers.read(size)


def test_development_certificate(start, tmp_path):
    """None is given: one is made, kept, and named in the log with the file to trust it by; `roost ctl` takes that."""
    server = start("--store", str(tmp_path / "store"))
    line = server.lines[server.wait_line("clients on this machine trust it with")]
    authority = re.search(r"trust it with (\S+?):", line).group(1)
    admin = server.admin(context=tls_end.make_context(authority))
    assert admin.get("/health").status == 200
    answer = roost("ctl", "--url", admin.url, "--ca-file", authority, "health")
    assert answer.returncode == 0, answer.stderr


def test_certificate_of_the_listeners(start):
    """Where the admin side has none of its own."""
    assert serial(start("--tls-certificate", SHOWN.chain, "--tls-key", SHOWN.key).admin()) == SHOWN.serial


def test_clients_show_a_certificate(start):
    server = start(*FILES, "--admin-tls-client-ca-file", certificates.authority().file)
    known = certificates.client("operator")
    admin = server.admin(context=tls_end.make_context(identity=known))
    assert admin.get("/health").status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.admin().get("/health")
    server.wait_line(r"admin: no TLS with 127\.0\.0\.1:\d+: client shows no certificate")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.admin(context=tls_end.make_context(identity=certificates.stranger().client("other"))).get("/health")
    server.wait_line(r"admin: no TLS with 127\.0\.0\.1:\d+: client's certificate is not signed by one that is trusted")
    assert failed(admin) == 2


def test_what_is_no_tls(start):
    server = start()
    admin = server.admin()
    with admin.raw() as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while more := plain.recv(1 << 16):
            answer += more
    assert answer.startswith(b"HTTP/1.1 400 ") and b"TLS" in answer
    server.wait_line("admin: no TLS with .*plain HTTP came where TLS is spoken")
    with admin.raw() as plain:
        plain.sendall(b"\x10\x0c\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00")
        assert plain.recv(1 << 16) == b""
    server.wait_line("admin: no TLS with .*plain MQTT came where TLS is spoken")
    with admin.raw() as plain:
        plain.sendall(bytes(range(200, 256)) * 10)
        plain.recv(1 << 16)
    server.wait_line("admin: no TLS with .*what came is not TLS")
    assert failed(admin) == 3


def test_hello_cut_at_every_byte(start):
    """Each is closed where it was cut; the ones that go on later are served."""
    admin = start().admin()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = tls_end.make_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        end.do_handshake()
    hello = outgoing.read()
    for size in range(0, len(hello), 3):
        with admin.raw() as plain:
            plain.sendall(hello[:size])
    with admin.raw() as plain:
        for byte in hello:
            plain.sendall(bytes([byte]))
        while True:
            incoming.write(plain.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                break
        plain.sendall(outgoing.read())
        end.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        plain.sendall(outgoing.read())
        incoming.write(plain.recv(1 << 16))
        answer = b""
        while not answer:
            with contextlib.suppress(ssl.SSLWantReadError):
                answer = end.read(1 << 16)
                break
            incoming.write(plain.recv(1 << 16))
        assert answer.startswith(b"HTTP/1.1 200")


def test_other_protocol_inside(start):
    server = start()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        server.admin(context=tls_end.make_context(alpn="h2")).get("/health")
    server.wait_line("admin: no TLS with .*another protocol inside TLS")


@pytest.mark.parametrize("how", ["signal", "api", "watched"])
def test_renewed_while_it_runs(start, tmp_path, how):
    """New connections see the new one; one that is open goes on."""
    files, fresh = [tmp_path / "certificate", tmp_path / "key"], certificates.authority().server(kind="rsa")

    def install(identity):
        for path, source in zip(files, (identity.chain, identity.key)):
            shutil.copy(source, f"{path}.new")
            (tmp_path / f"{path.name}.new").rename(path)

    install(SHOWN)
    server = start("--admin-tls-certificate", str(files[0]), "--admin-tls-key", str(files[1]))
    admin = server.admin()
    assert serial(admin) == SHOWN.serial
    connection = admin.connection()
    connection.request("GET", "/health")
    assert connection.getresponse().read()
    since = len(server.lines)
    install(fresh)
    if how == "signal":
        server.process.send_signal(signal.SIGHUP)
    if how == "api":
        assert admin.post("/api/v1/reload").status == 200
    server.wait_line("the admin side shows ", since)
    connection.request("GET", "/health")
    assert connection.getresponse().read()
    connection.close()
    for _ in range(100):
        if serial(admin) == fresh.serial:
            break
    assert serial(admin) == fresh.serial


def test_renewed_with_one_that_is_none(start, tmp_path):
    """It is refused in a sentence, and the old one stays."""
    files = [tmp_path / "certificate", tmp_path / "key"]
    shutil.copy(SHOWN.chain, files[0])
    shutil.copy(SHOWN.key, files[1])
    admin = start("--admin-tls-certificate", str(files[0]), "--admin-tls-key", str(files[1])).admin()
    files[0].write_text("nonsense")
    answer = admin.post("/api/v1/reload")
    assert answer.status >= 400 and str(files[0]) in answer.text
    assert serial(admin) == SHOWN.serial


@pytest.mark.parametrize("options, told", [
    (("--admin", "http://127.0.0.1:0", "--admin-tls-certificate", SHOWN.chain), "admin_tls_certificate: .*https://"),
    (("--admin", "http://127.0.0.1:0", "--admin-tls-client-ca-file", SHOWN.chain), "admin_tls_client_ca_file: .*https://"),
    (("--admin", "https://127.0.0.1:0", "--admin-tls-key", SHOWN.key), "admin_tls_key: .*admin-tls-certificate"),
    (("--admin", "https://127.0.0.1:0", "--admin-tls-certificate", "/nowhere"), "/nowhere: .*No such file"),
    (("--admin", "https://127.0.0.1:0", *FILES, "--admin-tls-client-ca-file", "/dev/null"), "/dev/null"),
    (("--admin", "ftp://127.0.0.1:0",), "https://host:port"),
])
def test_options_that_do_not_fit(options, told):
    answer = roost("serve", "--listen", "tcp://127.0.0.1:0", *options)
    assert answer.returncode != 0 and re.search(told, answer.stderr), answer.stderr


@pytest.mark.parametrize("options, status, told", [
    (("--ca-file", certificates.authority().file), 0, ""),
    ((), 1, r"https://127.*--ca-file"),
    (("--ca-file", certificates.stranger().file), 1, "--ca-file"),
    (("--ca-file", "/nowhere"), 1, "/nowhere"),
    (("--insecure",), 0, ""),
    (("--key", SHOWN.key), 2, "--certificate"),
])
def test_ctl(start, options, status, told):
    answer = roost("ctl", "--url", start().admin().url, *options, "health")
    assert answer.returncode == status and re.search(told, answer.stderr), answer.stderr


def test_ctl_shows_a_certificate(start):
    url = start(*FILES, "--admin-tls-client-ca-file", certificates.authority().file).admin().url
    known, ca = certificates.client("operator"), ("--ca-file", certificates.authority().file)
    answer = roost("ctl", "--url", url, *ca, "--certificate", known.chain, "--key", known.key, "health")
    assert answer.returncode == 0, answer.stderr
    answer = roost("ctl", "--url", url, *ca, "health")
    assert answer.returncode == 1 and "certificate" in answer.stderr.lower(), answer.stderr


def test_ctl_with_the_wrong_scheme(start, serve):
    tls = start().admin().url
    answer = roost("ctl", "--url", tls.replace("https://", "http://"), "health")
    assert answer.returncode == 1 and "begin with https://" in answer.stderr
    plain = serve("--admin", "http://127.0.0.1:0").admin().url
    answer = roost("ctl", "--url", plain.replace("http://", "https://"), "--insecure", "health")
    assert answer.returncode == 1 and "does it speak https:// there?" in answer.stderr
