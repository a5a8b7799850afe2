"""A hook speaks HTTP/2 with a server that does, over one connection, and HTTP/1.1 with one that does not. This one answers
before it has read what it is sent, which HTTP/2 lets it end the request for."""

import re
import time
from pathlib import Path

import pytest

import certificates
from front import Nginx
from hooks import wait_hook, works, write
from mqtt_wire import TIMEOUT_S

pytestmark = pytest.mark.roost_only("others have no such hooks")

SITE = """http {
    log_format short '$server_protocol $connection $content_type $status';
    access_log {folder}/access short;
    client_body_temp_path {folder}/bodies; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server { listen 127.0.0.1:{port} ssl {http2}; ssl_certificate {chain}; ssl_certificate_key {key}; location / { return 204; } }
}
"""


def requests(nginx, count):
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        lines = (Path(nginx.folder.name) / "access").read_text().splitlines()
        if len(lines) >= count:
            return [re.fullmatch(r"(\S+) (\d+) (.+) (\d+)", line).groups() for line in lines]
        assert time.monotonic() < deadline, lines
        time.sleep(0.02)


@pytest.mark.parametrize("http2, protocol", [("http2", "HTTP/2.0"), ("", "HTTP/1.1")])
def test_protocol(serve, tmp_path, monkeypatch, http2, protocol):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Nginx(SITE, http2=http2) as nginx:
        hook = {"name": "all", "topics": "t/#", "url": f"https://127.0.0.1:{nginx.port}/", "ca_file": certificates.authority().file,
                "batch_messages": 1}
        server = serve("--config", write(tmp_path, hook), "--admin", "http://127.0.0.1:0")
        wait_hook(server, "all", works)
        with server.client("from", 5) as client:
            for n in range(20):
                client.hand_over("t/x", b"%d" % n + b"." * 100000)
        made = requests(nginx, 20)
        assert {request[0] for request in made} == {protocol}
        assert len({request[1] for request in made}) == 1
        assert {request[2:] for request in made} == {("application/cloudevents-batch+json; charset=utf-8", "204")}
        assert wait_hook(server, "all", lambda hook: hook["events"] == 20)["dead_letters"] == 0
