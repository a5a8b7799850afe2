#!/usr/bin/python3
"""Manual pages from what the program says itself:

    tools/manual.py PROGRAM [COMMAND...] >roost-COMMAND.1
    tools/manual.py --configuration ROOST_DOCS PROGRAM >roost.yaml.5

The help of the program has a line "Usage: ...", perhaps more of them indented by seven, paragraphs, and options or
commands that are indented by two, or by six without a short form, each with its explanation behind it or below, indented
by eight or more."""

import re
import subprocess
import sys


def roff(text):
    escaped = text.replace("\\", "\\\\").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def printed(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout


def page(program, command, version):
    """command: the words behind the program's name, none for the program itself."""
    text = printed(program, *command, "--help")
    name = "-".join(["roost", *command])
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
    below = below_of(text) if len(command) < 2 else []
    above = [name.rsplit("-", 1)[0] if len(command) > 1 else "roost"] if command else []
    others = [f".BR {roff(other)} (1)" for other in above + [f"{name}-{word}" for word in below if has_help(program, [*command, word], text)]]
    others += [".BR roost.yaml (5)"] if command in ([], ["serve"]) else []
    return "\n".join(out + [".SH SEE ALSO", ",\n".join(others)]) + "\n"


def below_of(text):
    """The commands that a list in the help or a line of its usage names."""
    return re.findall(r"^  ([a-z][a-z-]*) ", text, re.MULTILINE) + re.findall(r"^ {7}roost \w+ ([a-z][a-z-]*)\b", text, re.MULTILINE)


def has_help(program, words, above):
    """Whether a command has a help, and a page, of its own; verbs of `roost ctl` have not."""
    asked = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=30)
    return asked.returncode == 0 and asked.stdout != above


def configuration(docs, version):
    """The file's page, from the example that explains every option."""
    head, *entries = printed(docs, "example").split("\n\n")
    out = [f'.TH ROOST.YAML 5 "" "roost {version}" "File Formats"', ".SH NAME", "roost.yaml \\- configuration of the MQTT gateway Roost",
           ".SH SYNOPSIS", ".B /etc/roost/roost.yaml", ".SH DESCRIPTION",
           roff("The service reads this file; `roost serve --config FILE` reads another one. It is YAML: each option is a key, here with its default.")]
    out += [roff(line.removeprefix("#").strip()) or ".PP" for line in head.splitlines()[2:]]
    out.append(".SH OPTIONS")
    for entry in entries:
        lines = entry.splitlines()
        # Rules are an example that is no part of the file: "#streams:" where a sentence has "# ".
        place = next(number for number, line in enumerate(lines) if not line.startswith("# ") and line != "#")
        if lines[place].startswith("#"):
            lines[place:] = [line.removeprefix("#") for line in lines[place:]]
        values = [line for line in lines[place:] if not line.startswith("#")]
        out += [".TP", f".B {roff(values[0])}"]
        out += [roff(line.removeprefix("#").strip()) for line in lines[:place]]
        # A list's values, and examples behind it, as they stand.
        rest = [line.removeprefix("# ") for line in lines[place + 1:]]
        if rest:
            out += [".IP", ".nf", *map(roff, rest), ".fi"]
    return "\n".join(out + [".SH SEE ALSO", ".BR roost\\-serve (1),\n.BR roost (1)"]) + "\n"


def main():
    arguments = sys.argv[1:]
    docs = arguments[1] if arguments[0] == "--configuration" else None
    program, *command = arguments[2:] if docs else arguments
    version = printed(program, "--version").split()[1]
    sys.stdout.write(configuration(docs, version) if docs else page(program, command, version))


if __name__ == "__main__":
    main()
