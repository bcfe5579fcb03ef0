import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from twisted_bazaar.access import Permission
from twisted_bazaar.errors import Unusable
from twisted_bazaar.frontend.access.client_file import ClientEntry, hash_of
from twisted_bazaar.frontend.access.reload import CHECK_SECONDS, ClientFile


def table(name: str, key: str) -> str:
    return f'[clients.{name}]\nkey_hash = "{hash_of(key.encode())}"\n'


Reading = Callable[[], Mapping[str, ClientEntry]]


class World:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(table("alice", "bz_a"))
        self.clock = Clock()
        self.held: list[Reading] | None = None
        self.reading: Deferred[None] = Deferred()
        self.clients = ClientFile(self.clock, path, self.blocking)
        self.clients.startService()

    def blocking(self, call: Reading) -> Deferred[Mapping[str, ClientEntry]]:
        if self.held is None:
            return maybeDeferred(call)
        self.held.append(call)
        return self.reading.addCallback(lambda _: call())

    def write(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.path)

    def later(self, seconds: int = 1) -> list[str]:
        """What is logged until then."""
        with capturedLogs() as events:
            self.clock.pump([CHECK_SECONDS] * seconds)
        return [formatEvent(each) for each in events]

    def knows(self, key: str) -> bool:
        return self.clients.gate.client_of(key.encode()) is not None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "clients.toml")


def test_a_file_that_changes_is_in_force_soon_and_one_line_says_so(
    world: World,
) -> None:
    assert world.knows("bz_a")
    world.write(table("bob", "bz_b"))
    [line] = world.later(5)
    assert "1 API keys" in line
    assert world.knows("bz_b")
    assert not world.knows("bz_a")


@pytest.mark.parametrize("content", ["[clients", "x = 1", "a = " + "[" * 5000, None])
def test_a_file_that_is_wrong_or_gone_leaves_the_clients_of_before_and_one_line_says_so(
    world: World, content: str | None
) -> None:
    if content is None:
        world.path.unlink()
    else:
        world.write(content)
    with capturedLogs() as events:
        world.clock.pump([CHECK_SECONDS] * 5)
    [event] = events
    assert event["log_level"] is LogLevel.error
    assert str(world.path) in formatEvent(event)
    assert world.knows("bz_a")
    world.write(table("bob", "bz_b"))
    assert len(world.later(3)) == 1
    assert world.knows("bz_b")


def test_a_service_begins_with_no_file_that_it_cannot_use(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    path.write_text("[clients.a]\npermissions = ['fly']")
    with pytest.raises(Unusable, match=r"--clients .*client a: permissions"):
        ClientFile(Clock(), path, maybeDeferred)


def test_a_file_that_cannot_be_read_for_a_while_is_read_once_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(path: Path, *_: object) -> str:
        raise PermissionError(13, "Permission denied")

    world.write(table("bob", "bz_b"))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_text", deny)
        assert len(world.later(5)) == 1
    assert world.knows("bz_a")
    assert len(world.later(2)) == 1
    assert world.knows("bz_b")


def test_a_file_that_is_being_written_is_not_read_before_it_is_whole(world: World) -> None:
    whole = table("reader", "bz_r") + 'permissions = ["read"]\n'
    first, last, _ = whole.splitlines(keepends=True)
    with world.path.open("w") as file:
        file.write(first)
        file.flush()
        assert not world.later()
        file.write(last)
        file.flush()
        assert not world.later()
        assert not world.knows("bz_r")
        file.write(whole[len(first + last) :])
    assert not world.later()
    assert len(world.later()) == 1
    client = world.clients.gate.client_of(b"bz_r")
    assert client is not None
    assert client.permissions == {Permission.READ}
    assert not world.knows("bz_a")


def test_a_pipe_in_place_of_the_file_is_not_waited_for(world: World) -> None:
    world.path.unlink()
    os.mkfifo(world.path)
    [line] = world.later(3)
    assert "it is no file" in line
    assert world.knows("bz_a")


def test_a_file_may_be_a_link_that_is_turned_to_another(world: World, tmp_path: Path) -> None:
    (tmp_path / "other").write_text(table("bob", "bz_b"))
    link = world.path.with_suffix(".new")
    link.symlink_to("other")
    link.replace(world.path)
    world.later(2)
    assert world.knows("bz_b")
    assert not world.knows("bz_a")


def test_a_new_file_under_the_old_name_is_not_read_before_it_is_whole(world: World) -> None:
    # As editors write one, and `install`.
    whole = table("reader", "bz_r") + 'permissions = ["read"]\n'
    *first, last = whole.splitlines(keepends=True)
    world.path.rename(world.path.with_suffix(".bak"))
    with world.path.open("w") as file:
        file.writelines(first)
        file.flush()
        assert not world.later()
        assert not world.knows("bz_r")
        file.write(last)
    assert len(world.later(3)) == 1
    client = world.clients.gate.client_of(b"bz_r")
    assert client is not None
    assert client.permissions == {Permission.READ}


def test_a_file_that_goes_and_comes_back_as_it_was_is_said_to_be_in_force_each_time(
    world: World,
) -> None:
    away = world.path.with_suffix(".bak")
    for _ in range(2):
        world.path.rename(away)
        [gone] = world.later(3)
        assert "No such file" in gone
        away.rename(world.path)
        [back] = world.later(3)
        assert "is read again" in back


def test_other_things_go_on_while_a_file_of_many_clients_is_read(world: World) -> None:
    world.held = []
    world.write(table("bob", "bz_b"))
    world.later(5)
    assert len(world.held) == 1
    assert world.knows("bz_a")
    world.reading.callback(None)
    assert world.knows("bz_b")
    world.held = None
    world.write(table("carol", "bz_c"))
    world.later(3)
    assert world.knows("bz_c")


def test_a_service_that_is_stopped_while_it_reads_looks_no_more(world: World) -> None:
    world.held = []
    world.write(table("bob", "bz_b"))
    world.later(5)
    world.clients.stopService()
    world.reading.callback(None)
    assert world.clock.getDelayedCalls() == []


def test_a_stopped_service_looks_no_more(world: World) -> None:
    world.clients.stopService()
    assert world.clock.getDelayedCalls() == []
