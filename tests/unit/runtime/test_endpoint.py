"""Endpoint strings are read as Twisted reads them."""

from typing import Any

import pytest
from twisted.internet.endpoints import serverFromString

from twisted_bazaar.runtime.endpoint import Endpoint

SAME = [
    "tcp:8081",
    "tcp:8081:interface=127.0.0.1",
    "tcp:8081:127.0.0.1",
    "tcp:8081:127.0.0.1:300",
    "tcp:port=8081:backlog=9:interface=127.0.0.1",
    "tcp:interface=127.0.0.1:port=8081",
    "tcp:interface=127.0.0.1:8081",
    "tcp:8081:interface=",
    r"tcp:8081:interface=\:\:1",
    "tcp6:8081",
    r"tcp6:8081:interface=\:\:1",
    r"tcp6:8081:300:\:\:1",
    r"tcp6:port=8081:interface=fe80\:\:1%eth0",
    r"tcp\6:80\81",
    "unix:/run/bazaar.sock",
    "unix:/run/bazaar.sock:mode=600:backlog=9",
    r"unix:/run/a\:b\=c\\d:mode=600",
    "unix:address=/run/a=b",
    "unix:/run/bazaar.sock:600:9:lockfile=0",
]


def meant(text: str) -> tuple[Any, ...]:
    """What Twisted makes of `text`."""
    endpoint = serverFromString(None, text)
    names = "_port", "_interface", "_address", "_backlog", "_mode", "_wantPID"
    return (type(endpoint), *(getattr(endpoint, name, None) for name in names))


@pytest.mark.parametrize("text", SAME)
def test_an_endpoint_is_read_as_twisted_reads_it(text: str) -> None:
    _, port, interface, path, *_ = meant(text)
    endpoint = Endpoint.parse(text)
    if endpoint.is_tcp:
        assert (endpoint.port, endpoint.host) == (port, interface)
    else:
        assert endpoint.path == path


@pytest.mark.parametrize("text", SAME)
def test_a_written_endpoint_reads_as_the_same_endpoint(text: str) -> None:
    assert meant(str(Endpoint.parse(text))) == meant(text)


@pytest.mark.parametrize("text", [each for each in SAME if each.startswith("tcp")])
def test_another_port_changes_nothing_else(text: str) -> None:
    kind, _, *rest = meant(text)
    assert meant(str(Endpoint.parse(text).with_port(9))) == (kind, 9, *rest)


@pytest.mark.parametrize(
    "text",
    ["", "8081", "tcp", ":8081", "a=b:8081", "tcp:", "tcp:x", "tcp:-1", "tcp:65536", "unix:",
     "tcp:1:wrong=2", "tcp:1:port=2", "tcp:1:2:3:4", "tcp:interface=127.0.0.1"],
)  # fmt: skip
def test_a_text_that_is_no_endpoint_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must .*$") as refused:
        Endpoint.parse(text)
    assert repr(text) in str(refused.value)


def test_the_arguments_of_other_kinds_are_left_as_they_are() -> None:
    for text in ("systemd:domain=INET:index=0", r"haproxy:tcp:80:interface=\:\:1"):
        endpoint = Endpoint.parse(text)
        assert not endpoint.is_tcp
        assert str(endpoint) == text
