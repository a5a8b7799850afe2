"""Clients are listed page by page, found, looked at, disconnected with the reason told, and their sessions ended."""

import pytest

from mqtt_wire import DISCONNECT

STRANGE = ["a/b", "100%", "ä ü/€", "<script>alert(1)</script>", "a?b=c&d#e", "..", "+plus", "\U0001f426", "x" * 900]


@pytest.fixture
def admin(administered):
    return administered.admin()


def test_pages(administered, admin):
    clients = [administered.client(f"page-{number:03}") for number in range(57)]
    try:
        for limit in (1, 10, 1000):
            found = [row["client_id"] for row in admin.clients(limit=limit)]
            assert sorted(found) == [f"page-{number:03}" for number in range(57)]
        page = admin.get("/api/v1/clients?limit=10").json
        assert len(page["clients"]) == 10 and page["next"]
        assert sorted(row["client_id"] for row in admin.clients(prefix="page-04")) == [f"page-04{n}" for n in range(10)]
        assert admin.clients(prefix="page-999") == []
    finally:
        for client in clients:
            client.close()


def test_states(administered, admin):
    administered.session("gone", 5).close()
    administered.wait_counter("sessions_offline", 1)
    with administered.client("here", 5):
        assert {row["client_id"]: row["state"] for row in admin.clients()} == {"gone": "offline", "here": "connected"}
        assert [row["client_id"] for row in admin.clients(state="offline")] == ["gone"]
        assert [row["client_id"] for row in admin.clients(state="connected")] == ["here"]


@pytest.mark.parametrize("client_id", STRANGE, ids=range(len(STRANGE)))
def test_any_client_id(administered, admin, client_id):
    with administered.client(client_id) as client:
        assert admin.client(client_id)["client_id"] == client_id
        assert [row["client_id"] for row in admin.clients()] == [client_id]
        assert admin.post(admin.client_path(client_id, "/disconnect")).json == {"client_id": client_id, "ended": "connection"}
        client.expect_close()


def test_inspect(administered, admin):
    with administered.session("looked at", 5, expiry=600, keepalive=45) as client:
        client.subscribe(("a/+", 1))
        client.subscribe(("$share/group/b/#", 2))
        seen = admin.client("looked at")
        assert seen["state"] == "connected" and seen["grade"] == "active" and seen["protocol"] == "5.0"
        assert seen["keepalive_seconds"] == 45 and seen["session_expiry_seconds"] == 600
        assert seen["address"].startswith("127.0.0.1:")
        assert seen["address"].endswith(f":{client.socket.getsockname()[1]}")
        assert {(row["filter"], row["qos"]) for row in seen["subscription_list"]} == {("a/+", 1), ("$share/group/b/#", 2)}
        assert seen["tcp"]["round_trip_seconds"] > 0
        admin.publish("a/1", "x", qos=1)
        administered.wait_counter("messages_out_qos1", 1)
        assert admin.client("looked at")["inflight_messages"] == 1
    administered.wait_counter("sessions_offline", 1)
    seen = admin.client("looked at")
    assert seen["state"] == "offline" and seen["grade"] is None and seen["address"] is None and seen["tcp"] is None
    assert 0 < seen["session_ends_in_seconds"] <= 601


def test_the_grade_of_a_silent_one(serve):
    server = serve("--admin", "http://127.0.0.1:0", "--grace-ms", "60000")
    with server.client("x", keepalive=1) as client:
        assert [row["grade"] for row in server.admin().clients()] == ["active"]
        server.wait_counter("clients_suspect", 1)
        seen = server.admin().client("x")
        assert seen["grade"] == "suspect" and seen["state"] == "connected"
        assert seen["address"].endswith(f":{client.socket.getsockname()[1]}") and seen["silent_seconds"] >= 1
        assert [row["grade"] for row in server.admin().clients(state="connected")] == ["suspect"]
        client.expect_nothing_before_ping()
        server.wait_counter("clients_active", 1)
        assert server.admin().client("x")["grade"] == "active"


@pytest.mark.parametrize("method,rest", [("POST", "/disconnect"), ("DELETE", "")], ids=["disconnect", "end-session"])
def test_a_silent_one_is_ended(serve, method, rest):
    server = serve("--admin", "http://127.0.0.1:0", "--grace-ms", "60000")
    with server.client("x", 5, keepalive=1) as client:
        server.wait_counter("clients_suspect", 1)
        assert server.admin().request(method, server.admin().client_path("x", rest)).status == 200
        assert client.expect_kind(DISCONNECT).reason == 0x98
        client.expect_close()


def test_disconnect_tells_why(administered, admin, version):
    with administered.client("x", version) as client:
        assert admin.post(admin.client_path("x", "/disconnect")).status == 200
        if version == 5:
            assert client.expect_kind(DISCONNECT).reason == 0x98
        client.expect_close()
    administered.wait_counter("end_administrative", 1)
    assert admin.post(admin.client_path("x", "/disconnect")).status == 404


def test_session_is_ended(administered, admin):
    administered.session("kept", 5).close()
    administered.wait_counter("sessions_offline", 1)
    assert admin.request("DELETE", admin.client_path("kept")).json["ended"] == "session"
    with administered.session("kept", 5) as client:
        assert not client.connack.session_present
        assert admin.request("DELETE", admin.client_path("kept")).status == 200
        assert client.expect_kind(DISCONNECT).reason == 0x98
    assert admin.clients() == []
    assert admin.request("DELETE", admin.client_path("kept")).status == 404
