"""Retained messages are bounded in number and in bytes; one more is refused where the publisher can be told."""

import pytest


def test_number(serve):
    server = serve("--shards", "2", "--retained-max", "3")
    with server.client("from", 5) as publisher, server.client("to", 5) as client:
        for number in range(3):
            assert publisher.hand_over(f"t/{number}", b"x", retain=True) in (0, 0x10)
        assert publisher.hand_over("t/3", b"x", retain=True) == 0x97
        assert publisher.hand_over("t/4", b"x", qos=2, retain=True) == 0x97
        # One that replaces another is no more than before, and one that is deleted makes room.
        assert publisher.hand_over("t/0", b"new", retain=True) in (0, 0x10)
        publisher.hand_over("t/1", b"", retain=True)
        assert publisher.hand_over("t/5", b"x", retain=True) in (0, 0x10)
        client.subscribe("t/+")
        assert {client.message().topic for _ in range(3)} == {"t/0", "t/2", "t/5"}
        client.expect_nothing_before_ping()


def test_bytes(serve):
    server = serve("--shards", "2", "--retained-bytes-max", "100000")
    with server.client("from", 5) as publisher:
        reasons = [publisher.hand_over(f"t/{number}", b"x" * 20000, retain=True) for number in range(10)]
    assert set(reasons[:3]) <= {0, 0x10}
    assert reasons[-1] == 0x97


@pytest.mark.parametrize("level", [4, 5])
def test_at_qos_0_and_before_version_5_it_is_not_kept(serve, level):
    server = serve("--shards", "2", "--retained-max", "1")
    with server.client("from", level) as publisher, server.client("to", 5) as client:
        publisher.publish("t/0", b"x", retain=True)
        publisher.publish("t/1", b"x", retain=True)
        if level == 4:
            publisher.hand_over("t/2", b"x", qos=1, retain=True)
        publisher.expect_nothing_before_ping()
        client.subscribe("t/+")
        assert client.message().topic == "t/0"
        client.expect_nothing_before_ping()
