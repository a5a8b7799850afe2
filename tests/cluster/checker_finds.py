"""The checker over histories that were made up: each breaks one rule, and it says so; or breaks none where it looks like it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from checker import Verdict  # noqa: E402
from history import History  # noqa: E402


class Story:
    """Events at times that go on by themselves. It begins calm, long enough for all to be known."""

    def __init__(self):
        self.events, self.t, self.conns, self.numbers = [], 0.0, 0, 0
        self.note("settled", yes=True)
        self.wait(10)

    def note(self, what, **details):
        self.t += 0.001
        self.events.append({"t": self.t, "what": what, **details})

    def wait(self, seconds):
        self.t += seconds

    def connect(self, name, node, present=0, clean=False, lasting=True, will=None, delay=0, answer=True):
        self.conns += 1
        self.note("connect", conn=self.conns, id=name, node=node, clean=clean, lasting=lasting, will=will, delay=delay)
        if answer:
            self.note("connack", conn=self.conns, present=present, reason=0)
        return self.conns

    def end(self, conn, how="dropped", reason=None):
        if how == "left":
            self.note("leave", conn=conn)
        self.note("end", conn=conn, how=how, reason=reason)

    def subscribe(self, conn, text, qos=2):
        self.note("subscribe", conn=conn, filter=text, qos=qos)
        self.note("suback", conn=conn, filter=text, code=qos)

    def publish(self, conn, topic="t/0", qos=2, retain=False, clear=False, answer=True):
        self.numbers += 1
        self.note("publish", conn=conn, number=self.numbers, topic=topic, qos=qos, retain=retain, clear=clear)
        if answer:
            self.note("taken", conn=conn, number=self.numbers, reason=0)
        return self.numbers

    def got(self, conn, number, topic="t/0", qos=2, dup=0, retain=0, again=False):
        self.note("got", conn=conn, number=number, topic=topic, qos=qos, dup=dup, retain=retain, again=again)

    def split(self, node="a"):
        self.note("fault", fault="cut", node=node)
        self.note("settled", yes=False)

    def heal(self):
        self.note("mended", fault="cut", node="a")
        self.note("settled", yes=True)
        self.wait(10)

    def killed(self, node="a"):
        self.note("fault", fault="kill", node=node)
        self.note("died", node=node)
        self.note("settled", yes=False)

    def kept(self, **topics_of):
        for node, topics in topics_of.items():
            self.note("kept", node=node, topics=topics)

    def broken(self):
        """The names of the rules."""
        return sorted({words.split(":", 1)[0] for words in Verdict(History(self.events)).faults})

    def excused(self):
        return sorted(Verdict(History(self.events)).excuses.counts)


@pytest.fixture
def story():
    return Story()


@pytest.fixture
def pair(story):
    """(story, connection of a subscriber on a, connection of a publisher on b), known everywhere."""
    subscriber, publisher = story.connect("sub", "a"), story.connect("pub", "b")
    story.subscribe(subscriber, "t/+")
    story.wait(3)
    return story, subscriber, publisher


def test_a_history_without_faults_has_none(pair):
    story, subscriber, publisher = pair
    for qos in (0, 1, 2):
        story.got(subscriber, story.publish(publisher, qos=qos), qos=qos)
    assert story.broken() == []


# What is lost

@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_acknowledged_and_did_not_come_is_lost(pair, qos):
    story, _, publisher = pair
    story.publish(publisher, qos=qos)
    assert story.broken() == ["lost"]


def test_what_was_not_acknowledged_is_not_owed(pair):
    story, _, publisher = pair
    story.publish(publisher, answer=False)
    story.end(publisher)
    assert story.broken() == []


def test_at_qos_0_nothing_is_owed(pair):
    story, _, publisher = pair
    story.publish(publisher, qos=0)
    assert story.broken() == []


def test_another_node_needs_time_to_know_and_the_same_one_does_not(story):
    far, near, publisher = story.connect("far", "a"), story.connect("near", "b"), story.connect("pub", "b")
    story.subscribe(far, "t/0")
    story.subscribe(near, "t/0")
    number = story.publish(publisher)
    assert story.broken() == ["lost"]
    story.got(near, number)
    assert story.broken() == []


def test_while_nodes_do_not_see_each_other_they_learn_nothing(story):
    subscriber, publisher = story.connect("sub", "a"), story.connect("pub", "b")
    story.split()
    story.subscribe(subscriber, "t/0")
    story.wait(5)
    story.publish(publisher)
    story.heal()
    assert story.broken() == []


def test_a_split_excuses_no_loss(pair):
    story, _, publisher = pair
    story.split()
    story.publish(publisher)
    story.heal()
    assert story.broken() == ["lost"]


def test_nor_does_a_kill(pair):
    story, _, publisher = pair
    story.publish(publisher)
    story.killed()
    story.heal()
    assert story.broken() == ["lost"]


def start_in_a_split(story, publisher):
    story.note("fault", fault="kill", node="b")
    story.note("mended", fault="kill", node="b")
    story.publish(publisher)
    return story


def test_nor_does_a_start(pair):
    story, _, publisher = pair
    start_in_a_split(story, publisher)
    assert story.broken() == ["lost"]


def test_but_a_start_in_a_split_does(pair):
    story, _, publisher = pair
    story.split()
    start_in_a_split(story, publisher)
    story.heal()
    assert story.broken() == []
    assert story.excused() == ["lost: a node starts while another one is out of reach"]


def test_nor_does_a_fresh_session_elsewhere(pair):
    story, subscriber, publisher = pair
    story.split()
    story.publish(publisher)
    story.end(subscriber)
    story.connect("sub", "b")
    story.heal()
    assert story.broken() == ["lost"]


def test_what_comes_after_a_fresh_session_began_is_not_owed(pair):
    story, subscriber, publisher = pair
    story.split()
    story.end(subscriber)
    story.connect("sub", "b")
    story.publish(publisher)
    story.heal()
    assert story.broken() == []


def test_a_clean_start_ends_what_was_owed(pair):
    story, subscriber, publisher = pair
    story.end(subscriber)
    story.publish(publisher)
    story.connect("sub", "b", clean=True)
    assert story.broken() == []


def test_a_session_that_ends_with_its_connection_is_owed_nothing_after_it(story):
    subscriber, publisher = story.connect("sub", "a", lasting=False, clean=True), story.connect("pub", "b")
    story.subscribe(subscriber, "t/0")
    story.wait(3)
    story.publish(publisher)
    assert story.broken() == ["lost"]
    story.end(subscriber)
    assert story.broken() == []


def test_who_unsubscribes_is_owed_nothing(pair):
    story, subscriber, publisher = pair
    story.note("unsubscribe", conn=subscriber, filter="t/+")
    story.publish(publisher)
    story.note("unsuback", conn=subscriber, filter="t/+", code=0)
    assert story.broken() == []


def give_up(story, subscriber):
    story.note("unsubscribe", conn=subscriber, filter="t/+")
    story.note("unsuback", conn=subscriber, filter="t/+", code=0)


def test_what_came_before_one_unsubscribes_is_owed(pair):
    story, subscriber, publisher = pair
    story.publish(publisher)
    give_up(story, subscriber)
    assert story.broken() == ["lost"]


def test_but_not_what_waited_in_a_split(pair):
    story, subscriber, publisher = pair
    story.split()
    story.publish(publisher)
    give_up(story, subscriber)
    story.heal()
    assert story.broken() == []


def test_one_member_of_a_group_gets_it(story):
    members = [story.connect(name, node) for name, node in (("m1", "a"), ("m2", "b"))]
    publisher = story.connect("pub", "c")
    for member in members:
        story.subscribe(member, "$share/g/t/+")
    story.wait(3)
    number = story.publish(publisher)
    assert story.broken() == ["lost_in_groups"]
    story.got(members[1], number)
    assert story.broken() == []


# What comes twice, or in another order

def test_at_qos_2_nothing_comes_twice(pair):
    story, subscriber, publisher = pair
    number = story.publish(publisher)
    story.got(subscriber, number)
    story.got(subscriber, number, dup=1, again=True)
    assert story.broken() == []
    story.got(subscriber, number)
    assert story.broken() == ["twice"]


def test_unless_a_node_was_killed_meanwhile(pair):
    story, subscriber, publisher = pair
    number = story.publish(publisher)
    story.got(subscriber, number)
    story.killed("b")
    story.got(subscriber, number)
    story.heal()
    assert story.broken() == []
    assert story.excused() == ["twice at QoS 2: a node is killed, or its program replaced"]


def test_or_long_before(pair):
    story, subscriber, publisher = pair
    story.killed("b")
    story.heal()
    number = story.publish(publisher)
    story.got(subscriber, number)
    story.got(subscriber, number)
    assert story.broken() == ["twice"]


def test_or_two_sessions_were_merged(pair):
    story, subscriber, publisher = pair
    story.split()
    number = story.publish(publisher)
    story.got(subscriber, number)
    story.end(subscriber)
    second = story.connect("sub", "b")
    story.got(second, number)
    story.heal()
    assert story.broken() == []
    assert story.excused() == ["twice at QoS 2: a session is out of reach"]


def test_a_split_alone_is_no_reason(pair):
    story, subscriber, publisher = pair
    story.split()
    number = story.publish(publisher)
    story.got(subscriber, number)
    story.got(subscriber, number)
    story.heal()
    assert story.broken() == ["twice"]


def test_at_qos_1_not_without_a_reason(pair):
    story, subscriber, publisher = pair
    number = story.publish(publisher, qos=1)
    story.got(subscriber, number, qos=1)
    story.got(subscriber, number, qos=1, dup=1)
    assert story.broken() == []
    story.got(subscriber, number, qos=1)
    story.events[-2]["dup"] = 0
    assert story.broken() == ["twice"]


def test_a_publishers_messages_keep_their_order(pair):
    story, subscriber, publisher = pair
    first, second = story.publish(publisher), story.publish(publisher)
    story.got(subscriber, second)
    story.got(subscriber, first)
    assert story.broken() == ["order"]


def test_two_connections_have_no_order(pair):
    story, subscriber, publisher = pair
    first, second = story.publish(publisher), story.publish(story.connect("other", "c"))
    story.got(subscriber, second)
    story.got(subscriber, first)
    assert story.broken() == []


def test_nobody_gets_what_he_did_not_ask_for(pair):
    story, subscriber, publisher = pair
    story.got(publisher, number := story.publish(publisher))
    story.got(subscriber, number)
    assert story.broken() == ["not_asked_for"]


def test_nor_what_nobody_sent(pair):
    story, subscriber, _ = pair
    story.got(subscriber, 99)
    assert story.broken() == ["not_asked_for"]


# Wills

WILL = 1000


@pytest.fixture
def mourner(story):
    witness = story.connect("sub", "a")
    story.subscribe(witness, "wills/+")
    story.wait(3)
    return story, witness, story.connect("gone", "b", will=WILL)


def test_a_will_comes_once(mourner):
    story, witness, conn = mourner
    story.end(conn)
    story.got(witness, WILL, "wills/gone")
    story.wait(10)
    assert story.broken() == []
    story.got(witness, WILL, "wills/gone")
    assert story.broken() == ["twice"]


def test_a_will_that_does_not_come_is_lost(mourner):
    story, _, conn = mourner
    story.end(conn)
    story.wait(10)
    assert story.broken() == ["lost"]


def test_who_comes_back_in_time_leaves_none(story):
    witness = story.connect("sub", "a")
    story.subscribe(witness, "wills/+")
    story.wait(3)
    story.end(story.connect("gone", "b", will=WILL, delay=2))
    story.connect("gone", "c", present=1)
    story.wait(10)
    assert story.broken() == []


def test_nor_does_who_says_good_bye(mourner):
    story, witness, conn = mourner
    story.end(conn, "left")
    story.wait(3)
    assert story.broken() == []
    story.got(witness, WILL, "wills/gone")
    assert story.broken() == ["wills"]


# Sessions

def test_a_session_is_there_when_its_client_comes_back(story):
    story.end(story.connect("sub", "a"))
    story.connect("sub", "b", present=1)
    assert story.broken() == []
    story.end(2)
    story.connect("sub", "c")
    assert story.broken() == ["sessions"]


def test_unless_it_is_out_of_reach(story):
    story.end(story.connect("sub", "a"))
    story.split()
    story.connect("sub", "b")
    story.heal()
    assert story.broken() == []


def test_a_clean_start_finds_none(story):
    story.connect("sub", "a", clean=True, present=1)
    assert story.broken() == ["sessions"]


def test_no_two_connections_live_on(story):
    story.connect("sub", "a")
    story.connect("sub", "b", present=1)
    assert story.broken() == ["one_holder"]
    story.end(1, "closed", 0x8E)
    assert story.broken() == []


def test_no_two_nodes_have_a_session(story):
    story.end(story.connect("sub", "a"))
    story.note("held", node="a", connected=[], offline=["sub"])
    story.note("held", node="b", connected=[], offline=[])
    assert story.broken() == []
    story.events[-1]["offline"] = ["sub"]
    assert story.broken() == ["one_holder"]


def test_the_node_that_has_a_client_says_so(story):
    story.connect("sub", "a")
    story.note("held", node="a", connected=[], offline=[])
    story.note("held", node="b", connected=["sub"], offline=[])
    assert story.broken() == ["one_holder"]


# Answers

def test_a_connection_is_answered(story):
    story.connect("sub", "a", answer=False)
    assert story.broken() == ["stuck"]


def test_soon(story):
    conn = story.connect("sub", "a", answer=False)
    story.wait(6)
    story.note("connack", conn=conn, present=0, reason=0)
    assert story.broken() == ["stuck"]


def test_later_where_something_is_wrong(story):
    story.split()
    conn = story.connect("sub", "a", answer=False)
    story.wait(6)
    story.note("connack", conn=conn, present=0, reason=0)
    assert story.broken() == []


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_is_answered_or_its_connection_ends(story, qos):
    publisher = story.connect("pub", "a")
    story.publish(publisher, qos=qos, answer=False)
    assert story.broken() == ["stuck"]
    story.end(publisher, "closed")
    assert story.broken() == []


def test_a_subscription_is_answered(story):
    story.note("subscribe", conn=story.connect("sub", "a"), filter="t/0", qos=1)
    assert story.broken() == ["stuck"]


# Retained messages

def test_all_nodes_keep_the_same(story):
    publisher = story.connect("pub", "a")
    number = story.publish(publisher, "k/0", retain=True)
    story.kept(a={"k/0": number}, b={"k/0": number})
    assert story.broken() == []
    story.kept(b={})
    assert story.broken() == ["retained"]


def test_which_is_the_last_that_was_acknowledged(story):
    first, second = story.connect("p1", "a"), story.connect("p2", "b")
    old = story.publish(first, "k/0", retain=True)
    story.publish(second, "k/0", retain=True)
    story.kept(a={"k/0": old}, b={"k/0": old})
    assert story.broken() == ["retained"]


def test_in_a_split_either_may_be(story):
    first, second = story.connect("p1", "a"), story.connect("p2", "b")
    story.split()
    old = story.publish(first, "k/0", retain=True)
    story.publish(second, "k/0", retain=True)
    story.heal()
    story.kept(a={"k/0": old}, b={"k/0": old})
    assert story.broken() == []


def test_but_none_that_its_own_node_had_replaced(story):
    first = story.connect("p1", "a")
    story.split()
    old = story.publish(first, "k/0", retain=True)
    story.publish(first, "k/0", retain=True)
    story.heal()
    story.kept(a={"k/0": old}, b={"k/0": old})
    assert story.broken() == ["retained"]


def test_what_was_cleared_is_gone(story):
    publisher = story.connect("pub", "a")
    old = story.publish(publisher, "k/0", retain=True)
    story.publish(publisher, "k/0", retain=True, clear=True)
    story.kept(a={}, b={})
    assert story.broken() == []
    story.kept(a={"k/0": old}, b={"k/0": old})
    assert story.broken() == ["retained"]


def test_what_was_kept_is_there(story):
    story.publish(story.connect("pub", "a"), "k/0", retain=True)
    story.kept(a={}, b={})
    assert story.broken() == ["retained"]


# Nodes

def test_a_node_that_ends_badly_is_a_fault(story):
    story.note("stopped", node="a", status=-6, words=["broken promise"])
    assert story.broken() == ["nodes_end_well"]
