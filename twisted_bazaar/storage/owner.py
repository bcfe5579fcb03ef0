"""Which order process a folder is of: a replica's, with its log, or a member's, whose log is in an
engine.

A member's folder holds a note of whose it is, beside the lock:

    {"member":1,"bazaar":"5f0c…","partitions":4}
"""

from pathlib import Path

import msgspec

from twisted_bazaar.errors import Damaged, Unusable

from .files import replace_file, sync_folder
from .mark import mark_path
from .trust import log_path

__all__ = [
    "Owner",
    "check_is_no_member",
    "check_is_no_replica",
    "is_of_member",
    "is_of_replica",
    "take_folder",
]


class Owner(msgspec.Struct, frozen=True):
    """A member, of a bazaar in an engine."""

    member: int
    bazaar: str
    """The name of the bazaar, which the engine holds."""
    partitions: int


_decode = msgspec.json.Decoder(Owner, strict=True).decode


def is_of_replica(folder: Path) -> bool:
    """Whether `folder` holds the log of a replica, or what is left of one."""
    log = log_path(folder)
    return mark_path(folder).exists() or log.is_dir() or any(folder.glob(f"{log.name}.damaged-*"))


def is_of_member(folder: Path) -> bool:
    """Whether `folder` is of an order process whose log is in an engine."""
    return _note(folder).exists()


def check_is_no_member(folder: Path) -> None:
    """Raises `Unusable` if `folder` is of an order process whose log is in an engine."""
    if is_of_member(folder):
        raise Unusable(f"{folder}: its orders are in an engine, which --engine must name")


def check_is_no_replica(folder: Path) -> None:
    """Raises `Unusable` if `folder` holds an order log."""
    if is_of_replica(folder):
        raise Unusable(f"{folder}: holds an order log, which --engine would leave behind")


def take_folder(folder: Path, owner: Owner) -> None:
    """Note durably that `folder` is of `owner`. It blocks.

    Raises `Unusable` if it is another member's, or of another bazaar, or cannot be used.
    """
    try:
        _take(folder, owner)
    except OSError as why:
        raise Unusable(f"{_note(folder)} cannot be used: {why.strerror}") from None


def _take(folder: Path, owner: Owner) -> None:
    note = _note(folder)
    try:
        noted = _decode(note.read_bytes())
    except FileNotFoundError:
        replace_file(note, msgspec.json.encode(owner))
        sync_folder(folder)
        return
    except msgspec.DecodeError as why:
        raise Damaged(f"{note}: {why}") from None
    if noted.bazaar != owner.bazaar:
        raise Unusable(
            f"{folder}: of bazaar {noted.bazaar}, and the engine holds bazaar {owner.bazaar}"
        )
    if noted.member != owner.member:
        raise Unusable(f"{folder}: the folder of replica {noted.member}, not of {owner.member}")


def _note(folder: Path) -> Path:
    return folder / "engine.json"
