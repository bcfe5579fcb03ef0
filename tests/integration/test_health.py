"""`python -m twisted_bazaar health` says of each service whether it lives, and of nothing else."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread

from tests.fakes.grpc_world import World
from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.tools import probe
from twisted_bazaar.tools.probe import ANSWER_SECONDS

from .bazaar import Bazaar
from .waiting import wait_until

START_SECONDS = 30.0
"""More than a Python takes to start, on a machine that is busy with other things."""
SERVICES = ("frontend", "catalog", "order-1", "order-2", "order-3")


@pytest.fixture(scope="module")
def bazaar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bazaar]:
    with Bazaar(tmp_path_factory.mktemp("health"), "--cache=off") as running:
        yield running


def environment(bazaar: Bazaar, name: str) -> dict[str, str]:
    """What a service of `bazaar` would be told in a container, as far as `health` looks."""
    address = bazaar.processes()[name]["address"]
    if name == "frontend":
        host, _, port = address.rpartition(":")
        return {"BAZAAR_LISTEN": f"tcp:{port}:interface={host}"}
    number = name.partition("-")[2]
    return {
        "BAZAAR_LISTEN": address,
        "BAZAAR_ID": number,
        "BAZAAR_CERTIFICATES": str(bazaar.certificates),
    }


def ask(*environments: dict[str, str]) -> list[tuple[int, str, str]]:
    """Status, output and errors of `health` for each of `environments`, asked all at once.

    The first is asked by the command, the others on threads: a process takes long to start.
    """

    def asked(environment: dict[str, str]) -> tuple[int, str, str]:
        try:
            return 0, f"ok: {probe.ask(environment)}\n", ""
        except Unusable as why:
            return 1, "", f"health: {why}\n"

    first, *others = environments
    with ThreadPoolExecutor() as pool:
        said = [pool.submit(asked, each) for each in others]
        return [_command(first), *(each.result() for each in said)]


def _command(environment: dict[str, str]) -> tuple[int, str, str]:
    outside = {name: value for name, value in os.environ.items() if "BAZAAR_" not in name}
    ran = subprocess.run(
        [sys.executable, "-Pm", "twisted_bazaar", "health"],
        capture_output=True,
        text=True,
        env={**outside, **environment},
        timeout=ANSWER_SECONDS + START_SECONDS,
    )
    return ran.returncode, ran.stdout, ran.stderr


def refusal(answer: tuple[int, str, str]) -> str:
    status, out, err = answer
    assert (status, out) == (1, "")
    assert re.fullmatch(r"health: [^\n]+\n", err)
    return err


def test_every_running_service_is_healthy(bazaar: Bazaar) -> None:
    answers = ask(*(environment(bazaar, name) for name in SERVICES))
    for name, (status, out, err) in zip(SERVICES, answers, strict=True):
        assert (status, err) == (0, ""), name
        assert re.fullmatch(r"ok: [^\n]+\n", out)
    asked = [out for _, out, _ in answers]
    assert "/livez" in asked[0]
    assert all("/grpc.health.v1.Health/" in each for each in asked[1:])


def test_a_replica_is_healthy_without_the_others_and_a_paused_one_is_not(
    bazaar: Bazaar,
) -> None:
    stopped = ["frontend", "catalog", "order-2", "order-3"]
    pids = [bazaar.processes()[name]["pid"] for name in stopped]
    told = [environment(bazaar, name) for name in ["order-1", *stopped]]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        alone, *still = ask(*told)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert alone[0] == 0, alone
    for answer in still:
        refusal(answer)


def test_a_frontend_that_reaches_no_other_service_is_healthy(tmp_path: Path) -> None:
    nowhere = ("--catalog=127.0.0.1:1", "--replica=1=127.0.0.1:1")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        listen = f"tcp:{found.getsockname()[1]}:interface=127.0.0.1"
    command = twistd("bazaar-frontend", f"--listen={listen}", *nowhere)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as frontend:
        try:
            assert frontend.stdout is not None
            for line in frontend.stdout:
                if "--listen: serves HTTP at" in line and listen.split(":")[1] in line:
                    break
            ((status, out, _),) = ask({"BAZAAR_LISTEN": listen})
        finally:
            frontend.kill()
    assert status == 0
    assert "/livez" in out


def test_a_frontend_is_asked_at_every_kind_of_endpoint(tmp_path: Path) -> None:
    nowhere = ("--catalog=127.0.0.1:1", "--replica=1=127.0.0.1:1")
    sock = tmp_path / "a:b.sock"
    ports = Ports()
    v4, v6 = ports.reserve(0), ports.reserve_public("::1", 0)
    listens = [
        f"tcp:interface=127.0.0.1:port={v4.port}:backlog=9",
        rf"tcp6:{v6.port}:interface=\:\:1",
        "unix:" + str(sock).replace(":", r"\:") + ":mode=600",
    ]
    command = twistd("bazaar-frontend", *nowhere)
    with (tmp_path / "log").open("wb") as log:
        frontends = [
            subprocess.Popen([*command, f"--listen={each}"], cwd=tmp_path, stdout=log, stderr=log)
            for each in listens
        ]
    try:
        wait_until(
            lambda: (tmp_path / "log").read_text().count("serves HTTP at") == 6,
            "each listens twice",
            START_SECONDS,
            (tmp_path / "log").read_text,
        )
        asked = ask(*({"BAZAAR_LISTEN": each} for each in listens))
    finally:
        for each in frontends:
            each.kill()
            each.wait()
        ports.release()
    assert [(status, err) for status, _, err in asked] == [(0, "")] * 3
    assert [out for _, out, _ in asked] == [
        f"ok: http://{v4}/livez\n",
        f"ok: http://{v6}/livez\n",
        f"ok: /livez at {sock}\n",
    ]


@pytest_twisted.ensureDeferred
async def test_a_service_of_an_earlier_release_which_knows_no_health_is_healthy() -> None:
    world = World()
    try:
        [(status, out, _)] = await deferToThread(ask, {"BAZAAR_LISTEN": str(world.address)})
    finally:
        await world.stop()
    assert (status, out) == (0, f"ok: {world.address}/grpc.health.v1.Health/Check\n")


def test_a_service_that_is_down_is_one_line() -> None:
    listens = {
        "tcp:1": "http://127.0.0.1:1/livez",
        "tcp:port=1:interface=0.0.0.0": "http://127.0.0.1:1/livez",
        r"tcp6:interface=\:\::port=1": "http://[::1]:1/livez",
        "127.0.0.1:1": "127.0.0.1:1/",
        "0.0.0.0:1": "127.0.0.1:1/",
        "unix:/nowhere": "BAZAAR_LISTEN /nowhere /livez does not answer",
        "order-1": "BAZAAR_LISTEN",
        "tcp:x": "BAZAAR_LISTEN",
        "tcp:0": "BAZAAR_LISTEN",
        "tcp:70000": "BAZAAR_LISTEN",
        "ssl:1:privateKey=k.pem": "https://127.0.0.1:1/livez",
        "systemd:domain=INET:index=0": "BAZAAR_LISTEN",
    }
    silent = ask(*({"BAZAAR_LISTEN": listen} for listen in listens))
    for (listen, said), answer in zip(listens.items(), silent, strict=True):
        assert said in refusal(answer), listen
