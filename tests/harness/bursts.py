"""Many messages at once at QoS 1 and 2, and clients that read them."""

import concurrent.futures
import threading

from mqtt_wire import PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Closed, acknowledge, publish

# Who takes less than half of this a second is waited for no longer (congestion.h); a client of these tests that has a window of
# some kilobytes, and whose processor has much else to do, takes few.
PATIENT = ["--queue-messages-max", "100"]


class Burst(threading.Thread):
    """Publishes so many messages, all at once as far as the server takes them, and reads the answers meanwhile."""

    def __init__(self, client, topic, count, size, qos, name=0):
        super().__init__()
        self.client, self.topic, self.count, self.size, self.qos, self.name_ = client, topic, count, size, qos, name
        self.failure = None
        self.acknowledged = 0
        self.lock = threading.Lock()
        self.writer = threading.Thread(target=self.write)

    def packet(self, number):
        payload = b"%d %d " % (self.name_, number)
        return publish(self.topic, payload.ljust(self.size, b"."), version=self.client.version, qos=self.qos,
                       packet_id=number % 65535 + 1)

    def send(self, data):
        with self.lock:
            self.client.socket.sendall(data)

    def write(self):
        try:
            for first in range(0, self.count, 50):
                self.send(b"".join(self.packet(number) for number in range(first, min(first + 50, self.count))))
        except OSError as error:
            self.failure = error

    def run(self):
        self.writer.start()
        try:
            while self.acknowledged < self.count:
                packet = self.client.packet(60)
                assert packet.reason == 0, packet
                if packet.kind == PUBREC:
                    self.send(acknowledge(PUBREL, packet.packet_id))
                else:
                    assert packet.kind in (PUBACK, PUBCOMP), packet
                    self.acknowledged += 1
        except (AssertionError, OSError, Closed) as error:
            self.failure = error
        self.writer.join()

    def finish(self):
        self.join()
        assert self.failure is None, repr(self.failure)
        assert self.acknowledged == self.count


def numbers(client, count, timeout=60):
    """Takes and acknowledges so many messages: {publisher: their numbers, in order of coming}."""
    found, left = {}, count
    while left or client.awaits_release:
        packet = client.packet(timeout)
        if packet.kind == PUBREL:
            client.awaits_release -= 1
            client.send(acknowledge(PUBCOMP, packet.packet_id))
            continue
        assert packet.kind == PUBLISH, packet
        name, number = packet.payload.split()[:2]
        found.setdefault(int(name), []).append(int(number))
        client.awaits_release += packet.qos == 2
        client.send(acknowledge(PUBACK if packet.qos == 1 else PUBREC, packet.packet_id))
        left -= 1
    return found


def read_all(clients, count):
    """What each takes of so many, all at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(lambda client: numbers(client, count), clients))


def reader(server, client_id, topic, qos=2, kind="client", **options):
    client = getattr(server, kind)(client_id, 5, **options)
    client.subscribe((topic, qos))
    client.awaits_release = 0
    return client


def assert_nothing_lost(server, most=0):
    assert server.counter("messages_dropped_queue_full") <= most
