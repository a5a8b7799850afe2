"""What is malformed, too large, too slow or a trick is refused with a sentence, and harms no one."""

import json

import pytest

BODY_MAX = 4 << 20


@pytest.fixture
def admin(administered):
    admin = administered.admin()
    yield admin
    assert admin.get("/health").status == 200


WRONG_BODIES = [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b'{"topic":"a","topic":"b"}', b"[" * 100000, b'{"topic":"t"} x',
                json.dumps({"topic": "t", "extra": 1}).encode(), b'{"topic":"t\\ud800"}']


@pytest.mark.parametrize("body", WRONG_BODIES, ids=range(len(WRONG_BODIES)))
def test_wrong_json(admin, body):
    answer = admin.post("/api/v1/publish", body)
    assert answer.status == 400
    assert list(answer.json) == ["error"] and len(answer.json["error"]) > 10


def test_batch_with_a_wrong_message_publishes_none(administered, admin):
    with administered.client("reader") as reader:
        reader.subscribe(("t", 0))
        answer = admin.post("/api/v1/publish/batch", {"messages": [{"topic": "t"}, {"topic": "t", "qos": 7}]})
        assert answer.status == 400 and "messages[1]" in answer.json["error"] and "qos" in answer.json["error"]
        reader.expect_nothing_before_ping()


def test_batch_too_long(admin):
    answer = admin.post("/api/v1/publish/batch", {"messages": [{"topic": "t"}] * 1001})
    assert answer.status == 400 and "1000" in answer.json["error"]


def test_body_too_large_by_its_length(admin):
    with admin.raw() as connection:
        connection.sendall(f"POST /api/v1/publish HTTP/1.1\r\nHost: {admin.host}\r\nContent-Type: application/json\r\n"
                           f"Content-Length: {BODY_MAX + 1}\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_body_too_large_in_chunks(admin):
    with admin.raw() as connection:
        connection.sendall(f"POST /api/v1/publish HTTP/1.1\r\nHost: {admin.host}\r\nContent-Type: application/json\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n".encode())
        answered = b""
        try:
            for _ in range(BODY_MAX // 65536 + 2):
                connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            answered = connection.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            pass
        assert answered == b"" or answered.startswith(b"HTTP/1.1 413 ")


TRICKS = ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//health", "/health/", "/api/v1/clients/", "/api//v1/stats", "/%00",
          "/api/v1/clients/a%", "/api/v1/clients/a%2", "/api/v1/clients/%zz", "/api/v1/clients?limit=%"]


@pytest.mark.parametrize("path", TRICKS)
def test_path_tricks(admin, path):
    answer = admin.get(path)
    assert answer.status in (400, 404)
    assert "error" in answer.json


QUERIES = ["limit=0", "limit=1001", "limit=-1", "limit=1e3", "limit=", "cursor=", "cursor=1", "cursor=2.0", "cursor=0.4294967295",
           "cursor=0.x", "state=gone", "prefix", "order=up"]


@pytest.mark.parametrize("query", QUERIES)
def test_wrong_queries(admin, query):
    answer = admin.get(f"/api/v1/clients?{query}")
    assert answer.status == (200 if query == "prefix" else 400)


def test_half_open_requests_keep_no_one_out(admin):
    """As many as one may have, each in the middle of its headers or its body; another one is answered all the same."""
    connections = []
    for number in range(40):
        connection = admin.raw()
        connection.sendall(f"POST /api/v1/publish HTTP/1.1\r\nHost: {admin.host}\r\n".encode())
        if number % 2:
            connection.sendall(b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        connections.append(connection)
    assert admin.get("/health").status == 200
    for connection in connections:
        connection.close()


def test_more_half_open_requests_than_there_are_places(admin):
    connections = [admin.raw() for _ in range(300)]
    for connection in connections:
        connection.sendall(f"GET /metrics HTTP/1.1\r\nHost: {admin.host}\r\n".encode())
    assert admin.get("/health").status == 200
    for connection in connections:
        connection.close()


def test_slow_readers_of_a_long_answer(admin):
    """They ask for more than their connection takes, and read nothing; others are answered meanwhile."""
    connections = [admin.raw() for _ in range(100)]
    for connection in connections:
        connection.sendall(f"GET /metrics HTTP/1.1\r\nHost: {admin.host}\r\n\r\n".encode() * 200)
    assert admin.get("/metrics").status == 200
    for connection in connections:
        connection.close()


def test_headers_too_long(admin):
    with admin.raw() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
        try:
            for _ in range(10):
                connection.sendall(b"y" * 65536)
            answered = connection.recv(4096)
        except (ConnectionResetError, BrokenPipeError):
            answered = b""
        assert answered == b"" or answered.split()[1] in (b"431", b"413", b"414")


def test_no_http_at_all(admin):
    for text in (b"\x10\x0c\0\4MQTT\4\2\0\0\0\0", b"\0" * 1000, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with admin.raw() as connection:
            connection.sendall(text)


def test_closed_in_the_middle(admin):
    for cut in (b"P", b"POST /api/v1/publish HTTP/1.1\r\nHo", b"POST /api/v1/publish HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"to"):
        with admin.raw() as connection:
            connection.sendall(cut)
