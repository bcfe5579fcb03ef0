"""How many calls there are between processes, how they end and how long they take.

Methods are named by service and method, `Orders.Trade`, or `frames.Append` for requests in frames;
ends by the names of gRPC's statuses.
"""

from typing import Self

import grpc

from twisted_bazaar.metrics.figures import Counter, Family, Histogram, Metrics

__all__ = [
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "OK",
    "UNAVAILABLE",
    "CallFigures",
    "MethodFigures",
]

OK: int = grpc.StatusCode.OK.value[0]
CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
DEADLINE_EXCEEDED: int = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
UNAVAILABLE: int = grpc.StatusCode.UNAVAILABLE.value[0]

_NAMES: dict[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}


class MethodFigures:
    """The calls of one method, in one direction."""

    __slots__ = ("_by_code", "_calls", "_method", "_seconds")

    def __init__(self, calls: Family[Counter], seconds: Histogram, method: str) -> None:
        self._calls = calls
        self._seconds = seconds
        self._method = method
        self._by_code: dict[int, Counter] = {}

    def ended(self, code: int, seconds: float | None) -> None:
        """A call ended with the status of this number, `seconds` after it began; None: how long it
        took says nothing, as it streamed."""
        counter = self._by_code.get(code)
        if counter is None:
            # Numbers that gRPC does not know have one name together.
            counter = self._calls.of(self._method, _NAMES.get(code, "UNKNOWN"))
            self._by_code[code if code in _NAMES else -1] = counter
        counter.value += 1
        if seconds is not None:
            self._seconds.observe(seconds)


class CallFigures:
    """All calls of a process, in one direction. On the reactor's thread."""

    def __init__(self, metrics: Metrics, side: str, who: str) -> None:
        self._calls = metrics.counters(
            f"bazaar_rpc_{side}_calls_total", f"Calls {who} that have ended.", "method", "code"
        )
        self._seconds = metrics.histograms(
            f"bazaar_rpc_{side}_duration_seconds", f"How long calls {who} took.", "method"
        )
        self._methods: dict[str, MethodFigures] = {}
        self._paths: dict[str, MethodFigures] = {}

    @classmethod
    def of_server(cls, metrics: Metrics) -> Self:
        """The calls that this process answers."""
        return cls(metrics, "server", "to this process")

    @classmethod
    def of_client(cls, metrics: Metrics) -> Self:
        """The calls that this process makes."""
        return cls(metrics, "client", "by this process")

    def of(self, method: str) -> MethodFigures:
        """Those of `method`, which must be one of few."""
        figures = self._methods.get(method)
        if figures is None:
            figures = MethodFigures(self._calls, self._seconds.of(method), method)
            self._methods[method] = figures
        return figures

    def of_path(self, path: str) -> MethodFigures:
        """Those of the method at `path`, `/package.Service/Method`, which must be one of few."""
        figures = self._paths.get(path)
        if figures is None:
            service, _, method = path.removeprefix("/").partition("/")
            figures = self._paths[path] = self.of(f"{service.rpartition('.')[2]}.{method}")
        return figures
