"""Requests that change something are taken from clients of this bazaar only."""

import pytest

from twisted_bazaar.http.hosts import Authority, Hosts, read_authority
from twisted_bazaar.http.refusals import Reason, Refusal

HOSTS = Hosts(["Shop.Example", "[2001:DB8::1]:80", "odd.example:8443", "10.1.2.3"])


def refused(
    host: str | None,
    local: str = "127.0.0.1",
    origin: str | list[str] | None = None,
    site: str | list[str] | None = None,
) -> Reason | None:
    """Why such a request is refused; None: it is not."""

    def header(given: str | list[str] | None) -> list[bytes] | None:
        values = [given] if isinstance(given, str) else given
        return None if values is None else [value.encode() for value in values]

    try:
        HOSTS.check(
            None if host is None else host.encode("latin-1"), local, header(origin), header(site)
        )
    except Refusal as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize(
    ("origin", "is_secure", "is_taken"),
    [
        (b"https://localhost", True, True),
        (b"http://localhost", True, False),
        (b"https://localhost", False, True),
        (b"http://localhost", False, True),
    ],
)
def test_where_clients_are_served_by_tls_a_page_that_was_not_is_foreign(
    origin: bytes, is_secure: bool, is_taken: bool
) -> None:
    hosts = Hosts(is_secure=is_secure)
    if is_taken:
        hosts.check(b"localhost", "", [origin], None)
        return
    with pytest.raises(Refusal, match="pages of other origins"):
        hosts.check(b"localhost", "", [origin], None)


@pytest.mark.parametrize(
    ("text", "authority"),
    [
        ("localhost", Authority("localhost", None)),
        ("LocalHost:8081", Authority("localhost", 8081)),
        ("shop.example.:80", Authority("shop.example", 80)),
        ("[::1]:8081", Authority("::1", 8081)),
        ("[0:0::1]", Authority("::1", None)),
        ("[::ffff:192.0.2.1]", Authority("192.0.2.1", None)),
        ("localhost:", Authority("localhost", None)),
        ("", Authority("", None)),
        ("localhost:80:80", None),
        ("localhost:65536", None),
        ("localhost:80x", None),
        ("::1", None),
        ("user@localhost", None),
        ("localhost/", None),
        ("local host", None),
        ("local\thost", None),
        ("localhost\n", None),
        ("b\u00fccher", None),
    ],
)
def test_an_authority_is_a_host_and_perhaps_a_port(text: str, authority: Authority | None) -> None:
    assert read_authority(text) == authority


@pytest.mark.parametrize(
    "host",
    [
        *["localhost", "localhost:8081", "LOCALHOST", "localhost.", "127.0.0.1:80", "[::1]:9"],
        *["0.0.0.0:8081", "[::]"],
        *["shop.example", "SHOP.example:443", "[2001:db8:0::1]", "odd.example", "10.1.2.3:8081"],
    ],
)
def test_the_names_of_its_machine_and_those_it_was_told_are_its_own(host: str) -> None:
    assert refused(host, "192.0.2.7") is None
    assert refused(host, "") is None


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("192.0.2.7:8081", "192.0.2.7"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("[::ffff:192.0.2.7]", "192.0.2.7"),
        ("[fe80::0:1]:8081", "fe80::1"),
        ("[fe80::1]", "fe80::1%eth0"),
    ],
)
def test_the_address_that_a_connection_came_in_on_is_its_own(host: str, local: str) -> None:
    assert refused(host, local) is None
    assert refused(host, "192.0.2.8") is Reason.FOREIGN_HOST


@pytest.mark.parametrize(
    "host",
    [
        *["evil.example", "localhost.evil.example", "shop.example.evil.example", "xlocalhost"],
        *["", ":8081", "127.0.0.1.evil.example", "user@localhost", "localhost, evil.example"],
        *["192.0.2.7", "[::2]", "2130706433", "0x7f.1", "127.1", "\xff", "local host"],
    ],
)
def test_any_other_host_is_foreign(host: str) -> None:
    assert refused(host) is Reason.FOREIGN_HOST
    assert refused(host, "") is Reason.FOREIGN_HOST


def test_a_client_that_names_no_host_is_no_browser() -> None:
    assert refused(None) is None
    assert refused(None, origin="http://localhost") is Reason.FOREIGN_ORIGIN


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8081", "http://localhost:8081"),
        ("LOCALHOST:8081", "http://localhost:8081"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("shop.example", "https://shop.example"),
        ("shop.example", "https://shop.example:443"),
        ("[::1]:8081", "http://[::1]:8081"),
    ],
)
def test_a_page_of_its_own_may_trade(host: str, origin: str) -> None:
    assert refused(host, origin=origin) is None
    assert refused(host, origin=origin, site="same-origin") is None


@pytest.mark.parametrize(
    "origin",
    [
        *["null", "", "http://evil.example", "https://localhost", "http://localhost:3000"],
        *["http://127.0.0.1:8081", "http://localhost:8081.evil.example", "localhost:8081"],
        *[
            "http://localhost:8081/",
            "http://user@localhost:8081",
            "file://",
            "chrome-extension://x",
        ],
        *["http://localhost:8081 http://evil.example"],
        ["http://localhost:8081", "http://evil.example"],
    ],
)
def test_a_page_of_another_origin_may_not(origin: str | list[str]) -> None:
    assert refused("localhost:8081", origin=origin) is Reason.FOREIGN_ORIGIN
    assert refused("localhost:8081", origin=origin, site="same-origin") is Reason.FOREIGN_ORIGIN


@pytest.mark.parametrize("site", ["same-origin", "none", "Same-Origin"])
def test_what_the_browser_calls_its_own_may_trade(site: str) -> None:
    assert refused("localhost", site=site) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "x", ["none", "cross-site"]])
def test_what_the_browser_calls_anything_else_may_not(site: str | list[str]) -> None:
    assert refused("localhost", site=site) is Reason.FOREIGN_ORIGIN


def test_a_refusal_says_what_is_foreign_and_what_can_be_done() -> None:
    with pytest.raises(Refusal, match='"evil.example:80" is not a name .* --host makes it one'):
        HOSTS.check(b"evil.example:80", "127.0.0.1", None, None)
    with pytest.raises(Refusal, match='other origins may not trade here: Origin is "null"'):
        HOSTS.check(b"localhost", "127.0.0.1", [b"null"], None)
