"""Arguments of a server that say where it listens, in every way that there is."""

import atexit
import functools
import itertools
import json
import shutil
import tempfile
from pathlib import Path

import transports

URLS = {"tcp": "tcp://127.0.0.1:0", "tls": "tls://127.0.0.1:0", "ws": f"ws://127.0.0.1:0{transports.WEBSOCKET_PATH}",
        "wss": f"wss://127.0.0.1:0{transports.WEBSOCKET_PATH}", "proxied": "tcp://127.0.0.1:0"}
LOOPBACK = ["127.0.0.0/8", "::1"]

numbers = itertools.count()


@functools.cache
def folder():
    """For sockets and files of configuration, until the tests' process ends. Its path is short: a unix socket's has 107 bytes."""
    made = tempfile.mkdtemp(prefix="roost-", dir="/tmp")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def url_for(transport):
    return f"unix://{folder()}/{next(numbers)}.sock" if transport == "unix" else URLS[transport]


def arguments(transport, options=()):
    """Of one listener."""
    words = arguments_for([url_for(transport)], options)
    if transport == "proxied":
        words += [word for network in LOOPBACK for word in ("--proxy-from", network)]
        # Whom a proxy brings has not come from this machine, even where the listener is on loopback.
        words += [] if "--anonymous" in options else ["--anonymous", "always"]
    return words


def arguments_for(urls, options=()):
    """Of these listeners, with a certificate where one of them needs it and the options name none."""
    words = [word for url in urls for word in ("--listen", url)]
    if any(transports.is_tls(url) for url in urls) and "--tls-certificate" not in options:
        import certificates

        words += certificates.server_options()
    return words


def configured(*listeners, **more):
    """Of listeners with keys of their own, which a file has. JSON is YAML."""
    path = folder() / f"{next(numbers)}.yaml"
    path.write_text(json.dumps({**more, "listen": list(listeners)}, indent=1) + "\n")
    return ["--config", str(path)]
