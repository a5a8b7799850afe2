"""A client that does not read: what waits for it is bounded, the rest is dropped and counted, no one else notices, and
after a while it is ended."""

import pytest

QUEUE = 65536
PAYLOAD = b"x" * 4096


@pytest.mark.threads
def test_is_bounded_and_ended(serve):
    server = serve("--shards", "2", "--packet-bytes-max", str(QUEUE), "--queue-bytes-max", str(QUEUE), "--stuck-timeout-ms", "1000")
    before = server.resident_bytes()
    with server.client("never reads", 4, receive_buffer=4096) as stuck, server.client("reads", 5) as reader, \
            server.client("from", 5) as publisher:
        stuck.subscribe("flood")
        reader.subscribe("other")
        publisher.subscribe("back")
        # 40 MB: the kernel's buffers, which grow to some 6 MB, and the queue are full long before.
        for number in range(10000):
            publisher.publish("flood", PAYLOAD)
            if number % 100 == 0:
                publisher.publish("other", str(number))
                assert reader.message().payload == str(number).encode()
        publisher.publish("back", b"done")
        assert publisher.message().payload == b"done"
        counters = server.counters()
        assert counters["messages_dropped_queue_full"] > 0
        assert counters["messages_in"] == 10000 + 100 + 1
        server.wait_counter("end_stuck_reader", 1)
        assert server.resident_bytes() - before < 64 << 20
        publisher.publish("other", b"after")
        assert reader.message().payload == b"after"
        server.wait_counter("connections_open", 2)


def test_what_comes_is_whole_and_in_order(serve):
    """Messages are dropped whole, and those that are not come in order."""
    server = serve("--packet-bytes-max", str(QUEUE), "--queue-bytes-max", str(QUEUE), "--stuck-timeout-ms", "60000")
    with server.client("reads late", 4, receive_buffer=4096) as late, server.client("from", 4) as publisher:
        late.subscribe("flood", "end")
        for number in range(5000):
            publisher.publish("flood", number.to_bytes(4, "big") + PAYLOAD)
        publisher.expect_nothing_before_ping()
        # The flood may still be on its way between two shards: each message is queued or dropped in the end.
        queued = server.wait_counter(
            "messages_out", lambda out: out + server.counter("messages_dropped_queue_full") == 5000)
        assert queued < 5000
        got = []
        # What is on its way comes first; then the queue has room again, and a last message shows that nothing waits.
        while len(got) < queued:
            message = late.message()
            assert message.payload[4:] == PAYLOAD
            got.append(int.from_bytes(message.payload[:4], "big"))
        assert got == sorted(set(got))
        publisher.publish("end", b"x")
        assert late.message().topic == "end"
        late.expect_nothing_before_ping()


def test_a_client_that_does_not_read_its_own_answers(serve):
    """A million pings and no reading: the server stops reading it rather than keeping the answers."""
    server = serve("--packet-bytes-max", str(QUEUE), "--queue-bytes-max", str(QUEUE), "--stuck-timeout-ms", "1000")
    before = server.resident_bytes()
    with server.client("pings", 4, receive_buffer=4096) as client, server.client("bystander", 4) as bystander:
        client.socket.settimeout(0.5)
        try:
            for _ in range(200):
                client.socket.sendall(b"\xc0\x00" * 50000)
        except (TimeoutError, ConnectionError):
            pass
        bystander.expect_nothing_before_ping()
        server.wait_counter("end_stuck_reader", 1)
    assert server.resident_bytes() - before < 64 << 20
