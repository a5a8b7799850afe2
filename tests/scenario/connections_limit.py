"""`--connections` bounds the clients: one more is refused and told why, and a place that is given back can be taken."""

import pytest

from mqtt_wire import connect


@pytest.mark.threads
@pytest.mark.parametrize("version, code", [(4, 3), (5, 0x89)])
def test_one_more_is_refused(serve, version, code):
    server = serve("--connections", "2", "--shards", "2")
    with server.client("first", 4) as first, server.client("second", 5):
        with server.raw(version) as late:
            late.send(connect("late", version))
            late.expect_connack_refusal(code)
        server.wait_counter("end_server_full", 1)
        first.expect_nothing_before_ping()
    server.wait_counter("connections_open", 0)
    with server.client("late", version):
        pass
