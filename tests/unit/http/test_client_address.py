"""Whose request it is: the first address from the right that no trusted proxy has."""

import pytest

from twisted_bazaar.http.client_address import TrustedProxies, network_of, read_network

PROXIES = TrustedProxies(map(read_network, ("10.0.0.0/8", "192.0.2.7", "fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        # No proxy, or none that is trusted: what is said of others is not taken.
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", [b"198.51.100.1"], "203.0.113.9"),
        ("192.0.2.8", [b"198.51.100.1"], "192.0.2.8"),
        ("", [b"198.51.100.1"], ""),
        # Trusted ones.
        ("10.1.2.3", None, "10.1.2.3"),
        ("10.1.2.3", [b"198.51.100.1"], "198.51.100.1"),
        ("192.0.2.7", [b"198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.1.2.3", [b"198.51.100.1", b"10.9.9.9 ,\t192.0.2.7"], "198.51.100.1"),
        ("fd00::1", [b"2001:db8::5"], "2001:db8::5"),
        ("::ffff:10.1.2.3", [b"::ffff:198.51.100.1"], "198.51.100.1"),
        # What the client itself said is to the left, and counts for nothing.
        ("10.1.2.3", [b"127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", [b"10.0.0.1", b"198.51.100.1,10.9.9.9"], "198.51.100.1"),
        ("10.1.2.3", [b"%b, 198.51.100.1" % (b"1.1.1.1, " * 1000)], "198.51.100.1"),
        # All are trusted: the farthest of them.
        ("10.1.2.3", [b"10.7.7.7, 10.9.9.9"], "10.7.7.7"),
        # Ports and brackets.
        ("10.1.2.3", [b"198.51.100.1:4711"], "198.51.100.1"),
        ("10.1.2.3", [b"[2001:db8::5]:4711"], "2001:db8::5"),
        ("10.1.2.3", [b"[2001:DB8::0:5]"], "2001:db8::5"),
        ("10.1.2.3", [b"fe80::1%eth0"], "fe80::1"),
        # What is no address: the proxy that said so is the last that is known.
        ("10.1.2.3", [b""], "10.1.2.3"),
        ("10.1.2.3", [b"198.51.100.1, unknown"], "10.1.2.3"),
        ("10.1.2.3", [b"198.51.100.1, \xff\0, 10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", [b"198.51.100.1,,10.9.9.9"], "10.9.9.9"),
        ("10.1.2.3", [b"198.51.100.1:x"], "10.1.2.3"),
        ("10.1.2.3", [b"2001:db8::5%" + b"x" * 1000], "10.1.2.3"),
        ("10.1.2.3", [b"198.51.100.1:123456"], "10.1.2.3"),
        ("10.1.2.3", [b"[2001:db8::5"], "10.1.2.3"),
        ("10.1.2.3", [b"[2001:db8::5]4711"], "10.1.2.3"),
        ("10.1.2.3", [b"198.051.100.001"], "10.1.2.3"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_not_trusted(
    peer: str, forwarded: list[bytes] | None, client: str
) -> None:
    assert PROXIES.client(peer, forwarded) == client


def test_without_trusted_proxies_the_client_is_the_peer() -> None:
    assert TrustedProxies().client("127.0.0.1", [b"198.51.100.1"]) == "127.0.0.1"


def test_no_more_than_sixteen_proxies_are_believed() -> None:
    hops = b", ".join(b"10.0.0.%d" % number for number in range(1, 100))
    assert PROXIES.client("10.1.2.3", [hops]) == "10.0.0.84"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:0:5::7", "2001:db8:0:5::/64"),
        ("2001:db8:0:5:ffff::", "2001:db8:0:5::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("proxy", "proxy"),
    ],
)
def test_addresses_that_one_client_has_are_one_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_network_that_maps_ipv4_is_one_of_ipv4() -> None:
    assert read_network("::ffff:10.0.0.0/104") == read_network("10.0.0.0/8")


@pytest.mark.parametrize("text", ["", "proxy", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0:80", "*"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an address or network such as"):
        read_network(text)
