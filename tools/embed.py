#!/usr/bin/python3
"""Files as C arrays: tools/embed.py OUT.c HEADER NAME=FILE... Of a page it also writes the Content-Security-Policy that
allows its own <style> and <script> by their sums, and nothing else to be loaded or run."""

import base64
import hashlib
import re
import sys
from pathlib import Path


def sums(text, tag):
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in found)


def policy(text):
    return (f"default-src 'none'; style-src {sums(text, 'style')}; script-src {sums(text, 'script')}; "
            "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")


def array(name, data):
    lines = [", ".join(f"{byte:#04x}" for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
    return (f"const uint8_t ASSET_{name}[] = {{\n" + ",\n".join(lines) + "};\n"
            f"const size_t ASSET_{name}_BYTES = {len(data)};\n")


def main():
    out, header, *files = sys.argv[1:]
    text = f'#include "{header}"\n\n'
    for name, file in (pair.split("=", 1) for pair in files):
        data = Path(file).read_bytes()
        text += array(name, data)
        if file.endswith(".html"):
            text += f'const char ASSET_{name}_POLICY[] = "{policy(data.decode())}";\n'
    Path(out).write_text(text)


if __name__ == "__main__":
    main()
