"""Retained messages that have expired leave a server that has nothing else to do, and only they do."""

from mqtt_wire import MESSAGE_EXPIRY

MANY = 3000


def test_they_leave_an_idle_server(serve):
    server = serve("--shards", "2")
    with server.client("from", 5) as publisher:
        for number in range(MANY):
            publisher.publish(f"expires/{number}", b"x", retain=True, pairs=[(MESSAGE_EXPIRY, 1)])
            if number % 100 == 0:
                publisher.publish(f"stays/{number}", b"x", retain=True)
                publisher.publish(f"later/{number}", b"x", retain=True, pairs=[(MESSAGE_EXPIRY, 3600)])
        publisher.expect_nothing_before_ping()
    server.wait_counter("retained_expired", MANY)
    with server.client("to", 5) as client:
        client.subscribe("+/+")
        assert len({client.take().topic for _ in range(2 * MANY // 100)}) == 2 * MANY // 100
        client.expect_nothing_before_ping()
