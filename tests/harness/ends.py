"""What has to be true of bad input: the log names its cause in a sentence, beside the address that it came from; it is counted
under that cause and no other; and a client that was there before notices nothing."""

import contextlib
import re
from pathlib import Path

ERRORS = Path(__file__).resolve().parent.parent.parent / "src" / "base" / "error.h"
# Of ends that are nobody's fault, of which a test leaves some behind.
PEACEFUL = {"end_closed_by_client", "end_connection_lost"}


def sentences():
    """{counter's name without end_: sentence} as the table of errors has them."""
    table = ERRORS.read_text().replace("\\\n", "\n")
    found = re.findall(r'\bX\((\w+),\s*"[^"]*",\s*"([^"]*)"\)', table)
    return {name.lower(): sentence for name, sentence in found}


SENTENCES = sentences()


def name_of(end):
    """As the log has it: of a socket's own address."""
    host, port = end.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ends_of(server):
    return {name: value for name, value in server.counters().items() if name.startswith("end_") and value}


@contextlib.contextmanager
def unnoticed(server, **options):
    """A client that is there before and after."""
    with server.client("bystander", 5, keepalive=0, **options) as bystander:
        bystander.subscribe(("bystander/own", 1))
        yield bystander
        assert bystander.hand_over("bystander/own", b"still there") == 0
        assert bystander.take().payload == b"still there"
        bystander.expect_nothing_before_ping()


def expect_end(server, error, name=None, start=0):
    """The next line in the log that says so, which is returned; and nothing else is counted. name: the peer's, name_of()."""
    line = server.lines[server.wait_line(rf"(refused a connection|ended:?).*{re.escape(SENTENCES[error])}", start)]
    if name:
        assert name in line, f"{name} is not in: {line}"
    server.wait_counter(f"end_{error}", 1)
    ends = {key: value for key, value in ends_of(server).items() if key not in PEACEFUL}
    assert ends == {f"end_{error}": 1}
    return line
