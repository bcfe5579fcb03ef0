"""How a simulated replica archives entries, takes a snapshot, and fetches what is before it.

Does what `order.snapshots` does, without a reactor.
"""

from typing import TYPE_CHECKING, Any

from twisted_bazaar.errors import Unavailable

from .storages import SnapshotTaken

if TYPE_CHECKING:
    from .members import OrderMember, Respond

__all__ = ["Archiving"]

_TRANSFER_SECONDS = 1.0
"""How long a replica waits for a snapshot."""


class Archiving:
    """What one replica does about entries that are far behind."""

    def __init__(self, member: "OrderMember") -> None:
        self._member = member
        self._taking = False

    def started(self) -> None:
        """A life of the replica begins."""
        self._taking = False
        self._member.later(0.3, self._fetch_earlier)

    def archive(self, keep: int) -> None:
        """All but the last `keep` entries that are in the index leave the log."""
        member = self._member
        storage = member.disk.storage
        upto = min(member.indexed, storage.last_index) - keep
        if upto > storage.beginning.index:
            member.world.say(member.name, f"archives entries up to {upto}")
            storage.leave(upto)

    # Snapshots.

    def give(self, message: None, reply: "Respond") -> None:
        """Another replica asks for a snapshot. One whose index is made anew, of the archive, has
        none to give."""
        member = self._member
        storage = member.disk.storage
        if 0 < member.indexed >= storage.beginning.index:
            reply(storage.snapshot(member.indexed))
        else:
            reply(Unavailable("the index does not go as far as the log begins"))

    def look(self) -> None:
        """Begin to take a snapshot if the replica wants one."""
        member = self._member
        source = member.replica.snapshot_from
        if not source or self._taking:
            return
        self._taking = True

        def came(snapshot: Any) -> None:
            if isinstance(snapshot, Unavailable):
                lost()
                return
            # The parts of it take their time, while the replica goes on.
            member.later(member.world.random.random() * 0.2, self._came, source, snapshot)

        def lost() -> None:
            self._lost(source)

        other = member.peers[source]
        member.network.call(member, other, other.give, None, came, lost, _TRANSFER_SECONDS)

    def _lost(self, source: int) -> None:
        self._taking = False
        self._member.replica.snapshot_lost(source, self._member.seconds)
        self._member.carry_out()

    def _came(self, source: int, snapshot: SnapshotTaken) -> None:
        member = self._member
        beginning = snapshot.beginning
        if not member.replica.may_begin_after(beginning):
            self._lost(source)
            return
        member.truth.begins(member.name, beginning)
        random = member.world.random
        member.world.say(member.name, f"begins after entry {beginning.index}")
        installed = random.random() < 0.8
        member.crash()
        if installed:
            member.install(snapshot)
        # Most often it goes on at once; it may also die in between.
        member.world.after(0.01 if random.random() < 0.8 else random.random(), member.start)

    # What is before.

    def earlier(self, upto: int, reply: "Respond") -> None:
        """Another replica asks for the entries up to `upto`."""
        storage = self._member.disk.storage
        begins = storage.beginning.index
        if not storage.has_archive or upto > begins + len(storage.entries):
            reply(Unavailable("not here"))
        else:
            reply(list(storage.read(0, upto)))

    def _fetch_earlier(self) -> None:
        member = self._member
        storage = member.disk.storage
        if not storage.has_archive:
            other = member.world.aside.choice(list(member.peers.values()))
            upto = storage.beginning.index
            member.network.call(
                member, other, other.earlier, upto, self._earlier_came, lambda: None, 0.5
            )
        member.later(0.3, self._fetch_earlier)

    def _earlier_came(self, entries: Any) -> None:
        storage = self._member.disk.storage
        if isinstance(entries, list) and not storage.has_archive:
            beginning = storage.beginning
            if (len(entries), entries[-1].digest) == (beginning.index, beginning.digest):
                storage.archived = entries
