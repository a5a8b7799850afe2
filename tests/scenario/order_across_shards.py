"""What one publisher sends on a topic reaches each subscriber in order, whichever shards they live on. [MQTT-4.6.0-5, -6]"""

import threading

import pytest

PUBLISHERS = 8
SUBSCRIBERS = 8
MESSAGES = 500


def read_all(subscriber, failures):
    following = [0] * PUBLISHERS
    try:
        while min(following) < MESSAGES:
            message = subscriber.message()
            publisher, number = (int(part) for part in message.payload.split())
            if following[publisher] != number:
                failures.append(f"{subscriber.client_id}: from {publisher} {number} instead of {following[publisher]}")
                return
            following[publisher] += 1
    except Exception as error:  # shown by the test, in its own thread
        failures.append(f"{subscriber.client_id}: {error!r} after {following}")


@pytest.mark.threads
@pytest.mark.parametrize("text", ["chat", "+", "#"], ids=["exact", "plus", "hash"])
def test_sequences_have_no_gap(serve, text):
    server = serve("--shards", "4", "--queue-bytes-max", str(8 << 20))
    subscribers = [server.client(f"to-{i}", 4 + i % 2) for i in range(SUBSCRIBERS)]
    for subscriber in subscribers:
        subscriber.subscribe(text)
    failures = []
    readers = [threading.Thread(target=read_all, args=(subscriber, failures)) for subscriber in subscribers]
    for reader in readers:
        reader.start()
    publishers = [server.client(f"from-{i}", 4 + i % 2) for i in range(PUBLISHERS)]
    for number in range(MESSAGES):
        for index, publisher in enumerate(publishers):
            publisher.publish("chat", f"{index} {number}")
    for reader in readers:
        reader.join()
    assert not failures, failures
    for client in publishers + subscribers:
        client.close()


@pytest.mark.threads
def test_one_publisher_on_many_topics_to_one_subscriber(serve):
    """An ordered topic is each by itself; a server that keeps the whole stream in order keeps all of them."""
    server = serve("--shards", "4", "--queue-bytes-max", str(8 << 20))
    with server.client("to", 5) as subscriber, server.client("from", 5) as publisher:
        subscriber.subscribe("s/+")
        for number in range(2000):
            publisher.publish(f"s/{number % 7}", str(number))
        got = [int(subscriber.message().payload) for _ in range(2000)]
    assert got == list(range(2000))
