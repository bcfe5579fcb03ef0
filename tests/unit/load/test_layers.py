"""Each package of `load` imports only the packages that its door names."""

import ast

import pytest

from tests import ROOT

LAYERS = {
    "history": set[str](),
    "report": set[str](),
    "client": {"history"},
    "bazaar": {"client", "history"},
    "servers": set(),
    "run": {"bazaar", "client", "history", "report"},
    "sweep": {"bazaar", "client", "history", "report", "run"},
    "chaos": {"bazaar", "client", "history", "report", "servers"},
    "bench": {"bazaar", "client", "report", "run"},
}


def imported(package: str) -> set[str]:
    """The packages of `load` that the modules of `package` import."""
    modules = [
        node.module
        for path in (ROOT / "load" / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None
    ]
    parts = [module.split(".") for module in modules if module.startswith("load.")]
    return {names[1] for names in parts if names[1] in LAYERS} - {package}


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_those_below_it(package: str) -> None:
    assert imported(package) <= LAYERS[package]


def test_every_package_has_its_layer() -> None:
    packages = {path.parent.name for path in (ROOT / "load").glob("*/__init__.py")}
    assert packages == set(LAYERS)
