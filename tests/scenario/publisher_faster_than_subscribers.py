"""Publishers that are faster than what they write to: their sockets are read more slowly, memory stays bounded, and what
is dropped is counted: in = out + dropped."""

import threading

import pytest

PUBLISHERS = 4
MESSAGES = 2000
PAYLOAD = b"x" * 1000


@pytest.mark.threads
def test_every_message_is_accounted_for(serve):
    server = serve("--shards", "2", "--packet-bytes-max", str(256 << 10), "--queue-bytes-max", str(256 << 10))
    before = server.resident_bytes()
    subscribers = [server.client(f"to-{i}", 4 + i % 2) for i in range(8)]
    for subscriber in subscribers:
        subscriber.subscribe("load/#", "end")
    received = [0] * len(subscribers)
    failures = []

    def read(index):
        try:
            while subscribers[index].message(60).topic != "end":
                received[index] += 1
        except Exception as error:  # shown by the test, in its own thread
            failures.append(repr(error))

    readers = [threading.Thread(target=read, args=(index,)) for index in range(len(subscribers))]
    for reader in readers:
        reader.start()
    publishers = [server.client(f"from-{i}", 4) for i in range(PUBLISHERS)]

    def write(publisher):
        for _ in range(MESSAGES // 50):
            publisher.send(b"".join([_packet()] * 50))
        publisher.expect_nothing_before_ping()

    writers = [threading.Thread(target=write, args=(publisher,)) for publisher in publishers]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    server.wait_counter("messages_in", PUBLISHERS * MESSAGES)
    # The queues run empty before the last message, so that it is not dropped itself.
    server.wait_counter("backlog_bytes", 0)
    publishers[0].publish("end")
    for reader in readers:
        reader.join()
    assert not failures, failures
    counters = server.counters()
    assert sum(received) + counters["messages_dropped_queue_full"] == PUBLISHERS * MESSAGES * len(subscribers)
    assert counters["messages_out"] == sum(received) + len(subscribers)
    assert server.resident_bytes() - before < 128 << 20
    for client in publishers + subscribers:
        client.close()


def _packet():
    from mqtt_wire import publish
    return publish("load/x", PAYLOAD)
