"""What tests may ask of any broker: connections to its address. Roost itself is in server.py, others in other_broker.py."""

import time

from mqtt_wire import SESSION_EXPIRY, TIMEOUT_S, Busy, Client, Connection


class Broker:
    address = None  # of transports.py

    def raw(self, version=4, to=None, **options):
        """A connection that has not said anything yet. to: another address than the first."""
        return Connection(to or self.address, version, **options)

    def client(self, client_id="", version=4, to=None, **options):
        """A client that has signed in. Where the machine stalls for a moment Roost turns clients away and asks them to
        come back, as this one does."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                return Client(to or self.address, client_id, version, **options)
            except Busy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def session(self, client_id, version=4, clean=False, expiry=3600, pairs=(), **options):
        """A client whose session outlives its connection. expiry, in seconds, says for how long; before version 5 there is
        no such word, and it stays."""
        pairs = [*pairs, (SESSION_EXPIRY, expiry)] if version == 5 else pairs
        return self.client(client_id, version, clean=clean, pairs=pairs, **options)
