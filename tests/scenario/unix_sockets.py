"""Listeners on unix sockets: the file's mode and owner, files that were left behind or belong to others, and who is at the other
end."""

import os
import socket
import stat

import pytest

import listeners
from mqtt_wire import Refused
from server import roost

pytestmark = pytest.mark.roost_only("it looks at Roost's unix sockets")

RULES = "allow publish up/%u/#\nallow subscribe up/%u/#\n"


def path_of(url):
    return url.removeprefix("unix://")


@pytest.fixture
def url():
    return listeners.url_for("unix")


def test_mode_and_the_end(serve, url):
    server = serve("--unix-mode", "0606", listen=[url])
    status = os.stat(path_of(url))
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o606
    with server.client("local", 5) as client:
        client.expect_nothing_before_ping()
    server.stop()
    assert not os.path.exists(path_of(url))


def test_the_mode_that_it_has_by_itself(serve, url):
    serve(listen=[url])
    assert stat.S_IMODE(os.stat(path_of(url)).st_mode) == 0o660


def test_a_file_left_behind_is_replaced(serve, url):
    server = serve(listen=[url])
    server.crash()
    assert os.path.exists(path_of(url))
    with serve(listen=[url]).client("local", 5) as client:
        client.expect_nothing_before_ping()


def test_a_server_that_listens_is_left_alone(serve, url):
    first = serve(listen=[url])
    ended = roost("serve", "--listen", url)
    assert ended.returncode > 0
    assert f"cannot listen on {url}: a server that is running listens on this path" in ended.stderr
    with first.client("local", 5) as client:
        client.expect_nothing_before_ping()


def test_a_file_that_is_no_socket_is_left_alone(url):
    with open(path_of(url), "w", encoding="ascii") as file:
        file.write("mine")
    ended = roost("serve", "--listen", url)
    assert ended.returncode > 0 and "no socket" in ended.stderr
    with open(path_of(url), encoding="ascii") as file:
        assert file.read() == "mine"


def test_who_is_at_the_other_end(serve, url):
    server = serve("--admin", "http://127.0.0.1:0", listen=[url])
    who = f"unix:uid={os.getuid()},pid={os.getpid()}"
    with server.client("local", 5):
        assert server.admin().client("local")["address"] == who
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path_of(url))
        end.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert not end.recv(100)
    assert "HTTP came where MQTT is spoken" in server.lines[server.wait_line(f"refused a connection from {who}: ")]


def test_the_process_is_the_user(serve, url, tmp_path):
    """Rules apply to it, and neither password nor token is asked for."""
    (tmp_path / "rules").write_text(RULES)
    server = serve("--unix-peer-is-user", "--rule-file", str(tmp_path / "rules"), "--no-allow-by-default", "--anonymous", "never", listen=[url])
    name = f"unix:{os.getuid()}"
    with server.client("local", 5) as client:
        assert client.subscribe((f"up/{name}/x", 1)) == [1]
        assert client.subscribe("up/other/x")[0] >= 0x80
        assert client.hand_over(f"up/{name}/x", b"mine") == 0
        assert client.take().payload == b"mine"


def test_the_users_revocation_counts(serve, url):
    server = serve("--unix-peer-is-user", "--admin", "http://127.0.0.1:0", "--anonymous", "never", listen=[url])
    name = f"unix:{os.getuid()}"
    with server.client("local", 5) as client:
        revoked = roost("ctl", "--url", server.admin().url, "revoke", "user", name)
        assert revoked.returncode == 0, revoked.stderr
        client.ends()
    with pytest.raises(Refused):
        server.client("again", 5)


def test_without_it_they_sign_in_as_others_do(serve, url):
    with pytest.raises(Refused):
        serve("--anonymous", "never", listen=[url]).client("local", 5)
