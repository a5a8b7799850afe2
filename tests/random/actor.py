"""One client of a random play: does a step over a real connection and tells the model what it has seen."""

import os
import time

from model import Session, Violation
from mqtt_wire import (FOREVER, PINGREQ_BYTES, PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SESSION_EXPIRY, SUBACK,
                       TIMEOUT_S, UNSUBACK, Client, Closed, Will, acknowledge, publish, subscribe, unsubscribe)

# mosquitto keeps a will to itself when a session is taken over and resumed; the standard says otherwise, and Roost does.
WILL_ON_TAKE_OVER = not os.environ.get("ROOST_TEST_BROKER")
HELD_MAX = 8


class Actor:
    """One client id. Its session is in the model for as long as the server keeps it, or may keep it."""

    def __init__(self, name, broker, model, witness):
        self.name, self.broker, self.model, self.witness = name, broker, model, witness
        self.client = None
        self.lasting = False
        self.will = None
        self.holding = False  # does not acknowledge what comes
        self.outbox = []  # [message, packet identifier, stage]: exchanges of its own that were cut off
        self.others = {}
        self.pings = 0  # that were not answered yet
        self.released = set()  # identifiers whose PUBREL came
        self.answers = []  # that came and were not asked after yet
        self.resumed = False  # and not settled since

    @property
    def session(self):
        return self.model.sessions.get(self.name)

    def connected(self):
        return {name for name, actor in self.others.items() if actor.client} | {self.witness.name}

    def do(self, step, actors):
        self.others = actors
        getattr(self, "do_" + step["step"].replace(" ", "_"))(step)

    # Coming and going

    def do_connect(self, step):
        taken_over, old_will = self.client, self.will
        if taken_over and old_will and not WILL_ON_TAKE_OVER:
            return
        self._lose_connection_in_model()
        had = self.session is not None
        lasting = not step["clean"]
        pairs = [(SESSION_EXPIRY, FOREVER)] if step["version"] == 5 and lasting else []
        message = None
        if step["will"]:
            message = self.model.message(step["topic"], step["will_qos"], step["retain"], f"{self.name}'s will")
        will = message and Will(message.topic, message.payload, message.qos, message.retain)
        if taken_over and old_will:
            self.model.published(old_will, self.connected())
        self.client = Client(self.broker.address, self.name, step["version"], clean=step["clean"], pairs=pairs, will=will)
        if taken_over:
            taken_over.ends()
            taken_over.close()
        self.lasting, self.will, self.holding, self.resumed = lasting, message, False, True
        self.pings, self.answers = 0, []
        self.model.on_the_way = [m for m in self.model.on_the_way if m.publisher != self.name]
        present = self.client.connack.session_present
        if present != (had and not step["clean"]):
            raise Violation(f"{self.name}: session present is {present}, and there was {'a' if had else 'no'} session")
        if not present:
            self.model.sessions[self.name] = Session(self.name)
            self.outbox = []
        self._finish_outbox()
        self.witness.settle()

    def do_leave(self, _):
        if not self.client:
            return
        self.client.disconnect()
        self.will = None
        self._lose_connection_in_model()

    def do_drop(self, _):
        """The connection is lost; where there is a will, the witness waits for it."""
        if not self.client:
            return
        self.client.reset()
        self._dropped()

    def _dropped(self):
        will, self.will = self.will, None
        self._lose_connection_in_model()
        if will:
            self._published(will)

    def _lose_connection_in_model(self):
        if not self.client:
            return
        self.client = None
        if self.lasting:
            self.session.lost_connection()
        else:
            self.model.sessions.pop(self.name, None)
            self.outbox = []

    # Publishing

    def _published(self, message, owed=True):
        self.model.published(message, self.connected(), owed)
        if owed:
            self.witness.settle()

    def do_publish(self, step):
        if not self.client or self.outbox:
            return
        message = self.model.message(step["topic"], step["qos"], step["retain"], self.name)
        number = self.client.packet_id() if message.qos else None
        self.client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain, packet_id=number)
        # What comes back before the acknowledgement may be this message already.
        self.model.published(message, self.connected())
        if message.qos == 1:
            self._wait_for(PUBACK, number)
        elif message.qos == 2:
            self._wait_for(PUBREC, number)
            self.client.send(acknowledge(PUBREL, number))
            self._wait_for(PUBCOMP, number)
        self.witness.settle()

    def do_publish_several(self, step):
        """At once, to both topics of a group, at QoS 1 and 2: answered in that order, wherever the messages go."""
        if not self.client or self.outbox:
            return
        sent = []
        for i in range(4):
            message = self.model.message(f"{step['group']}/{i // 2}", 1 + (step["qos"] + i // 2) % 2, False, self.name)
            number = self.client.packet_id()
            self.client.publish(message.topic, message.payload, qos=message.qos, packet_id=number)
            self.model.published(message, self.connected())
            sent.append((PUBACK if message.qos == 1 else PUBREC, number))
        for kind, number in sent:
            got = self._next_answer()
            if (got.kind, got.packet_id) != (kind, number):
                raise Violation(f"{self.name} got {got!r} before the answer to the message {number} that it sent earlier")
        for kind, number in sent:
            if kind == PUBREC:
                self.client.send(acknowledge(PUBREL, number))
                self._wait_for(PUBCOMP, number)
        self.witness.settle()

    def _next_answer(self):
        while not self.answers:
            self._take(self.client.packet())
        return self.answers.pop(0)

    def do_publish_and_drop(self, step):
        """Stage 0: nothing was waited for; 1: the first answer came; 2: and PUBREL was sent."""
        if not self.client or self.outbox or self.will:
            return
        qos = max(1, step["qos"])
        stage = step["stage"] if qos == 2 else 0
        message = self.model.message(step["topic"], qos, False, self.name)
        number = self.client.packet_id()
        self.model.published(message, self.connected(), owed=False)
        self.model.on_the_way.append(message)
        self.client.publish(message.topic, message.payload, qos=qos, packet_id=number)
        if stage >= 1:
            self._wait_for(PUBREC, number)
        if stage == 2:
            self.client.send(acknowledge(PUBREL, number))
        self.client.close()
        lasting = self.lasting
        self._dropped()
        if lasting:
            self.outbox.append([message, number, stage])

    def _finish_outbox(self):
        """On a resumed session the exchanges that were cut off go on where they stood."""
        for message, number, stage in self.outbox:
            self.model.perhaps_published_again(message, self.connected())
            if stage == 0:
                self.client.send(publish(message.topic, message.payload, self.client.version, qos=message.qos, dup=True,
                                         packet_id=number))
                self._wait_for(PUBACK if message.qos == 1 else PUBREC, number)
            if message.qos == 2:
                self.client.send(acknowledge(PUBREL, number))
                self._wait_for(PUBCOMP, number)
            self.model.taken_over_for_sure(message)
            self.client.last_packet_id = max(self.client.last_packet_id, number)
        self.outbox = []

    # Subscribing

    def do_subscribe(self, step):
        """At most one filter of each group, since overlapping ones may bring one copy or several."""
        if not self.client:
            return
        text = step["filter"]
        for other in list(self.session.subscriptions):
            if other != text and other.split("/")[0] == step["group"]:
                self._unsubscribe(other)
        number = self.client.packet_id()
        self.client.send(subscribe(number, (text, step["qos"]), version=self.client.version))
        self.model.subscribed(self.session, text, step["qos"])
        got = self._wait_for(SUBACK, number)
        if got.codes != [step["qos"]]:
            raise Violation(f"{self.name}: SUBACK of {text} has {got.codes}, not {[step['qos']]}")

    def do_unsubscribe(self, step):
        if self.client and step["filter"] in self.session.subscriptions:
            self._unsubscribe(step["filter"])

    def _unsubscribe(self, text):
        number = self.client.packet_id()
        self.client.send(unsubscribe(number, text, version=self.client.version))
        self._wait_for(UNSUBACK, number)
        del self.session.subscriptions[text]
        self.session.unsubscribed(text)

    # Receiving

    def do_hold(self, _):
        self.holding = True

    def do_answer(self, _):
        """All that was held back."""
        self.holding = False
        if self.client:
            for debt in self._held():
                self._answer(debt)

    def _held(self):
        """What came on this connection and was not answered."""
        return [debt for debt in self.session.debts if debt.connection is self.client]

    def do_answer_and_drop(self, _):
        """The answers are sent, and the connection is closed behind them: they may have been heard or not."""
        if not self.client or self.will:
            return
        for debt in self._held():
            debt.perhaps_over = debt.qos == 1
            debt.released = debt.qos == 2
            self.client.send(acknowledge(PUBACK if debt.qos == 1 else PUBREC, debt.packet_id))
        self.client.close()
        self._dropped()

    def _answer(self, debt):
        if debt.qos == 1:
            self.client.send(acknowledge(PUBACK, debt.packet_id))
            self.session.paid(debt)
        elif debt.qos == 2 and not debt.released:
            debt.released = True
            self.client.send(acknowledge(PUBREC, debt.packet_id))
            self.released.discard(debt.packet_id)
            while debt.packet_id not in self.released:
                self._take(self.client.packet())

    def _take(self, packet):
        """Any packet that nobody waits for by name."""
        if packet.kind == PUBLISH:
            debt = self.session.received(packet)
            debt.connection = self.client
            if debt.qos == 0:
                self.session.paid(debt)
            elif not self.holding or len(self._held()) > HELD_MAX:
                self._answer(debt)
        elif packet.kind == PUBREL:
            self._take_release(packet)
        elif packet.kind == PINGRESP and self.pings:
            self.pings -= 1
        elif packet.kind in (PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK):
            self.answers.append(packet)
        else:
            raise Violation(f"{self.name} got {packet!r}, which it did not ask for")

    def _take_release(self, packet):
        found = [debt for debt in self.session.debts if debt.qos == 2 and debt.delivered
                 and debt.packet_id == packet.packet_id]
        if not found:
            raise Violation(f"{self.name} got {packet!r}: no such exchange is under way")
        self.client.send(acknowledge(PUBCOMP, packet.packet_id))
        self.session.paid(found[0])
        self.released.add(packet.packet_id)

    def _wait_for(self, kind, number):
        """The answer, while all else is taken as it comes. A PUBREL is an answer and ends its exchange."""
        while True:
            for packet in self.answers:
                if (packet.kind, packet.packet_id) == (kind, number):
                    self.answers.remove(packet)
                    return packet
            self._take(self.client.packet())

    def settle(self):
        """Reads until nothing more is on its way, and waits for what is owed."""
        if not self.client:
            return
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                self.client.send(PINGREQ_BYTES)
                self.pings += 1
                while self.pings:
                    self._take(self.client.packet())
            except Closed as error:
                raise Violation(f"{self.name}'s connection was ended by the broker") from error
            if self.resumed:
                self.session.settled_after_resumption()
                self.resumed = False
            if self.answers:
                raise Violation(f"{self.name} got {self.answers}, which it did not ask for")
            missing = self.session.owed()
            if not missing:
                return
            if time.monotonic() > deadline:
                raise Violation(f"{self.name} did not get {missing}")
            time.sleep(0.001)  # messages from another shard come by a way of their own

    def come_back_and_take_all(self):
        """The end of a play: the session is resumed, if there is one, and all that is owed has to come."""
        if not self.client and self.session:
            self.do_connect({"clean": False, "version": 5, "will": False})
        self.do_answer({})
        self.settle()


class Witness(Actor):
    """Is always there, wants everything at QoS 2, and answers at once."""

    def __init__(self, broker, model):
        super().__init__("witness", broker, model, self)
        self.client = Client(broker.address, self.name, 5)
        self.model.sessions[self.name] = Session(self.name)
        self.client.subscribe(("#", 2))
        self.session.subscriptions["#"] = 2
