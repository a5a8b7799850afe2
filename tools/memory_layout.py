#!/usr/bin/python3
"""Writes down how the compiler laid out the types that outlive the program (src/base/layout_root.h).

    tools/memory_layout.py OUT.c OBJECT...   a source with the text and its hash, from the objects' debug information
    tools/memory_layout.py --self-test       compiles small programs and shows what is found in them; TAP on stdout

A marked type that has a pointer is an error: the next program has its memory elsewhere.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile

from elftools.elf.elffile import ELFFile

MARK = "layout_root_"
SECTION = ".roost_layout"
TRANSPARENT = {"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_atomic_type"}
# DWARF 5, section 7.8: boolean, float, signed and unsigned, of numbers and of characters.
ENCODINGS = {2: "bool", 4: "f", 5: "s", 6: "s", 7: "u", 8: "u"}
RECORDS = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union"}


class Fault(Exception):
    """What a person has to mend; its text names the type."""


def name_of(die):
    return die.attributes["DW_AT_name"].value.decode() if "DW_AT_name" in die.attributes else None


def number(die, attribute, default=None):
    return die.attributes[attribute].value if attribute in die.attributes else default


def type_of(die):
    """The type of a member or variable, without typedefs and qualifiers."""
    while "DW_AT_type" in die.attributes:
        die = die.get_DIE_from_attribute("DW_AT_type")
        if die.tag not in TRANSPARENT:
            return die
    return None


def size_of(die):
    if die.tag == "DW_TAG_array_type":
        size = size_of(type_of(die))
        for bound in bounds(die):
            size *= bound
        return size
    return number(die, "DW_AT_byte_size", 8)


def bounds(array):
    for child in array.iter_children():
        if child.tag == "DW_TAG_subrange_type":
            upper = number(child, "DW_AT_upper_bound")
            yield number(child, "DW_AT_count", 0 if upper is None else upper + 1)


class Layout:
    def __init__(self):
        self.lines = {}  # type's name: the rest of its line
        self.roots = set()  # names of the types that are marked

    def read(self, path):
        with open(path, "rb") as file:
            elf = ELFFile(file)
            if elf.get_section_by_name(SECTION) is None:
                return
            if not elf.has_dwarf_info():
                raise Fault(f"{path} has no debug information: the layout of its types is not known (compile with -g)")
            marks = [die for unit in elf.get_dwarf_info().iter_CUs() for die in unit.get_top_DIE().iter_children()
                     if die.tag == "DW_TAG_variable" and (name_of(die) or "").startswith(MARK)]
            if not marks:
                raise Fault(f"{path} marks types, and its debug information has none (compile with -g, not -g1)")
            for mark in marks:
                self.roots.add(self.word(type_of(type_of(mark)), name_of(mark).removeprefix(MARK)))

    def word(self, die, where):
        """What stands for a type in another's line. Types with a name get a line of their own."""
        if die is None or die.tag in ("DW_TAG_pointer_type", "DW_TAG_subroutine_type"):
            raise Fault(f"{where} is or has a pointer, which means nothing to the next program")
        if die.tag == "DW_TAG_base_type":
            return f"{ENCODINGS[number(die, 'DW_AT_encoding')]}{number(die, 'DW_AT_byte_size') * 8}"
        if die.tag == "DW_TAG_array_type":
            return self.word(type_of(die), where) + "".join(f"[{bound}]" for bound in bounds(die))
        if die.tag == "DW_TAG_enumeration_type":
            return self.named("enum", die, where, self.values)
        if die.tag in RECORDS:
            return self.named(RECORDS[die.tag], die, where, self.members)
        raise Fault(f"{where} has a type that is not known here: {die.tag}")

    def named(self, kind, die, where, describe):
        if number(die, "DW_AT_declaration"):
            raise Fault(f"{where}: its type is declared there, and not defined")
        name = name_of(die)
        if name is None:
            return f"{kind} {{{describe(die, where)}}}"
        word = f"{kind} {name}"
        if word not in self.lines:
            self.lines[word] = None  # a type cannot contain itself
            line = f"{number(die, 'DW_AT_byte_size')}: {describe(die, word)}"
            self.lines[word] = line
        elif self.lines[word] is not None and self.lines[word] != f"{number(die, 'DW_AT_byte_size')}: {describe(die, word)}":
            raise Fault(f"two types are called {word}")
        return word

    def members(self, die, where):
        parts = []
        for child in die.iter_children():
            if child.tag != "DW_TAG_member":
                continue
            name = name_of(child) or ""
            at = number(child, "DW_AT_data_member_location", 0)
            word = self.word(type_of(child), f"{where}.{name}")
            bits = number(child, "DW_AT_bit_size")
            place = f"{at}" if bits is None else f"{number(child, 'DW_AT_data_bit_offset', 0)}b{bits}"
            parts.append(f"{name}@{place} {word}")
        return "; ".join(parts)

    def values(self, die, where):
        parts = [f"{name_of(child)}={number(child, 'DW_AT_const_value')}" for child in die.iter_children()
                 if child.tag == "DW_TAG_enumerator"]
        if not parts:
            raise Fault(f"{where} has no values")
        return "; ".join(parts)

    def text(self):
        return "".join(f"{name} {self.lines[name]}\n" for name in sorted(self.lines))


def source(text, roots):
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    lines = "\n".join(f'\t"{line}\\n"' for line in text.splitlines()) or '\t""'
    return ('/* Made by tools/memory_layout.py. */\n#include "layout/layout_text.h"\n\n'
            f"const uint64_t LAYOUT_TEXT_HASH = 0x{digest}u;\nconst char LAYOUT_TEXT[] =\n{lines};\n"
            "const char LAYOUT_ROOTS[] =\n" + ("\n".join(f'\t"{root}\\n"' for root in sorted(roots)) or '\t""') + ";\n")


def layout_of(objects):
    layout = Layout()
    for path in objects:
        layout.read(path)
    return layout


# ---- the tool's own test ----

def compiled(text, folder, *options):
    path = pathlib.Path(folder) / "source.c"
    path.write_text('#include "base/layout_root.h"\n#include <stdint.h>\n' + text)
    src = pathlib.Path(__file__).resolve().parent.parent / "src"
    built = path.with_suffix(".o")
    subprocess.run(["gcc", *(options or ["-g", "-O2"]), "-I", src, "-c", "-o", built, path], check=True)
    return built


CASES = [
    ("members, arrays and types within", "struct in { uint16_t a; };\nstruct s { uint32_t n[3]; struct in in; };\nLAYOUT_ROOT(s);",
     ["struct in 2: a@0 u16", "struct s 16: n@0 u32[3]; in@12 struct in"]),
    ("bit-fields", "struct s { uint16_t a : 3; uint16_t b : 13; };\nLAYOUT_ROOT(s);",
     ["struct s 2: a@0b3 u16; b@3b13 u16"]),
    ("an enumeration", "enum e { A, B = 7 };\nLAYOUT_ENUM(e);", ["enum e 4: A=0; B=7"]),
    ("a union without a name", "struct s { union { uint32_t a; float b; }; };\nLAYOUT_ROOT(s);",
     ["struct s 4: @0 union {a@0 u32; b@0 f32}"]),
    ("nothing that is not marked", "struct s { int a; };\nstruct s s;", []),
]
FAULTS = [
    ("a pointer", "struct s { void *p; };\nLAYOUT_ROOT(s);", "struct s.p is or has a pointer"),
    ("a pointer deep inside", "struct in { int (*call)(void); };\nstruct s { struct in in[2]; };\nLAYOUT_ROOT(s);",
     "struct in.call is or has a pointer"),
    ("a type that is only declared", "struct s;\nLAYOUT_ROOT(s);", "not defined"),
]


def self_test():
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name, code, lines in CASES:
            found = layout_of([compiled(code, folder)]).text().splitlines()
            results.append((found == lines, f"{name}: {found}"))
        for name, code, part in FAULTS:
            try:
                found = layout_of([compiled(code, folder)]).text()
            except Fault as fault:
                found = str(fault)
            results.append((part in found, f"{name}: {found}"))
        for option, part in (("-g0", "no debug information"), ("-g1", "(compile with -g")):
            try:
                found = layout_of([compiled(CASES[0][1], folder, option)]).text()
            except Fault as fault:
                found = str(fault)
            results.append((part in found, f"{option}: {found}"))
    print(f"1..{len(results)}")
    for place, (passed, text) in enumerate(results, 1):
        print(f"{'ok' if passed else 'not ok'} {place} - {text}")
    return 0 if all(passed for passed, _ in results) else 1


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) < 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        layout = layout_of(arguments[1:])
    except Fault as fault:
        print(f"tools/memory_layout.py: {fault}", file=sys.stderr)
        return 1
    pathlib.Path(arguments[0]).write_text(source(layout.text(), layout.roots))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
