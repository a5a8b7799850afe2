#!/usr/bin/python3
"""Several clients do what comes to a random mind, and what they get is checked against the model beside this file.

    tests/random/play.py --seconds 20             many plays, each with a seed of its own, which a failure prints
    tests/random/play.py --seed 17 --steps 80     one play again
    tests/random/play.py --transport wss          the clients come over WebSocket and TLS
    tests/random/play.py --rule                   a rule takes everything to a Redis that crashes now and then
    ROOST=PROGRAM, or ROOST_TEST_BROKER=/usr/sbin/mosquitto, says which broker plays along

A play is a list of steps, made from the seed alone: a step that makes no sense where it stands does nothing, so that any
part of a play is a play. A failing one is shortened before it is shown.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "harness"), str(Path(__file__).resolve().parent)]

import other_broker  # noqa: E402
import transports  # noqa: E402
from actor import Actor, Witness  # noqa: E402
from model import Model, Violation  # noqa: E402
from mqtt_wire import Closed  # noqa: E402
from rule import RuleInBetween  # noqa: E402
from server import Server  # noqa: E402

STEPS = 80
NAMES = ("ann", "bob", "cyd", "dan")
GROUPS = ("a", "b")
TOPICS = [f"{group}/{leaf}" for group in GROUPS for leaf in "01"]
SHORTEN_SECONDS = 40
SHORTEN_PLAYS = 200
FAULTS = (AssertionError, TimeoutError, Closed, OSError)

# step -> how often
STEPS_OF = {"connect": 10, "leave": 3, "drop": 5, "publish": 18, "publish several": 6, "publish and drop": 5, "subscribe": 10,
            "unsubscribe": 3, "hold": 4, "answer": 5, "answer and drop": 3}
STEPS_WITH_RULE = {**STEPS_OF, "redis crashes": 2}


def make_step(choice, steps_of):
    name = choice.choices(list(steps_of), list(steps_of.values()))[0]
    group = choice.choice(GROUPS)
    return {
        "step": name, "who": choice.choice(NAMES), "version": choice.choice((4, 5)), "clean": choice.random() < 0.25,
        "will": choice.random() < 0.25, "topic": choice.choice(TOPICS), "qos": choice.randrange(3),
        "will_qos": choice.randrange(3), "retain": choice.random() < 0.2, "group": group,
        "filter": choice.choice([f"{group}/0", f"{group}/1", f"{group}/+"]), "stage": choice.randrange(3),
    }


def make_play(seed, count, rule):
    choice = random.Random(seed)
    return [make_step(choice, STEPS_WITH_RULE if rule else STEPS_OF) for _ in range(count)]


def describe(step):
    details = {"connect": ("version", "clean", "will", "topic", "will_qos", "retain"), "publish": ("topic", "qos", "retain"),
               "publish several": ("group", "qos"),
               "publish and drop": ("topic", "qos", "stage"), "subscribe": ("filter", "qos"), "unsubscribe": ("filter",)}
    words = [f"{name} {step[name]}" for name in details.get(step["step"], ())]
    return f"{step['who']}: {step['step']}{' (' + ', '.join(words) + ')' if words else ''}"


def open_broker(transport, rule):
    if other_broker.WHICH:
        return other_broker.OtherBroker(transport=transport)
    return Server("--shards", "2", "--drain-ms", "1000", *(rule.options() if rule else ()), transport=transport, log_level="info")


def play(steps, transport, rule):
    """None, or what went wrong and at which step."""
    broker = open_broker(transport, rule)
    at = 0
    try:
        model = Model()
        if rule:
            rule.begin(broker, model)
        witness = Witness(broker, model)
        actors = {name: Actor(name, broker, model, witness) for name in NAMES}
        for at, step in enumerate(steps):
            if step["step"] == "redis crashes":
                rule.restart()
                continue
            actors[step["who"]].do(step, actors)
            for actor in actors.values():
                actor.settle()
            witness.settle()
        at = len(steps)
        for actor in actors.values():
            actor.come_back_and_take_all()
        witness.settle()
        if rule:
            rule.check()
        if not other_broker.WHICH:
            broker.stop()  # which looks at its exit status, and for a sanitizer's word
    except FAULTS as error:
        kind = "the model forbids it" if isinstance(error, Violation) else type(error).__name__
        return f"{kind}: {error}", at
    finally:
        broker.kill()
    return None


def shorten(steps, transport, rule):
    """A shorter play that fails too, as far as the time goes."""
    deadline = time.monotonic() + SHORTEN_SECONDS
    plays = 0
    size = max(1, len(steps) // 2)
    while size >= 1:
        begin, shorter = 0, False
        while begin < len(steps):
            if plays >= SHORTEN_PLAYS or time.monotonic() > deadline:
                return steps
            candidate = steps[:begin] + steps[begin + size:]
            plays += 1
            if play(candidate, transport, rule):
                steps, shorter = candidate, True
            else:
                begin += size
        if not shorter or size == 1:
            size //= 2
    return steps


def show_failure(seed, count, transport, rule, steps, failure):
    what, at = failure
    print(f"FAILED seed {seed}, {count} steps, at step {at}: {what}")
    print(f"again: tests/random/play.py --seed {seed} --steps {count} --transport {transport}{' --rule' if rule else ''}")
    short = shorten(steps[:at + 1], transport, rule)
    print(f"{len(short)} of its steps are enough:")
    for step in short:
        print(f"    {describe(step)}")
    again = play(short, transport, rule)
    print(f"    {again[0] if again else 'this time it went well: a matter of time, too'}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--steps", type=int, default=STEPS, help="its length")
    parser.add_argument("--seconds", type=float, default=20, help="how long to begin new plays for")
    parser.add_argument("--first", type=int, default=None, help="seed of the first of many")
    parser.add_argument("--transport", default=transports.DEFAULT, choices=["tcp", "tls", "ws", "wss", "unix", "proxied"],
                        help="how the clients come")
    parser.add_argument("--rule", action="store_true", help="takes everything to a Redis that crashes now and then")
    options = parser.parse_args()
    rule = RuleInBetween() if options.rule else None
    try:
        return play_on(options, rule)
    finally:
        if rule:
            rule.close()


def play_on(options, rule):
    if options.seed is not None:
        seeds = iter([options.seed])
    else:
        first = options.first if options.first is not None else int.from_bytes(os.urandom(4), "big")
        seeds = iter(range(first, first + 1000000))
    deadline = time.monotonic() + options.seconds
    passed = failed = steps_played = 0
    last = 0
    for last in seeds:
        steps = make_play(last, options.steps, rule)
        failure = play(steps, options.transport, rule)
        steps_played += options.steps
        if failure:
            failed += 1
            show_failure(last, options.steps, options.transport, rule, steps, failure)
            break
        passed += 1
        if time.monotonic() > deadline:
            break
    print(f"random plays, seeds {last - passed - failed + 1} to {last}, {steps_played} steps: {passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
