"""What each exit status says; --help and the README list those of a command with their meaning."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import twisted_bazaar.__main__
from load import exit_codes
from load.__main__ import main
from tests import ROOT
from twisted_bazaar.runtime import exit_codes as services

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


def test_no_command_has_two_meanings_of_one_status() -> None:
    found = [(each.status, command) for each in exit_codes.MEANINGS for command in each.commands]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("module", [exit_codes, services], ids=["load", "twisted_bazaar"])
def test_each_status_has_a_docstring(module: object) -> None:
    body = ast.parse(Path(vars(module)["__file__"]).read_text()).body
    bare = [
        ast.unparse(statement)
        for statement, following in zip(body, [*body[1:], None], strict=True)
        if isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant)
        and not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant))
    ]
    assert not bare


def test_each_list_of_statuses_names_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert "`load/exit_codes.py`" in str(services.__doc__)
    assert "`runtime/exit_codes.py`" in str(exit_codes.__doc__)
    for program, wrong in ((main, exit_codes.CANNOT_RUN), (twisted_bazaar.__main__.main, 2)):
        with pytest.raises(SystemExit) as left:
            program(["none"])
        assert left.value.code == wrong
    assert "none" in capsys.readouterr().err


def fail(*_: object) -> int:
    raise KeyError("unforeseen")


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("load.__main__.check_file", ["check", "file"]), ("load.run.arguments._start", ["run"])],
)
def test_an_unexpected_error_has_a_status_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    function: str,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(function, fail)
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == exit_codes.BROKE_DOWN
    assert capsys.readouterr().err.endswith("\nKeyError: 'unforeseen'\n")


def test_an_unexpected_error_in_the_reactor_has_the_same_status() -> None:
    program = """
from load.reactor import carry_out

async def fail():
    raise KeyError("unforeseen")

carry_out(lambda reactor: fail())
"""
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (exit_codes.BROKE_DOWN, "")
    assert ran.stderr.startswith("Traceback ")
    assert ran.stderr.endswith("\nKeyError: 'unforeseen'\n")
