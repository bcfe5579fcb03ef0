"""Traces are exported in the background, and only where that is asked for."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from random import Random
from threading import Event
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.fakes.collector import Collector
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from tests.fakes.tracer import CLIENT, TRACE
from twisted_bazaar.catalog import tap as catalog_tap
from twisted_bazaar.errors import Unusable
from twisted_bazaar.runtime.reactor import Reactor
from twisted_bazaar.tracing.context import TraceContext
from twisted_bazaar.tracing.export import FLUSH_SECONDS, Flush, make_tracing
from twisted_bazaar.tracing.options import TraceConfig
from twisted_bazaar.tracing.otlp import OtlpTracer
from twisted_bazaar.tracing.spans import Kind, Tracer

REACTOR = cast(Reactor, reactor)


class Threadless(Clock):
    """A reactor of which the test keeps what threads ask it to call."""

    def __init__(self) -> None:
        super().__init__()
        self.called = Event()
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, function: Any, *args: Any) -> None:
        self.calls.append(lambda: function(*args))
        self.called.set()


def tracer(url: str, ratio: float = 1.0) -> OtlpTracer:
    return OtlpTracer(REACTOR, TraceConfig(url, ratio), "frontend", Random(1))


def begin(tracer: Tracer, parent: TraceContext | None) -> Any:
    return tracer.begin("a span", Kind.SERVER, parent, {"key": "value"})


def test_a_span_arrives_as_it_was_made() -> None:
    with Collector() as collector:
        made = tracer(collector.url)
        span = begin(made, CLIENT)
        span.rename("another name")
        span.set({"number": 7})
        assert span.context.trace_id == TRACE
        span.end()
        span.end("too late")
        made.flush()
        [arrived] = collector.of(TRACE)
    assert (arrived.service, arrived.name) == ("frontend", "another name")
    assert (arrived.id, arrived.parent) == (span.context.span_id, CLIENT.span_id)
    assert arrived.attributes == {"key": "value", "number": 7}


def test_the_state_of_a_trace_is_passed_on() -> None:
    stated = TraceContext(TRACE, CLIENT.span_id, 1, "vendor=1")
    assert begin(tracer("http://127.0.0.1:9"), stated).context.state == "vendor=1"


def test_the_parent_decides_what_is_recorded_else_the_ratio() -> None:
    unsampled = TraceContext(TRACE, CLIENT.span_id, 0)
    never, always = (tracer("http://127.0.0.1:9", ratio) for ratio in (0.0, 1.0))
    assert begin(always, unsampled) is None
    assert begin(never, CLIENT) is not None
    assert begin(never, None) is None
    assert begin(always, None) is not None
    some = tracer("http://127.0.0.1:9", 0.25)
    recorded = sum(begin(some, None) is not None for _ in range(400))
    assert 60 < recorded < 140


def test_a_collector_that_hangs_holds_nothing_up() -> None:
    with Collector(hangs=True) as collector:
        made = tracer(collector.url)
        began = time.monotonic()
        for _ in range(5000):
            begin(made, CLIENT).end()
        assert collector.asked.wait(10)
        # They are begun and ended in some 0.2 s; an export would wait for 5.
        assert time.monotonic() - began < 4
        assert len(made._processor._batch_processor._queue) <= 2048


def test_a_stop_waits_for_the_last_spans_for_a_moment_only() -> None:
    clock, hangs = Threadless(), Event()
    flush = Flush(cast(Any, clock), hangs.wait)
    flush.startService()
    stopped = flush.stopService()
    clock.advance(FLUSH_SECONDS / 2)
    assert not stopped.called
    clock.advance(FLUSH_SECONDS)
    assert stopped.called
    hangs.set()
    assert clock.called.wait(10)
    [late] = clock.calls
    late()


@pytest_twisted.ensureDeferred
async def test_a_stop_goes_on_once_all_is_exported() -> None:
    exported: list[bool] = []
    flush = Flush(REACTOR, lambda: exported.append(True))
    flush.startService()
    stopped: Deferred[None] = flush.stopService()
    await stopped
    assert exported == [True]


def test_without_the_option_there_is_no_tracer() -> None:
    assert make_tracing(REACTOR, None, "catalog", Random(1)).tracer is None


def test_without_the_packages_the_option_is_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twisted_bazaar.tracing.otlp", None)
    with pytest.raises(Unusable, match=r"twisted-bazaar\[tracing\]"):
        make_tracing(REACTOR, TraceConfig("http://127.0.0.1:9"), "catalog", Random(1))


def test_no_service_imports_opentelemetry_unless_it_is_asked_to() -> None:
    program = """
import sys
import twisted_bazaar.catalog.assembly
import twisted_bazaar.frontend.assembly
import twisted_bazaar.local.tap
import twisted_bazaar.order.assembly
assert "twisted_bazaar.tracing.export" in sys.modules
sys.exit(any(name.startswith(("opentelemetry", "requests")) for name in sys.modules))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def options(*arguments: str) -> TraceConfig | None:
    parsed = catalog_tap.Options()
    parsed.parseOptions(["--listen=127.0.0.1:7000", "--data=var", *arguments])
    return parsed.config.trace


def test_the_environment_of_opentelemetry_counts_and_the_option_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert options() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://one:4318/")
    assert options() == TraceConfig("http://one:4318", 0.01)
    assert options("--otlp=https://two/v1/traces", "--trace-ratio=1") == TraceConfig(
        "https://two", 1.0
    )
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    assert options() is None


@pytest.mark.parametrize(
    "wrong",
    [
        "--otlp=localhost:4318",
        "--otlp=http://",
        "--otlp=http://host:99999",
        "--otlp=grpc://host:1",
        "--trace-ratio=1.5",
        "--trace-ratio=nan",
    ],
)
def test_a_wrong_option_is_named(wrong: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        options(wrong)
    assert wrong.partition("=")[0] in str(stopped.value.code)


def test_a_wrong_variable_of_opentelemetry_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
    with pytest.raises(SystemExit) as stopped:
        options()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL" in str(stopped.value.code)
