"""requirements.txt pins what the bazaar needs to run: all of it, and exactly."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def closure(requirements: list[str]) -> set[str]:
    """The names of `requirements` and of all that they need, on this machine."""
    seen: set[tuple[str, str]] = set()
    todo = [(Requirement(each), "") for each in requirements]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                needed = importlib.metadata.requires(name) or []
                todo += [(Requirement(each), wanted) for each in needed]
    return {name for name, _ in seen}


def test_all_runtime_dependencies_are_pinned_exactly() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = project["dependencies"] + project["optional-dependencies"]["embedded"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.match(r"[a-z0-9-]+==[a-z0-9.]+(;|$)", pin) for pin in pins)
    assert {pin.split("==")[0] for pin in pins} >= closure(direct)
