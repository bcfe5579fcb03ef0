"""The tool for the file of clients: each API key is printed once, and only its hash is kept."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from twisted_bazaar.__main__ import main
from twisted_bazaar.access import Client, Permission
from twisted_bazaar.frontend.access.client_file import hash_of, read_clients
from twisted_bazaar.rate import Rate


class Tool:
    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def __call__(self, operation: str, *arguments: str, status: int = 0) -> str:
        assert main(["clients", operation, str(self.path), *arguments]) == status
        said = self._capsys.readouterr()
        return (said.err if status else said.out).strip()

    def client(self, name: str) -> Client:
        return read_clients(self.path.read_text())[name].client

    def hashes(self, name: str) -> list[str]:
        return [*read_clients(self.path.read_text())[name].hashes]


@pytest.fixture
def tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tool:
    return Tool(tmp_path / "clients.toml", capsys)


def test_a_client_that_is_added_has_the_api_key_that_is_printed(tool: Tool) -> None:
    key = tool("add", "alice", "--rate=2.5", "--burst=7")
    assert tool.hashes("alice") == [hash_of(key.encode())]
    both = frozenset({Permission.READ, Permission.TRADE})
    assert tool.client("alice") == Client("alice", both, Rate(2500, 7))
    assert tool("add", "bob", "--permissions=read,operate") != key
    assert tool.client("bob").permissions == {Permission.READ, Permission.OPERATE}
    assert key not in tool.path.read_text()


def test_an_api_key_is_replaced_in_two_steps_between_which_both_are_good(tool: Tool) -> None:
    old = tool("add", "alice")
    new = tool("rotate", "alice")
    assert tool.hashes("alice") == [hash_of(old.encode()), hash_of(new.encode())]
    tool("retire", "alice")
    assert tool.hashes("alice") == [hash_of(new.encode())]


def test_what_a_client_may_do_is_changed_and_its_api_keys_stay(tool: Tool) -> None:
    tool("add", "alice", "--rate=5")
    before = tool.hashes("alice")
    tool("change", "alice", "--rate=8")
    assert tool.client("alice").rate == Rate(8000, 8)
    tool("change", "alice", "--burst=3")
    tool("change", "alice", "--rate=0.5")
    assert tool.client("alice").rate == Rate(500, 3)
    tool("change", "alice", "--permissions=read", "--rate=0")
    assert tool.client("alice") == Client("alice", frozenset({Permission.READ}))
    assert tool.hashes("alice") == before


def test_clients_are_listed_and_removed(tool: Tool) -> None:
    tool("add", "bob", "--permissions=")
    tool("add", "alice")
    assert tool("list").splitlines() == [
        "alice: read,trade; any rate; 1 API key",
        "bob: none; any rate; 1 API key",
    ]
    tool("remove", "alice")
    assert tool("list") == "bob: none; any rate; 1 API key"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "alice"], "there is a client alice already"),
        (["rotate", "carol"], "there is no client carol"),
        (["remove", "carol"], "there is no client carol"),
        (["add", "carol", "--rate=-1"], "rate must be"),
        (["add", "carol", "--rate=0.0001"], "rate must be"),
        (["change", "alice", "--rate=nan"], "rate must be"),
        (["change", "alice", "--rate=inf"], "rate must be"),
        (["change", "alice", "--burst=5"], "--burst must be given with --rate"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_the_file(
    tool: Tool, arguments: list[str], said: str
) -> None:
    tool("add", "alice")
    before = tool.path.read_text()
    [line] = tool(*arguments, status=1).splitlines()
    assert line.startswith("clients: ")
    assert said in line
    assert tool.path.read_text() == before


def test_a_file_that_is_not_there_is_one_line_but_for_the_first_client(tool: Tool) -> None:
    assert "No such file" in tool("rotate", "alice", status=1)
    assert not tool.path.exists()


def test_others_may_read_the_file_as_they_might_before(tool: Tool) -> None:
    tool("add", "alice")
    tool.path.chmod(0o640)
    tool("rotate", "alice")
    assert tool.path.stat().st_mode & 0o777 == 0o640


def test_the_file_stays_its_owners(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("os.chown", lambda _, user, group: given.append((user, group)))
    tool("add", "alice")
    assert not given
    before = tool.path.stat()
    tool("rotate", "alice")
    assert given == [(before.st_uid, before.st_gid)]


def test_what_others_have_beside_the_file_stays(tool: Tool) -> None:
    beside = tool.path.with_suffix(".new")
    beside.write_text("kept")
    tool("add", "alice")
    tool("rotate", "alice")
    assert beside.read_text() == "kept"
    assert {each.name for each in tool.path.parent.iterdir()} == {tool.path.name, beside.name}


@pytest.mark.parametrize("end", ["full", "closed"])
def test_an_api_key_that_cannot_be_printed_is_not_in_the_file(tmp_path: Path, end: str) -> None:
    path = tmp_path / "clients.toml"
    command = [sys.executable, "-m", "twisted_bazaar", "clients", "add", str(path), "alice"]
    read, write = os.pipe()
    os.close(read)
    with open("/dev/full", "wb") as full, os.fdopen(write, "wb") as closed:
        out = full if end == "full" else closed
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, check=False)
    [line] = done.stderr.decode().splitlines()
    assert (done.returncode, line.startswith("clients: nothing is changed")) == (1, True)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("operation", ["add", "rotate", "list"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "long", "deep"])
def test_what_is_no_file_of_clients_is_one_line_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], operation: str, kind: str
) -> None:
    path = tmp_path / ("x" * 300 if kind == "long" else "clients.toml")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "deep":
        path.write_text("a = " + "[" * 5000)
    before = [(each.name, each.lstat()) for each in tmp_path.iterdir()]
    name = [] if operation == "list" else ["alice"]
    assert main(["clients", operation, str(path), *name]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("clients: ")
    assert [(each.name, each.lstat().st_ino) for each in tmp_path.iterdir()] == [
        (name, state.st_ino) for name, state in before
    ]


def test_a_link_stays_one_and_what_it_names_is_changed(tool: Tool) -> None:
    tool("add", "alice")
    there = tool.path.with_name("there.toml")
    tool.path.rename(there)
    tool.path.symlink_to(there.name)
    tool("remove", "alice")
    assert tool.path.is_symlink()
    assert "alice" not in there.read_text()
