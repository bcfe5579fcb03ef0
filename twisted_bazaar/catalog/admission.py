"""Decides which subscriptions a catalog admits. Pure.

A catalog POSTs to each address that is subscribed. So a subscription must be signed with the
cluster's secret, and its address must be one that a front-end can have.
"""

import ipaddress
import re
from collections import deque
from urllib.parse import unquote

from twisted_bazaar.errors import Malformed, NotAuthorised
from twisted_bazaar.rpc.push import Subscription, proven
from twisted_bazaar.runtime.address import Address

__all__ = ["Admission"]

REMEMBERED_LIVES = 4096
"""A recorded subscription that is sent again is known by its life. At the rate at which a front-end
without a lease subscribes, so many for each partition last for hours."""

_HOST = re.compile(r"[0-9A-Za-z._:-]{1,253}")

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Admission:
    """The rules of a catalog with this `secret`. If that is empty, any caller may subscribe a host
    name, or an IP address of the machine that it calls from."""

    def __init__(self, secret: bytes, partitions: int = 1) -> None:
        self._secret = secret
        self._remembered = partitions * REMEMBERED_LIVES
        self._lives: set[int] = set()
        self._order: deque[int] = deque()

    def check(self, subscription: Subscription, proof: str, peer: str) -> None:
        """Raises `NotAuthorised` or `Malformed`. `peer` is the caller as gRPC names it. May be
        called on any thread."""
        if not proven(self._secret, subscription, proof):
            raise NotAuthorised("the subscription is not signed with this catalog's secret")
        try:
            host = Address.parse(subscription.address).host
        except ValueError as why:
            raise Malformed(f"the address of a subscription {why}") from None
        at = _ip(host)
        if not _HOST.fullmatch(host) or (at is not None and _is_unusable(at)):
            raise Malformed(f"no front-end can be reached at {subscription.address!r:.100}")
        if not self._secret and at is not None and not _same_machine(at, _caller(peer)):
            raise NotAuthorised(
                f"without a secret, {peer:.100} may not subscribe for {subscription.address!r:.100}"
            )

    def knows(self, life: int) -> bool:
        """Whether a subscription with this life was admitted before. On the reactor's thread."""
        return life in self._lives

    def took(self, life: int) -> None:
        """A subscription with this life, which was not known, is admitted. On the reactor's
        thread."""
        self._lives.add(life)
        self._order.append(life)
        if len(self._order) > self._remembered:
            self._lives.discard(self._order.popleft())


def _ip(host: str) -> _Ip | None:
    try:
        at = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped) or at


def _is_unusable(at: _Ip) -> bool:
    if at.is_loopback:
        return False
    return at.is_unspecified or at.is_multicast or at.is_link_local or at.is_reserved


def _caller(peer: str) -> _Ip | None:
    """The caller's address in `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`."""
    host = unquote(peer.partition(":")[2]).rpartition(":")[0]
    return _ip(host.removeprefix("[").removesuffix("]"))


def _same_machine(at: _Ip, caller: _Ip | None) -> bool:
    return caller is not None and (at == caller or (at.is_loopback and caller.is_loopback))
