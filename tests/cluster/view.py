"""A history put in order: connections, subscriptions, messages and what came of them, and when the cluster was calm."""

import bisect

# So long after the last fault was mended, and as long as all nodes say that they agree, the cluster counts as calm.
CALM_AFTER_S = 2.0
FOREVER = float("inf")


def matches(text, topic):
    """Filters of a play are a topic, a level and `/+`, or `#`."""
    return text in ("#", topic) or (text.endswith("/+") and topic.startswith(text[:-1]) and "/" not in topic[len(text) - 1:])


class Conn:
    def __init__(self, event):
        self.number, self.id, self.node, self.begin = event["conn"], event["id"], event["node"], event["t"]
        self.clean, self.lasting, self.will, self.delay = event["clean"], event["lasting"], event["will"], event["delay"] or 0
        self.came_in = self.left = self.end = None
        self.present, self.how, self.reason = False, None, None

    def was_open(self, begin, end):
        """In, the whole time."""
        return self.came_in is not None and self.came_in <= begin and (self.end is None or self.end >= end) and self.left is None

    def __repr__(self):
        return f"connection {self.number} of {self.id} to {self.node}"


class Subscription:
    def __init__(self, conn, text, qos, at):
        self.conn, self.id, self.node, self.text, self.qos, self.at, self.end = conn, conn.id, conn.node, text, qos, at, FOREVER
        self.is_given_up = False  # by UNSUBSCRIBE
        shared = text.split("/", 2) if text.startswith("$share/") else None
        self.group, self.filter = (shared[1], shared[2]) if shared else (None, text)


class Message:
    """taken: when its publisher had the last word of the exchange, None where it never had. nodes: that it was given to."""

    def __init__(self, event, conn):
        self.number, self.topic, self.qos, self.retain, self.clear = (event[key] for key in ("number", "topic", "qos", "retain", "clear"))
        self.conn, self.begin, self.nodes, self.taken, self.is_will, self.was_repeated = conn, event["t"], {conn.node}, None, False, False
        self.got = []  # (event, conn)

    def __repr__(self):
        return f"message {self.number} ({self.topic}, QoS {self.qos}{', a will' if self.is_will else ''}, of {self.conn})"


class View:
    def __init__(self, history):
        self.events = sorted(history.events, key=lambda event: event["t"])
        self.begin = self.events[0]["t"] if self.events else 0.0
        self.conns, self.subscriptions, self.messages, self.fresh, self.begun_filters = {}, [], {}, [], {}
        self.asked, self.unanswered, self.refused = {}, [], []
        self.deaths = [event["t"] for event in self.events if event["what"] == "died"]
        self.calm_spells, self.troubles, self.starts = list(self._spells()), list(self._troubles()), {}
        self.calm_begins = [begin for begin, _ in self.calm_spells]
        for event in self.events:
            read = getattr(self, "_read_" + event["what"], None)
            if read:
                read(event)

    # Calm

    def _spells(self):
        """(begin, end) of each."""
        faults, settled, since, began = 0, False, 0.0, None
        for event in [*self.events, {"what": "the end", "t": FOREVER}]:
            now, what = event["t"], event["what"]
            if began is None and settled and not faults and since + CALM_AFTER_S <= now:
                began = since + CALM_AFTER_S
            if what == "fault":
                faults += 1
            elif what == "mended":
                faults, since = faults - 1, now
            elif what == "settled":
                settled, since = event["yes"], max(now, since)
            if began is not None and (faults or not settled or what == "the end"):
                yield began, now
                began = None

    def calm(self, begin, end):
        """All the while."""
        at = bisect.bisect_right(self.calm_begins, begin) - 1
        return at >= 0 and end <= self.calm_spells[at][1]

    def calm_within(self, begin, end, seconds):
        """Some time of it."""
        return any(min(end, last) - max(begin, first) >= seconds for first, last in self.calm_spells)

    def _troubles(self):
        """(time, how many faults are open from then on)"""
        count = 0
        for event in self.events:
            if event["what"] in ("fault", "mended"):
                count += 1 if event["what"] == "fault" else -1
                yield event["t"], count

    def is_troubled(self, at):
        """Whether a fault was open."""
        before = [count for t, count in self.troubles if t <= at]
        return bool(before) and before[-1] > 0

    def started_within(self, nodes, begin, end):
        """When one of the nodes was last started, or had its program replaced, meanwhile."""
        return max((t for node in nodes for t in self.starts.get(node, ()) if begin <= t <= end), default=None)

    def died_within(self, begin, end):
        return any(begin <= at <= end for at in self.deaths)

    # Events

    def _read_connect(self, event):
        conn = self.conns[event["conn"]] = Conn(event)
        if conn.clean:
            self._end_subscriptions(conn.id, event["t"])
        if conn.will is not None:
            will = {"number": conn.will, "topic": event.get("will_topic", "wills/" + conn.id), "qos": 2, "retain": False, "clear": False,
                    "t": FOREVER}
            self.messages[conn.will] = Message(will, conn)
            self.messages[conn.will].is_will = True

    def _read_connack(self, event):
        conn = self.conns[event["conn"]]
        if event["reason"]:
            self.refused.append((conn, event["reason"]))
            return
        earlier = [one for one in self.conns.values() if one.id == conn.id and one is not conn and one.came_in is not None
                   and one.came_in < conn.begin]
        conn.came_in, conn.present = event["t"], bool(event["present"])
        if earlier and max(earlier, key=lambda one: one.came_in).lasting and not conn.present and not conn.clean:
            self.fresh.append(conn)
            self._end_subscriptions(conn.id, conn.begin)

    def _end_subscriptions(self, name, at, text=None, is_given_up=False):
        for one in self.subscriptions:
            if one.id == name and one.end == FOREVER and text in (None, one.text):
                one.end, one.is_given_up = at, is_given_up

    def _read_mended(self, event):
        if event["fault"] in ("kill", "stop", "upgrade"):
            self.starts.setdefault(event["node"], []).append(event["t"])

    def _read_leave(self, event):
        self.conns[event["conn"]].left = event["t"]

    def _read_end(self, event):
        conn = self.conns[event["conn"]]
        conn.end, conn.how, conn.reason = event["t"], event["how"], event["reason"]
        if conn.will is not None and conn.came_in is not None and conn.how != "left":
            will = self.messages[conn.will]
            will.begin = event["t"]

    def _read_subscribe(self, event):
        conn = self.conns[event["conn"]]
        self.asked[conn.number, "suback", event["filter"]] = event
        self.begun_filters.setdefault(conn.id, []).append((event["t"], event["filter"]))
        self._end_subscriptions(conn.id, event["t"], event["filter"])

    def _read_suback(self, event):
        conn = self.conns[event["conn"]]
        asked = self.asked.pop((conn.number, "suback", event["filter"]), {"qos": event["code"]})
        # One that is to go already, or that another SUBACK has told of.
        over = (conn.number, "unsuback", event["filter"]) in self.asked or any(
            one.end == FOREVER and (one.id, one.text, one.qos) == (conn.id, event["filter"], event["code"]) for one in self.subscriptions)
        if event["code"] < 0x80 and not over:
            self.subscriptions.append(Subscription(conn, event["filter"], min(event["code"], asked["qos"]), event["t"]))

    def _read_unsubscribe(self, event):
        conn = self.conns[event["conn"]]
        self.asked[conn.number, "unsuback", event["filter"]] = event
        self._end_subscriptions(conn.id, event["t"], event["filter"], is_given_up=True)

    def _read_unsuback(self, event):
        self.asked.pop((event["conn"], "unsuback", event["filter"]), None)

    def _read_publish(self, event):
        conn = self.conns[event["conn"]]
        message = self.messages.get(event["number"])
        if not message:
            message = self.messages[event["number"]] = Message(event, conn)
        else:
            message.nodes.add(conn.node)
            message.was_repeated = True
        if message.qos:
            self.asked[conn.number, "taken", message.number] = event

    def _read_taken(self, event):
        self.asked.pop((event["conn"], "taken", event["number"]), None)
        message = self.messages[event["number"]]
        if event["reason"] < 0x80 and message.taken is None:
            message.taken = event["t"]

    def _read_got(self, event):
        if event["number"] is not None and event["number"] in self.messages:
            self.messages[event["number"]].got.append((event, self.conns[event["conn"]]))

    # Questions

    def last_clean(self, name):
        return max((conn.begin for conn in self.conns.values() if conn.id == name and conn.clean), default=-1.0)

    def moves(self, name, begin, end):
        """Connections of the id to another node than the one before that came in meanwhile."""
        found, node = [], None
        for conn in sorted((one for one in self.conns.values() if one.id == name and one.came_in is not None), key=lambda one: one.came_in):
            if node not in (None, conn.node) and begin <= conn.came_in and conn.begin <= end:
                found.append(conn)
            node = conn.node
        return found

    def fresh_within(self, name, begin, end):
        return any(conn.id == name and begin <= conn.came_in and conn.begin <= end for conn in self.fresh)

    def when(self, t):
        return "never" if t in (None, FOREVER) else f"{t - self.begin:.3f} s"
