"""What Roost's nodes promise, and in which faults a promise is a lesser one: the rows of the table in docs/NODES.md, by their
names there. A row excuses what the checker would else call a fault, and the checker counts how often each did."""


class Row:
    """applies(view, message, name, begin, end): whether it is the case of this row that the message on its way to this client
    id had to do with between two times."""

    def __init__(self, name, sentence, applies):
        self.name, self.sentence, self.applies = name, sentence, applies


def _a_node_died(view, message, _name, _begin, end):
    begin = min(message.begin, end) - 1.0
    return view.died_within(begin, end) or view.started_within(view.starts, begin, end) is not None


def _fresh_elsewhere(view, message, name, begin, end):
    """The client, or the publisher, had a fresh session while its own was out of reach, and the two were merged since."""
    return view.fresh_within(name, begin, end) or view.fresh_within(message.conn.id, begin, end)


def _not_heard_yet(view, message, _name, begin, _end):
    """The node that it was given to had started since the subscription, and had not met all others, for they were out of reach."""
    started = view.started_within(message.nodes, begin, message.begin)
    return started is not None and view.is_troubled(message.begin) and not view.calm_within(started, message.begin, 0.5)


# Other nodes have heard where a session has gone by then, while all is well.
MOVE_S = 2.0


def _moved(view, message, name, begin, end):
    """Wills are published once, wherever who gets them goes: what comes of one by both ways counts as a message."""
    return bool(view.moves(name, min(message.begin, begin) - MOVE_S, end))


MOVED = Row("a session moves while messages for it come", "one that is published in the second after it may come by both ways, and so twice, or "
            "before one that was sent earlier", _moved)
UNHEARD = Row("a node starts while another one is out of reach", "it does not know what that one's clients want: what it acknowledges may not "
              "come there", _not_heard_yet)
KILLED = Row("a node is killed, or its program replaced", "what was between nodes is sent again: at QoS 2 it may come twice", _a_node_died)
MERGED = Row("a session is out of reach", "the client gets a fresh one, and when both are merged, what the old one had sent and had no "
             "answer to is sent again; messages of the two come in no order", _fresh_elsewhere)

# What may be lost though it was acknowledged, come twice at QoS 2, and come in another order.
LOST = (UNHEARD,)
TWICE = (KILLED, MERGED, MOVED)
ORDER = (MERGED, MOVED)


class Excuses:
    """Counts the rows that were needed."""

    def __init__(self):
        self.counts = {}

    def find(self, rows, kind, view, message, name, begin, end):
        for row in rows:
            if row.applies(view, message, name, begin, end):
                key = f"{kind}: {row.name}"
                self.counts[key] = self.counts.get(key, 0) + 1
                return row
        return None
