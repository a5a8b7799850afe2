"""Clients of a play: many connections in one thread, none of which ever blocks, each noting what it sees in the history."""

import contextlib
import selectors
import socket
import time

from mqtt_wire import (CONNACK, DISCONNECT, DISCONNECT_BYTES, FOREVER, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SESSION_EXPIRY, SUBACK,
                       UNSUBACK, WILL_DELAY, Packet, Will, acknowledge, connect, publish, subscribe, unsubscribe)

PIECE_BYTES = 1 << 16


class Memory:
    """What a client keeps of its session: for as long as the server says that it has the session, too."""

    def __init__(self):
        self.outbox = {}  # packet identifier -> [message, whether PUBREC came]
        self.received = {}  # packet identifier at QoS 2 -> number: PUBREL has not come
        self.last = 0

    def packet_id(self):
        while True:
            self.last = self.last % 65535 + 1
            if self.last not in self.outbox:
                return self.last


def number_of(payload):
    return int(payload.split(b" ", 1)[0]) if payload else None


def payload_of(message):
    return b"" if message["clear"] else b"%d " % message["number"] + b"x" * message["size"]


class Conn:
    """One connection of an actor."""

    def __init__(self, engine, actor, node, clean, will):
        self.engine, self.actor, self.node, self.version = engine, actor, node, actor.version
        self.clean = clean
        self.number = engine.next_conn()
        self.memory = None  # once CONNACK has come
        self.data, self.out, self.held, self.waiting = bytearray(), bytearray(), [], {}
        self.reason = None
        self.is_leaving = False
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pairs = [(SESSION_EXPIRY, FOREVER)] if actor.version == 5 and actor.lasting else []
        told = will and Will(will["topic"], payload_of(will), will["qos"], pairs=[(WILL_DELAY, will["delay"])] if will["delay"] else ())
        # Before version 5 a session that begins clean ends with its connection.
        lasting = actor.lasting and not (clean and actor.version == 4)
        engine.note("connect", conn=self.number, id=actor.name, node=node, clean=clean, lasting=lasting,
                    will=will and will["number"], delay=will and will["delay"])
        self.socket.connect_ex(engine.address_of(node))
        self.registered = 0
        self.send(connect(actor.name, actor.version, clean=clean, keepalive=60, pairs=pairs, will=told))

    def note(self, what, **details):
        self.engine.note(what, conn=self.number, **details)

    def is_open(self):
        return self.socket is not None

    def is_in(self):
        return self.socket is not None and self.memory is not None and not self.is_leaving

    # Sending

    def send(self, data):
        if self.socket:
            self.out += data
            self.flush()

    def flush(self):
        try:
            while self.out:
                del self.out[:self.socket.send(self.out)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            # Still connecting, or broken: whoever reads is told.
            if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.over("closed")
                return
        self.watch()

    def watch(self):
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0)
        if not self.registered:
            self.engine.selector.register(self.socket, wanted, self)
        elif wanted != self.registered:
            self.engine.selector.modify(self.socket, wanted, self)
        self.registered = wanted

    def leave(self):
        self.note("leave")
        self.is_leaving = True
        self.send(DISCONNECT_BYTES)

    def drop(self):
        self.over("dropped")

    def over(self, how):
        if not self.socket:
            return
        if self.registered:
            self.engine.selector.unregister(self.socket)
        self.socket.close()
        self.socket = None
        self.note("end", how="left" if self.is_leaving else how, reason=self.reason)
        self.actor.ended(self, how)

    def subscribe(self, text, qos):
        number = self.memory.packet_id()
        self.waiting[SUBACK, number] = text
        self.note("subscribe", filter=text, qos=qos)
        self.send(subscribe(number, (text, qos), version=self.version))

    def unsubscribe(self, text):
        number = self.memory.packet_id()
        self.waiting[UNSUBACK, number] = text
        self.note("unsubscribe", filter=text)
        self.send(unsubscribe(number, text, version=self.version))

    def publish(self, message, again_as=None):
        """again_as: its packet identifier, where the server may have it already."""
        number = None
        if message["qos"]:
            number = again_as or self.memory.packet_id()
            self.memory.outbox.setdefault(number, [message, False])
        words = {key: message[key] for key in ("number", "topic", "qos", "retain", "clear")}
        self.note("publish", **words, **({"again": True} if again_as else {}))
        self.send(publish(message["topic"], payload_of(message), self.version, qos=message["qos"], retain=message["retain"],
                          dup=bool(again_as), packet_id=number))

    # Receiving

    def ready(self, mask):
        if mask & selectors.EVENT_WRITE:
            self.flush()
        if not self.socket or not mask & selectors.EVENT_READ:
            return
        try:
            data = self.socket.recv(PIECE_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.over("closed")
            return
        self.data += data
        while self.socket and (end := self._packet_end()):
            header, size = end
            raw = bytes(self.data[:header + size])
            del self.data[:header + size]
            self._take(Packet(raw[0], raw[header:], self.version))

    def _packet_end(self):
        size = shift = 0
        for index, digit in enumerate(self.data[1:5], 2):
            size |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                return (index, size) if len(self.data) >= index + size else None
        return None

    def _take(self, packet):
        if packet.kind == CONNACK:
            self.note("connack", present=packet.session_present, reason=packet.reason)
            if packet.reason == 0:
                self.actor.came_in(self, packet.session_present)
        elif packet.kind == PUBLISH:
            self._take_message(packet)
        elif packet.kind == PUBREL:
            self.memory.received.pop(packet.packet_id, None)
            self.send(acknowledge(PUBCOMP, packet.packet_id))
        elif packet.kind in (PUBACK, PUBREC, PUBCOMP):
            self._take_answer(packet)
        elif packet.kind in (SUBACK, UNSUBACK):
            text = self.waiting.pop((packet.kind, packet.packet_id))
            self.note("suback" if packet.kind == SUBACK else "unsuback", filter=text, code=(packet.codes or [0])[0] if packet.kind == SUBACK else 0)
        elif packet.kind == DISCONNECT:
            self.reason = packet.reason

    def _take_message(self, packet):
        number = number_of(packet.payload)
        again = packet.qos == 2 and self.memory.received.get(packet.packet_id, -1) == number
        if packet.qos == 2:
            self.memory.received[packet.packet_id] = number
        self.note("got", number=number, topic=packet.topic, qos=packet.qos, dup=packet.dup, retain=packet.retain, again=again)
        if packet.qos:
            answer = acknowledge(PUBACK if packet.qos == 1 else PUBREC, packet.packet_id)
            if self.actor.holding:
                self.held.append(answer)
            else:
                self.send(answer)

    def answer_held(self):
        held, self.held = self.held, []
        self.send(b"".join(held))

    def _take_answer(self, packet):
        entry = self.memory.outbox.get(packet.packet_id)
        if not entry:
            return
        if packet.kind == PUBREC and packet.reason < 0x80:
            entry[1] = True
            self.send(acknowledge(PUBREL, packet.packet_id))
            return
        del self.memory.outbox[packet.packet_id]
        self.note("taken", number=entry[0]["number"], reason=packet.reason)


class Actor:
    """One client id, whose sessions all last beyond their connections, or none does."""

    def __init__(self, engine, name, version, lasting):
        self.engine, self.name, self.version, self.lasting = engine, name, version, lasting
        self.conns = []  # open, in the order in which they began
        self.memory = Memory()
        self.holding = False
        self.wishes = {}  # filter -> QoS: what its user wants to be subscribed to
        self.back_at = None  # it has lost its connection, and comes back
        self.stays_away = True

    @property
    def conn(self):
        """The one that came in last and is there."""
        found = [conn for conn in self.conns if conn.is_in()]
        return found[-1] if found else None

    def connect(self, node, clean, will=None):
        self.stays_away, self.back_at = False, None
        self.conns.append(Conn(self.engine, self, node, clean or not self.lasting, will))

    def came_in(self, conn, present):
        """With a session that the server has, what was under way goes on; else its user subscribes again."""
        if not present:
            self.memory = Memory()
        conn.memory = self.memory
        self.conns.sort(key=lambda one: one is conn)
        if present:
            for number, (message, was_received) in list(self.memory.outbox.items()):
                if was_received:
                    conn.send(acknowledge(PUBREL, number))
                else:
                    conn.publish(message, again_as=number)
        elif not conn.clean or not self.lasting:
            for text, qos in self.wishes.items():
                conn.subscribe(text, qos)
        else:
            self.wishes = {}

    def ended(self, conn, how):
        """Who was not told to go, and has no newer connection, comes back by itself, as real clients do."""
        self.conns.remove(conn)
        if how == "closed" and not conn.is_leaving and not self.conns and conn.reason != 0x8E and not self.stays_away:
            self.back_at = time.monotonic() + self.engine.back_after_s
            self.back_from = conn.node

    def leave(self):
        self.stays_away, self.back_at = True, None
        for conn in list(self.conns):
            conn.leave() if conn.is_in() else conn.drop()

    def drop(self):
        self.stays_away, self.back_at = True, None
        for conn in list(self.conns):
            conn.drop()

    def hold(self, holding):
        self.holding = holding
        if not holding:
            for conn in self.conns:
                if conn.is_in():
                    conn.answer_held()


class Engine:
    """All connections. address_of(node): (host, port); is_up(node): whether it is worth trying."""

    def __init__(self, history, nodes, address_of, is_up, back_after_s=0.3):
        self.history, self.nodes, self.address_of, self.is_up, self.back_after_s = history, nodes, address_of, is_up, back_after_s
        self.note = history.note
        self.selector = selectors.DefaultSelector()
        self.actors, self.homes = {}, {}  # homes: actor -> the node that it stays with, where there is one
        self.conns = 0

    def actor(self, name, version, lasting):
        self.actors[name] = Actor(self, name, version, lasting)
        return self.actors[name]

    def next_conn(self):
        self.conns += 1
        return self.conns

    def run(self, seconds, until=lambda: False):
        """Serves the connections for so long, or until that is so."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not until():
            for key, mask in self.selector.select(min(left, 0.05)):
                if key.data.is_open():
                    key.data.ready(mask)
            self._bring_back()

    def _bring_back(self):
        now = time.monotonic()
        for actor in self.actors.values():
            if actor.back_at and actor.back_at <= now:
                at = self.nodes.index(actor.back_from) + 1
                nodes = [self.homes[actor.name]] if self.homes else self.nodes[at:] + self.nodes[:at]
                up = [node for node in nodes if self.is_up(node)]
                if up:
                    actor.connect(up[0], clean=False)
                else:
                    actor.back_at = now + self.back_after_s

    def close(self):
        """What happens to connections from here on is no part of the history."""
        self.note = lambda *_, **__: None
        for actor in self.actors.values():
            with contextlib.suppress(OSError):
                actor.drop()
        self.selector.close()
