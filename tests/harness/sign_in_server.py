"""An HTTP server that decides who is let in, with the faults that such servers have."""

import http.server
import json
import threading


class Deciding(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


class SignInServer:
    """decide(question) returns what is answered: a dict of JSON, or (status, headers, body). A string is a fault: "silence"
    says nothing until `wake` is set, "close" closes without a word, "cut" in the middle, "flood" sends 100 MB."""

    def __init__(self, decide, tls=None):
        self.decide, self.tls = decide, tls
        self.questions = []  # (headers, JSON) of each request
        self.bodies = []
        self.paths = []
        self.wake = threading.Event()
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                question = json.loads(body)
                site.bodies.append(body)
                site.paths.append(self.path)
                site.questions.append((dict(self.headers), question))
                site.answer(self, site.decide(question))

            def do_GET(self):
                site.paths.append("GET " + self.path)
                site.answer(self, {"result": "allow"})

            def log_message(self, *_):
                pass

        self.handler = Handler
        self.port = 0
        self.open()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/sign-in"

    def answer(self, handler, answer):
        if isinstance(answer, str):
            handler.close_connection = True
            getattr(self, f"_{answer}")(handler)
            return
        status, headers, body = (200, {}, json.dumps(answer).encode()) if isinstance(answer, dict) else answer
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def _silence(self, _):
        self.wake.wait(60)

    def _close(self, handler):
        pass

    def _cut(self, handler):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"result":"allow"}')

    def _flood(self, handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
        try:
            for _ in range(1600):
                handler.wfile.write(b" " * 65536)
        except OSError:
            pass

    def open(self):
        self.server = Deciding(("127.0.0.1", self.port), self.handler)
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.wake.set()
        self.server.shutdown()
        self.server.server_close()
