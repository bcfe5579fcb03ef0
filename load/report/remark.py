"""A line of a result. Pure."""

import msgspec

__all__ = ["Remark"]


class Remark(msgspec.Struct, frozen=True):
    text: str
    wrong: bool = False
    """Whether it reports something wrong."""
