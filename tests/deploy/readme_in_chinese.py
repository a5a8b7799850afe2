"""README.zh-CN.md is kept in step with README.md: the same parts, the same commands, the same figures."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))

CODE = re.compile(r"```.*?```", re.DOTALL)
ROW = re.compile(r"^\| .*$", re.MULTILINE)
NAMES = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)]+)\)")
FIGURE = re.compile(r"(?<![A-Za-z\d.])(\d[\d,.]*\d|\d) ?(%|GiB|MB|KB|B|us|ms|s|微秒|毫秒|秒)?(?![A-Za-z\d])")
UNITS = {"微秒": "us", "毫秒": "ms", "秒": "s"}
# Words that both have as a figure in one place and as a word in another.
WORDS = {"a million": "1,000,000 ", "一百万": "1,000,000 "}
OTHER_LANGUAGE = {"README.md", "README.zh-CN.md"}


def parts(text):
    """What stands below each heading, and above the first one."""
    return re.split(r"^#+ .*$", text, flags=re.MULTILINE)


def blocks(part):
    """Paragraphs, code, tables and lists, in their order: what a reader sees as a whole."""
    return re.split(r"\n{2,}", CODE.sub("```", part).strip())


def kind(block):
    return next((mark for mark in ("```", "|", "-") if block.startswith(mark)), "text")


def items(part):
    """Rows of tables, and points of lists."""
    return [len(re.findall(r"^(?:\| |- )", block, re.MULTILINE)) for block in blocks(part)]


def figures(text):
    """With their units, in their order. Not those in code, links and names of standards."""
    for thing in (CODE, NAMES, LINK):
        text = thing.sub(" ", text)
    for word, figure in WORDS.items():
        text = text.replace(word, figure)
    return [(figure.rstrip(".,"), UNITS.get(unit, unit)) for figure, unit in FIGURE.findall(text)]


def rows(text):
    return ROW.findall(text)


def in_each_part(find):
    return lambda text: [find(part) for part in parts(text)]


def in_each_row(find):
    return lambda text: [find(row) for row in rows(text)]


COMPARED = {
    "kinds of blocks": in_each_part(lambda part: [kind(block) for block in blocks(part)]),
    "rows and points": in_each_part(items),
    "blocks of code": in_each_part(CODE.findall),
    "commands and names": in_each_part(lambda part: sorted(NAMES.findall(CODE.sub("", part)))),
    "commands of a row": in_each_row(NAMES.findall),
    "links": in_each_part(lambda part: sorted(set(LINK.findall(part)) - OTHER_LANGUAGE)),
    "links of a row": in_each_row(LINK.findall),
    "figures of a part": in_each_part(lambda part: sorted(figures(ROW.sub("", part)))),
    "figures of a row": in_each_row(lambda row: [sorted(figures(cell)) for cell in row.strip("| ").split(" | ")]),
}


@pytest.mark.parametrize("what", COMPARED)
def test_both_have_the_same(what):
    ours, theirs = COMPARED[what](ENGLISH), COMPARED[what](CHINESE)
    assert len(theirs) == len(ours), what
    for english, chinese in zip(ours, theirs):
        assert chinese == english, what


def changed(old, new):
    assert CHINESE.count(old) >= 1, old
    return CHINESE.replace(old, new, 1)


@pytest.mark.parametrize("what, text", [
    ("kinds of blocks", changed("## 升级\n", "")),
    ("kinds of blocks", re.sub(r"## 须知.*?(?=## 代价)", "", CHINESE, flags=re.DOTALL)),
    ("rows and points", re.sub(r"^\| 扇出 .*\n", "", CHINESE, flags=re.MULTILINE)),
    ("blocks of code", changed("mosquitto_pub -t greetings/world", "mosquitto_pub -t greetings/all")),
    ("commands and names", changed("`--anonymous`", "`--anyone`")),
    ("commands of a row", changed("`make startup`", "`make bench`")),
    ("links", changed("docs/OPERATIONS.md#tls", "docs/OPERATIONS.md")),
    ("figures of a part", changed("20,000 个描述符", "200,000 个描述符")),
    ("figures of a part", changed("1.1 微秒", "1.1 毫秒")),
    ("figures of a row", changed("63 ms", "36 ms")),
    ("figures of a row", changed("保持 120 秒", "保持 12 秒")),
])
def test_a_difference_is_found(what, text):
    with pytest.raises(AssertionError):
        assert COMPARED[what](text) == COMPARED[what](ENGLISH)
