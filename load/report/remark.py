"""A line about how something went. Pure."""

import msgspec

__all__ = ["Remark"]


class Remark(msgspec.Struct, frozen=True):
    text: str
    wrong: bool = False
    """What it tells of is not as it must be."""
