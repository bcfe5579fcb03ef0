"""`twistd bazaar` as an operator meets it. That it also trades is for other tests to say."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.security.folder import CertificateFolder

from .bazaar import Bazaar
from .waiting import is_alive, wait_until

Start = Callable[..., Bazaar]


def refused(*options: str | Path, cwd: Path) -> str:
    """What `twistd bazaar` says on standard error as it exits with 1; nothing on the other."""
    ran = subprocess.run(
        twistd("bazaar", *options),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert "Traceback" not in ran.stdout
    assert ran.stderr.count("\n") == 1
    return ran.stderr.rstrip("\n")


def test_a_wrong_option_is_one_line_and_status_1(tmp_path: Path) -> None:
    assert refused("--replicas=4", cwd=tmp_path) == (
        "bazaar: --replicas must be an odd number from 1 to 9, not '4'"
    )
    assert refused("--colour=red", cwd=tmp_path) == "bazaar: option --colour not recognized"


def test_a_folder_that_cannot_be_used_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refused("--data=file", "--listen=tcp:0:interface=127.0.0.1", cwd=tmp_path) == (
        f"bazaar: folder {tmp_path / 'file'} cannot be used: File exists"
    )


def test_a_port_that_is_taken_is_one_line_and_status_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        assert refused(f"--listen=tcp:{port}:interface=127.0.0.1", cwd=tmp_path) == (
            f"bazaar: port {port} of 127.0.0.1 is taken by another process"
        )
    assert not (tmp_path / "var" / "processes.json").exists()


def test_a_listing_that_no_market_can_open_with_is_one_line_and_status_1(tmp_path: Path) -> None:
    listing = tmp_path / "listing.csv"
    listing.write_text("name,price,quantity\nBTC/USD,15.99,100\nbtc/usd,1,1\n")
    assert refused(f"--listing={listing}", "--listen=tcp:0:interface=127.0.0.1", cwd=tmp_path) == (
        f"bazaar: {listing} line 3: 'btc/usd' is too like 'BTC/USD', which is listed, too"
    )
    assert not (tmp_path / "var" / "catalog").exists(), "nothing has started"


def test_a_process_that_cannot_use_its_folder_ends_the_bazaar_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "order-1"
    folder.parent.mkdir()
    folder.write_text("")
    assert refused(
        "--replicas=1", "--cache=off", "--listen=tcp:0:interface=127.0.0.1", cwd=tmp_path
    ) == (
        f"bazaar: order-1 does not start: bazaar-order: folder {folder} cannot be used: File exists"
    )
    assert not (tmp_path / "var" / "processes.json").exists()


def test_a_process_that_has_served_is_restarted_until_its_folder_can_be_used(
    start_bazaar: Start,
) -> None:
    bazaar = start_bazaar("--cache=off", "--replicas=1")
    catalog = bazaar.data / "catalog" / "catalog.csv"
    catalog.unlink()
    catalog.mkdir()
    bazaar.kill("catalog")
    line = f"bazaar-catalog: {catalog} cannot be read: Is a directory"
    wait_until(lambda: bazaar.log.read_text().count(line) >= 2, line, why_not=bazaar.tail)
    catalog.rmdir()
    bazaar.wait_ready()


def test_a_second_bazaar_in_the_same_folder_is_refused_and_the_first_unharmed(
    start_bazaar: Start, tmp_path: Path
) -> None:
    first = start_bazaar("--replicas=1", "--cache=off", ready=False)
    before = first.processes()
    assert refused(f"--data={first.data}", "--listen=tcp:0:interface=127.0.0.1", cwd=tmp_path) == (
        f"bazaar: folder {first.data} is in use by process {first.pid}"
    )
    assert first.processes().keys() == before.keys()


def test_two_bazaars_live_side_by_side(start_bazaar: Start) -> None:
    bazaars = [start_bazaar("--replicas=1", "--cache=off", ready=False) for _ in range(2)]
    addresses = [row["address"] for each in bazaars for row in each.processes().values()]
    assert len(addresses) == len(set(addresses)) == 6


def test_a_killed_process_is_back_within_a_second(start_bazaar: Start) -> None:
    bazaar = start_bazaar("--replicas=1", "--cache=auto", ready=False)
    address = bazaar.processes()["redis"]["address"]
    for _ in range(3):
        old = bazaar.kill("redis")
        bazaar.wait_restarted("redis", old, within=1.5)
    assert bazaar.processes()["redis"]["restarts"] == 3
    host, _, port = address.partition(":")

    def answers() -> bool:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100) == b"+PONG\r\n"
        except OSError:
            return False

    wait_until(answers, "the cache answers on the port it had", why_not=bazaar.tail)


def test_stopping_leaves_nothing_behind(start_bazaar: Start) -> None:
    bazaar = start_bazaar("--replicas=1", ready=False)
    bazaar.stop()
    assert not (bazaar.data / "processes.json").exists()
    bazaar.start(ready=False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of this")
def test_a_bazaar_that_is_killed_takes_its_processes_with_it_and_can_start_again(
    start_bazaar: Start,
) -> None:
    bazaar = start_bazaar("--replicas=1", ready=False)
    pids = [row["pid"] for row in bazaar.processes().values() if row["pid"]]
    os.kill(bazaar.pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), "all are gone", why_not=bazaar.tail)
    bazaar.kill_all()
    bazaar.start(ready=False)


def test_an_option_may_come_from_the_environment_and_does_not_reach_the_processes(
    start_bazaar: Start,
) -> None:
    environment = {"BAZAAR_REPLICAS": "1", "BAZAAR_CACHE": "off", "BAZAAR_LEASE": "1.5"}
    bazaar = start_bazaar(ready=False, environment=environment)
    processes = bazaar.processes()
    assert processes.keys() == {"frontend", "catalog", "order-1"}
    assert all("--lease=1.5" in row["command"] for row in processes.values())


def test_a_bazaar_gets_ready_and_lists_the_processes_that_are_promised(bazaar: Bazaar) -> None:
    processes = bazaar.processes()
    assert list(processes) == ["frontend", "catalog", "order-1", "order-2", "order-3", "redis"]
    assert all(is_alive(row["pid"]) for row in processes.values())
    assert bazaar.request("GET", "/ping").body == {"data": "pong"}


def test_a_bazaar_makes_certificates_that_their_owner_alone_can_read(bazaar: Bazaar) -> None:
    folder = CertificateFolder(bazaar.data / "certificates")
    roles = ["frontend", "catalog", "order-1", "order-2", "order-3", "operator", "monitor"]
    assert sorted(map(str, folder.roles())) == sorted(roles)
    assert all(folder.read(role) for role in folder.roles())
    assert {path.stat().st_mode & 0o077 for path in folder.path.iterdir()} == {0}
