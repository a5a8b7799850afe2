"""What a broker may do, as a plain model: which messages each session is owed, which it may get, and which it must not.

The model knows what clients have said and what they were answered. A message that was acknowledged is owed to every session
that had a matching subscription; one whose publisher vanished before its acknowledgement may have got through or not.
At QoS 0 nothing is owed to who was not there; at QoS 1 a message may come again, at QoS 2 it may not. What is sent again
has DUP and its identifier, and each publisher's messages keep their order, and so do the answers to them.
[MQTT-4.1.0-1, MQTT-4.3.1-1, MQTT-4.3.2-1, MQTT-4.3.3-1, MQTT-4.3.3-6, MQTT-4.4.0-1, MQTT-4.5.0-1, MQTT-4.6.0-2, -3, -5]
"""


class Violation(AssertionError):
    """The broker did what it may not do."""


def matches(text, topic):
    """Filters here are a name, "#", or "x/+"."""
    return text in ("#", topic) or (text.endswith("/+") and topic.startswith(text[:-1]) and "/" not in topic[len(text) - 1:])


class Message:
    def __init__(self, number, topic, qos, retain, publisher):
        self.number, self.topic, self.qos, self.retain, self.publisher = number, topic, qos, retain, publisher
        self.sessions = set()  # that were owed it, or perhaps

    @property
    def payload(self):
        return str(self.number).encode()

    def __repr__(self):
        return f"message {self.number} to {self.topic} at QoS {self.qos}{' retained' if self.retain else ''} from {self.publisher}"


class Debt:
    """One message that a session is owed, or may get."""

    def __init__(self, message, qos, retained, owed):
        self.message, self.qos, self.retained, self.owed = message, qos, retained, owed
        self.packet_id = None  # under which it was received
        self.connection = None  # on which it came last
        self.delivered = False  # to the application, at least once
        self.released = False  # QoS 2: PUBREC was sent, and maybe PUBREL came
        self.perhaps_sent = False  # on a connection that was lost before the model could see
        self.perhaps_over = False  # an acknowledgement was sent on a connection that was lost behind it
        self.unsubscribed = False  # before it came
        self.late = False  # the message was perhaps taken over before there was a subscription

    def __repr__(self):
        return f"{self.message}{' (kept)' if self.retained else ''}, owed {self.owed}, identifier {self.packet_id}"


class Session:
    """What a broker keeps of one client, as far as the client can know."""

    def __init__(self, name):
        self.name = name
        self.subscriptions = {}  # filter -> QoS
        self.debts = []  # in the order of publishing
        self.last = {}  # (publisher, topic, qos) -> number of the last message that came for the first time

    def qos_for(self, topic):
        granted = [qos for text, qos in self.subscriptions.items() if matches(text, topic)]
        return max(granted) if granted else None

    def owe(self, message, owed, connected, late=False):
        """A message was published. At QoS 0 only those who are there are owed it."""
        granted = self.qos_for(message.topic)
        if granted is None:
            return
        qos = min(granted, message.qos)
        debt = Debt(message, qos, False, owed and (qos > 0 or connected))
        debt.perhaps_sent = not connected
        debt.late = late
        self.debts.append(debt)
        message.sessions.add(self)

    def unsubscribed(self, text):
        """What was not sent yet need not come any more."""
        for debt in self.debts:
            if not debt.delivered and matches(text, debt.message.topic):
                debt.owed, debt.unsubscribed = False, True

    def taken_over_for_sure(self, message):
        """A message that had perhaps been lost was acknowledged in the end."""
        for debt in self.debts:
            if debt.message is message and debt.qos > 0 and not debt.unsubscribed and not debt.late:
                debt.owed = True
                return

    def settled_after_resumption(self):
        """All that was to be sent again has been: what was perhaps acknowledged before has been, where it did not come."""
        self.debts = [debt for debt in self.debts if not debt.perhaps_over]

    def lost_connection(self):
        for debt in list(self.debts):
            if debt.qos == 0:
                self.debts.remove(debt)  # it may be lost; that it may not come later is seen by its absence here
        for debt in self.debts:
            debt.perhaps_sent = True

    def find(self, packet):
        """The debt that a PUBLISH pays."""
        number = int(packet.payload)
        same = [debt for debt in self.debts if debt.message.number == number]
        again = [debt for debt in same if debt.packet_id is not None and debt.packet_id == packet.packet_id]
        fresh = [debt for debt in same if debt.packet_id is None and not debt.delivered]
        # One whose publisher vanished may have come to the broker before or behind a change of the subscription, each of
        # which left a debt of its own.
        fresh.sort(key=lambda debt: (debt.retained != packet.retain, debt.qos != packet.qos))
        if packet.dup and again:
            return again[0]
        if fresh:
            return fresh[0]
        raise Violation(f"{self.name} got {packet!r}, which it is not owed; it may get {same or self.debts}")

    def received(self, packet):
        """Checks a PUBLISH; returns its debt."""
        debt = self.find(packet)
        message = debt.message
        expected = (message.topic, debt.qos, int(debt.retained))
        got = (packet.topic, packet.qos, packet.retain)
        if got != expected:
            raise Violation(f"{self.name} got {packet!r}: (topic, QoS, retain) are {got}, not {expected}, of {message}")
        if packet.dup and not (debt.packet_id or debt.perhaps_sent):
            raise Violation(f"{self.name} got {packet!r} with DUP, though it was never sent before")
        if not packet.dup and debt.packet_id is not None:
            raise Violation(f"{self.name} got {packet!r} again without DUP")
        if not debt.delivered and not debt.retained:
            self._check_order(debt, packet)
        debt.delivered = True
        debt.packet_id = packet.packet_id
        debt.released = debt.perhaps_over = False
        return debt

    def _check_order(self, debt, packet):
        key = debt.message.publisher, debt.message.topic, debt.qos
        if debt.message.number < self.last.get(key, -1):
            raise Violation(f"{self.name} got {packet!r} behind message {self.last[key]} of the same publisher, topic and QoS")
        self.last[key] = debt.message.number

    def paid(self, debt):
        self.debts.remove(debt)

    def owed(self):
        """What has to come, and has not."""
        return [debt for debt in self.debts if debt.owed and not debt.delivered]


class Model:
    def __init__(self):
        self.sessions = {}  # name -> Session: those that exist, or may exist
        self.retained = {}  # topic -> Message
        self.on_the_way = []  # messages whose publisher vanished behind them: the broker may come to them any time
        self.numbers = 0

    def message(self, topic, qos, retain, publisher):
        self.numbers += 1
        return Message(self.numbers, topic, qos, retain, publisher)

    def published(self, message, connected, owed=True):
        """connected: names of those whose connection stands. owed: whether it was taken over for sure."""
        for session in self.sessions.values():
            session.owe(message, owed, session.name in connected)
        if message.retain:
            self.retained[message.topic] = message

    def perhaps_published_again(self, message, connected):
        """Sent again after a reconnect: new to those who have come since, and at QoS 1 perhaps to all."""
        for session in self.sessions.values():
            if message.qos == 1 or session not in message.sessions:
                session.owe(message, False, session.name in connected, late=True)

    def taken_over_for_sure(self, message):
        for session in self.sessions.values():
            session.taken_over_for_sure(message)

    def kept_for(self, text):
        return [message for topic, message in self.retained.items() if matches(text, topic)]

    def subscribed(self, session, text, qos):
        """What is kept for the filter is owed to it now."""
        session.subscriptions[text] = qos
        for message in self.on_the_way:
            if matches(text, message.topic):
                session.owe(message, False, True, late=True)
        for message in self.kept_for(text):
            session.debts.append(Debt(message, min(qos, message.qos), True, True))
