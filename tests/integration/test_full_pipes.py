"""A service whose output is not read answers and stops nevertheless."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from twisted_bazaar.local.command_lines import twistd
from twisted_bazaar.runtime.exits import STOP_SECONDS

from .bazaar import Bazaar
from .cluster import Cluster
from .waiting import wait_until

pytestmark = pytest.mark.slow

SLACK_SECONDS = 1.5
BUY = {"name": "GameStart", "quantity": 1, "type": "buy"}


class Pipe:
    """A pipe that is full, until it is read."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.fill()

    def fill(self) -> None:
        os.set_blocking(self._write, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(self._write, b"x" * size)
            except BlockingIOError:
                pass
        # The flag is one of the pipe, which others are about to inherit.
        os.set_blocking(self._write, True)

    def open(self) -> IO[bytes]:
        return open(os.dup(self._write), "wb")

    def read(self) -> bytes:
        return os.read(self._read, 1 << 20)

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    ours = Pipe()
    yield ours
    ours.close()


def check_stops(bazaar: Bazaar) -> None:
    began = time.monotonic()
    bazaar.stop()
    assert time.monotonic() - began < STOP_SECONDS + SLACK_SECONDS


def test_services_with_a_full_pipe_trade_and_stop_and_their_lines_come_later(
    tmp_path: Path, pipe: Pipe
) -> None:
    class Unread(Cluster):
        def _open_output(self) -> IO[bytes]:
            self.log.touch()
            return pipe.open()

    with Unread(tmp_path) as cluster:
        assert cluster.request("POST", "/orders", BUY).status == 200
        got = b""

        def all_have_started() -> bool:
            nonlocal got
            got += pipe.read()
            return got.count(b" serves ") == len(cluster.address) + len(cluster.internal)

        wait_until(all_have_started, "what all said at their start is there to be read")
        # Once more, and now they have to stop.
        pipe.fill()
        assert cluster.request("POST", "/orders", BUY).status == 200
        check_stops(cluster)


def test_a_local_bazaar_with_a_full_pipe_trades_restarts_processes_and_stops(
    tmp_path: Path, pipe: Pipe
) -> None:
    class Unread(Bazaar):
        def _open_output(self) -> IO[bytes]:
            self.log.touch()
            return pipe.open()

    with Unread(tmp_path, "--replicas=1", "--cache=off") as bazaar:
        bazaar.wait_restarted("catalog", bazaar.kill("catalog"))
        bazaar.wait_ready()
        assert bazaar.request("POST", "/orders", BUY).status == 200
        check_stops(bazaar)


def test_the_last_line_of_a_failing_service_appears_though_its_log_is_not_read(
    tmp_path: Path, pipe: Pipe
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger, pipe.open() as log:
        taken = "{}:{}".format(*stranger.getsockname())
        service = ["bazaar-catalog", f"--listen={taken}", "--data=data"]
        ran = subprocess.run(
            twistd(*service),
            cwd=tmp_path, stdout=log, stderr=subprocess.PIPE, text=True, timeout=30,
        )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == f"bazaar-catalog: cannot listen on {taken}: is the port taken?\n"
