"""What can be done to the processes of a bazaar: the cards that `faults.py` deals. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "AGAIN",
    "EMPTY_FOLDER",
    "FLUSH",
    "OLD_DUMP",
    "OLD_FOLDER",
    "PAST_LEASE",
    "SLOW",
    "SUCCESSOR",
    "WITHIN_LEASE",
    "Card",
    "deck",
    "full_deck",
    "is_wanted",
]

LEADER, FOLLOWER, FRONTEND = "leader", "follower", "front-end"
A_REPLICA = "a replica"
TWO, ALL_REPLICAS = "two replicas", "all replicas"
SEVERAL, EVERYTHING = "several at once", "everything at once"
SUCCESSOR = "leader and its successor"
WITHIN_LEASE, PAST_LEASE = " within its lease", " past its lease"
AGAIN = " past its lease, again and again"
FLUSH, OLD_DUMP = "flush", "old dump into"
OLD_FOLDER, EMPTY_FOLDER = "old folder of", "empty folder of"
SLOW = "slow disks of"
LEAST_REPLICAS = 3
"""With fewer, what the others have does not make up for one folder that is lost."""


class Card(NamedTuple):
    """A fault to come."""

    deed: str
    """`kill`, `pause`, or `mix`: each victim is killed or paused, as it happens. `flush` or
    `old dump into`: it runs on, and what it holds is lost, or what it held some time ago again.
    `old folder of` or `empty folder of`: it is killed, and finds what its folder held some time
    ago, or nothing. `slow disks of`: each write takes long.
    """
    target: str
    kills: bool = False
    """Whether the leader is killed meanwhile."""

    @property
    def what(self) -> str:
        return f"{self.deed} {self.target}{', leader killed' if self.kills else ''}"

    @property
    def is_for_caches(self) -> bool:
        """Where nothing is cached, it would show nothing."""
        lease = (WITHIN_LEASE, PAST_LEASE, AGAIN)
        return self.deed in (FLUSH, OLD_DUMP) or self.target.endswith(lease)


def full_deck(*, kill: bool, pause: bool) -> list[Card]:
    """All that can be done to a bazaar that lacks nothing."""
    replicas = [f"order-{number}" for number in range(1, LEAST_REPLICAS + 1)]
    names = [*replicas, "catalog", "redis"]
    return deck(names, kill=kill, pause=pause, folders=True, disks=True)


def is_wanted(what: str, only: Sequence[str]) -> bool:
    """Whether a fault of this name is to be dealt: one of `only` is in it, or that is empty."""
    return not only or any(text in what for text in only)


def deck(
    names: Sequence[str], *, kill: bool, pause: bool, folders: bool = False, disks: bool = False
) -> list[Card]:
    """All that can be done to processes of these names; `folders`: theirs may be replaced;
    `disks`: theirs can be made slow."""
    targets = [LEADER, FOLLOWER, FRONTEND, TWO, ALL_REPLICAS, SEVERAL, EVERYTHING]
    targets += [name for name in ("catalog", "redis") if name in names]
    deeds = [deed for deed, wanted in (("kill", kill), ("pause", pause)) if wanted]
    cards = [Card(deed, target) for deed in deeds for target in targets]
    if "redis" in names:
        cards += [Card(FLUSH, "redis"), Card(OLD_DUMP, "redis")]
    if disks:
        cards += [Card(SLOW, ALL_REPLICAS)]
    if pause:
        holders = [name for name in (FRONTEND, "catalog") if name in targets]
        cards += [Card("pause", f"{holder}{PAST_LEASE}") for holder in holders]
        cards += [Card("pause", f"{holder}{AGAIN}") for holder in holders]
        cards.append(Card("pause", f"{FRONTEND}{WITHIN_LEASE}"))
    if kill:
        cards.append(Card("kill", SUCCESSOR))
    if kill and disks:
        cards.append(Card(SLOW, ALL_REPLICAS, kills=True))
    if kill and folders and sum(name.startswith("order-") for name in names) >= LEAST_REPLICAS:
        cards += [Card(OLD_FOLDER, A_REPLICA), Card(EMPTY_FOLDER, A_REPLICA)]
    if kill and pause:
        cards.append(Card("mix", SEVERAL))
    return cards
