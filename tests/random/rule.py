"""A rule that takes everything to a Redis stream while clients play: one more session of the model, whose messages are seen
in the stream when the play is over."""

import json
import tempfile
import time
import urllib.request

import rules
from model import Session, Violation
from mqtt_wire import TIMEOUT_S
from redis_server import Redis

NAME = "rule"
STREAM = "all"


class RuleInBetween:
    """One for many plays: Redis stays, and begins each of them empty."""

    def __init__(self):
        self.redis = Redis("--appendonly", "yes", "--appendfsync", "always")
        self.folder = tempfile.TemporaryDirectory()

    def options(self):
        """Of the server: its configuration."""
        self.redis.ask(("FLUSHALL",))
        rule = {"name": NAME, "topics": "#", "stream": STREAM}
        return ["--config", rules.write(self.folder.name, rule, redis=self.redis.url), "--admin", "http://127.0.0.1:0"]

    def begin(self, broker, model):
        self.model, self.admin, self.restarts = model, broker.admin().url, 0
        self._wait(lambda rule: rule["state"] == "working")
        session = model.sessions[NAME] = Session(NAME)
        session.subscriptions["#"] = 1

    def restart(self):
        """Redis crashes and comes back with what it has confirmed."""
        self.restarts += 1
        self.redis.kill()
        self.redis.start()

    def check(self):
        """What is in the stream is what the session is owed, in each publisher's order, and nothing else."""
        self._wait(lambda rule: rule["state"] == "working" and rule["backlog_messages"] == 0)
        session = self.model.sessions[NAME]
        entries = rules.entries(self.redis, STREAM)
        seen, last = {}, {}
        for entry in entries:
            number = int(entry[b"payload"])
            debts = [debt for debt in session.debts if debt.message.number == number]
            if not debts or any(entry[b"topic"].decode() != debt.message.topic for debt in debts):
                raise Violation(f"the stream has {entry}, which it is not owed")
            seen[number] = seen.get(number, 0) + 1
            if seen[number] > len(debts) and not self.restarts:
                raise Violation(f"the stream has {entry} {seen[number]} times")
            key = debts[0].message.publisher, debts[0].message.topic, debts[0].qos
            if seen[number] == 1 and number < last.get(key, -1):
                raise Violation(f"the stream has {entry} behind message {last[key]} of the same publisher, topic and QoS")
            last[key] = max(number, last.get(key, -1))
        missing = [debt for debt in session.debts if debt.owed and debt.message.number not in seen]
        if missing:
            raise Violation(f"the stream does not have {missing}")

    def _wait(self, reached):
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with urllib.request.urlopen(f"{self.admin}/api/v1/rules") as answer:
                found = json.load(answer)["rules"]
            if found and reached(found[0]):
                return
            assert time.monotonic() < deadline, found
            time.sleep(0.01)

    def close(self):
        self.redis.close()
        self.folder.cleanup()
