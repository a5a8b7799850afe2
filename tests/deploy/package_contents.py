"""What is in the Debian package, as Debian's own checker and the readers of its files see it; no root is needed for that."""

import re
import shutil
import subprocess

import pytest

import debian
from server import ROOT


@pytest.fixture(scope="module")
def package():
    return debian.built()


@pytest.fixture(scope="module")
def tree(package, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    debian.run("dpkg-deb", "-x", package, folder)
    return folder


def test_versions_agree(tree):
    """meson.build has it; Debian's changelog, ours and the program follow."""
    assert debian.run(tree / "usr/bin/roost", "--version") == f"roost {debian.VERSION}\n"
    assert debian.run("dpkg-parsechangelog", "-S", "Version", cwd=ROOT).strip() == debian.VERSION
    releases = re.findall(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == debian.VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", debian.VERSION)


def test_lintian(package):
    assert debian.run("lintian", "--fail-on", "error,warning", "--allow-root", package.with_suffix(".changes")).strip() == ""


def test_configuration_is_the_programs_own(tree):
    """It has options that the program has, and a store; what is marked as a configuration file is it alone."""
    text = (tree / "etc/roost/roost.yaml").read_text()
    example = (ROOT / "deploy/roost.yaml").read_text()
    for name in re.findall(r"^(\w+):", text, re.MULTILINE):
        assert re.search(rf"^{name}:", example, re.MULTILINE)
    assert "\nstore: /var/lib/roost\n" in text
    assert debian.run("dpkg-deb", "-I", debian.built(), "conffiles") == "/etc/roost/roost.yaml\n"


def test_program_is_hardened(tree):
    elf = debian.run("readelf", "-W", "--program-headers", "--dynamic", "--dyn-syms", tree / "usr/bin/roost")
    assert "GNU_RELRO" in elf and "BIND_NOW" in elf and "__stack_chk_fail" in elf and "__memcpy_chk" in elf and "__fread_chk" in elf


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_unit(tree):
    """systemd finds nothing wrong with it, and what it leaves open counts for 2.0 of 10 at most. Without a sandbox it is 9.6."""
    unit = tree / "lib/systemd/system/roost.service"
    # It looks for the program and the pages where they are told to be.
    here = tree / "roost.service"
    here.write_text(unit.read_text().replace("/usr/bin/roost", str(tree / "usr/bin/roost")))
    assert debian.run("systemd-analyze", "verify", "--man=no", here).strip() == ""
    # It fails where there is more.
    debian.run("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", here)


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="no mandoc")
def test_manual_pages_are_well_formed(tree):
    pages = sorted((tree / "usr/share/man").glob("man*/*.gz"))
    assert len(pages) > 20
    for page in pages:
        text = debian.run("gzip", "-dc", page)
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "error"], input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{page.name}\n{done.stdout}"


def referred(text):
    return re.findall(r"^\.BR (\S+) \((\d)\)", text.replace("\\-", "-"), re.MULTILINE)


def test_manual_pages_refer_to_pages_that_are_there(tree):
    folder = tree / "usr/share/man"
    found = 0
    for page in folder.glob("man*/*.gz"):
        for name, section in referred(debian.run("gzip", "-dc", page)):
            assert (folder / f"man{section}/{name}.{section}.gz").exists(), f"{page.name}: {name}({section})"
            found += 1
    assert found > 20


# What is typed, one of the words that follow, and one that does not.
TYPED = [("roost ", "serve", "--listen"), ("roost ser", "serve", "store"), ("roost bench ", "hold", "check"), ("roost store ", "repair", "hold"),
         ("roost serve --tls-min-version ", "1.3", "--listen"), ("roost serve --conn", "--connections", "--config"),
         ("roost bench hold --cli", "--clients", "--url"), ("roost token ", "keygen", "serve"), ("roost ctl --json ", "clients", "hold")]


def completed(shell, tree, typed):
    if shell == "bash":
        file = tree / "usr/share/bash-completion/completions/roost.bash"
        words = " ".join(f"'{word}'" for word in typed.split(" "))
        script = f'. {file}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); compopt() {{ :; }}; _roost; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return debian.run("bash", "-euc", script).split()
    if shell == "zsh":
        # Its own functions want a terminal: here they say what they are given.
        file = tree / "usr/share/zsh/vendor-completions/_roost"
        words = " ".join(f"'{word}'" for word in typed.split(" "))
        script = (f'_describe() {{ print -rl -- ${{${{(P)@[-1]}}%%:*}}; }}; compadd() {{ print -rl -- "$@"; }}; _files() {{ :; }}; words=({words}); '
                  f'CURRENT=$#words; PREFIX=$words[-1]; . {file}')
        return [word for word in debian.run("zsh", "-f", "-c", script).split() if word.startswith(typed.split(" ")[-1])]
    file = tree / "usr/share/fish/vendor_completions.d/roost.fish"
    return [line.split("\t")[0] for line in debian.run("fish", "--no-config", "-c", f"source {file}; complete -C '{typed}'").splitlines()]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, tree):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    for typed, follows, does_not in TYPED:
        words = completed(shell, tree, typed)
        assert follows in words and does_not not in words, f"{typed}: {words}"


def test_every_option_of_the_server_is_completed(tree):
    helped = debian.run(tree / "usr/bin/roost", "serve", "--help")
    options = set(re.findall(r"^  (--[a-z0-9-]+)", helped, re.MULTILINE))
    assert len(options) > 80
    assert options <= set(completed("bash", tree, "roost serve --"))
