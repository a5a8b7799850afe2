"""Who may ask the admin side: with a token only those who have it; without one only this machine, and no page of another
origin that a browser on it shows."""

import pytest

from server import roost

TOKEN = "0123456789abcdef-token"


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return str(file)


def test_token_is_asked_for(serve, token_file):
    admin = serve("--admin", "http://127.0.0.1:0", "--admin-token-file", token_file).admin()
    for path in ("/health", "/ready"):
        assert admin.get(path).status == 200
    for path in ("/metrics", "/api/v1/stats", "/api/v1/clients", "/api/v1/no-such-path"):
        assert admin.get(path).status == 401
        for wrong in (TOKEN[:-1], TOKEN + "x", "", TOKEN.upper()):
            assert admin.get(path, headers={"Authorization": f"Bearer {wrong}"}).status == 401
        assert admin.get(path, headers={"Authorization": f"Basic {TOKEN}"}).status == 401
    admin.token = TOKEN
    assert admin.get("/api/v1/stats").status == 200
    assert admin.get("/api/v1/no-such-path").status == 404


def test_metrics_may_be_open(serve, token_file):
    admin = serve("--admin", "http://127.0.0.1:0", "--admin-token-file", token_file, "--admin-open-metrics").admin()
    assert admin.get("/metrics").status == 200
    assert admin.get("/api/v1/stats").status == 401


def test_no_token_no_foreign_names(administered):
    admin = administered.admin()
    assert admin.get("/api/v1/stats", headers={"Host": "rebound.example"}).status == 403
    assert admin.get("/api/v1/stats", headers={"Host": "localhost:1"}).status == 200


def test_no_changes_for_pages_of_other_origins(administered):
    admin = administered.admin()
    body = {"topic": "t"}
    assert admin.post("/api/v1/publish", body, headers={"Origin": "http://evil.example"}).status == 403
    assert admin.post("/api/v1/publish", body, headers={"Origin": f"http://{admin.host}"}).status == 200
    # What a form can send unasked.
    assert admin.post("/api/v1/publish", b'{"topic":"t"}', headers={"Content-Type": "text/plain"}).status == 415
    assert "Access-Control-Allow-Origin" not in admin.get("/api/v1/stats").headers


def test_other_addresses_need_a_token(tmp_path, token_file):
    ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "http://0.0.0.0:0")
    assert ended.returncode == 1
    assert "http://0.0.0.0:0" in ended.stderr and "--admin-token-file" in ended.stderr
    (tmp_path / "short").write_text("short")
    for file in (tmp_path / "short", tmp_path / "missing"):
        ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--admin", "http://0.0.0.0:0", "--admin-token-file", str(file))
        assert ended.returncode == 1 and str(file) in ended.stderr


def test_other_addresses_with_a_token(serve, token_file):
    server = serve("--admin", "http://0.0.0.0:0", "--admin-token-file", token_file)
    admin = server.admin(token=TOKEN)
    server.wait_line("token crosses the network in clear")
    assert admin.get("/api/v1/stats", headers={"Host": "gateway.example"}).status == 200
