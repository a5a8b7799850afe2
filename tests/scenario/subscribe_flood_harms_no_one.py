"""One packet with hundreds of thousands of filters: what is above the limit is refused, and its shard goes on."""

from mqtt_wire import PINGRESP_BYTES, subscribe, unsubscribe

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


def test_memory_of_ones_filters_is_bounded(serve):
    """Long filters: far fewer than one may have of them, and 4 MiB all the same."""
    server = serve("--shards", "1")
    long = 60000
    most = (4 << 20) // long
    filters = [f"{i:05x}".ljust(long, "x") for i in range(most + 11)]
    with server.client("flood", 5) as flood, server.client("bystander", 4) as bystander:
        codes = b""
        for first in range(0, len(filters), 16):
            flood.send(subscribe(1, *filters[first : first + 16], version=5))
            codes += flood.packet().body[3:]
        assert codes == bytes(most) + b"\x97" * 11
        bystander.subscribe(filters[-1])
        flood.send(unsubscribe(2, filters[0], version=5))
        assert flood.packet().body[3:] == b"\0"
        flood.send(subscribe(3, filters[-1], version=5))
        assert flood.packet().body[3:] == b"\0"
        server.wait_counter("subscriptions_refused", 11)


def largest(server, what):
    return max(
        int(line.rsplit(" ", 1)[1])
        for line in server.admin().get("/metrics").text.splitlines()
        if line.startswith(f"roost_shard_largest_{what}_work_units{{")
    )


def test_one_unsubscribe_of_very_many_filters(serve):
    """350,000 filters, of which the client has 9,900 and each is popular: no turn does much more work than any other."""
    server = serve("--shards", "1", "--admin", "http://127.0.0.1:0")
    with server.client("flood", 5) as flood, server.client("bystander", 4) as bystander:
        others = [server.client(f"other{i}", 4) for i in range(50)]
        for other in others:
            other.subscribe(("n", 0))
        for first in range(0, 9900, 1100):
            flood.send(subscribe(1, *(f"own/{i}" for i in range(first, first + 1100)), version=5))
            assert set(flood.packet().body[3:]) == {0}
        flood.send(unsubscribe(2, *(["n"] * 349000), version=5))
        flood.send(b"\xc0\0")
        bystander.expect_nothing_before_ping()
        answer = flood.packet()
        assert set(answer.body[3:]) == {0x11} and len(answer.body) == 3 + 349000
        flood.expect(PINGRESP_BYTES)
        assert largest(server, "step") < 25000 and largest(server, "turn") < 50000
        for other in others:
            other.close()
