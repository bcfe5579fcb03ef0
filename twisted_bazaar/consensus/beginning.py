"""Where a log begins, and what is known of the entries before. Pure.

A log begins with entry 1, or after an entry that is committed and released: what is before it was
archived, or was never here, as the replica took a snapshot. What later leaders need of the entries
before is kept: who led under which configuration, and the prices of the first listing.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from .entries import GENESIS, Entry, Members, Opened

__all__ = ["WHOLE", "Beginning", "after", "condensed"]


class Beginning(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The entry after which a log begins, and what is known of those up to it."""

    index: int = 0
    """Of that entry; 0: the log begins with entry 1."""
    term: int = 0
    at_milliseconds: int = 0
    digest: str = GENESIS
    """Names the history up to it."""
    number: int = 0
    """The last order up to it; 0: there is none."""
    cluster: str = ""
    """The cluster whose log it is; empty: `index` is 0."""
    openings: tuple[tuple[int, Opened], ...] = ()
    """The `opened` entries up to it with their indexes, ascending, as `condensed`."""
    memberships: tuple[tuple[int, Members], ...] = ()
    """The last `members` entry up to it, with its index, and those before it that are needed to
    know who ever was a member, ascending; empty: there is none."""
    prices: Mapping[str, int] = msgspec.field(default_factory=dict)
    """The prices of the first listing, by stock."""


WHOLE = Beginning()
"""The log begins with entry 1."""


def condensed(openings: Iterable[tuple[int, Opened]]) -> tuple[tuple[int, Opened], ...]:
    """Those of `openings`, ascending, that matter to a later leader: the last one of each
    configuration."""
    last: dict[tuple[object, ...], tuple[int, Opened]] = {}
    for index, opened in openings:
        last[opened.members, opened.lease, opened.catalogs] = (index, opened)
    return tuple(sorted(last.values(), key=lambda each: each[0]))


def after(
    entry: Entry,
    *,
    number: int,
    cluster: str,
    openings: Iterable[tuple[int, Opened]],
    memberships: Iterable[tuple[int, Members]],
    prices: Mapping[str, int],
) -> Beginning:
    """What is known of the entries up to `entry`, which is released, and order `number`. Of
    `openings` and `memberships`, ascending, those of later entries are left out."""
    members = [each for each in memberships if each[0] <= entry.index]
    return Beginning(
        index=entry.index,
        term=entry.term,
        at_milliseconds=entry.at_milliseconds,
        digest=entry.digest,
        number=number,
        cluster=cluster,
        openings=condensed(each for each in openings if each[0] <= entry.index),
        memberships=_naming_all(members),
        prices=prices,
    )


def _naming_all(memberships: Sequence[tuple[int, Members]]) -> tuple[tuple[int, Members], ...]:
    """The last of `memberships`, and the last of those that name each other replica."""
    kept: list[tuple[int, Members]] = []
    named: set[int] = set()
    for each in reversed(memberships):
        ids = {member.id for member in each[1].members}
        if not kept or not ids <= named:
            kept.append(each)
            named |= ids
    return tuple(reversed(kept))
