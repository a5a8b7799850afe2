"""HTTP/1.1 as the admin side speaks it: connections that stay, requests in a row, heads without bodies, what is refused and
that nothing behind it is taken for a request."""

import http.client
import json

import pytest

from mqtt_wire import TIMEOUT_S


@pytest.fixture
def admin(administered):
    admin = administered.admin()
    yield admin
    assert admin.get("/health").status == 200


def converse(admin, text):
    """Sends text and reads until the server closes. [(status, header, body)], each answer's body by its Content-Length."""
    with admin.raw() as connection:
        connection.sendall(text if isinstance(text, bytes) else text.encode())
        heard = b""
        while piece := connection.recv(65536):
            heard += piece
    answers = []
    while heard:
        head, _, heard = heard.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        header = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        size = int(header.get("content-length", 0))
        answers.append((int(status.split()[1]), header, heard[:size]))
        heard = heard[size:]
    return answers


def request(path="/health", method="GET", fields="", body="", close=False):
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{'Connection: close' if close else 'X-Y: z'}\r\n\r\n{body}"


JSON = "Content-Type: application/json\r\n"


def test_connection_stays(admin):
    connection = http.client.HTTPConnection(*admin.address, timeout=TIMEOUT_S)
    connection.connect()
    first = connection.sock
    for path in ("/health", "/api/v1/stats", "/metrics", "/no-such-path", "/"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == (404 if path == "/no-such-path" else 200)
        assert connection.sock is first and answer.headers["Date"].endswith(" GMT")
    connection.close()


def test_requests_in_a_row_are_answered_in_order(admin):
    message = '{"topic":"t"}'
    answers = converse(admin, request("/health") + request("/api/v1/publish", "POST", f"{JSON}Content-Length: {len(message)}\r\n", message)
                       + request("/api/v1/publish", "POST", f"{JSON}Transfer-Encoding: chunked\r\n", f"5\r\n{message[:5]}\r\n8;x\r\n"
                                 f"{message[5:]}\r\n0\r\nTrailer: y\r\n\r\n")
                       + request("/nowhere") + request("/ready", close=True) + request("/health"))
    assert [status for status, _, _ in answers] == [200, 200, 200, 404, 200]
    assert json.loads(answers[0][2]) == {"status": "healthy"}
    assert json.loads(answers[2][2]) == {"published": 1}
    assert json.loads(answers[4][2]) == {"status": "ready"}
    assert "connection" not in answers[0][1] and answers[4][1]["connection"] == "close"


def test_head_has_the_length_and_no_body(admin):
    whole = admin.get("/")
    connection = http.client.HTTPConnection(*admin.address, timeout=TIMEOUT_S)
    connection.request("HEAD", "/")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Length"] == str(len(whole.body)) and answer.read() == b""
    connection.request("GET", "/health")  # what follows begins where it should
    assert connection.getresponse().status == 200
    connection.close()


def test_version_1_0(admin):
    (status, header, _), = converse(admin, "GET /health HTTP/1.0\r\n\r\n")
    assert status == 200 and header["connection"] == "close"
    first, second = converse(admin, "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /health HTTP/1.0\r\n\r\n")
    assert first[1]["connection"] == "keep-alive" and second[1]["connection"] == "close"


def test_continue_before_the_body(admin):
    with admin.raw() as connection:
        connection.sendall(request("/api/v1/publish", "POST", f"{JSON}Expect: 100-continue\r\nContent-Length: 13\r\n").encode())
        assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"topic":"t"}')
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
    with admin.raw() as connection:  # what is refused by its head alone needs no body
        connection.sendall(request("/api/v1/publish", "POST", "Expect: 100-continue\r\nContent-Length: 13\r\n").encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 415 ")


SMUGGLED = request("/api/v1/publish", "POST", f"{JSON}Content-Length: 13\r\n", '{"topic":"t"}')
REFUSED = {
    "length and chunks": (400, request("/health", "POST", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
    "two lengths": (400, request("/health", fields="Content-Length: 0\r\nContent-Length: 5\r\n")),
    "unknown coding": (501, request("/health", "POST", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")),
    "space before the colon": (400, request("/health", "POST", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n")),
    "folded": (400, request("/health", fields="X: a\r\n b\r\n")),
    "line ends in LF": (400, "GET /health HTTP/1.1\nHost: localhost\n\n"),
    "two hosts": (400, request("/health", fields="Host: localhost\r\n")),
    "no host": (400, "GET /health HTTP/1.1\r\n\r\n"),
    "a null": (400, request("/health", fields="X: \0\r\n")),
    "a version to come": (505, "GET /health HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "an expectation": (417, request("/health", fields="Expect: wonders\r\n")),
    "a target without end": (414, "GET /" + "x" * 70000),
    "a field without end": (431, "GET / HTTP/1.1\r\nX: " + "x" * 70000),
    "many fields": (431, request("/health", fields="X: y\r\n" * 101)),
    "a chunk without digits": (400, request("/api/v1/publish", "POST", f"{JSON}Transfer-Encoding: chunked\r\n", "x\r\n")),
    "another protocol": (400, b"\x10\x0c\0\4MQTT\4\2\0\0\0\0"),
}


@pytest.mark.parametrize("status, text", REFUSED.values(), ids=REFUSED)
def test_refused(administered, admin, status, text):
    before = administered.counter("messages_from_api")
    text = text if isinstance(text, bytes) else text.encode()
    (answered, header, body), = converse(admin, text + SMUGGLED.encode())
    assert answered == status
    assert header["connection"] == "close" and header["content-type"].startswith("application/json")
    assert header["x-content-type-options"] == "nosniff"
    assert len(json.loads(body)["error"]) > 10
    assert administered.counter("messages_from_api") == before
