"""The listener: its address is known once it listens; a wrong endpoint is one line."""

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, maybeDeferred

from tests.fakes.internal_endpoint import InternalEndpoint
from twisted_bazaar.errors import Unusable
from twisted_bazaar.http import listener as listener_module
from twisted_bazaar.http.listener import Listener

Listen = Callable[..., Listener]


@pytest_twisted.async_yield_fixture
async def listen() -> AsyncIterator[Listen]:
    """Makes a Listener and starts it."""
    from twisted.internet import reactor

    started = []

    def start(endpoint: str, *option: str) -> Listener:
        listener = Listener(reactor, endpoint, InternalEndpoint(reactor=reactor).site, *option)
        listener.startService()
        started.append(listener)
        return listener

    yield start
    for listener in started:
        await maybeDeferred(listener.stopService)


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [("tcp:0:interface=127.0.0.1", "127.0.0.1"), (r"tcp6:0:interface=\:\:1", "::1")],
)
def test_the_port_is_the_real_one(listen: Listen, endpoint: str, host: str) -> None:
    address = listen(endpoint).address
    assert address.host == host
    with socket.create_connection((address.host, address.port), timeout=5):
        pass


@pytest.mark.parametrize("endpoint", ["tcp:0", "tcp6:0", "unix:{folder}/socket"])
def test_where_there_is_no_one_address_that_has_to_be_given(
    listen: Listen, endpoint: str, tmp_path: Path
) -> None:
    named = endpoint.format(folder=tmp_path)
    listener = listen(named, "--internal")
    with pytest.raises(Unusable, match=f"^--internal {named}: --advertise must say at which "):
        _ = listener.address


def test_an_endpoint_that_cannot_be_listened_on_is_one_line_that_names_the_option(
    listen: Listen,
) -> None:
    taken = f"tcp:{listen('tcp:0:interface=127.0.0.1').address.port}:interface=127.0.0.1"
    for option in "--listen", "--internal":
        with pytest.raises(Unusable, match=f"^{option} {taken}: ") as refused:
            listen(taken, option)
        assert "\n" not in str(refused.value)


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_take_its_answer_does_not_delay_the_end(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "GRACE_SECONDS", 0.05)
    listener = listen("tcp:0:interface=127.0.0.1")
    never: Deferred[None] = Deferred()
    monkeypatch.setattr(listener._site, "drain", lambda: never)
    await maybeDeferred(listener.stopService)
