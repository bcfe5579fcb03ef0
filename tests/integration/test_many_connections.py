"""A front-end among more clients than it has file descriptors for: none is shut out."""

import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from twisted_bazaar.local.command_lines import twistd

from .raw_client import RawClient, request
from .waiting import wait_until

DESCRIPTORS = 1024
"""What most systems give a process that asks for no more."""
CLIENTS = 1200
START_SECONDS = 30.0
SLOWEST_SECONDS = 2.0


@pytest.fixture(scope="module")
def own_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} file descriptors; {hard} is the most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class FrontEnd:
    """One front-end, without a bazaar behind it."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        self.address = address
        self.log = log
        self._process = process

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def ping(self) -> float:
        """How long an answer takes, the connection included."""
        began = time.monotonic()
        with RawClient(self.address) as client:
            client.send(request("GET", "/ping"))
            answer = client.answer()
        assert answer is not None
        assert answer.json == {"data": "pong"}
        return time.monotonic() - began

    def answers(self) -> bool:
        try:
            return self.ping() > 0
        except OSError:
            return False


@pytest.fixture(scope="module")
def frontend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontEnd]:
    log = tmp_path_factory.mktemp("many-connections") / "log"
    with socket.create_server(("127.0.0.1", 0)) as free, socket.socket() as nobody:
        port = free.getsockname()[1]
        nobody.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{nobody.getsockname()[1]}"
        free.close()
        options = [f"--listen=tcp:{port}:interface=127.0.0.1", "--cache=memory"]
        limited = f'ulimit -S -n {DESCRIPTORS} && exec "$@"'
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", limited, "sh", *twistd("bazaar-frontend")]
                + [*options, f"--replica=1={silent}", f"--catalog={silent}"],
                env={name: value for name, value in os.environ.items() if "BAZAAR_" not in name},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            found = FrontEnd(process, f"127.0.0.1:{port}", log)
            wait_until(found.answers, "the front-end answers", START_SECONDS, log.read_text)
            yield found
            process.terminate()
            assert process.wait(15) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
@pytest.mark.usefixtures("own_descriptors")
@pytest.mark.parametrize(
    "sent",
    [b"", b"G", request("GET", "/ping"), request("POST", "/orders", b"{}")[:-1]],
    ids=["nothing", "a byte", "a request", "all but a byte"],
)
def test_a_new_client_is_served_beside_many_open_connections(
    frontend: FrontEnd, sent: bytes
) -> None:
    host, _, port = frontend.address.rpartition(":")
    with ExitStack() as stack:
        for n in range(CLIENTS):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=15))
            if sent:
                client.sendall(sent)
            if n % 200 == 0:
                assert frontend.ping() < SLOWEST_SECONDS
        assert max(frontend.ping() for _ in range(20)) < SLOWEST_SECONDS
        assert frontend.descriptors() < DESCRIPTORS
    said = frontend.log.read_text()
    assert "Traceback" not in said, said
    assert "Too many open files" not in said, said
