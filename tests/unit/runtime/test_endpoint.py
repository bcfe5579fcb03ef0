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


@pytest.mark.parametrize("text", SAME)
def test_what_is_reached_from_this_machine_only_is_known(text: str) -> None:
    expected = any(part in text for part in ("127.0.0.1", r"\:\:1", "unix")) and "fe80" not in text
    assert Endpoint.parse(text).is_loopback is expected


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("tcp:1:interface=localhost", True),
        ("tcp:1:interface=127.9.9.9", True),
        ("tcp:1:interface=0.0.0.0", False),
        ("tcp:1:interface=127.example", False),
        ("systemd:domain=INET:index=0", False),
    ],
)
def test_an_interface_that_is_not_known_to_be_this_machines_alone_is_not_taken_for_one(
    text: str, is_loopback: bool
) -> None:
    assert Endpoint.parse(text).is_loopback is is_loopback


@pytest.mark.parametrize("text", [each for each in SAME if each.startswith("tcp")])
def test_another_port_changes_nothing_else(text: str) -> None:
    kind, _, *rest = meant(text)
    assert meant(str(Endpoint.parse(text).with_port(9))) == (kind, 9, *rest)


@pytest.mark.parametrize(
    "text",
    ["", "8081", "tcp", ":8081", "a=b:8081", "tcp:", "tcp:x", "tcp:-1", "tcp:65536", "unix:",
     "tcp:1:wrong=2", "tcp:1:port=2", "tcp:1:2:3:4", "tcp:interface=127.0.0.1",
     "ssl:x:privateKey=/k.pem", "tls:8443:wrong=1", "tls:/certificates:tcp:443"],
)  # fmt: skip
def test_a_text_that_is_no_endpoint_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must .*$") as refused:
        Endpoint.parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("ssl:8443:privateKey=/k.pem:certKey=/c.pem", ""),
        ("tls:8443:/k.pem:/c.pem:interface=127.0.0.1", "127.0.0.1"),
        (r"tls:8443:privateKey=/k\:1.pem:certKey=/c.pem:interface=\:\:1", "::1"),
        ("ssl:port=8443:extraCertChain=/i.pem:dhParameters=/d.pem:backlog=5", ""),
    ],
)
def test_an_endpoint_of_tls_has_a_port_and_files(text: str, host: str) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint.is_tls
    assert (endpoint.host, endpoint.port) == (host, 8443)
    moved = Endpoint.parse(str(endpoint.with_port(1)))
    assert moved.port == 1
    assert moved.with_port(8443) == endpoint
    assert not Endpoint.parse("tcp:8443").is_tls


def test_the_version_of_tls_is_not_chosen_by_an_endpoint() -> None:
    with pytest.raises(ValueError, match="must leave sslmethod out"):
        Endpoint.parse("ssl:8443:privateKey=/k.pem:sslmethod=TLSv1_METHOD")


def test_the_arguments_of_other_kinds_are_left_as_they_are() -> None:
    for text in ("systemd:domain=INET:index=0", r"haproxy:tcp:80:interface=\:\:1"):
        endpoint = Endpoint.parse(text)
        assert not endpoint.is_tcp
        assert str(endpoint) == text
