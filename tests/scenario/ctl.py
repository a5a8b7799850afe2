"""`roost ctl` does from a shell what the API does: exit statuses, answers, and errors on stderr."""

import datetime
import http.server
import json
import threading
import urllib.parse

import pytest

from mqtt_wire import DISCONNECT, connect
from server import roost


@pytest.fixture
def ctl(administered):
    url = administered.admin().url
    return lambda *arguments, **options: roost("ctl", "--url", url, *arguments, **options)


def said(ended):
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_health_and_stats(administered, ctl):
    assert "healthy" in said(ctl("health"))
    with administered.client("a"):
        lines = said(ctl("stats")).splitlines()
        assert ["connections_open", "1"] in [line.split() for line in lines]
        written = next(line.split(maxsplit=1)[1] for line in lines if line.startswith("time "))
        shown = datetime.datetime.strptime(written, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=datetime.timezone.utc)
        assert abs(datetime.datetime.now(datetime.timezone.utc) - shown).total_seconds() < 60
        assert json.loads(said(ctl("--json", "stats")))["clients"]["connected"] == 1


def test_clients(administered, ctl):
    clients = [administered.client(f"c/{number} \u20ac") for number in range(12)]
    listed = said(ctl("clients")).splitlines()
    assert len(listed) == 13 and listed[0].split()[0] == "STATE" and listed[0].endswith("CLIENT ID")
    id_at = listed[0].index("CLIENT ID")
    assert sorted(line[id_at:] for line in listed[1:]) == sorted(f"c/{number} \u20ac" for number in range(12))
    row = said(ctl("clients", "--no-headings", "--prefix", "c/11"))
    assert row.split()[:2] == ["connected", "active"] and row.endswith("c/11 \u20ac\n")
    assert len(said(ctl("clients", "--no-headings", "--limit", "5")).splitlines()) == 5
    assert said(ctl("clients", "--state", "offline")) == ""
    clients[3].subscribe(("a/#", 1))
    shown = said(ctl("inspect", "c/3 \u20ac"))
    assert "connected" in shown and "a/#" in shown
    for client in clients:
        client.close()


class ShortPages(http.server.BaseHTTPRequestHandler):
    """What a gateway with very many clients answers, few of which are looked for."""
    PAGES = {"": ([], "0.1"), "0.1": (["a", "b"], "0.2"), "0.2": ([], "1.0"), "1.0": (["c", "d"], None)}

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        ids, more = self.PAGES[query.get("cursor", "")]
        rows = [{"client_id": client_id} for client_id in ids[:int(query["limit"])]]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"clients": rows, "next": more}).encode())

    def log_message(self, *_):
        pass


def test_short_pages_are_not_the_end():
    with http.server.HTTPServer(("127.0.0.1", 0), ShortPages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for limit, wanted in (("0", "abcd"), ("3", "abc"), ("2", "ab"), ("9", "abcd")):
            heading, *lines = said(roost("ctl", "--url", url, "clients", "--limit", limit)).splitlines()
            assert heading.endswith("CLIENT ID") and [line.split()[-1] for line in lines] == list(wanted)
        server.shutdown()


def test_disconnect_and_end_session(administered, ctl):
    with administered.session("x", 5) as client:
        said(ctl("disconnect", "x"))
        assert client.expect_kind(DISCONNECT).reason == 0x98
    administered.wait_counter("sessions_offline", 1)
    ended = ctl("disconnect", "x")
    assert ended.returncode == 1 and "404" in ended.stderr and ended.stdout == ""
    said(ctl("end-session", "x"))
    assert administered.counter("sessions_offline") == 0


def test_publish(administered, ctl):
    with administered.client("reader") as reader:
        reader.subscribe(("t", 2))
        for payload in ("", "a", "ab", "abc", "abcd", "h\u00e4llo"):
            said(ctl("publish", "t", payload, "--qos", "1"))
            message = reader.take()
            assert message.payload == payload.encode() and message.qos == 1
    said(ctl("publish", "r", "kept", "--retain"))
    with administered.client("late") as late:
        late.subscribe("r")
        assert late.message().payload == b"kept"
    ended = ctl("publish", "a/#", "x")
    assert ended.returncode == 1 and "topic" in ended.stderr


def test_publish_batch(administered, ctl):
    with administered.client("reader") as reader:
        reader.subscribe("t")
        messages = [{"topic": "t", "payload": str(number)} for number in range(3)]
        assert said(ctl("publish-batch", input=json.dumps({"messages": messages}))).split() == ["published", "3"]
        assert [reader.message().payload for _ in range(3)] == [b"0", b"1", b"2"]
        messages[1]["qos"] = 3
        ended = ctl("publish-batch", input=json.dumps({"messages": messages}))
        assert ended.returncode == 1 and "messages[1]: qos" in ended.stderr
        reader.expect_nothing_before_ping()


def test_ready(ctl):
    assert "ready" in said(ctl("ready"))


def test_reload(ctl):
    assert said(ctl("reload")) == ""


def test_token(serve, tmp_path):
    (tmp_path / "token").write_text("a-token-that-is-long-enough\n")
    server = serve("--admin", "http://127.0.0.1:0", "--admin-token-file", str(tmp_path / "token"))
    url = server.admin().url
    ended = roost("ctl", "--url", url, "stats")
    assert ended.returncode == 1 and "token" in ended.stderr
    assert roost("ctl", "--url", url, "--token-file", str(tmp_path / "token"), "stats").returncode == 0
    assert roost("ctl", "--url", url, "--token-file", str(tmp_path / "none"), "stats").returncode == 2


def test_nobody_there():
    ended = roost("ctl", "--url", "http://127.0.0.1:1", "health")
    assert ended.returncode == 1 and "http://127.0.0.1:1" in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["fly"], ["inspect"], ["stats", "x"], ["clients", "--limit", "x"], ["clients", "--state", "up"],
                                       ["publish", "t", "x", "--qos", "3"], ["--what", "stats"]], ids=" ".join)
def test_wrong_command_lines(arguments):
    assert roost("ctl", *arguments).returncode == 2


def test_revoke_and_lift(administered, ctl):
    with administered.client("out", 5) as client:
        assert "out" in said(ctl("revoke", "client", "out", "600"))
        assert client.expect_kind(DISCONNECT).reason == 0x98
    with administered.raw(4) as connection:
        connection.send(connect("out", 4))
        connection.expect_connack_refusal(5)
    said(ctl("revoke", "token", "a/b \u20ac"))
    heading, *lines = said(ctl("revocations")).splitlines()
    assert heading.split() == ["KIND", "UNTIL", "ID"]
    assert sorted(lines)[0].split()[0] == "client" and sorted(lines)[0].endswith(" UTC  out")
    assert sorted(lines)[1].split() == ["token", "for", "ever", "a/b", "\u20ac"]
    assert said(ctl("revocations", "--no-headings")).splitlines() == lines
    said(ctl("lift", "client", "out"))
    administered.client("out").close()
    again = ctl("lift", "client", "out")
    assert again.returncode == 1 and "404" in again.stderr
    for wrong in (("revoke", "door", "x"), ("revoke", "user", "")):
        assert ctl(*wrong).returncode == 1
    assert ctl("revoke", "user", "u", "soon").returncode == 2
