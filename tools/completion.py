#!/usr/bin/python3
"""Completion for shells, from what the program says itself: tools/completion.py bash|zsh|fish PROGRAM >FILE

The tables of commands and options are in the program, which prints them as --help; tools/manual.py says in which form.
A value is completed by the kind that the help has for it: FILE, DIR, or alternatives such as none|optional|required."""

import re
import subprocess
import sys

# Above the list of what may follow a command.
HEADINGS = ("Commands:", "Loads:")


class Option:
    def __init__(self, name, value, summary):
        self.name, self.value, self.summary = name, value, summary

    def kind(self):
        """none: it has no value; files, directories; or the alternatives, none where nothing can be said."""
        if self.value is None:
            return "none"
        if re.fullmatch(r"[a-z0-9][\w.-]*(\|[a-z0-9][\w.-]*)+", self.value):
            return self.value.split("|")
        if "DIR" in self.value:
            return "directories"
        return "files" if "FILE" in self.value else []


class Command:
    """words: behind "roost"; "" for the program itself."""

    def __init__(self, words, help_text):
        self.words = words
        self.subcommands = {}  # name: (summary, Command)
        self.options = []
        self.arguments = []  # placeholders behind the name, from the first usage
        lines = help_text.splitlines()
        in_commands = False
        for place, line in enumerate(lines):
            if line and not line.startswith(" "):
                in_commands = line in HEADINGS
            elif in_commands and (found := re.match(r"^  ([a-z][a-z-]*)(?: [A-Z\[][^ ]*(?: [^ ]+)*)?\s{2,}(\S.*)$", line)):
                self.subcommands[found.group(1)] = (found.group(2), None)
            elif re.match(r"^ {2,6}-", line):
                self.options += options_of(line, lines[place + 1] if place + 1 < len(lines) else "")
        for usage in re.findall(rf"^(?:Usage: | {{7}})roost {re.escape(words)} ([a-z][a-z-]*)\b", help_text, re.MULTILINE) if words else []:
            self.subcommands.setdefault(usage, ("", None))
        usage = re.match(rf"Usage: roost {re.escape(words)} (.*)", help_text) if words else None
        self.arguments = re.findall(r"\b(FILE|DIR|TO|SCENARIO)\b", re.sub(r"--\S+ \S+", "", usage.group(1))) if usage and not self.subcommands else []

    def names(self):
        return [option.name for option in self.options]


def options_of(line, next_line):
    spec, _, summary = re.match(r"^\s+(\S.*?)(\s{2,}(\S.*))?$", line).groups()
    summary = summary or (next_line.strip() if next_line.startswith("        ") else "")
    found = []
    for part in spec.split(", "):
        name = re.match(r"^(--?[a-z0-9][\w-]*)(?:\[?[ =](\S+?)\]?)?(?: .*)?$", part)
        if name:
            found.append([name.group(1), name.group(2)])
    # Of "-n, --clients N" the value belongs to both.
    value = found[-1][1] if found else None
    return [Option(name, own or value, summary) for name, own in found]


def ask(program, words):
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout


def read(program, words=(), above=""):
    """The command and all below it. A command that has no help of its own has its parent's options."""
    text = ask(program, words)
    command = Command(" ".join(words), text)
    if text == above:
        command.subcommands = {}
        return command
    for name, (summary, _) in command.subcommands.items():
        below = read(program, (*words, name), text)
        command.subcommands[name] = (summary or below_summary(program, (*words, name)), below)
    return command


def below_summary(program, words):
    first = next(line for line in ask(program, words).splitlines()[1:] if line and not line.startswith(" "))
    return first.split(". ")[0].rstrip(".,")


def all_of(command):
    yield command
    for _, below in command.subcommands.values():
        yield from all_of(below)


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def short(text):
    return text if len(text) <= 70 else text[:67].rsplit(" ", 1)[0] + " ..."


def paths(root):
    """The words that may be skipped when the command is looked for."""
    return [command.words for command in all_of(root) if command.words]


HEAD = "# Completion of roost for {shell}, made by tools/completion.py from `roost --help`.\n"

BASH = """\
_roost()
{{
	local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} at="" i word
	# bash takes --option=value apart.
	if [ "$cur" = "=" ]; then
		cur=""
	elif [ "$prev" = "=" ]; then
		prev=${{COMP_WORDS[COMP_CWORD-2]}}
	fi
	for ((i = 1; i < COMP_CWORD; i++)); do
		word="${{at:+$at }}${{COMP_WORDS[i]}}"
		case $word in
		{paths}) at=$word ;;
		esac
	done
	COMPREPLY=()
	case "$at:$prev" in
{values}
	esac
	case $at in
{words}
	esac
}}
complete -F _roost roost
"""


def bash(root):
    values, words = [], []
    for command in all_of(root):
        for option in command.options:
            kind = option.kind()
            if kind == "none":
                continue
            reply = {"files": 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur")',
                     "directories": 'compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$cur")'}.get(
                         kind if isinstance(kind, str) else "", "")
            if isinstance(kind, list) and kind:
                reply = f'mapfile -t COMPREPLY < <(compgen -W {quoted(" ".join(kind))} -- "$cur")'
            values.append(f"\t{quoted(f'{command.words}:{option.name}')})\n\t\t{reply + chr(10) + chr(9) + chr(9) if reply else ''}return ;;")
        known = [*command.subcommands, *command.names()]
        files = {"FILE": "-f", "SCENARIO": "-f", "DIR": "-d", "TO": "-d"}.get(command.arguments[0], "") if command.arguments else ""
        line = f'\t\tmapfile -t COMPREPLY < <(compgen -W {quoted(" ".join(known))} {files} -- "$cur")'
        words.append(f"\t{quoted(command.words)})\n{'		compopt -o filenames' + chr(10) if files else ''}{line} ;;")
    return HEAD.format(shell="bash") + BASH.format(paths=" | ".join(quoted(path) for path in paths(root)), values="\n".join(values),
                                                   words="\n".join(words))


ZSH = """\
_roost() {{
	local at= word i prev=$words[CURRENT-1]
	local -a commands options
	for ((i = 2; i < CURRENT; i++)); do
		word="${{at:+$at }}$words[i]"
		case $word in
		({paths}) at=$word ;;
		esac
	done
	case "$at:$prev" in
{values}
	esac
	case $at in
{words}
	esac
	if [[ $PREFIX == -* ]]; then
		_describe -o option options
	elif (( $#commands )); then
		_describe command commands
	else
		_files
	fi
}}
_roost "$@"
"""


def zsh(root):
    def described(pairs):
        return " ".join(quoted(f"{name}:{short(summary).replace(':', chr(92) + ':')}") for name, summary in pairs)

    values, words = [], []
    for command in all_of(root):
        for option in command.options:
            kind = option.kind()
            if kind == "none":
                continue
            reply = {"files": "_files; ", "directories": "_files -/; "}.get(kind, "") if isinstance(kind, str) else (
                f"compadd {' '.join(kind)}; " if kind else "")
            values.append(f"\t({quoted(f'{command.words}:{option.name}')}) {reply}return ;;")
        words.append(f"\t({quoted(command.words)})\n"
                     f"\t\tcommands=({described((name, summary) for name, (summary, _) in command.subcommands.items())})\n"
                     f"\t\toptions=({described((option.name, option.summary) for option in command.options)}) ;;")
    return "#compdef roost\n" + HEAD.format(shell="zsh") + ZSH.format(
        paths=" | ".join(quoted(path) for path in paths(root)), values="\n".join(values), words="\n".join(words))


FISH = """\
function __roost_at
	set -l at
	for word in (commandline -opc)[2..]
		set -l deeper (string join -- ' ' $at $word)
		if contains -- $deeper {paths}
			set at $at $word
		end
	end
	set -l here (string join -- ' ' $at)
	test "$here" = "$argv"
end
complete -c roost -f
"""


def fish(root):
    def text(string):
        return "'" + string.replace("\\", "\\\\").replace("'", "\\'") + "'"

    out = [HEAD.format(shell="fish") + FISH.format(paths=" ".join(text(path) for path in paths(root))).rstrip("\n")]
    for command in all_of(root):
        here = f"complete -c roost -n {text(f'__roost_at {command.words}'.rstrip())}"
        for name, (summary, _) in command.subcommands.items():
            out.append(f"{here} -a {name} -d {text(short(summary))}")
        if command.arguments:
            out.append(f"{here} -F")
        for option in command.options:
            kind = option.kind()
            value = {"none": "", "files": " -r -F", "directories": " -x -a '(__fish_complete_directories)'"}.get(kind) if isinstance(
                kind, str) else f" -x -a {text(' '.join(kind))}" if kind else " -x"
            flag = f"-l {option.name[2:]}" if option.name.startswith("--") else f"-s {option.name[1:]}"
            out.append(f"{here} {flag}{value} -d {text(short(option.summary))}")
    return "\n".join(out) + "\n"


def main():
    shell, program = sys.argv[1:]
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[shell](read(program)))


if __name__ == "__main__":
    main()
