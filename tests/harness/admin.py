"""Requests to the admin side of a server."""

import http.client
import json
import socket
import urllib.parse

import tls_end
from mqtt_wire import TIMEOUT_S


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        assert self.headers["Content-Type"].startswith("application/json"), self.body
        return json.loads(self.body)


class Admin:
    def __init__(self, url, token=None, context=None):
        """context: of the ssl module, for https://; None: one that trusts the tests' authority."""
        self.url = url
        self.context = context
        self.host = urllib.parse.urlsplit(url).netloc
        self.address = (urllib.parse.urlsplit(url).hostname, urllib.parse.urlsplit(url).port)
        self.token = token

    def connection(self):
        if not self.url.startswith("https://"):
            return http.client.HTTPConnection(*self.address, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(*self.address, timeout=TIMEOUT_S, context=self.context or tls_end.make_context())

    def request(self, method, path, body=None, headers=None):
        """body: an object that goes as JSON, or bytes."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = self.connection()
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def client_path(self, client_id, rest=""):
        return f"/api/v1/clients/{urllib.parse.quote(client_id, safe='')}{rest}"

    def client(self, client_id):
        answer = self.get(self.client_path(client_id))
        assert answer.status == 200, answer.text
        return answer.json

    def clients(self, **query):
        """All pages of a list."""
        found = []
        while True:
            page = self.get("/api/v1/clients?" + urllib.parse.urlencode(query)).json
            found += page["clients"]
            if page["next"] is None:
                return found
            query["cursor"] = page["next"]

    def publish(self, topic, payload="", **fields):
        answer = self.post("/api/v1/publish", {"topic": topic, "payload": payload, **fields})
        assert answer.status == 200, answer.text
        return answer.json

    def raw(self):
        """A connection that has not said anything yet."""
        return socket.create_connection(self.address, TIMEOUT_S)
