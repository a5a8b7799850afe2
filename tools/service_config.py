#!/usr/bin/python3
"""The configuration with which a package starts its service: tools/service_config.py ROOST_DOCS >roost.yaml

Of the options in the example (`roost-docs example`) those that somebody who runs a service sees first, with what the
example says of each. Few, so that a new version has a new file only where one of these has changed: whoever has changed
the file is asked about it then by dpkg. All options are in the example, which lies among the package's documents."""

import re
import subprocess
import sys

HEAD = """\
# Configuration of the service roost. roost.yaml(5) and /usr/share/doc/roost/examples/roost.yaml have all options.
# `systemctl reload roost` makes changes of options marked (live) take effect; for the others it says that they need a
# restart, which closes connections.
"""

# None: as it is by default.
OPTIONS = {
    "listen": None,
    "token_secret_file": None,
    "token_key_file": None,
    "password_file": None,
    "rule_file": None,
    "store": "/var/lib/roost",
    "admin": None,
    "log_level": None,
}


def entries(example):
    """Each option's paragraph of the example: its comment, then its name and value."""
    for paragraph in example.split("\n\n")[1:]:
        name = re.search(r"^#?(\w+):", paragraph, re.MULTILINE)
        if name is None:
            raise SystemExit(f"service_config.py: no option in this paragraph of the example:\n{paragraph}")
        yield name.group(1), paragraph.rstrip("\n")


def config(example):
    known = dict(entries(example))
    parts = [HEAD]
    for name, value in OPTIONS.items():
        if name not in known:
            raise SystemExit(f"service_config.py: the program has no option {name}")
        text = known[name]
        if value is not None:
            text, count = re.subn(rf"^{name}:.*$", f"{name}: {value}", text, flags=re.MULTILINE)
            if count != 1:
                raise SystemExit(f"service_config.py: {name} is there {count} times")
        parts.append(text + "\n")
    return "\n".join(parts)


def main():
    example = subprocess.run([sys.argv[1], "example"], capture_output=True, text=True, check=True, timeout=30).stdout
    sys.stdout.write(config(example))


if __name__ == "__main__":
    main()
