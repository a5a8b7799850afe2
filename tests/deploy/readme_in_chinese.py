"""README.zh-CN.md is kept in step with README.md: the same parts, the same commands, the same figures."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))


def rows(text):
    return [line for line in text.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("what, find", [
    ("parts", lambda text: len(re.findall(r"^## ", text, re.MULTILINE))),
    ("code", lambda text: re.findall(r"```.*?```", text, re.DOTALL)),
    ("rows", lambda text: len(rows(text))),
    ("links", lambda text: sorted(set(re.findall(r"\]\(([^)#]+)", text)) - {"README.md", "README.zh-CN.md"})),
    ("commands", lambda text: [re.findall(r"`(?:make|build/roost|tools/|bench|serve)[^`]*`", row) for row in rows(text)]),
    ("figures", lambda text: [re.findall(r"\d[\d,.]*", row.rsplit("|", 2)[1]) for row in rows(text)]),
])
def test_both_have_the_same(what, find):
    assert find(CHINESE) == find(ENGLISH), what
