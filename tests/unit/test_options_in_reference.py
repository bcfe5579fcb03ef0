"""The options in docs/reference.md are those that the services take."""

import re
from importlib import import_module

import pytest

from tests import ROOT

ROW = re.compile(r"\| (`[\w-]+`|all|all but `bazaar`) \| (.*) \|")
TAPS = {
    "bazaar": "local",
    "bazaar-frontend": "frontend",
    "bazaar-catalog": "catalog",
    "bazaar-order": "order",
}


def documented(service: str) -> set[str]:
    """The options of a service, by the table."""
    wanted = {f"`{service}`", "all", *(() if service == "bazaar" else ("all but `bazaar`",))}
    lines = (ROOT / "docs" / "reference.md").read_text().splitlines()
    rows = [row for row in map(ROW.fullmatch, lines) if row and row[1] in wanted]
    return {name for row in rows for name in re.findall(r"`--([a-z-]+)", row[2])}


@pytest.mark.parametrize("service", TAPS)
def test_the_options_of_a_service_are_those_of_the_table(service: str) -> None:
    options = import_module(f"twisted_bazaar.{TAPS[service]}.tap").Options()
    taken = {name.rstrip("=") for name in options.longOpt} - {"help", "version"}
    assert documented(service) == taken
