"""Checks that a backup can be restored."""

from twisted_bazaar.errors import Damaged, InvariantBroken
from twisted_bazaar.ledger import Ledger

from .file_format import BackupReader
from .places import opened

__all__ = ["check"]


def check(place: str) -> str:
    """Check each entry of the backup at `place`, and, if it begins with the first entry, the ledger
    by applying all. Returns what it holds, in one line.

    Raises `Unusable` if it cannot be read, and `Damaged`.
    """
    with opened(place) as file:
        backup = BackupReader(file, place)
        start, ledger = backup.start, Ledger()
        for entries in backup:
            if start.after == 0:
                try:
                    for entry in entries:
                        ledger.apply(entry.index, entry.event)
                except InvariantBroken as error:
                    raise Damaged(f"{place}: {error}") from None
        assert backup.end is not None
        return (
            f"cluster={start.cluster} after={start.after} last_number={backup.end.number}"
            f" last_index={backup.end.index} term={backup.end.term} digest={backup.end.digest}"
        )
