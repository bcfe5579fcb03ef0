"""The tour of the code leads to the lines that it names.

`python -m tests.unit.test_tour` writes the line numbers anew.
"""

import ast
import re

from tests import ROOT

TOUR = ROOT / "docs" / "tour.md"
LINK = re.compile(r"\[`([\w.]+)`\]\(\.\./([\w/]+\.py)#L(\w+)\)")


def line_of(name: str, path: str) -> int | None:
    """Where `path` defines the class, method or function `name`; None: it does not."""
    body: list[ast.stmt] = ast.parse((ROOT / path).read_text()).body
    line = None
    for part in name.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == part]
        if not found:
            return None
        line, body = found[0].lineno, found[0].body
    return line


def test_every_step_is_where_the_tour_says() -> None:
    links = LINK.findall(TOUR.read_text())
    assert len(links) > 30
    wrong = [f"{path}: {name}" for name, path, line in links if str(line_of(name, path)) != line]
    wrong += [f"{path} lacks {name}" for name, path, line in links if line == "None"]
    assert not wrong, "python -m tests.unit.test_tour"


def main() -> None:
    def renumbered(link: re.Match[str]) -> str:
        name, path, _ = link.groups()
        return f"[`{name}`](../{path}#L{line_of(name, path)})"

    TOUR.write_text(LINK.sub(renumbered, TOUR.read_text()))


if __name__ == "__main__":
    main()
