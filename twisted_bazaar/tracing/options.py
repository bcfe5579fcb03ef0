"""The options of each service for traces."""

import math
import os
from typing import Any, ClassVar
from urllib.parse import urlsplit

import attrs
from twisted.python import usage

from twisted_bazaar.runtime.options import TimingOptions

__all__ = ["TraceConfig", "TracingOptions", "trace_arguments"]

_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
_RATIO = 0.01


@attrs.frozen
class TraceConfig:
    """Where traces are exported to, and which."""

    url: str
    """Of an OTLP collector, without `/v1/traces`."""
    ratio: float = _RATIO
    """Of the traces that begin here, how many are recorded: 0 to 1."""


def collector(text: str) -> str:
    """The URL of a collector."""
    url = urlsplit(text)
    try:
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or url.query or url.fragment or not text.isascii() or " " in text:
        raise ValueError(f"must be a URL such as http://127.0.0.1:4318, not {text!r}")
    return text.rstrip("/").removesuffix("/v1/traces")


def ratio(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {text!r}")
    return number


class TracingOptions(TimingOptions):
    """Adds where traces go."""

    trace: TraceConfig | None
    """None: nowhere. Set once the options have been read."""

    optParameters: ClassVar[list[list[Any]]] = [
        [
            "otlp",
            None,
            None,
            f"URL of a collector that takes traces by OTLP over HTTP; {_VARIABLE} counts as well.",
            collector,
        ],
        [
            "trace-ratio",
            None,
            _RATIO,
            "Share of the requests that are traced, of those whose client does not say.",
            ratio,
        ],
    ]

    def postOptions(self) -> None:
        super().postOptions()
        url: str | None = self["otlp"]
        if url is None and (text := os.environ.get(_VARIABLE)):
            try:
                url = collector(text)
            except ValueError as why:
                raise usage.UsageError(f"{_VARIABLE} {why}") from None
        self.trace = TraceConfig(url, self["trace-ratio"]) if url is not None else None


def trace_arguments(trace: TraceConfig | None) -> list[str]:
    """The command line that gives `trace` to a service."""
    if trace is None:
        return []
    return [f"--otlp={trace.url}", f"--trace-ratio={trace.ratio!r}"]
