"""A port that someone else has: the server says which, and does not start."""

import re
import socket

from server import roost


def test_error_names_the_url():
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        ended = roost("serve", "--listen", url)
    assert ended.returncode not in (0, None) and ended.returncode > 0
    assert url in ended.stderr
    assert "in use" in ended.stderr
    assert not re.search(r"\bready$|listening on", ended.stderr, re.MULTILINE)


def test_one_bad_listener_of_two_is_enough():
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        ended = roost("serve", "--listen", "tcp://127.0.0.1:0", "--listen", url)
    assert ended.returncode > 0
    assert url in ended.stderr


def test_two_servers_do_not_share_a_port(server):
    ended = roost("serve", "--listen", server.urls[0])
    assert ended.returncode > 0
    assert server.urls[0] in ended.stderr


def test_the_port_is_free_again_after_a_stop(serve):
    first = serve()
    with first.client("stays", 5):
        first.stop()
        second = serve(listen=[first.urls[0]])
        with second.client("new", 5) as client:
            client.expect_nothing_before_ping()
