"""What tools/layers.py and tools/shape.py share: a check reads a folder of sources and lists its faults, and is tested on
small folders made for it."""
import sys
import tempfile
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent / "src"


def self_test(faults, cases):
    """Prints TAP. A case is a title, the folder's files by name, and a piece of each line that is expected."""
    failed = 0
    print(f"1..{len(cases)}")
    for number, (title, files, expected) in enumerate(cases, 1):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                path = Path(directory, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            found = faults(Path(directory))
        good = len(found) == len(expected) and all(piece in line for piece, line in zip(expected, found))
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {title}")
        if not good:
            print(f"# expected {expected}\n# found {found}")
    return 1 if failed else 0


def run(faults, cases):
    """The checks' command line: --self-test, or a folder of sources (this project's). The exit status."""
    if sys.argv[1:] == ["--self-test"]:
        return self_test(faults, cases)
    found = faults(Path(sys.argv[1]) if len(sys.argv) > 1 else SRC)
    for line in found:
        print(line)
    return 1 if found else 0
