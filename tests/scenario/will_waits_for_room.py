"""Wills by the hundred in a moment, to another shard: each is published, however late the other shard is."""

import pytest

from mqtt_wire import Will, connect


@pytest.mark.threads
def test_every_will_is_published(serve):
    server = serve("--shards", "4")
    with server.client("watch", 4) as watch:
        watch.subscribe("will/#")
        for _ in range(1500):
            with server.raw(4) as client:
                client.send(connect("same", 4, will=Will("will/a", "w")))
                client.reset()
        due = server.wait_counter("wills_sent", lambda sent: sent == sum(
            server.counter(name) for name in ("end_taken_over", "end_connection_lost"))
            - server.counter("connections_refused") and server.counter("connections_open") == 1)
        for _ in range(due):
            assert watch.message().payload == b"w"
        assert server.counter("messages_dropped_queue_full") == 0
