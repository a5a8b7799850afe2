"""Many messages at once at QoS 1 and 2: a connected client that reads gets every one of them, in order, at the default
settings, however slow it is and wherever its publishers are; one that does not read keeps nobody waiting, and what it
loses is counted as its own."""

import queue

import pytest

from bursts import PATIENT, Burst, assert_nothing_lost, numbers, read_all, reader
from mqtt_wire import PUBACK, PUBLISH, RECEIVE_MAXIMUM, Closed, acknowledge

BURST = 5000


class Talk(Burst):
    """A burst of one that reads meanwhile what others say. Its acknowledgements wait for what is being written."""

    def write(self):
        try:
            for number in range(self.count):
                while not self.acknowledgements.empty():
                    self.client.socket.sendall(self.acknowledgements.get())
                self.client.socket.sendall(self.packet(number))
            for answer in iter(self.acknowledgements.get, None):
                self.client.socket.sendall(answer)
        except OSError as error:
            self.failure = error

    def run(self):
        self.heard = []
        self.acknowledgements = queue.SimpleQueue()
        self.writer.start()
        try:
            while self.acknowledged < self.count or len(self.heard) < self.expected:
                packet = self.client.packet()
                if packet.kind == PUBLISH:
                    self.heard.append(tuple(int(word) for word in packet.payload.split()[:2]))
                    self.acknowledgements.put(acknowledge(PUBACK, packet.packet_id))
                else:
                    assert packet.kind == PUBACK and packet.reason == 0, packet
                    self.acknowledged += 1
        except (AssertionError, OSError, Closed, TimeoutError) as error:
            self.failure = error
            self.client.close()
        self.acknowledgements.put(None)
        self.writer.join()


@pytest.mark.threads
@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("kind", ["client", "session"])
def test_a_burst_to_a_fast_client(server, qos, kind):
    with reader(server, "to", "t", kind=kind) as to, server.client("from", 4) as publisher:
        burst = Burst(publisher, "t", BURST, 200, qos)
        burst.start()
        assert numbers(to, BURST) == {0: list(range(BURST))}
        burst.finish()
        to.expect_nothing_before_ping()
    assert_nothing_lost(server)


@pytest.mark.threads
@pytest.mark.parametrize("shards", ["1", "3"])
@pytest.mark.parametrize("qos", [1, 2])
def test_a_slow_client_slows_its_publisher(serve, qos, shards):
    """10 MB to each of some clients that take a few kilobytes at a time, on the publisher's shard and on others."""
    server = serve("--shards", shards, *PATIENT)
    count = BURST
    clients = [reader(server, f"slow-{n}", f"t/{n}", kind="session", receive_buffer=4096) for n in range(3)]
    publishers = [server.client(f"from-{n}", 4) for n in range(3)]
    bursts = [Burst(publishers[n], f"t/{n}", count, 2000, qos) for n in range(3)]
    for burst in bursts:
        burst.start()
    assert read_all(clients, count) == [{0: list(range(count))}] * 3
    for burst in bursts:
        burst.finish()
    assert_nothing_lost(server)
    for client in clients + publishers:
        client.close()


@pytest.mark.threads
def test_many_publishers_to_one_client(serve):
    server = serve("--shards", "2", *PATIENT)
    publishers = [server.client(f"from-{n}", 4) for n in range(100)]
    with reader(server, "to", "t", qos=1, kind="session", receive_buffer=4096) as to:
        bursts = [Burst(publisher, "t", 100, 500, 1, name=n) for n, publisher in enumerate(publishers)]
        for burst in bursts:
            burst.start()
        assert numbers(to, 10000) == {n: list(range(100)) for n in range(100)}
        for burst in bursts:
            burst.finish()
    assert_nothing_lost(server)
    for publisher in publishers:
        publisher.close()


@pytest.mark.threads
@pytest.mark.parametrize("shards", ["1", "2"])
@pytest.mark.parametrize("talkers", [1, 2])
def test_those_that_publish_to_each_other(serve, shards, talkers):
    """Each hears all of both, itself too, while its acknowledgements stand behind what it says."""
    server = serve("--shards", shards)
    count = 1000
    clients = [server.client(f"talker-{n}", 4) for n in range(talkers)]
    for client in clients:
        client.subscribe(("t", 1))
    talks = [Talk(client, "t", count, 30000, 1, name=n) for n, client in enumerate(clients)]
    for talk in talks:
        talk.expected = talkers * count
        talk.start()
    for talk in talks:
        talk.finish()
        assert sorted(talk.heard) == [(n, number) for n in range(talkers) for number in range(count)]
    assert_nothing_lost(server)
    for client in clients:
        client.close()


@pytest.mark.threads
@pytest.mark.parametrize("receive_maximum", [1, 65535])
def test_one_that_does_not_acknowledge_holds_nobody_up(serve, receive_maximum):
    """It takes one message, or as many as its socket takes, and acknowledges none; or one now and then. The publisher goes
    on after a moment, others lose nothing, and what it loses shows as its own."""
    server = serve("--shards", "2", "--admin", "http://127.0.0.1:0")
    pairs = [(RECEIVE_MAXIMUM, receive_maximum)]
    with server.client("stuck", 5, pairs=pairs, receive_buffer=4096) as stuck, reader(server, "reads", "t") as reads, \
            server.client("from", 4) as publisher:
        stuck.subscribe(("t", 1))
        burst = Burst(publisher, "t", 2 * BURST, 2000, 1)
        burst.start()
        assert numbers(reads, 2 * BURST) == {0: list(range(2 * BURST))}
        burst.finish()
        server.wait_counter("messages_dropped_queue_full", lambda dropped: dropped > 0)
        admin = server.admin()
        assert admin.client("reads")["dropped_messages"] == 0
        assert admin.client("stuck")["dropped_messages"] == server.counter("messages_dropped_queue_full")
        assert [row["client_id"] for row in admin.clients() if row["dropped_messages"]] == ["stuck"]
        assert server.counter("congestions_stuck") >= 1


@pytest.mark.threads
def test_a_member_that_does_not_acknowledge_is_passed_over(serve):
    """Two members, one of which takes a message and says nothing more: the other one gets the rest, and nothing is lost."""
    server = serve("--shards", "2")
    count = 4000
    with server.client("stuck", 5, pairs=[(RECEIVE_MAXIMUM, 1)]) as stuck, \
            reader(server, "works", "$share/g/t", qos=1) as works, server.client("from", 4) as publisher:
        stuck.subscribe(("$share/g/t", 1))
        burst = Burst(publisher, "t", count, 100, 1)
        burst.start()
        first = int(stuck.packet().payload.split()[1])
        found = []
        while len(found) < count - 1:
            found += numbers(works, 1).get(0)
            if len(found) == count // 2:
                stuck.close()  # what had come to wait for it in the beginning goes to the other one, and the first too
                count += 1
        burst.finish()
        assert sorted(found) == list(range(4000))
        assert first in found
    assert_nothing_lost(server)
