"""What documents and docstrings name is there: files, packages, modules and headings."""

import ast
import re
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

import pytest

from tests import ROOT

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "load" / "README.md",
    ROOT / "deploy" / "aws" / "README.md",
]
GENERATED = ROOT / "twisted_bazaar" / "rpc" / "bazaar"
MODULES = [
    path
    for top in ("twisted_bazaar", "load", "examples")
    for path in sorted((ROOT / top).rglob("*.py"))
    if not path.is_relative_to(GENERATED)
]
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^]]*\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
RUN = re.compile(r"\bpython3? -m ([\w.]+)")
SOURCE = re.compile(r"[\w./*{},-]+\.(py|proto|toml|yml|yaml|md)")
PLACE = re.compile(r"[a-z_][\w./*{},-]*")
BRACES = re.compile(r"\{([^}]*)\}")
TOPS = ("twisted_bazaar", "load", "examples", "tests", "docs", "deploy", "proto", "plugins")


def listed() -> set[str]:
    """The project's files and folders, from its top."""
    inside = (path for top in TOPS for path in (ROOT / top).rglob("*"))
    return {str(path.relative_to(ROOT)) for path in (*ROOT.iterdir(), *inside)}


FILES = listed()
KNOWN = {*TOPS, *(path.name for path in (ROOT / "twisted_bazaar").iterdir() if path.is_dir())}


def spelled_out(text: str) -> list[str]:
    """`a/{b,c}.py` as `a/b.py` and `a/c.py`."""
    parts = BRACES.split(text)
    choices = [[part] if at % 2 == 0 else part.split(",") for at, part in enumerate(parts)]
    return ["".join(each) for each in product(*choices)]


def is_there(name: str) -> bool:
    """Whether a file, folder or module ends with `name`, which may have wildcards."""
    name = name.removesuffix("/")
    return any(
        fnmatch(each, wanted) or fnmatch(each, f"*/{wanted}")
        for wanted in (name, f"{name}.py")
        for each in FILES
    )


def names(text: str) -> set[str]:
    """The files, folders and modules that a text names in backticks."""
    found: set[str] = set()
    for code in CODE.findall(FENCE.sub("", text)):
        if SOURCE.fullmatch(code) or (
            "/" in code and PLACE.fullmatch(code) and code.split("/")[0] in KNOWN
        ):
            found.add(code)
    return found


def docstrings(module: Path) -> str:
    """Those of a module, its classes, functions, attributes and constants."""
    return "\n".join(
        node.value.value
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def missing(text: str) -> set[str]:
    """The files, folders and modules that a text names and that are not there."""
    return {name for code in names(text) for name in spelled_out(code) if not is_there(name)}


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    assert not missing(page.read_text())


def test_every_file_and_module_that_a_docstring_names_exists() -> None:
    found = {str(path.relative_to(ROOT)): missing(docstrings(path)) for path in MODULES}
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_runs_exists(page: Path) -> None:
    modules = {name.replace(".", "/") for name in RUN.findall(page.read_text())}
    assert not {name for name in modules if not is_there(name)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = set()
    for path, anchor in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.add(path)
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            broken.add(f"{path}#{anchor}")
    assert not broken
