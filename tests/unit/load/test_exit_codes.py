"""--help and the README list each exit status of a command with its meaning."""

import pytest

from load import exit_codes
from load.__main__ import main
from tests import ROOT

COMMANDS = sorted({command for each in exit_codes.MEANINGS for command in each.commands})


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == exit_codes.OK
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_lists_its_statuses(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    shown = help_of(capsys, command)
    assert exit_codes.described(command) in shown
    others = {each.text for each in exit_codes.MEANINGS if command not in each.commands}
    assert not [text for text in others if text in shown]


def test_the_help_of_all_lists_all_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    shown = help_of(capsys)
    for each in exit_codes.MEANINGS:
        assert f"{each.status} {each.text} ({', '.join(each.commands)})" in shown


def test_the_readme_lists_all_statuses() -> None:
    lines = (ROOT / "load" / "README.md").read_text().splitlines()
    for each in exit_codes.MEANINGS:
        commands = ", ".join(f"`{command}`" for command in each.commands)
        assert f"| {each.status} | {commands} | {each.text} |" in lines
