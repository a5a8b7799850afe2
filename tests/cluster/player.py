"""A play: steps made from a seed alone, taken by clients and the world one after the other, and what is looked at when all of
it is mended. A step that makes no sense where it stands does nothing, so that any part of a play is a play."""

import random

from checker import missing
from client import Engine, number_of
from history import History
from mqtt_wire import PUBLISH
from world import World

NODES = ("a", "b", "c")
GROUPS = ("t", "u", "v")
TOPICS = [f"{group}/{leaf}" for group in GROUPS for leaf in "01"]
SHARED = ("s/0", "s/1")
SHARED_FILTER = "$share/g/s/+"
KEPT = ("k/0", "k/1", "k/2")
# name, version, whether its sessions last
ACTORS = (("ann", 5, True), ("bob", 4, True), ("cyd", 5, True), ("dan", 4, True), ("eve", 5, False), ("fay", 4, False))
# Who gets wills.
WITNESSES = ("ann", "dan")
LARGE_BYTES = 40000

# step -> how often
STEPS = {"connect": 12, "connect twice": 3, "leave": 3, "drop": 5, "publish": 26, "publish shared": 7, "keep": 6, "clear": 2,
         "subscribe": 12, "share": 3, "unsubscribe": 2, "hold": 3, "answer": 3, "fault": 7, "mend": 6}
FAULTS = {"cut": 8, "kill": 4, "pause": 3, "nats_kill": 2, "nats_pause": 2, "stop": 2, "upgrade": 2, "clock": 3}
HOWS = ("cut", "held", "one way", "slow")
FAULTS_AT_ONCE = 2

START_S, SETTLE_S, CALM_S, DRAIN_S, QUIET_S = 1.0, 25.0, 2.5, 12.0, 0.8
KEPT_S = 8.0


def make_step(choice):
    name = choice.choices(list(STEPS), list(STEPS.values()))[0]
    actor, one, other = choice.choice(ACTORS)[0], *choice.sample(NODES, 2)
    group = choice.choice(GROUPS)
    return {
        "step": name, "who": actor, "node": one, "other": other, "clean": choice.random() < 0.08, "will": choice.random() < 0.3,
        "delay": choice.choice((0, 0, 1)), "topic": choice.choice(TOPICS), "shared": choice.choice(SHARED), "kept": choice.choice(KEPT),
        "qos": choice.choice((0, 1, 1, 2, 2)), "sub_qos": choice.choice((1, 2, 2)), "count": choice.choice((1, 1, 3, 10, 40)),
        "large": choice.random() < 0.05, "group": group, "filter": choice.choice((f"{group}/0", f"{group}/1", f"{group}/+", f"{group}/+")),
        "after": choice.choice((0.0, 0.02, 0.1, 0.25, 0.6)), "fault": choice.choices(list(FAULTS), list(FAULTS.values()))[0],
        "how": choice.choice(HOWS), "alone": choice.random() < 0.5, "seconds": choice.choice((-600, -90, -5, 5, 90, 600)),
    }


def make_play(seed, count):
    """Who is there, and has subscribed, before it begins; then so many steps of any kind."""
    choice = random.Random(seed)
    play = []
    for name, _, lasting in ACTORS:
        play += [{**make_step(choice), "step": "connect", "who": name, "clean": False, "after": 0.1},
                 {**make_step(choice), "step": "subscribe", "who": name, "after": 0.0},
                 {**make_step(choice), "step": "subscribe", "who": name, "after": 0.0}]
        if name in WITNESSES:
            play.append({**make_step(choice), "step": "subscribe", "who": name, "group": "wills", "filter": "wills/+", "sub_qos": 2, "after": 0.0})
        if lasting and choice.random() < 0.7:
            play.append({**make_step(choice), "step": "share", "who": name, "after": 0.0})
    play.append({"step": "wait", "after": 2.5})
    return play + [make_step(choice) for _ in range(count)]


def describe(step):
    details = {"connect": ("node", "clean", "will", "delay"), "connect twice": ("node", "other"), "publish": ("topic", "qos", "count", "large"),
               "publish shared": ("shared", "qos", "count"), "keep": ("kept", "qos"), "clear": ("kept",), "subscribe": ("filter", "sub_qos"),
               "share": ("sub_qos",), "unsubscribe": ("group",), "fault": ("fault", "node", "other", "how", "alone", "seconds")}
    words = ", ".join(f"{name} {step[name]}" for name in details.get(step["step"], ()) if step.get(name) not in (False, None))
    return f"{step.get('who', '')}: {step['step']}{f' ({words})' if words else ''}, {step['after']:.2f} s"


class Player:
    """stay: each client comes to one node only, so that no session moves."""

    def __init__(self, options=(), clocks=False, stay=False):
        self.history = History()
        self.homes = {name: NODES[number % len(NODES)] for number, (name, _, _) in enumerate(ACTORS)} if stay else {}
        self.world = World(NODES, self.history, options, clocks)
        self.engine = Engine(self.history, list(NODES), lambda name: self.world.nodes[name].address, self.world.is_up)
        self.engine.homes = self.homes
        self.actors = {name: self.engine.actor(name, version, lasting) for name, version, lasting in ACTORS}
        self.numbers, self.faults = 0, []

    def play(self, steps):
        self.world.start()
        self.world.wait_settled(self.engine, SETTLE_S)
        for step in steps:
            getattr(self, "do_" + step["step"].replace(" ", "_"))(step)
            self.engine.run(step["after"])
        self.finish()

    def message(self, topic, qos, retain=False, clear=False, size=0):
        self.numbers += 1
        return {"number": self.numbers, "topic": topic, "qos": qos, "retain": retain, "clear": clear, "size": size}

    # Steps of clients

    def do_wait(self, _):
        pass

    def do_connect(self, step):
        actor = self.actors[step["who"]]
        node = self.homes.get(actor.name, step["node"])
        will = None
        if step["will"]:
            will = {**self.message("wills/" + actor.name, 2), "delay": step["delay"] if actor.version == 5 else 0}
        actor.connect(node, step["clean"], will)

    def do_connect_twice(self, step):
        """At once, to two nodes."""
        for node in (step["node"], step["other"]) if not self.homes else ():
            self.do_connect({**step, "node": node, "will": False, "clean": False})

    def do_leave(self, step):
        self.actors[step["who"]].leave()

    def do_drop(self, step):
        self.actors[step["who"]].drop()

    def do_hold(self, step):
        self.actors[step["who"]].hold(True)

    def do_answer(self, step):
        self.actors[step["who"]].hold(False)

    def _publish(self, step, topic, count=1, **named):
        conn = self.actors[step["who"]].conn
        for _ in range(count):
            if conn and conn.is_in():
                conn.publish(self.message(topic, step["qos"], **named))

    def do_publish(self, step):
        self._publish(step, step["topic"], step["count"], size=LARGE_BYTES if step["large"] else 0)

    def do_publish_shared(self, step):
        self._publish({**step, "qos": max(1, step["qos"])}, step["shared"], step["count"])

    def do_keep(self, step):
        self._publish(step, step["kept"], retain=True)

    def do_clear(self, step):
        self._publish(step, step["kept"], retain=True, clear=True)

    def do_subscribe(self, step):
        """At most one filter of each group: overlapping ones may bring one copy or several."""
        actor, conn = self.actors[step["who"]], self.actors[step["who"]].conn
        if not conn:
            return
        for text in [text for text in actor.wishes if text.split("/")[0] == step["group"] and text != step["filter"]]:
            del actor.wishes[text]
            conn.unsubscribe(text)
        actor.wishes[step["filter"]] = step["sub_qos"]
        conn.subscribe(step["filter"], step["sub_qos"])

    def do_share(self, step):
        actor = self.actors[step["who"]]
        if actor.conn and actor.lasting:
            actor.wishes[SHARED_FILTER] = step["sub_qos"]
            actor.conn.subscribe(SHARED_FILTER, step["sub_qos"])

    def do_unsubscribe(self, step):
        actor = self.actors[step["who"]]
        for text in [text for text in actor.wishes if text.split("/")[0] == step["group"]]:
            if actor.conn:
                del actor.wishes[text]
                actor.conn.unsubscribe(text)

    # Steps of the world

    def do_fault(self, step):
        """No two at one node, and no more than so many at once."""
        fault = {"fault": step["fault"], "node": step["node"], "how": step["how"], "seconds": step["seconds"],
                 "other": None if step["alone"] else step["other"]}
        if len(self.faults) >= FAULTS_AT_ONCE or any(one["node"] == fault["node"] for one in self.faults):
            return
        self.world.begin(fault)
        if fault["fault"] in ("upgrade", "clock"):
            self.world.mend(fault)
        else:
            self.faults.append(fault)

    def do_mend(self, _):
        if self.faults:
            self.world.mend(self.faults.pop(0))

    # The end

    def finish(self):
        """All is mended; then every client comes back and takes all that is there for it, and is left alone."""
        while self.faults:
            self.do_mend(None)
        self.engine.run(0.1)
        self.world.all_done()
        self.history.note("over")
        self.world.wait_settled(self.engine, SETTLE_S)
        self.engine.run(CALM_S)
        for number, actor in enumerate(self.actors.values()):
            actor.hold(False)
            if not actor.conn:
                actor.connect(self.homes.get(actor.name, NODES[number % len(NODES)]), clean=False)
        self._drain()
        self.note_kept()
        self.world.note_held()
        self.world.stop()

    def _drain(self):
        tried = 0.0
        while tried < DRAIN_S:
            before = self.history.count("got", "taken")
            self.engine.run(QUIET_S)
            tried += QUIET_S
            if self.history.count("got", "taken") == before and not missing(self.history):
                return

    def note_kept(self):
        """What a new subscriber gets on each node, when it is the same on all, or when it had time to be."""
        tried = 0.0
        while True:
            found = {name: self._kept_on(name) for name in NODES}
            if len({tuple(sorted(topics.items())) for topics in found.values()}) == 1 or tried > KEPT_S:
                break
            self.engine.run(QUIET_S)
            tried += QUIET_S
        for name, topics in found.items():
            self.history.note("kept", node=name, topics=topics)

    def _kept_on(self, name):
        found = {}
        with self.world.nodes[name].server.client(f"looks-{name}", 5) as client:
            client.subscribe(("k/#", 0))
            quiet = False
            while not quiet:
                try:
                    got = client.packet(timeout=0.3)
                except TimeoutError:
                    quiet = True
                    continue
                if got.kind == PUBLISH and got.retain:
                    found[got.topic] = number_of(got.payload)
            client.disconnect()
        return found

    def close(self):
        self.engine.close()
        self.world.close()
