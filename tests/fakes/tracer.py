"""A tracer that keeps its spans."""

from collections.abc import Mapping

from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.spans import Kind, Value

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = TraceContext(TRACE, "b7ad6b7169203331", 1)
"""Where a client has sent a request that is traced."""


class FakeSpan:
    """What was said of a span."""

    def __init__(self, name: str, parent: TraceContext | None, number: int) -> None:
        self.name = name
        self.parent = parent
        self.context = TraceContext(TRACE, f"{number:016x}", 1)
        self.attributes: dict[str, Value] = {}
        self.events: list[str] = []
        self.error: str | None = None
        """None: it has not ended."""

    def rename(self, name: str) -> None:
        self.name = name

    def set(self, attributes: Mapping[str, Value]) -> None:
        self.attributes.update(attributes)

    def event(self, name: str, attributes: Mapping[str, Value]) -> None:
        self.events.append(name)

    def end(self, error: str = "") -> None:
        if self.error is None:
            self.error = error


class FakeTracer:
    """Records what is within a trace, and, with `all_of_them`, what begins one."""

    def __init__(self, all_of_them: bool = False) -> None:
        self.spans: list[FakeSpan] = []
        self._all = all_of_them

    def begin(
        self,
        name: str,
        kind: Kind,
        parent: TraceContext | None,
        attributes: Mapping[str, Value],
    ) -> FakeSpan | None:
        if not (parent.is_sampled if parent is not None else self._all):
            return None
        span = FakeSpan(name, parent, len(self.spans) + 1)
        span.set(attributes)
        self.spans.append(span)
        return span
