"""`openssl s_client`: what a server's TLS looks like to a tool that was made for looking."""

import re
import subprocess
import threading

import certificates
from mqtt_wire import TIMEOUT_S


TICKET = "Post-Handshake New Session Ticket arrived"


def s_client(address, *options, said=b"", authority=None, name="localhost", until=None):
    """A Look. said: what is sent through TLS. The tool ends with its input, or once it has printed what `until` says."""
    host, port = address
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", authority or certificates.authority().file,
               "-verify_return_error", *(["-servername", name] if name else ["-noservername"]), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        timer = threading.Timer(TIMEOUT_S, process.kill)
        timer.start()
        try:
            printed = b""
            if said:
                process.stdin.write(said)
                process.stdin.flush()
            while until and until.encode() not in printed:
                line = process.stdout.readline()
                if not line:
                    break
                printed += line
            rest, _ = process.communicate()
        finally:
            timer.cancel()
            process.kill()
    return Look(process.returncode, (printed + rest).decode(errors="replace"))


class Look:
    def __init__(self, status, output):
        self.status, self.output = status, output
        self.connected = "Cipher is (NONE)" not in output and re.search(r"^(New|Reused), TLS", output, re.MULTILINE) is not None
        self.resumed = re.search(r"^Reused, TLS", output, re.MULTILINE) is not None
        found = re.search(r"^(?:New|Reused), (\S+), Cipher is (\S+)$", output, re.MULTILINE)
        self.cipher = found.group(2) if self.connected else None
        # "Protocol:" of the session; the line "New, TLSv1.3" says what the cipher belongs to.
        found = re.search(r"^\s*Protocol\s*: (\S+)$", output, re.MULTILINE)
        self.version = found.group(1) if found else None

    def says(self, text):
        return text in self.output
