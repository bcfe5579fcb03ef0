"""The entries of one log that have left it, in compressed files in a folder or in S3.

What counts is the chain of files that leads from where the log begins back to entry 1, by the
digests in their names. Other files may lie there, too: those of another history, and those that a
crash kept from being used. Replicas of one bazaar may share a place. Their files begin and end at
different entries; a replica uses those of others, and adds none where they lead to its log.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import NamedTuple, Protocol

from twisted_bazaar.consensus.beginning import Beginning
from twisted_bazaar.consensus.entries import GENESIS, Entry, decode_entry
from twisted_bazaar.errors import Damaged, NotUnderstood, Unavailable

from .archived import TAIL_BYTES, Footer, Name, footer_of, lines_of, pack, parse_name
from .stores import Store

__all__ = ["Archive"]

_CACHED_FRAMES = 32
"""Some 256 KiB each."""
_CACHED_FOOTERS = 256


class _Piece(NamedTuple):
    """The first entries of a file, or all of them."""

    name: Name
    last: int
    """The last of these entries. What follows it in the file may be of another history."""
    last_number: int
    """The last order up to it."""


class Archive:
    """The archived entries of one log. On any thread; everything blocks.

    What reads raises `Unavailable` if the entries are not here or cannot be had now, and `Damaged`
    if they are not as they were written.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        """Guards what follows."""
        self._chain: Sequence[_Piece] = ()
        """Ascending, one after the other."""
        self._ends = 0
        """The log begins after this entry."""
        self._footers: OrderedDict[Name, Footer] = OrderedDict()
        self._frames: OrderedDict[tuple[Name, int], list[bytes]] = OrderedDict()

    @property
    def where(self) -> str:
        """The place, for the operator."""
        return self._store.where

    @property
    def missing(self) -> tuple[int, str]:
        """The last entry before the log's beginning that is not here, and the digest that names the
        history up to it; 0: all are here."""
        chain = self._chain
        if chain:
            return chain[0].name.first - 1, chain[0].name.before
        return self._ends, self._end_digest

    _end_digest = GENESIS

    def link(self, beginning: Beginning) -> None:
        """The log begins there, or later: look for the files that lead there. Raises OSError,
        and `Unavailable`."""
        with self._lock:
            if not self._chain:
                # Also if no file can be looked for.
                self._ends, self._end_digest = beginning.index, beginning.digest
        chain = self._leading_to(beginning) if beginning.index else ()
        with self._lock:
            if beginning.index >= self._ends:
                self._chain, self._ends = chain, beginning.index
                self._end_digest = beginning.digest

    def _names(self) -> list[Name]:
        return [name for text in self._store.names() if (name := parse_name(text)) is not None]

    def reaches(self, beginning: Beginning) -> bool:
        """Whether `link` would find files that lead from there back to entry 1, or as far as those
        do that count now. Raises OSError."""
        chain = self._leading_to(beginning)
        return bool(chain) and chain[0].name.first - 1 <= self.missing[0]

    def lost(self, beginning: Beginning) -> int:
        """The last entry before there that was here when `link` looked, and is not found now; 0:
        there is none. Raises OSError, and `Unavailable`."""
        chain = self._leading_to(beginning)
        missing = chain[0].name.first - 1 if chain else beginning.index
        return missing if missing > self.missing[0] else 0

    def _leading_to(self, beginning: Beginning) -> Sequence[_Piece]:
        found = self._names()
        chain: list[_Piece] = []
        index, digest = beginning.index, beginning.digest
        while index > 0 and (piece := self._ending_with(index, digest, found)) is not None:
            chain.append(piece)
            index, digest = piece.name.first - 1, piece.name.before
        return tuple(reversed(chain))

    def _ending_with(self, index: int, digest: str, found: Sequence[Name]) -> _Piece | None:
        """A file that ends with this entry, or else the part of one that does."""
        having = [name for name in found if name.first <= index <= name.last]
        for name in having:
            if (name.last, name.digest) == (index, digest):
                return _Piece(name, index, name.last_number)
        for name in having:
            try:
                if name.last != index and self._entry(name, index).digest == digest:
                    number = self._footer(name).number_at(index - name.first)
                    return _Piece(name, index, number)
            except (Damaged, NotUnderstood):
                continue
        return None

    def add(self, entries: Iterable[Entry], number: int, before: str) -> None:
        """Make a durable file of `entries`, at least one, that follow order `number` and the
        history `before`. It counts once `link` finds it. Raises OSError."""
        name, content = pack(entries, number, before)
        self._store.put(str(name), content)

    def settle(self) -> None:
        """Make what was found there durable. Raises OSError."""
        self._store.settle()

    def leading_from_start(self, upto: int) -> tuple[int, str, int]:
        """How far files lead from entry 1 on, of those that end with entry `upto` or before: the
        last entry, its digest, and the last order up to it. Raises OSError."""
        found = [name for name in self._names() if name.last <= upto]
        index, digest, number = 0, GENESIS, 0
        while True:
            follow = [n for n in found if n.first == index + 1 and n.before == digest]
            if not follow:
                return index, digest, number
            _, index, number, _, digest = max(follow)

    def read(self, after: int, upto: int) -> list[Entry]:
        """The entries `after` < index <= `upto`, all of them before the log's beginning."""
        with self._lock:
            chain = self._chain
        if upto > after and (not chain or after < chain[0].name.first - 1):
            raise Unavailable(f"entry {after + 1} is not in the archive of this replica")
        entries: list[Entry] = []
        at = bisect_left(chain, after + 1, key=lambda piece: piece.last)
        while after < upto:
            if at == len(chain):
                raise Unavailable(f"entry {after + 1} is not in the archive of this replica")
            piece = chain[at]
            entries += self._read(piece.name, after + 1, min(upto, piece.last))
            after, at = piece.last, at + 1
        return entries

    def index_of(self, number: int) -> int:
        """The index of order `number`, which is before the log's beginning."""
        with self._lock:
            chain = self._chain
        at = bisect_left(chain, number, key=lambda piece: piece.last_number)
        if at < len(chain):
            footer = self._footer(chain[at].name)
            if number > footer.number:
                return footer.first + footer.place_of(number)
        raise Unavailable(f"order {number} is not in the archive of this replica")

    def _entry(self, name: Name, index: int) -> Entry:
        [entry] = self._read(name, index, index)
        return entry

    def _read(self, name: Name, first: int, last: int) -> list[Entry]:
        """Entries that are all in one file."""
        footer = self._footer(name)
        records: list[bytes] = []
        place, end = first - footer.first, last - footer.first + 1
        while place < end:
            number = footer.frame_of(place)
            lines = self._lines(name, footer, number)
            at = place - footer.firsts[number]
            records += lines[at : at + end - place]
            place = footer.firsts[number] + len(lines)
        entries = [decode_entry(record) for record in records]
        for index, entry in enumerate(entries, first):
            if entry.index != index:
                raise Damaged(
                    f"{self._place}/{name}: entry {entry.index}, where entry {index} should be"
                )
        return entries

    def _footer(self, name: Name) -> Footer:
        with self._lock:
            known = self._footers.get(name)
            if known is not None:
                self._footers.move_to_end(name)
                return known
        footer = self._load_footer(name, TAIL_BYTES)
        with self._lock:
            self._footers[name] = footer
            while len(self._footers) > _CACHED_FOOTERS:
                self._footers.popitem(last=False)
        return footer

    def _load_footer(self, name: Name, size: int) -> Footer:
        tail = self._had(name, lambda: self._store.tail(str(name), size))
        with self._located():
            footer = footer_of(tail, name)
        if isinstance(footer, Footer):
            return footer
        if len(tail) < size:
            raise Damaged(f"{self._place}/{name}: is cut off")
        return self._load_footer(name, footer)

    def _lines(self, name: Name, footer: Footer, number: int) -> list[bytes]:
        key = (name, number)
        with self._lock:
            known = self._frames.get(key)
            if known is not None:
                self._frames.move_to_end(key)
                return known
        begin, end = footer.offsets[number : number + 2]
        frame = self._had(name, lambda: self._store.read(str(name), begin, end - begin))
        with self._located():
            lines = lines_of(frame, footer, number, name)
        with self._lock:
            self._frames[key] = lines
            while len(self._frames) > _CACHED_FRAMES:
                self._frames.popitem(last=False)
        return lines

    @property
    def _place(self) -> str:
        return self.where.rstrip("/")

    @contextmanager
    def _located(self) -> Iterator[None]:
        """What is wrong with a file also says where the file is."""
        try:
            yield
        except (Damaged, NotUnderstood) as error:
            raise type(error)(f"{self._place}/{error}") from None

    def _had(self, name: Name, read: "Read") -> bytes:
        try:
            return read()
        except OSError as error:
            raise Unavailable(f"{self.where}: {name}: {error.strerror or error}") from error


class Read(Protocol):
    """Reads some bytes of a file."""

    def __call__(self) -> bytes: ...
