#!/usr/bin/python3
"""Manual pages from what the program says itself: tools/manual.py PROGRAM [COMMAND] >roost-COMMAND.1

The help of the program has a line "Usage: ...", perhaps more of them indented by seven, paragraphs, and options or
commands that are indented by two, or by six without a short form, each with its explanation behind it or below, indented
by eight or more."""

import re
import subprocess
import sys


def roff(text):
    escaped = text.replace("\\", "\\\\").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def page(program, command, version):
    words = [program, command, "--help"] if command else [program, "--help"]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    name = f"roost-{command}" if command else "roost"
    lines = text.splitlines()
    usages = [lines.pop(0).removeprefix("Usage: ")]
    while re.match(r"^ {7}roost ", lines[0]):
        usages.append(lines.pop(0).strip())
    summary = next(line for line in lines if line and not line.startswith(" ")).split(". ")[0].rstrip(".")
    out = [f'.TH {name.upper()} 1 "" "roost {version}" "User Commands"', ".SH NAME", f"{name} \\- {roff(summary[0].lower() + summary[1:])}",
           ".SH SYNOPSIS", "\n.br\n".join(f".B {roff(usage)}" for usage in usages), ".SH DESCRIPTION"]
    for line in lines:
        entry = re.match(r"^(?:  |      )(\S.*?)(?:\s{2,}(\S.*))?$", line)
        if not line:
            out.append(".PP")
        elif line.startswith("        "):
            out.append(roff(line.strip()))
        elif entry:
            out += [".TP", f".B {roff(entry.group(1))}", *([roff(entry.group(2))] if entry.group(2) else [])]
        elif line.endswith(":"):
            out.append(f".SH {roff(line.rstrip(':').upper())}")
        else:
            out.append(roff(line))
    others = [f".BR roost\\-{other} (1)" for other in re.findall(r"^  (\w+) ", text, re.MULTILINE)] if not command else [".BR roost (1)"]
    return "\n".join(out + [".SH SEE ALSO", ",\n".join(others)]) + "\n"


def main():
    program, *rest = sys.argv[1:]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout.split()[1]
    sys.stdout.write(page(program, rest[0] if rest else "", version))


if __name__ == "__main__":
    main()
