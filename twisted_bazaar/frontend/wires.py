"""The connections of a front-end to order replicas and catalogs, and the threads that wait on them.

Each kind of call has its own: reads that wait must not hold up trades, and neither may hold up
pings. The calls of all partitions share them.
"""

from collections.abc import Sequence

import attrs

from twisted_bazaar.rpc.channel import Channels
from twisted_bazaar.rpc.figures import CallFigures
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.security.contexts import Certificates

from .tap import FrontendConfig
from .upstream.members import Members

__all__ = ["Wires"]

_CALLS_PER_REPLICA = (3, 2, 4, 2, 2)
"""Of pings: a ping, a campaign, and a message that another replica leads. Of trades: a batch, and
one that still waits for a leader that has been replaced. Of reads. For events: one that waits for
news, and one that was given up and still waits; and pages of older orders. A partition has one
leader, so that it needs as many as a replica does."""
_CALLS_PER_CATALOG = (4, 1)
"""Of lookups, and of questions how it is. Further reads and lookups wait for a thread."""

_DROP_SECONDS = 10.0
"""A replica that is a member no more may yet answer what it was asked."""


@attrs.frozen
class Wires:
    """By kind of call. The last two are to catalogs."""

    pings: Channels
    trades: Channels
    reads: Channels
    watches: Channels
    replays: Channels
    lookups: Channels
    statuses: Channels

    @classmethod
    def of(
        cls,
        reactor: Reactor,
        config: FrontendConfig,
        figures: CallFigures,
        certificates: Certificates | None,
    ) -> "Wires":
        """Those of a front-end with this configuration. `figures` count the calls. None of
        `certificates`: in plain text."""

        def channels(calls: int, processes: int) -> Channels:
            threads = calls * max(processes, config.partitions)
            return Channels(reactor, threads, figures, certificates)

        return cls(
            *(channels(calls, len(config.replicas)) for calls in _CALLS_PER_REPLICA),
            *(channels(calls, len(config.catalogs)) for calls in _CALLS_PER_CATALOG),
        )

    def follow_members(self, config: FrontendConfig, members: Members) -> None:
        """Have the threads that calls to the members need, and soon channels to no others."""
        for wires, calls in zip(self.services, _CALLS_PER_REPLICA, strict=False):
            wires.allow(calls * max(len(members), config.partitions))
            wires.keep_only({*members.values()}, _DROP_SECONDS)

    @property
    def services(self) -> Sequence[Channels]:
        """All of them."""
        return list(attrs.astuple(self, recurse=False))
