"""Once warm, a message costs no allocation: the counter of allocations does not move over ten thousand of them.

The pools grow to the peak of what is under way at one time, and how high that is depends on how the threads are
scheduled: the peak may be reached late. What allocates per message, or per thousand of them, never stands still."""

import pytest

WARM_UP = 2000
MESSAGES = 10000
BURST = 50
ROUNDS = 8


def exchange(publishers, subscribers, count):
    """In bursts: each is read before the next is sent, so that the load is the same before and after."""
    for _ in range(count // BURST // len(publishers)):
        for publisher in publishers:
            for _ in range(BURST):
                publisher.publish("t/a", b"x" * 64)
            for subscriber in subscribers:
                for _ in range(BURST):
                    subscriber.message()


def allocations(server):
    names = [name for name in server.counters() if name.startswith("allocations")]
    assert names, "allocations are not counted"
    return sum(server.counter(name) for name in names)


@pytest.mark.parametrize("text", ["t/a", "t/+"], ids=["exact", "wildcard"])
def test_counter_stands_still(serve, version, text):
    server = serve("--shards", "2")
    publishers = [server.client(f"from-{i}", version) for i in range(2)]
    subscribers = [server.client(f"to-{i}", 4 + i % 2) for i in range(4)]
    for subscriber in subscribers:
        subscriber.subscribe(text)
    exchange(publishers, subscribers, WARM_UP)
    seen = [allocations(server)]
    assert seen[0] > 0, "a counter that never moves shows nothing"
    for _ in range(ROUNDS):
        exchange(publishers, subscribers, MESSAGES)
        seen.append(allocations(server))
        if seen[-1] == seen[-2]:
            break
    else:
        pytest.fail(f"never stands still over {MESSAGES} messages: {seen}")
    server.wait_counter("messages_in", WARM_UP + MESSAGES * (len(seen) - 1))
    for client in publishers + subscribers:
        client.close()
