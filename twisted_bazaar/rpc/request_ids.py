"""The ids of the requests that a call is made for, in its metadata: for lines in the log of the
process that is called. Pure.
"""

from collections.abc import Iterable

__all__ = ["KEY", "metadata_of", "named_in"]

KEY = "x-request-id"
_LOGGED_CHARACTERS = 300


def metadata_of(request_ids: str) -> tuple[tuple[str, str], ...] | None:
    """The metadata that carries `request_ids`, with spaces between; None: there are none."""
    return ((KEY, request_ids),) if request_ids else None


def named_in(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The ids in `metadata` as the end of a log line, shortened; empty: there are none."""
    ids = " ".join(str(value) for key, value in metadata if key == KEY)
    return f" (request {ids:.{_LOGGED_CHARACTERS}})" if ids else ""
