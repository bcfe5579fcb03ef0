"""Each line that docs/operations.md explains is one that the bazaar can print."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
FIELD = re.compile(r"\{[^{}]*\}")
ANY = "…"


def quoted() -> list[str]:
    """The lines in the tables of log lines."""
    _, _, after = PAGE.partition("## What does this line mean")
    return ROW.findall(after.partition("\n## ")[0])


def texts() -> Iterator[str]:
    """All texts in the code, with `…` in place of what is filled in."""
    for path in sorted((ROOT / "twisted_bazaar").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield FIELD.sub(ANY, node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (
                    part.value if isinstance(part, ast.Constant) else ANY for part in node.values
                )
                yield FIELD.sub(ANY, "".join(map(str, parts)))


@pytest.fixture(scope="module")
def code() -> str:
    return "\n".join(texts())


def test_the_page_explains_lines() -> None:
    assert len(quoted()) > 30


@pytest.mark.parametrize("line", quoted())
def test_each_line_that_the_page_explains_is_in_the_code(line: str, code: str) -> None:
    assert line.strip(f"{ANY} :") in code
