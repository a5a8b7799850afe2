"""Says of a history what the cluster did that it must not do. It knows nothing of how the history came about.

Each rule is a function that yields faults, sentences with the times of those who look into the history. docs/NODES.md has the
promises; what a promise leaves open in which fault is in promises.py."""

from promises import LOST, MOVED, ORDER, TWICE, Excuses
from view import FOREVER, View, matches

# Other nodes have heard of a subscription after it was there so long while the cluster was calm.
KNOWN_S = 1.0
# While it is calm, any packet is answered by then.
ANSWER_S = 5.0
# A will leaves that much later than its time at the latest, while it is calm.
WILL_S = 1.5


class Verdict:
    def __init__(self, history):
        self.view = View(history)
        self.excuses = Excuses()
        self.faults = []
        for rule in RULES:
            self.faults += [f"{rule.__name__}: {words}" for words in rule(self.view, self.excuses)]


def effective_qos(message, subscription):
    return min(message.qos, subscription.qos)


def is_known(view, message, subscription):
    """Whether the node that the message was given to had to know of the subscription by then."""
    conn = subscription.conn
    if message.nodes == {subscription.node} and conn.was_open(subscription.at, message.taken):
        return True
    return view.calm_within(subscription.at, message.begin, KNOWN_S)


def is_owed(view, message, subscription):
    """Whether the session had the subscription all the while, and is still there to get the message."""
    if message.taken is None or not effective_qos(message, subscription) or not matches(subscription.filter, message.topic):
        return False
    if not (subscription.at < message.begin and message.taken < subscription.end) or not is_known(view, message, subscription):
        return False
    # What waits for a node that is out of reach is for those who are subscribed when it comes there.
    if subscription.is_given_up and not view.calm(message.begin, message.taken):
        return False
    if not subscription.conn.lasting:
        return subscription.conn.end is None and subscription.conn.left is None
    return view.last_clean(subscription.id) < subscription.at


def end_of_will(view, message):
    """When a will was due, while nothing was wrong: then it counts as a message that was acknowledged."""
    conn = message.conn
    if conn.came_in is None or conn.end is None or conn.how != "dropped" or conn.left is not None:
        return None
    due = conn.end + conn.delay + WILL_S
    back = any(one.id == conn.id and one is not conn and one.begin < due and (one.came_in or FOREVER) > conn.came_in
               for one in view.conns.values())
    return due if not back and view.calm(conn.came_in, due) else None


def owed_messages(view):
    for message in view.messages.values():
        if message.is_will:
            message.taken = end_of_will(view, message)
        if message.taken is not None and message.qos and not message.clear:
            yield message


def lost(view, excuses):
    """Every message that was acknowledged came to each session that it was for."""
    for message in owed_messages(view):
        came_to = {conn.id for _, conn in message.got}
        for one in view.subscriptions:
            if one.group is None and one.id not in came_to and is_owed(view, message, one) \
                    and not excuses.find(LOST, "lost", view, message, one.id, one.at, message.taken):
                yield (f"{message}, given at {view.when(message.begin)} and acknowledged at {view.when(message.taken)}, did not come to "
                       f"{one.id}, which had {one.text} from {view.when(one.at)} on ({story(view, one.id, message)})")


def story(view, name, message):
    """What else happened to the client since."""
    moves = [f"{conn.node} at {view.when(conn.came_in)}{'' if conn.present else ', fresh'}" for conn in view.conns.values()
             if conn.id == name and conn.came_in is not None and (conn.end or FOREVER) >= message.begin]
    return "it was on " + "; ".join(moves)


def lost_in_groups(view, excuses):
    """Every message that was acknowledged came to some member of each group that it was for."""
    for message in owed_messages(view):
        groups = {(one.group, one.filter) for one in view.subscriptions if one.group and is_owed(view, message, one)}
        for group, text in groups:
            members = {one.id for one in view.subscriptions if (one.group, one.filter) == (group, text)}
            since = min(one.at for one in view.subscriptions if (one.group, one.filter) == (group, text))
            if not members & {conn.id for _, conn in message.got} \
                    and not excuses.find(LOST, "lost", view, message, group, since, message.taken):
                yield f"{message}, given at {view.when(message.begin)}, came to none of the members of {group}: {', '.join(sorted(members))}"


def twice(view, excuses):
    """At QoS 2 once; at QoS 1 not again without a reason."""
    for message in view.messages.values():
        for name in {conn.id for _, conn in message.got}:
            got = [(event, conn) for event, conn in message.got if conn.id == name and not event["again"] and not event["retain"]]
            filters = {one.text for one in view.subscriptions if one.id == name and matches(one.filter, message.topic)}
            if len(got) <= max(1, len(filters)):
                continue
            first, last = got[0], got[-1]
            words = f"{message} came to {name} {len(got)} times, at {' and '.join(view.when(event['t']) for event, _ in got)}"
            if all(event["qos"] == 2 for event, _ in got):
                if not excuses.find(TWICE, "twice at QoS 2", view, message, name, min(message.begin, first[0]["t"]), last[0]["t"]):
                    yield f"{words} ({story(view, name, message)})"
            elif first[1] is last[1] and not any(event["dup"] for event, _ in got) and not message.was_repeated \
                    and view.calm(message.begin, last[0]["t"]) \
                    and not excuses.find((MOVED,), "twice at QoS 1", view, message, name, message.begin, last[0]["t"]):
                yield f"{words}, on one connection while it was calm"


def order(view, excuses):
    """Of one connection of a publisher, on one topic and at one QoS, as it sent them."""
    sequences = {}
    for event in view.events:
        message = view.messages.get(event.get("number")) if event["what"] == "got" else None
        if message and not event["retain"] and not message.is_will and not message.was_repeated:
            name = view.conns[event["conn"]].id
            sequence = sequences.setdefault((name, message.conn.number, message.topic, event["qos"]), [])
            if message not in [one for _, one in sequence]:
                sequence.append((event, message))
    shared = {(one.id, topic) for one in view.subscriptions if one.group for topic in {m.topic for m in view.messages.values()}
              if matches(one.filter, topic)}
    for (name, _, topic, _), sequence in sequences.items():
        for (_, earlier), (event, message) in zip(sequence, sequence[1:]):
            if message.number < earlier.number and (name, topic) not in shared:
                if not excuses.find(ORDER, "order", view, message, name, message.begin, event["t"]):
                    yield (f"{message}, given at {view.when(message.begin)}, came to {name} at {view.when(event['t'])}, behind message "
                           f"{earlier.number} ({story(view, name, message)})")


def not_asked_for(view, _):
    """Nobody gets what he did not ask for, or what nobody sent."""
    for event in view.events:
        if event["what"] == "got" and event["number"] is not None:
            name = view.conns[event["conn"]].id
            if event["number"] not in view.messages:
                yield f"{name} got message {event['number']} at {view.when(event['t'])}, which nobody sent"
                continue
            filters = [text.split("/", 2)[2] if text.startswith("$share/") else text for at, text in view.begun_filters.get(name, ())
                       if at <= event["t"]]
            if not any(matches(text, event["topic"]) for text in filters):
                yield f"{name} got {view.messages[event['number']]} at {view.when(event['t'])}, and never asked for such"


def wills(view, _):
    """None of who says good-bye, while all is well; the others' count as messages."""
    for message in view.messages.values():
        conn = message.conn
        if message.is_will and message.got and conn.left is not None and conn.how == "left" and conn.reason is None \
                and view.calm(conn.left, conn.left + 0.5):
            yield f"the will of {conn} came, which had said good-bye at {view.when(conn.left)}"


def sessions(view, _):
    """A session that lasts is there when its client comes back, unless something is out of reach; a clean start begins anew."""
    for conn in view.conns.values():
        if conn.clean and conn.present:
            yield f"{conn} began clean at {view.when(conn.begin)}, and CONNACK says that there is a session"
    for conn in view.fresh:
        if view.calm(conn.begin, conn.came_in):
            yield f"{conn} came at {view.when(conn.begin)}, while it was calm, and its session was not there"
    for conn, reason in view.refused:
        if view.calm(conn.begin, conn.begin):
            yield f"{conn} was refused at {view.when(conn.begin)} with {reason:#x}, while it was calm"


def one_holder(view, _):
    """After all is healed each id has one connection, the one that came last, and one session."""
    where = {}
    for event in view.events:
        if event["what"] == "held":
            for name in (*event["connected"], *event["offline"]):
                where.setdefault(name, []).append(event["node"])
    known = {conn.id for conn in view.conns.values()}
    for name, nodes in sorted(where.items()):
        if len(nodes) > 1 and name in known:
            yield f"{name} has sessions on {' and '.join(nodes)}"
    for name in sorted(known):
        live = [conn for conn in view.conns.values() if conn.id == name and conn.came_in is not None and conn.end is None]
        if len(live) > 1:
            yield f"{' and '.join(map(str, live))} are both there at the end"
        elif live and where and where.get(name) != [live[0].node]:
            yield f"{live[0]} is there at the end, and the nodes that say they have it are {where.get(name, 'none')}"


def stuck(view, _):
    """Each packet is answered, or the connection ends: at the end of the play at the latest, and soon while it is calm."""
    for conn in view.conns.values():
        if conn.came_in is None and conn.end is None:
            yield f"{conn} had no CONNACK since {view.when(conn.begin)}"
        elif conn.came_in is not None and conn.came_in > conn.begin + ANSWER_S and view.calm(conn.begin, conn.begin + ANSWER_S):
            yield f"{conn} waited from {view.when(conn.begin)} to {view.when(conn.came_in)} for CONNACK, while it was calm"
    for (number, kind, what), event in view.asked.items():
        conn = view.conns[number]
        if conn.end is None:
            yield f"{conn} sent {event['what']} {what} at {view.when(event['t'])} and had no answer"
    for message in view.messages.values():
        if message.taken and not message.is_will and not message.was_repeated and message.taken > message.begin + ANSWER_S \
                and view.calm(message.begin, message.begin + ANSWER_S):
            yield f"{message} was given at {view.when(message.begin)} and acknowledged at {view.when(message.taken)}, while it was calm"


def is_superseded(view, write, writes):
    """Whether another one is the later for sure: given when this one was everywhere, or to the same node."""
    for other in writes:
        if other is write or other.taken is None:
            continue
        after = write.taken is not None and other.begin > write.taken
        if after and (view.calm(write.begin, other.taken) or (len(write.nodes) == 1 and write.nodes == other.nodes)):
            return True
    return False


def retained(view, _):
    """All nodes have the same in the end, and none of it is older than what was acknowledged later."""
    kept = {event["node"]: event["topics"] for event in view.events if event["what"] == "kept"}
    if not kept:
        return
    writes = {}
    for message in view.messages.values():
        if message.retain:
            writes.setdefault(message.topic, []).append(message)
    for topic in sorted(set(writes) | {topic for topics in kept.values() for topic in topics}):
        values = {node: topics.get(topic) for node, topics in kept.items()}
        if len(set(values.values())) > 1:
            yield f"{topic} differs: {values}"
        candidates = [one for one in writes.get(topic, ()) if not is_superseded(view, one, writes[topic])]
        allowed = {None if one.clear else one.number for one in candidates}
        if all(one.taken is None for one in candidates):
            allowed.add(None)
        for node, value in values.items():
            if value not in allowed:
                yield f"{topic} is {value} on {node}, and should be one of {allowed}"
                break


def nodes_end_well(view, _):
    for event in view.events:
        if event["what"] == "stopped":
            yield f"node {event['node']}: {event['status']}\n" + "\n".join(f"        {line}" for line in event["words"])


RULES = (nodes_end_well, lost, lost_in_groups, twice, order, not_asked_for, wills, sessions, one_holder, stuck, retained)


def missing(history):
    """How many messages are owed and have not come: for a player that waits for the last ones."""
    view = View(history)
    return len(list(lost(view, Excuses()))) + len(list(lost_in_groups(view, Excuses())))
