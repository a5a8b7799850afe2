"""Hostile clients: a library of attacks, each a named generator.

An attack prepares itself up to its first `yield`; each further step is one strike, of which there is no end. Between two
of them whoever plays it looks at the server. Strikes do not block: what the server does not take stays with the crew,
and a connection that has enough to send gets no more. Nothing here is timed.

    for name, attack in ATTACKS.items():
        with Crew(server.address) as crew:
            for _ in attack.play(crew):
                ...
"""

import contextlib
import itertools
import os
import selectors
import socket
import threading
from dataclasses import dataclass
from typing import Callable

import transports
from mqtt_wire import (MESSAGE_EXPIRY, PUBACK, PUBCOMP, PUBREC, PUBREL, RECEIVE_MAXIMUM, SESSION_EXPIRY,
                       SUBACK, TOPIC_ALIAS, USER_PROPERTY, Client, Will, acknowledge, connect, packet, publish, string,
                       subscribe, unsubscribe)

MIB = 1 << 20
# A connection with so much to send gets no more.
ENOUGH_BYTES = 2 * MIB
FILTERS_A_CLIENT = 10000  # the server's limit by default
FILTERS_A_PACKET = 1000


class Crew:
    """The attacker's connections, and the thread that reads and writes for them."""

    def __init__(self, address):
        self.address = address
        self.selector = selectors.DefaultSelector()
        self.waker, self.woken = socket.socketpair()
        self.woken.setblocking(False)
        self.selector.register(self.woken, selectors.EVENT_READ, None)
        self.lock = threading.Lock()
        self.members = []
        self.names = itertools.count()
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self._wake()
        self.thread.join()
        for member in self.members:
            member.socket.close()
        self.selector.close()
        self.waker.close()
        self.woken.close()

    def name(self):
        return f"hostile-{os.getpid()}-{next(self.names)}"

    def client(self, version=4, reads=True, name=None, **options):
        """One that has signed in. reads: what comes is read and thrown away."""
        signed_in = Client(self.address, name or self.name(), version, **options)
        return Member(self, signed_in.socket, version, reads)

    def stranger(self, receive_buffer=None):
        """A connection that has said nothing."""
        return Member(self, transports.connect(self.address, receive_buffer=receive_buffer), 4, True)

    def subscriber(self, filters, qos=0, version=4, reads=True, **options):
        """One with these subscriptions."""
        signed_in = Client(self.address, self.name(), version, **options)
        for number, some in enumerate(batches(filters, FILTERS_A_PACKET), 1):
            signed_in.send(subscribe(number, *((text, qos) for text in some), version=version))
            signed_in.answer(SUBACK, number)
        return Member(self, signed_in.socket, version, reads)

    def has_more_to_say(self):
        with self.lock:
            return any(member.outgoing for member in self.members)

    def _wake(self):
        with contextlib.suppress(OSError):
            self.waker.send(b"x")

    def _run(self):
        while not self.stopping:
            for key, mask in self.selector.select(1):
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        self.woken.recv(4096)
                    self._look_at_all()
                else:
                    key.data.serve(mask)

    def _look_at_all(self):
        with self.lock:
            members = list(self.members)
        for member in members:
            member.watch()


def batches(items, size):
    iterator = iter(items)
    while some := list(itertools.islice(iterator, size)):
        yield some


class Member:
    """One connection of the crew. Its socket is closed by the crew's thread, or when the crew leaves. What comes is thrown away
    as it came: nothing looks into TLS or WebSocket frames."""

    def __init__(self, crew, connected, version, reads):
        self.crew, self.encode, self.socket, self.version, self.reads = crew, connected.encode, connected.wire, version, reads
        self.socket.setblocking(False)
        self.outgoing = bytearray()
        self.mask = 0
        self.gone = self.leaving = False
        with crew.lock:
            crew.members.append(self)
        crew._wake()

    def flood(self, data):
        """Sends it, unless there is enough to send."""
        if len(self.outgoing) < ENOUGH_BYTES:
            self.say(data)

    def say(self, data):
        self.say_raw(self.encode(data))

    def say_raw(self, data):
        """As it is, below all layers."""
        with self.crew.lock:
            self.outgoing += data
        self.crew._wake()

    def leave(self):
        """Closes without a word, once all is sent."""
        self.leaving = True
        self.crew._wake()

    def watch(self):
        if self.gone:
            return
        if self.leaving and not self.outgoing:
            self.end()
            return
        mask = (selectors.EVENT_READ if self.reads else 0) | (selectors.EVENT_WRITE if self.outgoing else 0)
        if mask == self.mask:
            return
        if self.mask == 0:
            self.crew.selector.register(self.socket, mask, self)
        elif mask == 0:
            self.crew.selector.unregister(self.socket)
        else:
            self.crew.selector.modify(self.socket, mask, self)
        self.mask = mask

    def end(self):
        if self.mask != 0:
            self.crew.selector.unregister(self.socket)
        self.mask = 0
        self.gone = True
        self.socket.close()
        with self.crew.lock:
            self.crew.members.remove(self)

    def serve(self, mask):
        if self.gone:
            return
        try:
            if mask & selectors.EVENT_READ and not self.socket.recv(1 << 18):
                self.end()
                return
            if mask & selectors.EVENT_WRITE:
                with self.crew.lock:
                    sent = self.socket.send(self.outgoing[:1 << 18])
                    del self.outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.end()
            return
        self.watch()


@dataclass
class Attack:
    name: str
    play: Callable
    kept_bytes: int  # what the server may keep for it at the most, beside what it had before
    options: tuple   # of the server


ATTACKS = {}


def attack(kept_mib=64, options=()):
    def note(play):
        ATTACKS[play.__name__] = Attack(play.__name__, play, kept_mib * MIB, options)
        return play
    return note


def repeat(data, size=64 * 1024):
    return data * max(1, size // len(data))


# ---- the routing index ----

def plus_tree(levels, count, below=""):
    """The first so many of all the ways to write a/a/.../a with `+`."""
    for number in range(count):
        yield "/".join("+" if number >> level & 1 else "a" for level in range(levels)) + below


@attack(kept_mib=64)
def deepest_topics(crew):
    """128 levels, against filters of 128 levels."""
    crew.subscriber(["/".join(["+"] * 128), "/".join(["a"] * 64 + ["+"] * 64), "a/" * 127 + "#"])
    publisher = crew.client()
    burst = repeat(publish("/".join(["a"] * 128), b"x"))
    while True:
        yield
        publisher.flood(burst)


@attack(kept_mib=64)
def wildcard_tree(crew):
    """100,000 filters of which none matches, but each message's match visits 200,000 nodes to see that."""
    filters = list(plus_tree(17, 10 * FILTERS_A_CLIENT, "/y"))
    for some in batches(filters, FILTERS_A_CLIENT):
        crew.subscriber(some)
    publishers = [crew.client() for _ in range(4)]
    burst = repeat(publish("/".join(["a"] * 17) + "/x", b""))
    while True:
        yield
        for publisher in publishers:
            publisher.flood(burst)


@attack(kept_mib=64)
def overlapping_filters(crew):
    """100,000 subscriptions that all match one topic: 100,000 deliveries for a packet of 40 bytes."""
    for some in batches(plus_tree(17, 10 * FILTERS_A_CLIENT), FILTERS_A_CLIENT):
        crew.subscriber(some)
    publisher = crew.client()
    message = publish("/".join(["a"] * 17), b"")
    while True:
        yield
        publisher.flood(message * 10)


@attack(kept_mib=96)
def shared_groups(crew):
    """100,000 shared subscriptions of one filter, each of which gets each message."""
    for client in range(10):
        crew.subscriber(f"$share/{client}-{i}/s/#" for i in range(FILTERS_A_CLIENT))
    publisher = crew.client()
    message = publish("s/x", b"")
    while True:
        yield
        publisher.flood(message * 10)


@attack(kept_mib=96)
def long_levels(crew):
    """Filters with a level of 6,000 bytes below each node of a tree: comparing texts is work too."""
    long = "x" * 6000
    for some in batches(plus_tree(10, 1000, "/" + long), 10):
        crew.subscriber(some)
    publisher = crew.client()
    burst = repeat(publish("/".join(["a"] * 10) + "/" + long, b""))
    while True:
        yield
        publisher.flood(burst)


# ---- SUBSCRIBE and UNSUBSCRIBE ----

@attack(kept_mib=256)
def most_filters(crew):
    """As many filters as a client may have, of 40 levels each, made and ended again and again."""
    clients = [crew.client() for _ in range(3)]
    texts = ["/".join([f"{i}"] + ["+"] * 39) for i in range(FILTERS_A_CLIENT)]
    making = subscribe(1, *((text, 0) for text in texts))
    ending = unsubscribe(1, *texts)
    while True:
        yield
        for client in clients:
            client.flood(making)
            client.flood(ending)


@attack(kept_mib=64)
def unsubscribe_of_350000_filters(crew):
    """One packet of a mebibyte that ends the same filter over and over, which others have too."""
    for _ in range(300):
        crew.subscriber(["n"])
    hostile = crew.subscriber(f"own/{i}" for i in range(FILTERS_A_CLIENT - 10))
    request = packet(10, b"\x00\x02" + string("n") * 349000, 2)
    while True:
        yield
        hostile.flood(request)


@attack(kept_mib=64)
def subscribe_again(crew):
    """One's own filters again, each of which 150 others have too."""
    filters = [f"t/{i}" for i in range(2000)]
    clients = [crew.subscriber(filters) for _ in range(150)]
    request = subscribe(1, *((text, 0) for text in filters * 5))
    while True:
        yield
        clients[0].flood(request)


# ---- PUBLISH ----

@attack(kept_mib=64)
def topic_aliases(crew):
    """Nine bytes stand for a topic of 60,000."""
    publisher = crew.client(5)
    crew.subscriber(["#"], version=5)
    publisher.say(b"".join(publish("x" * 60000, b"", 5, pairs=[(TOPIC_ALIAS, alias)]) for alias in range(1, 11)))
    burst = repeat(b"".join(publish("", b"", 5, pairs=[(TOPIC_ALIAS, alias)]) for alias in range(1, 11)))
    while True:
        yield
        publisher.flood(burst)


@attack(kept_mib=128)
def longest_user_properties(crew):
    """180,000 user properties in front of an expiry, to 20 subscribers, each of which gets a head of its own."""
    for _ in range(20):
        crew.subscriber(["u"], qos=1, version=5)
    publisher = crew.client(5)
    message = publish("u", b"", 5, qos=1, pairs=[(USER_PROPERTY, ("", ""))] * 180000 + [(MESSAGE_EXPIRY, 1000)])
    while True:
        yield
        publisher.flood(message)


@attack(kept_mib=128)
def large_messages_to_many(crew):
    """A mebibyte to each of 100."""
    for _ in range(100):
        crew.subscriber(["large"])
    publisher = crew.client()
    message = publish("large", b"x" * (MIB - 100))
    while True:
        yield
        publisher.flood(message)


@attack(kept_mib=64)
def qos_2_never_released(crew):
    """Packet identifiers without end, and each of them again and again."""
    publishers = [crew.client() for _ in range(3)]
    burst = b"".join(publish("q", b"", qos=2, dup=dup, packet_id=i) for dup in (False, True) for i in range(1, 1000))
    while True:
        yield
        for publisher in publishers:
            publisher.flood(burst)


@attack(kept_mib=64)
def acknowledgements_for_nothing(crew):
    """Of what was never sent."""
    clients = [crew.client(5) for _ in range(3)]
    burst = b"".join(acknowledge(kind, i) for i in range(1, 4000) for kind in (PUBACK, PUBREC, PUBREL, PUBCOMP))
    while True:
        yield
        for client in clients:
            client.flood(burst)


@attack(kept_mib=64)
def newest_acknowledged_first(crew):
    """A full window, acknowledged from its end."""
    subscriber = crew.subscriber(["w"], qos=1)
    publisher = crew.client()
    messages = publish("w", b"x", qos=1) * 5000
    backwards = b"".join(acknowledge(PUBACK, i) for i in range(65535, 0, -1))
    while True:
        yield
        publisher.flood(messages)
        subscriber.flood(backwards)


# ---- readers ----

@attack(kept_mib=192)
def smallest_windows(crew):
    """Subscribers with Receive Maximum 1 and small buffers, who read nothing."""
    for _ in range(50):
        crew.subscriber(["s/#"], qos=1, version=5, reads=False, receive_buffer=4096, pairs=[(RECEIVE_MAXIMUM, 1)])
        crew.subscriber(["s/#"], qos=0, version=5, reads=False, receive_buffer=4096)
    publisher = crew.client()
    burst = repeat(publish("s/x", b"x" * 200, qos=1))
    while True:
        yield
        publisher.flood(burst)


@attack(kept_mib=64)
def pings(crew):
    clients = [crew.client() for _ in range(5)]
    while True:
        yield
        for client in clients:
            client.flood(b"\xc0\x00" * 32768)


@attack(kept_mib=64)
def pings_whose_answers_are_not_read(crew):
    clients = [crew.client(reads=False, receive_buffer=4096) for _ in range(20)]
    while True:
        yield
        for client in clients:
            client.flood(b"\xc0\x00" * 32768)


# ---- retained messages ----

@attack(kept_mib=256)
def retained_topics(crew):
    """New topics without end."""
    publisher = crew.client()
    for strike in itertools.count():
        yield
        publisher.flood(b"".join(publish(f"r/{strike}/{i}", b"x", retain=True) for i in range(1000)))


def keep_retained(crew, count):
    with contextlib.closing(Client(crew.address, crew.name())) as publisher:
        for some in batches(range(count), 500):
            publisher.send(b"".join(publish(f"r/{i}", b"x", retain=True) for i in some))
        publisher.expect_nothing_before_ping()


@attack(kept_mib=192)
def stuck_retained_jobs(crew):
    """20 clients that take no retained message, and ask for those of 10,000 filters each."""
    keep_retained(crew, 300)
    for client in range(20):
        member = crew.subscriber(["r/#"], qos=1)
        for some in batches((f"q/{client}/{i}" for i in range(FILTERS_A_CLIENT - 1)), FILTERS_A_PACKET):
            member.say(subscribe(1, *((text, 1) for text in some)))
    while True:
        yield


@attack(kept_mib=192)
def retained_asked_for_again(crew):
    """All of 20,000 retained messages, over and over."""
    keep_retained(crew, 20000)
    clients = [crew.client() for _ in range(3)]
    request = b"".join(subscribe(i, ("#", 0), ("r/+", 1), ("+/#", 0)) for i in range(1, 20))
    while True:
        yield
        for client in clients:
            client.flood(request)


# ---- connections and sessions ----

@attack(kept_mib=64)
def half_packets(crew):
    """300 clients, each with half of a packet of a mebibyte, of which now and then a byte comes."""
    head = publish("h", b"x" * (MIB - 100))[:200000]
    clients = [crew.client() for _ in range(300)]
    for client in clients:
        client.say(head)
    while True:
        yield
        for client in clients:
            client.flood(b"x")


@attack(kept_mib=64)
def half_connects(crew):
    """Strangers whose CONNECT never ends."""
    head = connect("h" * 20)[:-3]
    while True:
        for _ in range(20):
            crew.stranger().say(head)
        yield


@attack(kept_mib=192)
def session_flood(crew):
    """Sessions that outlive their connections, each with subscriptions of its own."""
    asked = subscribe(1, *((f"f/{i}", 1) for i in range(50)))
    while True:
        yield
        for _ in range(20):
            member = crew.stranger()
            member.say(connect(crew.name(), 5, clean=False, pairs=[(SESSION_EXPIRY, 3600)]))
            member.say(subscribe(1, *((f"f/{i}", 1) for i in range(50)), version=5))
            member.leave()


@attack(kept_mib=128)
def will_flood(crew):
    """Wills for the tree of wildcards, all due at once."""
    for some in batches(plus_tree(16, 40000, "/y"), FILTERS_A_CLIENT):
        crew.subscriber(some)
    will = Will("/".join(["a"] * 16) + "/x", b"x" * 100, qos=1)
    while True:
        yield
        members = [crew.client(will=will) for _ in range(20)]
        for member in members:
            member.leave()


@attack(kept_mib=64)
def sessions_that_end_with_10000_subscriptions(crew):
    """Each end takes 10,000 subscriptions apart."""
    making = subscribe(1, *((f"e/{i}/+", 0) for i in range(FILTERS_A_CLIENT)))
    while True:
        yield
        member = crew.client()
        member.say(making)
        member.leave()


@attack(kept_mib=64)
def take_overs_that_end_with_a_clean_start(crew):
    """Many connections under one id at once, the last of which begins anew, with 10,000 subscriptions to be freed."""
    making = subscribe(1, *((f"o/{i}", 0) for i in range(FILTERS_A_CLIENT)))
    for strike in itertools.count():
        yield
        name = f"{crew.name()}-{strike}"
        first = crew.client(name=name, clean=False)
        first.say(making)
        members = [crew.stranger() for _ in range(30)]
        for number, member in enumerate(members, 1):
            member.say(connect(name, clean=number == len(members)))
            member.leave()
