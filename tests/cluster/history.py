"""What happened in one play, as its tester saw it: events with the time of one clock, in the order in which they were noted.

Every event is a dict with `t`, seconds of the monotonic clock, and `what`:

    connect    conn, id, node, clean, lasting, will, delay   a connection with a number of its own begins
    connack    conn, present, reason
    leave      conn                 DISCONNECT was sent
    end        conn, how            "left", "dropped" (by its client), or "closed" (by the server, or with it); reason: of version 5
    subscribe  conn, filter, qos    and `suback`: code; `unsubscribe`, `unsuback` likewise
    publish    conn, number, topic, qos, retain, clear      again=True: the same message sent again on a resumed session
    taken      conn, number, reason                         PUBACK, or PUBCOMP
    got        conn, number, topic, qos, dup, retain, again     again: its exchange at QoS 2 was under way already
    fault      kind, nodes          and `mended`: of the same `fault`
    died       node                 its process was killed
    settled    yes                  whether all nodes said that they hold the same view and have caught up
    over                            everything is mended; from here on nothing new is published
    held       node, connected, offline                     ids, as the node says at the end
    kept       node, topics: {topic: number}                retained messages that a new subscriber on the node gets at the end
    stopped    node, status, words                          how it ended; words: of a sanitizer, or its last ones after a crash
"""

import json
import time


class History:
    def __init__(self, events=()):
        self.events = list(events)

    def note(self, what, **details):
        event = {"t": time.monotonic(), "what": what, **details}
        self.events.append(event)  # atomic: other threads note things, too
        return event

    def of(self, *whats):
        return [event for event in self.events if event["what"] in whats]

    def count(self, *whats):
        return len(self.of(*whats))

    def write(self, path):
        path.write_text("".join(json.dumps(event) + "\n" for event in self.events))

    @classmethod
    def read(cls, path):
        return cls(json.loads(line) for line in path.read_text().splitlines())
