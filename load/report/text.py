"""What all pages of figures have in common. Pure."""

from collections.abc import Iterable

__all__ = ["counted", "page"]


def page(lines: Iterable[str], again: str) -> str:
    """A page of `lines`; `again` is the command that repeats what they report."""
    return "\n".join([*lines, f"again: {again}"])


def counted(count: int, noun: str) -> str:
    """`count` with `noun`, whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
