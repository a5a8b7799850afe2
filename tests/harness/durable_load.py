"""Clients that use all that a store keeps, and write down what they were promised and when; and the comparison of that with what
a store holds (`roost store dump --model`).

Whatever was acknowledged before a moment holds at that moment, unless something that was asked for since has undone it; what was
asked for and not acknowledged may hold or not. Each message has a topic of its own, for that is how the dump tells them apart;
retained messages of one topic differ in length."""

import collections
import contextlib
import json
import random
import re
import subprocess
import threading
import time

from mqtt_wire import (
    PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBACK, SUBSCRIPTION_IDENTIFIER, WILL_DELAY, Closed, Refused, Will, acknowledge, subscribe,
)
from server import ROOST

SESSIONS, PUBLISHERS, MEMBERS, TOPICS = 6, 4, 2, 12
PAYLOAD_BYTES = 3000
BACKLOG_BYTES = 1 << 20  # of messages that no receiver has taken; publishers wait then, or queues would grow without an end
RETAINED_STEP = 3
RETAINED_LEAST = 400  # so that the lengths of all packets are of two bytes
DELAY_S = 100000
KEPT_OPTIONS = 0x0F
NO_ROOM = 0x97
PROGRESS = re.compile(r"(reading|writing)[a-z ]*: \d+ %$")


@contextlib.contextmanager
def room_is_made():
    """A store without room lets no new session in: another attempt is due."""
    try:
        yield
    except Refused as refused:
        if refused.reason != NO_ROOM:
            raise
        time.sleep(0.02)


class Changes:
    """What something was set to, in order: (asked for at, acknowledged at or None, value)."""

    def __init__(self, first):
        self.steps = [[0, 0, first]]

    def ask(self, value):
        self.steps.append([time.monotonic_ns(), None, value])
        return self.steps[-1]

    def possible(self, when):
        """Values that it may have at that moment."""
        last = max(i for i, step in enumerate(self.steps) if step[1] is not None and step[1] < when)
        return [step[2] for step in self.steps[last:] if step[0] < when]


def acknowledged(step):
    step[1] = time.monotonic_ns()


class Message:
    def __init__(self, topic, publisher, number, size):
        self.topic, self.publisher, self.number, self.size = topic, publisher, number, size
        self.published, self.acknowledged = time.monotonic_ns(), None
        self.taken = self.gone = None  # an answer of its receiver was sent; the server has shown that it had it

    def must_be_there(self, when):
        return self.acknowledged is not None and self.acknowledged < when and (self.taken is None or self.taken >= when)

    def may_be_there(self, when):
        return self.published < when and (self.gone is None or self.gone >= when)


class Load:
    """start() with a server and end() when it has gone; as often as one likes."""

    def __init__(self, seed, payload_bytes=PAYLOAD_BYTES):
        self.seed, self.payload_bytes = seed, payload_bytes
        self.messages = {}  # topic -> Message
        self.received = collections.defaultdict(lambda: Changes(False))  # (publisher, packet identifier)
        self.subscriptions = collections.defaultdict(lambda: Changes(None))  # (session, filter)
        self.retained = collections.defaultdict(lambda: Changes(0))  # topic -> bytes of the payload
        self.sessions = collections.defaultdict(lambda: Changes(False))
        self.wills = collections.defaultdict(lambda: Changes(None))
        self.numbers = collections.Counter()
        self.threads, self.failures = [], []
        self.rounds = 0
        self.over = threading.Event()
        self.backlog, self.backlog_shrinks = 0, threading.Condition()

    # ---- running ----

    def prepare(self, server):
        for number in range(SESSIONS):
            self.subscribe_session(server, f"s{number}", f"m/s{number}/#")
        for number in range(MEMBERS):
            self.subscribe_session(server, f"g{number}", "$share/g/m/g/#")

    def subscribe_session(self, server, name, text):
        step = self.sessions[name].ask(True)
        with server.session(name, 5) as client:
            acknowledged(step)
            step = self.subscriptions[name, text].ask((2, 0))
            client.subscribe((text, 2))
            acknowledged(step)
            client.disconnect()

    def start(self, server):
        self.over.clear()
        self.rounds += 1
        # What the server had not been given when it ended waits no more.
        self.backlog = sum(message.size for message in self.messages.values()
                           if message.acknowledged is not None and message.taken is None)
        works = [(self.publish, number) for number in range(PUBLISHERS)]
        works += [(self.receive, 0), (self.keep, 0), (self.change, 0), (self.come_and_go, 0)]
        self.threads = [threading.Thread(target=self.work, args=(server, work, number), name=f"{work.__name__} {number}")
                        for work, number in works]
        for thread in self.threads:
            thread.start()

    def work(self, server, step, number):
        draw = random.Random(f"{self.seed} {self.rounds} {step.__name__} {number}")
        try:
            with contextlib.suppress(Closed, ConnectionRefusedError):
                while not self.over.is_set():
                    with room_is_made():
                        step(server, draw, number)
        except Exception as error:  # noqa: BLE001 whatever it is, the test has to know
            self.failures.append(error)

    def check(self):
        """That it goes on, with a server that is there: no client has failed, waits in vain or was cut off."""
        ended = [thread.name for thread in self.threads if not thread.is_alive()]
        assert not self.failures and not ended, f"{ended} ended: {self.failures}"

    def stop(self):
        self.over.set()
        with self.backlog_shrinks:
            self.backlog_shrinks.notify_all()

    def end(self):
        """The server has gone, or all is to come to an end."""
        self.stop()
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures

    # ---- what the clients do ----

    def publish(self, server, draw, number):
        """Messages at QoS 1 and 2 to sessions; a window of some at a time."""
        name = f"p{number}"
        step = self.sessions[name].ask(True)
        with server.session(name, 5) as client:
            acknowledged(step)
            self.finish_received(client, name)
            while not self.over.is_set():
                with self.backlog_shrinks:
                    self.backlog_shrinks.wait_for(lambda: self.backlog < BACKLOG_BYTES or self.over.is_set())
                self.publish_some(client, draw, name)

    def shrink_backlog(self, message):
        with self.backlog_shrinks:
            self.backlog -= message.size
            self.backlog_shrinks.notify_all()

    def finish_received(self, client, name):
        """What an earlier connection has left half-way."""
        for (publisher, packet_id), changes in list(self.received.items()):
            if publisher == name and changes.steps[-1][2] is not False or changes.steps[-1][1] is None and publisher == name:
                step = changes.ask(False)
                client.release(packet_id)
                acknowledged(step)

    def publish_some(self, client, draw, name):
        window = {}
        for _ in range(draw.randint(1, 5)):
            number = self.numbers[name] = self.numbers[name] + 1
            packet_id, qos = number % 60000 + 1, draw.choice((1, 2))
            to = draw.choice([f"s{i}" for i in range(SESSIONS)] + ["g"])
            topic, size = f"m/{to}/{name}/{qos}/{number}", draw.randint(1, self.payload_bytes)
            message = self.messages[topic] = Message(topic, name, number, size)
            with self.backlog_shrinks:
                self.backlog += size
            step = self.received[name, packet_id].ask(True) if qos == 2 else None
            window[packet_id] = message, step
            client.publish(topic, b"x" * size, qos=qos, packet_id=packet_id)
        while window:
            got = client.packet()
            if got.kind == PUBCOMP:
                acknowledged(window.pop(got.packet_id)[1])
                continue
            assert got.kind in (PUBACK, PUBREC) and (got.reason < 0x80 or got.reason == NO_ROOM), got
            message, step = window.pop(got.packet_id)
            if got.reason == NO_ROOM:
                message.gone = time.monotonic_ns()
                self.shrink_backlog(message)
                if step:
                    acknowledged(self.received[name, got.packet_id].ask(False))
                continue
            message.acknowledged = time.monotonic_ns()
            if got.kind == PUBREC:
                acknowledged(step)
                if draw.random() < 0.1 and not self.over.is_set():
                    continue  # released when it comes back
                window[got.packet_id] = message, self.received[name, got.packet_id].ask(False)
                client.send(acknowledge(PUBREL, got.packet_id))

    def receive(self, server, draw, _):
        """Sessions come, take some of what waits for them, and leave."""
        while not self.over.is_set():
            name = draw.choice([f"s{i}" for i in range(SESSIONS)] + [f"g{i}" for i in range(MEMBERS)])
            with server.session(name, 5) as client:
                taken = self.take_some(client, draw.randint(1, 40))
                if draw.random() < 0.5:
                    # What was acknowledged before this is safe before it is answered.
                    client.send(subscribe(1, (f"own/{name}", 1), version=5))
                    while (got := client.packet()).kind != SUBACK:
                        self.confirm(client, got, {})
                    for message in taken:
                        message.gone = message.gone or time.monotonic_ns()

    def take_some(self, client, count):
        """Those that were answered with PUBACK."""
        waiting, taken = {}, []
        while (count > 0 or waiting) and not self.over.is_set():
            try:
                got = client.packet(0.05)
            except TimeoutError:
                break
            self.confirm(client, got, waiting)
            if got.kind != PUBLISH or count == 0:
                continue
            count -= 1
            message = self.messages[got.topic]
            if message.taken is None:
                message.taken = time.monotonic_ns()
                self.shrink_backlog(message)
            client.send(acknowledge(PUBACK if got.qos == 1 else PUBREC, got.packet_id))
            if got.qos == 2:
                waiting[got.packet_id] = message
            else:
                taken.append(message)
        return taken

    @staticmethod
    def confirm(client, got, waiting):
        if got.kind != PUBREL:
            return
        if got.packet_id in waiting:
            waiting.pop(got.packet_id).gone = time.monotonic_ns()
        client.send(acknowledge(PUBCOMP, got.packet_id))

    def keep(self, server, draw, _):
        """Retained messages."""
        with server.client("keeper", 5) as client:
            while not self.over.is_set():
                topic = f"r/{draw.randrange(TOPICS):02}"
                number = self.numbers[topic] = self.numbers[topic] + 1
                size = RETAINED_LEAST + RETAINED_STEP * number if draw.random() < 0.9 else 0
                step = self.retained[topic].ask(size)
                reason = client.hand_over(topic, b"x" * size, retain=True)
                assert reason < 0x80 or reason == NO_ROOM
                if reason != NO_ROOM:
                    acknowledged(step)

    def change(self, server, draw, _):
        """Subscriptions with all their options and identifiers."""
        with server.session("changes", 5) as client:
            while not self.over.is_set():
                text = f"change/{draw.randrange(TOPICS)}"
                step = self.subscriptions["changes", text]
                if draw.random() < 0.3:
                    step = step.ask(None)
                    code = client.unsubscribe(text)[0]
                else:
                    options, identifier = draw.randrange(3) | draw.randrange(12) << 2, draw.randint(1, 200000)
                    # How retained messages are to be handled matters in that moment alone.
                    step = step.ask((options & KEPT_OPTIONS, identifier))
                    code = client.subscribe((text, options), pairs=[(SUBSCRIPTION_IDENTIFIER, identifier)])[0]
                if code != NO_ROOM:
                    acknowledged(step)

    def come_and_go(self, server, draw, _):
        """Sessions that are made and ended, and wills that wait."""
        while not self.over.is_set():
            name = f"e{draw.randrange(TOPICS)}"
            stays = draw.random() < 0.7
            number = self.numbers[name] = self.numbers[name] + 1
            will = f"will/{name}/{number}" if stays and draw.random() < 0.5 else None
            # One that ends with its connection is not in the store; a session before it is forgotten with the CONNACK.
            session, waits = self.sessions[name].ask(stays), self.wills[name].ask(will)
            told = Will(will, b"gone", qos=1, pairs=[(WILL_DELAY, DELAY_S)]) if will else None
            client = server.session(name, 5, will=told, expiry=DELAY_S) if stays else server.client(name, 5)
            acknowledged(session)
            acknowledged(waits)
            if will:
                client.reset()
            else:
                client.disconnect()

    # ---- what must be in a store ----

    def faults(self, held, when, retained_base):
        """What is not as it has to be if the power failed at this moment."""
        found = []
        for group in (self.message_faults, self.session_faults, self.subscription_faults, self.received_faults):
            found += group(held, when)
        for topic, changes in self.retained.items():
            there = held.retained.get(topic, None)
            size = there - retained_base if there is not None else 0
            if size not in changes.possible(when):
                found.append(f"retained {topic} is of {size} bytes, and not of {changes.possible(when)}")
        return found

    def message_faults(self, held, when):
        found = []
        waiting = collections.Counter(held.handed_on)
        for session, topics in held.queues.items():
            waiting.update(topics)
            found += [f"{session} has {topic}" for topic in topics if not self.belongs(session, topic)]
            found += self.order_faults(session, topics)
        for topic, message in list(self.messages.items()):
            if message.must_be_there(when) and not waiting[topic]:
                found.append(f"{topic} was acknowledged and is lost")
            # On its way from one member to another it may be told of both, at QoS 1.
            if waiting[topic] > (2 if topic.startswith("m/g/") and topic.split("/")[3] == "1" else 1):
                found.append(f"{topic} is there {waiting[topic]} times")
            if waiting[topic] and not message.may_be_there(when):
                found.append(f"{topic} is there and ought not to be")
        return found

    def belongs(self, session, topic):
        to = topic.split("/")[1]
        return topic in self.messages and (to == session or (to == "g" and session.startswith("g")))

    def order_faults(self, session, topics):
        last = collections.Counter()
        for topic in topics:
            _, to, publisher, qos, number = topic.split("/")
            if to != "g" and int(number) < last[publisher, qos]:
                return [f"{session} has {topic} behind number {last[publisher, qos]}"]
            last[publisher, qos] = int(number)
        return []

    def session_faults(self, held, when):
        found = []
        for name, changes in list(self.sessions.items()):
            if (name in held.sessions) not in changes.possible(when):
                found.append(f"session {name}: {name in held.sessions}, and not {changes.possible(when)}")
        for name, changes in list(self.wills.items()):
            there = held.sessions[name].get("will", {}).get("topic") if name in held.sessions else None
            if there not in changes.possible(when):
                found.append(f"will of {name}: {there}, and not {changes.possible(when)}")
        return found

    def subscription_faults(self, held, when):
        found = []
        for (name, text), changes in list(self.subscriptions.items()):
            there = held.subscriptions.get(name, {}).get(text)
            if there not in changes.possible(when):
                found.append(f"{name}'s {text}: {there}, and not {changes.possible(when)}")
        return found

    def received_faults(self, held, when):
        found = []
        for (name, packet_id), changes in list(self.received.items()):
            there = packet_id in held.sessions.get(name, {}).get("received", ())
            if there not in changes.possible(when):
                found.append(f"{name}'s identifier {packet_id} is received: {there}, and not {changes.possible(when)}")
        return found


def said_by(stderr):
    """But for how far it is, which is said on a machine that is slow at it."""
    return [line for line in stderr.splitlines() if not PROGRESS.match(line)]


class Held:
    """What a store holds, as the dump tells it."""

    def __init__(self, directory):
        ended = subprocess.run([ROOST, "store", "dump", "--model", str(directory)], capture_output=True, text=True, check=False)
        self.status, self.said = ended.returncode, "\n".join(said_by(ended.stderr))
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        self.sessions = {line["session"]: line for line in lines if "session" in line}
        self.retained = {line["retained"]: line["bytes"] for line in lines if "retained" in line}
        self.handed_on = [line["topic"] for line in lines if "handed_on" in line]
        self.queues = {name: [entry["topic"] for entry in line["queue"] if "topic" in entry]
                       for name, line in self.sessions.items()}
        self.subscriptions = {name: {one["filter"]: (one["options"], one["identifier"]) for one in line["subscriptions"]}
                              for name, line in self.sessions.items()}
