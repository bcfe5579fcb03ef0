"""Trace contexts as in W3C Trace Context: the headers `traceparent` and `tracestate`. Pure."""

import re
from collections.abc import Sequence

import msgspec

__all__ = ["MAX_STATE_CHARACTERS", "TraceContext", "read_context", "read_headers"]

MAX_STATE_CHARACTERS = 512
"""Of `tracestate` that is passed on: what every system must be able to."""
_MAX_MEMBERS = 32

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_SAMPLED, _RANDOM = 1, 2


class TraceContext(msgspec.Struct, frozen=True):
    """Where in a trace something happens."""

    trace_id: str
    """32 lower-case hexadecimal digits, not all 0."""
    span_id: str
    """Of the span that is the parent of what happens: 16 digits, not all 0."""
    flags: int = 0
    """Bit 0: sampled. Bit 1: the trace id is random. No others."""
    state: str = ""
    """The header `tracestate`; empty: none."""

    @property
    def is_sampled(self) -> bool:
        """Whether the spans of this trace are recorded."""
        return bool(self.flags & _SAMPLED)

    @property
    def parent(self) -> str:
        """The header `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def read_context(parent: str, state: str = "") -> TraceContext | None:
    """The context in the headers `traceparent` and `tracestate`; None: the first is none.

    A state that is malformed is left out; one that is too long loses its last members.
    """
    matched = _PARENT.fullmatch(parent)
    if matched is None:
        return None
    version, trace_id, span_id, flags, rest = matched.groups()
    if version == "ff" or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    # Flags of later versions may mean something else, but for the first.
    known = _SAMPLED | _RANDOM if version == "00" else _SAMPLED
    return TraceContext(trace_id, span_id, int(flags, 16) & known, _read_state(state))


def read_headers(
    parents: Sequence[bytes] | None, states: Sequence[bytes] | None
) -> TraceContext | None:
    """The context in all values of the two headers; None: there is no `traceparent`, or more than
    one, or one that is malformed."""
    if parents is None or len(parents) != 1:
        return None
    state = b",".join(states) if states else b""
    return read_context(parents[0].decode("latin-1"), state.decode("latin-1"))


def _read_state(state: str) -> str:
    members = [member.strip(" \t") for member in state.split(",")] if state else []
    members = [member for member in members if member]
    if not all(map(_MEMBER.fullmatch, members)) or len(members) > _MAX_MEMBERS:
        return ""
    if len({member.partition("=")[0] for member in members}) < len(members):
        return ""
    while sum(map(len, members)) + len(members) - 1 > MAX_STATE_CHARACTERS:
        members.pop()
    return ",".join(members)
