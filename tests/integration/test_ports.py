"""No other process can take a reserved port, and the child that it is for can listen on it."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from twisted_bazaar.errors import Unusable
from twisted_bazaar.local.ports import Ports
from twisted_bazaar.runtime.address import Address

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a port can be chosen but not held"
)

GRPC = """
import sys, grpc
from concurrent.futures import ThreadPoolExecutor
server = grpc.server(ThreadPoolExecutor(1), options=[("grpc.so_reuseport", 0)])
server.add_insecure_port(sys.argv[1])
server.start()
print("listening", flush=True)
sys.stdin.read()
server.stop(None).wait()
"""

TWISTED = """
import sys
from twisted.internet import endpoints, protocol, reactor, stdio
class UntilEnd(protocol.Protocol):
    def connectionLost(self, reason):
        reactor.stop()
host, port = sys.argv[1].split(":")
endpoint = endpoints.serverFromString(reactor, f"tcp:{port}:interface={host}")
endpoint.listen(protocol.Factory.forProtocol(protocol.Protocol)).addCallback(
    lambda _: print("listening", flush=True))
stdio.StandardIO(UntilEnd())
reactor.run()
"""


@pytest.fixture
def ports() -> Iterator[Ports]:
    ours = Ports()
    yield ours
    ours.release()


def listening(code: str, address: Address) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(address)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "listening\n"
    return child


def connects(address: Address) -> bool:
    try:
        socket.create_connection((address.host, address.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("code", [GRPC, TWISTED], ids=["grpc", "twisted"])
def test_a_child_can_listen_on_a_reserved_port_again_and_again(ports: Ports, code: str) -> None:
    address = ports.reserve(0)
    assert not connects(address), "a client is refused at once while the child is dead"
    for _ in range(2):
        child = listening(code, address)
        assert connects(address)
        child.communicate()
        assert child.returncode == 0
        assert not connects(address)


def test_no_other_process_can_bind_a_reserved_port(ports: Ports) -> None:
    address = ports.reserve(0)
    others = Ports()
    assert others.reserve(address.port) != address
    others.release()
    with socket.socket() as stranger, pytest.raises(OSError, match="already in use"):
        stranger.bind((address.host, address.port))


def test_the_preferred_port_is_reserved_if_it_is_free(ports: Ports) -> None:
    free = ports.reserve(0)
    ports.release()
    assert ports.reserve(free.port) == free


def test_no_outgoing_connection_gets_a_reserved_port(ports: Ports) -> None:
    held = {ports.reserve(0).port for _ in range(200)}
    with socket.create_server(("127.0.0.1", 0), backlog=300) as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(200)]
        given = {client.getsockname()[1] for client in clients}
        for client in clients:
            client.close()
    assert not held & given


def test_a_public_port_that_is_taken_is_refused_in_one_line(ports: Ports) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(Unusable, match=f"^port {port} of 127.0.0.1 is taken by another "):
            ports.reserve_public("127.0.0.1", port)


def test_a_public_port_of_zero_is_any_port(ports: Ports) -> None:
    address = ports.reserve_public("127.0.0.1", 0)
    child = listening(TWISTED, address)
    assert connects(address)
    child.communicate()


def test_lingering_connections_do_not_block_a_public_port(ports: Ports) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        # The end that closes first lingers, here that on the public port.
        accepted.close()
        client.close()
    assert ports.reserve_public("127.0.0.1", port).port == port


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 65536), ("192.0.2.1", 80)])
def test_an_interface_that_cannot_be_listened_on_is_refused_in_one_line(
    ports: Ports, host: str, port: int
) -> None:
    with pytest.raises(Unusable, match=f"^port {port} "):
        ports.reserve_public(host, port)
