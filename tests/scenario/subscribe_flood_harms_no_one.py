"""One SUBSCRIBE with a hundred thousand filters: what is above the limit is refused, and its shard goes on."""

from mqtt_wire import subscribe

LIMIT = 2000


def test_what_is_above_the_limit_is_refused(serve):
    server = serve("--shards", "1", "--client-subscriptions-max", str(LIMIT))
    with server.client("flood", 5) as flood, server.client("bystander", 4) as bystander:
        flood.send(subscribe(1, *(f"{i:05x}" for i in range(LIMIT)), version=5))
        assert set(flood.packet().body[3:]) == {0}
        # The oldest filter again and again: the worst case for whoever walks a list to find it.
        flood.send(subscribe(2, *(["00000"] * 100000), version=5))
        codes = flood.packet().body[3:]
        assert len(codes) == 100000
        assert set(codes[:LIMIT]) == {0} and set(codes[LIMIT:]) == {0x97}
        bystander.expect_nothing_before_ping()
        server.wait_counter("subscriptions_open", LIMIT)
