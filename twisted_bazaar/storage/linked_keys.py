"""Checks that an index has all of its keys, by reading every one."""

import sqlite3
from contextlib import closing
from pathlib import Path

from .links import HEAD, Link, seal

__all__ = ["keys_are_linked"]


def keys_are_linked(path: Path) -> bool:
    """Whether the keys of the index in `path` are all there, each row as it was written. Reads all
    of them."""
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            expected = HEAD.key
            for row in connection.execute("SELECT key, number, next, sum FROM keys ORDER BY key"):
                link = Link(*row)
                if link.key != expected or link != seal(*row[:3]):
                    return False
                expected = link.next
            return not expected
    except (sqlite3.Error, UnicodeDecodeError):
        return False
