"""What the environment of a machine says about networks is not for calls between services."""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from .bazaar import Bazaar

pytestmark = pytest.mark.slow

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
NONSENSE = {
    "GRPC_DNS_RESOLVER": "native",
    "GRPC_POLL_STRATEGY": "none",
    "GRPC_ADDRESS_HTTP_PROXY": "127.0.0.1:1",
    "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": "127.0.0.0/8",
    "GRPC_ENABLE_FORK_SUPPORT": "true",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": "/nowhere",
}


class Proxy:
    """Notes every connection, and answers none."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.seen: list[bytes] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                said = connection.recv(1000)
                if said == b"the end":
                    return
                self.seen.append(said)

    def close(self) -> None:
        host, _, port = self.address.partition(":")
        with socket.create_connection((host, int(port))) as last:
            last.sendall(b"the end")
        self._thread.join()
        self._listening.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    ours = Proxy()
    yield ours
    ours.close()


def test_no_call_between_services_goes_through_a_proxy(
    start_bazaar: Callable[..., Bazaar], proxy: Proxy
) -> None:
    named = dict.fromkeys(PROXIES, f"http://{proxy.address}")
    ambient = {**named, **{name.upper(): value for name, value in named.items()}, **NONSENSE}
    unset = {"no_proxy": "", "NO_PROXY": ""}
    bazaar = start_bazaar("--replicas=1", environment={**ambient, **unset})
    body = {"name": "GameStart", "quantity": 1, "type": "buy"}
    assert bazaar.request("POST", "/orders", body).status == 200
    processes = bazaar.processes()
    for name, more in (("frontend", {}), ("order-1", {"BAZAAR_ID": "1"}), ("catalog", {})):
        listen = processes[name]["address"]
        if name == "frontend":
            listen = f"tcp:port={listen.rpartition(':')[2]}"
        asked = subprocess.run(
            [sys.executable, "-Pm", "twisted_bazaar", "health"],
            env={
                **ambient,
                **unset,
                **more,
                "BAZAAR_LISTEN": listen,
                "BAZAAR_CERTIFICATES": str(bazaar.certificates),
            },
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert asked.returncode == 0, f"{name}: {asked.stderr}"
    assert proxy.seen == []
