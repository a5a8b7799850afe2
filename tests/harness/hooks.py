"""Webhooks: an HTTP endpoint that may misbehave, what it was sent, and the rules that CloudEvents has to keep."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import re
import socket
import threading
import time
from pathlib import Path

import yaml

from mqtt_wire import TIMEOUT_S

BATCH_TYPE = "application/cloudevents-batch+json"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
CLOSE, GARBAGE, HUGE, SHORT, HANG = "close", "garbage", "huge", "short", "hang"


def write(folder, *hooks, **options):
    """A configuration file with these hooks, each a dict, and other options. Its path."""
    path = Path(folder) / "roost.yaml"
    path.write_text(yaml.safe_dump({**options, "hooks": list(hooks)}, sort_keys=False))
    return str(path)


class Request:
    def __init__(self, headers, body, arrived):
        self.headers, self.body, self.arrived = headers, body, arrived
        self.answered = None

    @property
    def events(self):
        return json.loads(self.body)


class Endpoint:
    """answer(endpoint, request): a status; or a status, headers and a body; or a fault. Events of requests that it answered
    with 200 are in `events`, in their order."""

    def __init__(self, answer=lambda endpoint, request: 200, tls=None):
        self.answer, self.tls = answer, tls
        self.requests, self.events = [], []
        self.connections = 0
        self.sockets = set()  # of those that there are
        self.lock = threading.Lock()
        self.released = threading.Event()  # ends what hangs
        self.port = 0
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                endpoint.connections += 1
                endpoint.sockets.add(self.connection)

            def finish(self):
                endpoint.sockets.discard(self.connection)
                super().finish()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.serve(self, Request(dict(self.headers.items()), body, time.monotonic()))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_):
                pass

        self.handler, self.server_class = Handler, Server
        self.open()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/events"

    def open(self):
        self.server = self.server_class(("127.0.0.1", self.port), self.handler)
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self, handler, request):
        with self.lock:
            self.requests.append(request)
            what = self.answer(self, request)
            status, headers, body = what if isinstance(what, tuple) else (what, {}, b"")
            request.answered = status
            if status == 200:
                self.events += request.events
        if status in (CLOSE, GARBAGE, HUGE, SHORT, HANG):
            self.misbehave(handler, status)
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def misbehave(self, handler, fault):
        handler.close_connection = True
        if fault == GARBAGE:
            handler.wfile.write(b"\0\1\2 good morning \xff\r\n\r\n")
        elif fault == SHORT:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        elif fault == HUGE:
            with self.lock:
                self.events += self.requests[-1].events
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
            for _ in range(1600):
                handler.wfile.write(b"x" * 65536)
        elif fault == HANG:
            self.released.wait()

    def payloads(self):
        with self.lock:
            return [payload(event) for event in self.events]

    def wait(self, count, timeout=TIMEOUT_S):
        """Waits until it has taken so many events. All of them."""
        deadline = time.monotonic() + timeout
        while len(self.events) < count:
            assert time.monotonic() < deadline, f"{len(self.events)} events, and not {count}"
            time.sleep(0.02)
        with self.lock:
            return list(self.events)

    def wait_requests(self, count, timeout=TIMEOUT_S):
        deadline = time.monotonic() + timeout
        while len(self.requests) < count:
            assert time.monotonic() < deadline, f"{len(self.requests)} requests, and not {count}"
            time.sleep(0.02)
        return list(self.requests)


def payload(event):
    """What was published, from any of the forms that an event may have it in."""
    if "data_base64" in event:
        return base64.b64decode(event["data_base64"], validate=True)
    if isinstance(event["data"], str) and not event["datacontenttype"].startswith("application/json"):
        return event["data"].encode()
    return event["data"]


def check_event(event):
    """CloudEvents 1.0.2, and its JSON format."""
    for name in ("id", "source", "specversion", "type"):
        assert isinstance(event[name], str) and event[name], name
    assert event["specversion"] == "1.0"
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+|[!-~]+", event["source"])
    assert RFC3339.fullmatch(event["time"])
    assert event["subject"] and event["datacontenttype"]
    assert not ("data" in event and "data_base64" in event)
    for name, value in event.items():
        if name == "data_base64":
            base64.b64decode(value, validate=True)
        elif name != "data":
            assert re.fullmatch(r"[a-z0-9]{1,20}", name), name
            assert isinstance(value, (str, bool, int)), name
            if isinstance(value, str):
                assert not re.search(r"[\x00-\x1f\x7f-\x9f]", value), name
            elif not isinstance(value, bool):
                assert -2**31 <= value < 2**31


def is_signed(request, secret, now_s, tolerance_s=300):
    """As docs/BACKENDS.md shows it."""
    parts = dict(part.split("=", 1) for part in request.headers["Roost-Signature"].split(","))
    if abs(now_s - int(parts["t"])) > tolerance_s:
        return False
    wanted = hmac.new(secret, parts["t"].encode() + b"." + request.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, parts["v1"])


def children(parent):
    """The processes that this one has started."""
    found = set()
    for stat in (entry for entry in os.listdir("/proc") if entry.isdigit()):
        try:
            with open(f"/proc/{stat}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent:
                found.add(int(stat))
        except OSError:
            continue
    return found


def wait_hook(server, name, reached, timeout=TIMEOUT_S):
    """Asks the API until reached(hook) is true of this hook. What was answered of it."""
    admin = server.admin()
    deadline = time.monotonic() + timeout
    while True:
        hooks = {hook["name"]: hook for hook in admin.get("/api/v1/hooks").json["hooks"]}
        if name in hooks and reached(hooks[name]):
            return hooks[name]
        assert time.monotonic() < deadline, f"{hooks}\n{server.log()}"
        time.sleep(0.02)


def works(hook):
    return hook["state"] == "working"


def is_drained(hook):
    return works(hook) and hook["backlog_messages"] == 0
