"""Whose request it is, where proxies stand between. Pure.

A proxy appends the address of its own client to `X-Forwarded-For`, and leaves what that client said
there, which may be forged. So the header is read from the right, as far as trusted proxies wrote
it: the first address there that is no trusted proxy's is the client's. `Forwarded` of RFC 7239 is
not read: a proxy that writes the one header passes on whatever a client says in the other.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["HEADER", "Network", "TrustedProxies", "network_of", "read_network"]

HEADER = b"X-Forwarded-For"

_MAX_PROXIES = 16
"""A request that came through more is said to come from the last of these."""

_CLIENT_PREFIX_BITS = 64
"""Of an IPv6 address: who has one has all that begin with the same bits."""

_MAX_ADDRESS_BYTES = 128
"""With a port, an interface's name and some spaces."""

Network = IPv4Network | IPv6Network


def read_network(text: str) -> Network:
    """An address, or a network as `10.0.0.0/8`. Raises ValueError."""
    try:
        network = ip_network(text.strip())
    except ValueError:
        raise ValueError(
            f"must be an address or network such as 10.0.0.0/8, not {text!r}"
        ) from None
    mapped = _unmapped(network.network_address)
    if network.prefixlen >= 96 and isinstance(mapped, IPv4Address) and network.version == 6:
        return IPv4Network((mapped, network.prefixlen - 96))
    return network


@lru_cache(4096)
def network_of(address: str) -> str:
    """What counts as one client among those without a name: an IPv4 address, or the network of an
    IPv6 address. What is no address counts as it is."""
    read = _read(address)
    if not isinstance(read, IPv6Address):
        return address if read is None else str(read)
    return str(IPv6Network((read, _CLIENT_PREFIX_BITS), strict=False))


class TrustedProxies:
    """The proxies whose word is taken for who their client is."""

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self._networks = tuple(networks)
        self._trusts = lru_cache(1024)(self._is_in_network)

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._networks)

    def trusts(self, peer: str) -> bool:
        """Whether `peer`, the address at the other end of a connection, is a trusted proxy's."""
        found = _read(peer) if self._networks else None
        return found is not None and self._trusts(found)

    def client(self, peer: str, forwarded: Sequence[bytes] | None) -> str:
        """The address of the client. `peer` is that of the connection, empty for one that is not
        of TCP, and `forwarded` the values of the header `X-Forwarded-For`, in their order.

        Where a trusted proxy says what is no address, that proxy counts as the client.
        """
        if not self._networks:
            return peer
        found = _read(peer)
        if found is None or not forwarded or not self._trusts(found):
            return peer if found is None else str(found)
        said = b",".join(forwarded).rsplit(b",", _MAX_PROXIES)
        for each in reversed(said[-_MAX_PROXIES:]):
            # Longer ones are none, and would fill the memory of `_read`.
            before = None
            if len(each) <= _MAX_ADDRESS_BYTES:
                before = _read(each.decode("ascii", "replace"))
            if before is None:
                break
            found = before
            if not self._trusts(found):
                break
        return str(found)

    def _is_in_network(self, address: IPv4Address | IPv6Address) -> bool:
        # Of another version is in no network.
        return any(address in network for network in self._networks)


@lru_cache(1024)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, which may have a port, and then brackets if it is IPv6; None: it is none."""
    text = text.strip()
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    else:
        host = text
    try:
        return _unmapped(ip_address(host.partition("%")[0]))
    except ValueError:
        return None


def _is_port(text: str) -> bool:
    digits = text.removeprefix(":")
    return len(digits) < len(text) and digits.isascii() and digits.isdecimal() and len(digits) <= 5


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address for one that IPv6 maps, as a socket for both shows it."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped
