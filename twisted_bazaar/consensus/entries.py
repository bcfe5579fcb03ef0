"""Log entries, and their one written form: a JSON object on a line. Pure.

An entry is encoded once, by the leader that makes it, and the same bytes, its *record*, go to
every disk and over every wire. The record ends with the entry's *digest*, a hash of the rest of
the record and of the digest of the entry before, so that it names the whole history: two logs
with the same last digest are the same (invariant 3).

    {"kind":"traded","index":3,"term":1,"at":1790000000000,"number":1,…,"digest":"5f…"}
"""

from hashlib import blake2b

import msgspec

from twisted_bazaar.errors import Damaged
from twisted_bazaar.market import Adopted, Halted, Listed, Moved, Repriced, Resumed, Traded

__all__ = [
    "GENESIS",
    "Entry",
    "Event",
    "MemberInfo",
    "Members",
    "Opened",
    "decode_entry",
    "encode_entry",
    "rechained",
]

GENESIS = "0" * 32
"""The digest of the empty history."""


class Opened(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="opened", omit_defaults=True
):
    """A leader's first entry in its term: committing it commits all before it (Raft §5.4.2).

    It records the configuration under which the leader leads. A leader grants no lease and
    decides no trade before this entry is committed, so each later leader finds in its own log
    every configuration that can still matter.
    """

    leader: int
    """The id of that leader."""
    cluster: str = ""
    """Names the cluster, the same in each of its entries; empty in logs of release 0.1, whose
    cluster is named by the digest of the first entry."""
    members: tuple[int, ...] = ()
    """The ids of all replicas that count, ascending; empty in logs of release 0.1."""
    lease: float = 0.0
    """Seconds of the leases that this leader grants to catalogs; 0: not recorded."""
    catalogs: tuple[str, ...] = ()
    """The names of the learners."""
    name: str = ""
    """Random, so that no other `opened` entry has this digest, not even one that is made at the
    same instant after a copy of this log."""


class MemberInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One member of the cluster."""

    id: int
    address: str = ""
    """Where its peers reach it; empty: as their options say."""
    joining: bool = False
    """It does not count yet."""


class Members(msgspec.Struct, frozen=True, tag_field="kind", tag="members", omit_defaults=True):
    """Who is a member, from this entry on; see `membership`."""

    members: tuple[MemberInfo, ...]
    """Ascending by id. One at least counts."""
    before: tuple[int, ...] = ()
    """The ids of those that counted before, ascending, while their majority is needed as well."""


Event = Opened | Members | Listed | Traded | Repriced | Halted | Resumed | Moved | Adopted


class Entry(msgspec.Struct, frozen=True):
    """One fact, at its place in the log."""

    index: int
    """1, 2, 3 …"""
    term: int
    """The term of the leader that made it."""
    at_milliseconds: int
    """When that leader made it, since 1970; never before the entry before it (invariant 13)."""
    event: Event
    digest: str
    """32 hexadecimal digits."""
    record: bytes
    """The written form, from `{` to `}`."""

    def follows(self, digest: str) -> bool:
        """Whether this entry comes right after the history that `digest` names."""
        return _digest(digest, self.record[:-_DIGEST_BYTES]) == self.digest


class _Position(msgspec.Struct, frozen=True):
    index: int
    term: int
    at_milliseconds: int = msgspec.field(name="at")
    digest: str


_DIGEST_FIELD = b',"digest":"'
_DIGEST_BYTES = len(_DIGEST_FIELD) + len(GENESIS) + len('"}')
_KIND_BYTES = {
    kind: len(b'{"kind":"%b"' % str(kind.__struct_config__.tag).encode())
    for kind in (Opened, Members, Listed, Traded, Repriced, Halted, Resumed, Moved, Adopted)
}
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode
_decode_position = msgspec.json.Decoder(_Position).decode


def _digest(previous: str, content: bytes) -> str:
    return blake2b(previous.encode() + content, digest_size=16).hexdigest()


def encode_entry(previous: str, index: int, term: int, at_milliseconds: int, event: Event) -> Entry:
    """The entry after the history that the digest `previous` names."""
    text = _encode(event)
    kind = _KIND_BYTES[type(event)]
    content = b'%b,"index":%d,"term":%d,"at":%d%b' % (
        text[:kind], index, term, at_milliseconds, text[kind:-1]
    )  # fmt: skip
    digest = _digest(previous, content)
    record = b'%b,"digest":"%b"}' % (content, digest.encode())
    return Entry(index, term, at_milliseconds, event, digest, record)


def rechained(previous: str, entry: Entry) -> Entry:
    """`entry`, but after the history that the digest `previous` names."""
    content = entry.record[:-_DIGEST_BYTES]
    digest = _digest(previous, content)
    record = b'%b,"digest":"%b"}' % (content, digest.encode())
    return msgspec.structs.replace(entry, digest=digest, record=record)


def decode_entry(record: bytes) -> Entry:
    """The entry of one record. Raises `Damaged` if it is no record.

    The caller checks, with `Entry.follows`, that it follows the entry before.
    """
    try:
        place = _decode_position(record)
        event = _decode_event(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"not a log entry: {record[:80]!r}: {error}") from None
    if not record.endswith(b'%b%b"}' % (_DIGEST_FIELD, place.digest.encode())):
        raise Damaged(f"log entry {place.index} does not end with its digest")
    return Entry(place.index, place.term, place.at_milliseconds, event, place.digest, record)
