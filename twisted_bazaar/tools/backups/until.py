"""How much of a backup is restored. Pure."""

import msgspec

__all__ = ["Until"]


class Until(msgspec.Struct, frozen=True, kw_only=True):
    """The last thing to be restored; without a limit: all."""

    number: int | None = None
    """The last order, from 1; nothing that came after it is restored."""
    at: int | None = None
    """The last time, in milliseconds since 1970."""
