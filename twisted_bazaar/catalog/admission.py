"""Who may subscribe, and where pushes may be sent because of it. Pure.

A catalog POSTs to any address that has subscribed. So a subscription is taken only from one that
has the cluster's secret; and never for an address that no front-end can have.
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
"""A subscription that is recorded and sent again is known by its life: for hours, at the rate at
which a front-end that has no lease makes new ones."""

_HOST = re.compile(r"[0-9A-Za-z._:-]{1,253}")

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class Admission:
    """What a catalog with this `secret` asks of subscriptions; it may be empty. Then anybody may
    subscribe, but if the address is no name only for the machine that the call came from."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._lives: set[int] = set()
        self._order: deque[int] = deque()

    def check(self, subscription: Subscription, proof: str, peer: str) -> None:
        """Raises `NotAuthorised`, or `Malformed`. `peer` is the caller as gRPC names it. May be
        called on any thread."""
        if not proven(self._secret, subscription, proof):
            raise NotAuthorised("the subscription is not signed with this catalog's secret")
        try:
            host = Address.parse(subscription.address).host
        except ValueError as why:
            raise Malformed(f"the address of a subscription {why}") from None
        at = _ip(host)
        if not _HOST.fullmatch(host) or (at is not None and _is_nobodys(at)):
            raise Malformed(f"no front-end can be reached at {subscription.address!r:.100}")
        if not self._secret and at is not None and not _same_machine(at, _caller(peer)):
            raise NotAuthorised(
                f"without a secret, {peer:.100} may not subscribe for {subscription.address!r:.100}"
            )

    def knows(self, life: int) -> bool:
        """Whether a subscription of this life was taken before. On the reactor's thread."""
        return life in self._lives

    def took(self, life: int) -> None:
        """One was taken now, which `knows` none of before. On the reactor's thread."""
        self._lives.add(life)
        self._order.append(life)
        if len(self._order) > REMEMBERED_LIVES:
            self._lives.discard(self._order.popleft())


def _ip(host: str) -> _Ip | None:
    try:
        at = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (isinstance(at, ipaddress.IPv6Address) and at.ipv4_mapped) or at


def _is_nobodys(at: _Ip) -> bool:
    if at.is_loopback:
        return False
    return at.is_unspecified or at.is_multicast or at.is_link_local or at.is_reserved


def _caller(peer: str) -> _Ip | None:
    """The caller's address in `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`."""
    host = unquote(peer.partition(":")[2]).rpartition(":")[0]
    return _ip(host.removeprefix("[").removesuffix("]"))


def _same_machine(at: _Ip, caller: _Ip | None) -> bool:
    return caller is not None and (at == caller or (at.is_loopback and caller.is_loopback))
