"""What the bazaar sees of a tracer. Pure.

A process without tracing has None in place of a `Tracer`, and one that does not record a trace has
None in place of a `Span`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from .context import TraceContext

__all__ = ["Kind", "Span", "Tracer", "Value"]

Value = str | int | float | bool
"""Of an attribute."""


class Kind(Enum):
    """Which side of a call a span is of."""

    SERVER = "server"
    CLIENT = "client"


class Span(Protocol):
    """Something that takes time, and is recorded. Used on the reactor's thread."""

    @property
    def context(self) -> TraceContext:
        """What is handed on to what happens within this span."""

    def rename(self, name: str) -> None:
        """Give it another name."""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes, or change them."""

    def event(self, name: str, attributes: Mapping[str, Value]) -> None:
        """Record that something happens now."""

    def end(self, error: str = "") -> None:
        """It ends now. `error` says what has failed; empty: nothing. Later calls do nothing."""


class Tracer(Protocol):
    """Begins spans. No method blocks, or raises."""

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext | None,
        attributes: Mapping[str, Value],
    ) -> Span | None:
        """A span within `parent` (None: the first of a new trace) that begins now; None: this trace
        is not recorded. A trace is recorded if its parent says so, or, if there is none, at
        random."""
