"""The seam between a leader and the engine that keeps its log. Pure types.

A partition has one log. Its `Tail` says how far that goes and who leads. Each write compares what
it changes of the tail, in the transaction that changes it. So the log is the lock: of two leaders
that follow the same entry, one has its batch in the log, and the other gets `Lost`, whatever any
clock shows.

What a call did is known when it returns, or raises `Lost` or `Refused`. After `Unknown` the very
same call is made again, until it is known: each call is idempotent.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import msgspec

from twisted_bazaar.consensus.entries import GENESIS, Entry
from twisted_bazaar.errors import BazaarError
from twisted_bazaar.market import Adopted, Order, Stock, Traded
from twisted_bazaar.selection import Page, Selection

__all__ = [
    "HANDED_OVER",
    "Batch",
    "Bazaar",
    "Engine",
    "EngineError",
    "Found",
    "Lost",
    "Placement",
    "Refused",
    "Released",
    "SharedLog",
    "Snapshot",
    "Tail",
    "Unknown",
]

HANDED_OVER = -1
"""The beat of a leader that has left: its partition may be claimed at once."""


class EngineError(BazaarError):
    """A call to the engine did not succeed."""


class Lost(EngineError):
    """The term, or the place in the log, is another leader's. The call is not done, now or later;
    only what was sent before, and was `Unknown` then, may be in the log of that leader."""


class Refused(EngineError):
    """This sending of the call is not done, and the lead is not lost: the engine is full, say. Make
    the same call again."""


class Unknown(EngineError):
    """Done or not, now or later. Make the very same call again."""


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """How far clients may see."""

    index: int = 0
    number: int = 0
    """Of the last order up to there."""


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one partition's log, and who leads it, as one server of the engine shows it.

    Nothing may rest on it: it may be old, or not replicated yet. It is certain once a write that
    compares it has succeeded.
    """

    partition: int
    term: int = 0
    """Of the last leader; 0: none ever led."""
    beat: int = 0
    """Different after each write of that leader; `HANDED_OVER`: it has left."""
    leader: int = 0
    """The member that leads, or led last; 0: none ever did."""
    index: int = 0
    """Of the last entry."""
    digest: str = GENESIS
    """Names the history up to it."""
    at_milliseconds: int = 0
    """The time of the last entry."""
    last_number: int = 0
    """Of the last order."""
    released: Released = Released()
    """At least so far clients may see: what the leader said last."""
    tenure: float = 0.0
    """Seconds for which that leader relies on a write; 0: none ever led."""
    longest_lease: float = 0.0
    """Seconds of the longest lease that a leader up to now may have granted to a catalog."""
    catalogs: tuple[str, ...] = ()
    """The names of all catalogs to which one may have."""
    listed: bool = False
    """Whether the log has a `listed` entry. A partition may be without stocks after it."""
    preferred: int = 0
    """The member that an operator wants to lead; 0: the usual one."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that become durable together, or not at all."""

    previous: str
    """The digest before the first entry: the fence."""
    entries: Sequence[Entry]
    """One at least; each follows the one before."""
    stocks: Sequence[Stock]
    """Those that the entries touch, as they are after them."""
    gone: Sequence[Stock] = ()
    """Those that a `moved` entry takes out of the partition, as they were before it. Each becomes a
    `Placement`. An `adopted` entry is of a placement, which must be there, be of just this move,
    and not have arrived: else `Lost` is raised."""
    last_number: int
    """Of the last order after the entries."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A partition's market data, and the end of the log that it is as of: one state."""

    tail: Tail
    stocks: Sequence[Stock]
    former: Mapping[str, Sequence[int]]
    """By stock: the partitions that held it before this one. Their orders of it have keys that no
    new order of it may have."""
    away: Sequence[str] = ()
    """The stocks that have left the partition, and are not back; they may be on their way."""
    recent: Sequence[Entry] = ()
    """The newest entries up to the end of the log, as far as they were read."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Which keys have orders."""

    orders: Mapping[str, tuple[int, Traded]]
    """By key: the partition, and the order. A key that is not here has none in the partitions that
    were searched, among the entries up to `index` of the log's own."""
    index: int
    digest: str
    """Names the history up to `index`. It is not the leader's if a server has answered that lost
    its place to another one: then what is not here proves nothing."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A stock that was moved, perhaps back to its home (`partitions.home`) since."""

    stock: str
    partition: int
    """Where it is, or goes."""
    moved: int
    """The index of the `moved` entry in the log of `before`."""
    before: int
    """The partition that it left."""
    arrived: bool
    """Whether the `adopted` entry is in the log of `partition`."""
    price: int = 0
    """As it was when it left; so are the next three."""
    quantity: int = 0
    volume: int = 0
    halted: bool = False
    former: Sequence[int] = ()
    """The partitions that held it before `partition`; `before` is one of them."""

    def adopted(self) -> Adopted:
        """The event by which `partition` takes the stock."""
        return Adopted(
            self.stock,
            self.price,
            self.quantity,
            self.volume,
            self.halted,
            self.before,
            self.moved,
        )


class Bazaar(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed when the engine's schema is made."""

    name: str
    """Random: names this bazaar, and no other."""
    partitions: int
    """1 … `MAX_PARTITIONS`."""


class SharedLog(Protocol):
    """The log of one partition, as one connection to the engine shows it. Calls block, on one
    thread at a time, until they are `cut`.

    All raise `Unknown`; those that write raise `Lost` and `Refused` as well.
    """

    def claim(
        self,
        seen: Tail,
        opened: Batch,
        *,
        term: int,
        leader: int,
        tenure: float,
        longest_lease: float,
        catalogs: Sequence[str],
    ) -> None:
        """Take the lead: if term, beat and digest are still those of `seen`, write the new term
        with beat 0, and append `opened`. Raises `Lost` if they are not."""

    def append(self, batch: Batch, *, term: int, beat: int, released: Released) -> None:
        """Append `batch` if the log ends with the digest `batch.previous`. It is on a majority of
        the engine's disks when this returns. `beat` is the next beat: higher than that of each
        earlier write of this term, so that no late copy of one is taken for news."""

    def beat(self, *, term: int, beat: int, released: Released) -> None:
        """Write `beat`, if the term is still `term`. When this returns, no other leader had claimed
        the partition when it was called, and all that the log showed before is on a majority of
        disks. After `HANDED_OVER`, nothing else is written in this term."""

    def tail(self) -> Tail:
        """The end of the log, as this connection's server shows it. Orders up to its `released`
        that are read by the same connection are those that clients may see; any others may be
        of a history that is lost."""

    def snapshot(self) -> Snapshot:
        """The market data at the end of the log, in one state."""

    def find(self, keys: Collection[str], partitions: Collection[int] = ()) -> Found:
        """The orders of `keys`, in this partition and in `partitions`. A leader of the partition
        finds all that its log holds."""

    def order(self, number: int) -> Order | None:
        """Order `number` of this partition, if the server says that it is released."""

    def orders(self, selection: Selection, upto: int) -> Page:
        """The first orders of `selection` among those up to number `upto`. Raises `Unknown` if the
        server does not say that they are released."""

    def read(self, after: int, upto: int) -> Sequence[Entry]:
        """The entries `after` < index <= `upto` that are there, made anew from rows. Raises
        `Damaged` if they are not those that were appended."""

    def cut(self) -> None:
        """End the call under way, which raises `Unknown`; without one, the next does. On any
        thread: it is how a deadline ends a call to a server that is silent."""

    def close(self) -> None:
        """Give up the connection. The next call opens another."""


class Engine(Protocol):
    """The database. Calls block, and raise `Unknown`; `tails` and `prefer` are made on one thread,
    which may be another than those of the logs."""

    @property
    def bazaar(self) -> Bazaar:
        """What is fixed. Known once the engine was opened."""

    def tails(self) -> tuple[Sequence[Tail], Sequence[Placement]]:
        """The tail of each partition, by number; and the stocks that were ever moved."""

    def log(self, partition: int) -> SharedLog:
        """The log of a partition, on a connection of its own, which is opened when it is used."""

    def prefer(self, partition: int, member: int) -> None:
        """Write which member is to lead the partition; 0: the usual one."""

    def cut(self) -> None:
        """End the call of `tails` or `prefer` under way, which raises `Unknown`. On any thread."""

    def close(self) -> None:
        """Close all connections; calls under way raise `Unknown`."""
