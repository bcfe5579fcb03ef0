"""`GET /metrics` on any site of ours."""

import gc

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.fakes.frontend_world import FrontEnd
from tests.fakes.internal_endpoint import InternalEndpoint, request
from twisted_bazaar.metrics.exposition import Exposition
from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.resource import FRESH_SECONDS, MetricsResource, WithMetrics


@pytest.fixture
def endpoint() -> InternalEndpoint:
    metrics = Metrics()
    metrics.counter("bazaar_losses_total", "Losses.").value += 4
    return InternalEndpoint(metrics=MetricsResource(Exposition(metrics)))


def test_the_internal_endpoint_answers_with_metrics(endpoint: InternalEndpoint) -> None:
    answer = endpoint.ask(request(b"GET", b"/metrics", b""))
    assert answer.code == 200
    assert answer.headers.getRawHeaders("content-type") == [
        "text/plain; version=0.0.4; charset=utf-8"
    ]
    assert answer.headers.getRawHeaders("cache-control") == ["no-store"]
    assert b"\nbazaar_losses_total 4.0\n" in answer.body


def test_prometheus_is_answered_in_the_format_that_it_asks_for(
    endpoint: InternalEndpoint,
) -> None:
    accept = b"Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = endpoint.ask(request(b"GET", b"/metrics", b"", accept))
    [content_type] = answer.headers.getRawHeaders("content-type") or ()
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert answer.body.endswith(b"# EOF\n")


def test_metrics_are_only_read(endpoint: InternalEndpoint) -> None:
    answer = endpoint.ask(request(b"POST", b"/metrics", b""))
    assert (answer.code, answer.headers.getRawHeaders("allow")) == (405, ["GET, HEAD"])
    assert "only GET, HEAD" in answer.message


def test_for_what_is_no_reading_nobody_else_is_asked() -> None:
    def before() -> Deferred[None]:
        raise AssertionError("asked")

    endpoint = InternalEndpoint(metrics=MetricsResource(Exposition(Metrics()), before))
    assert endpoint.ask(request(b"POST", b"/metrics", b"")).code == 405


def test_a_failure_is_answered_and_logged_once(logged_failures: list[Failure]) -> None:
    def before() -> Deferred[None]:
        return fail(ZeroDivisionError("broken"))

    endpoint = InternalEndpoint(metrics=MetricsResource(Exposition(Metrics()), before))
    assert endpoint.ask(request(b"GET", b"/metrics", b"")).code == 500
    gc.collect()  # Twisted logs a failure that nobody has handled once it is collected.
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


def test_a_body_is_not_received(endpoint: InternalEndpoint) -> None:
    assert endpoint.ask(request(b"GET", b"/metrics", b"x" * 100)).code == 404


def test_an_endpoint_without_metrics_knows_no_such_path() -> None:
    assert InternalEndpoint().ask(request(b"GET", b"/metrics", b"")).code == 404


def test_a_public_site_serves_metrics_beside_the_others_if_asked() -> None:
    others = FrontEnd()
    resource = MetricsResource(Exposition(Metrics()))
    frontend = FrontEnd(resource=WithMetrics(resource, others.site.resource))
    for path in (b"/metrics", b"/metrics/"):
        answered = frontend.connect().send(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
        assert answered.startswith(b"HTTP/1.1 200 "), path
        assert b"# TYPE python_info gauge" in answered, path
    assert frontend.get("/ping").json == {"data": "pong"}
    assert frontend.get("/metrics/x").code == 404
    assert [*frontend.site.figures.requests.values] == [
        ("/metrics", "GET", "200"),
        ("/ping", "GET", "200"),
        ("other", "GET", "404"),
    ]


def test_however_many_clients_ask_metrics_are_read_once_in_a_moment() -> None:
    asked: list[int] = []
    clock, metrics = Clock(), Metrics()
    metrics.gauge("bazaar_asked", "How often others were asked.", lambda: len(asked))

    def before() -> Deferred[None]:
        return succeed(asked.append(1))

    resource = MetricsResource(Exposition(metrics), before, clock.seconds)
    frontend = FrontEnd(resource=WithMetrics(resource, FrontEnd().site.resource))

    def get(accept: str = "*/*") -> bytes:
        sent = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"
        return frontend.connect().send(sent.encode())

    for _ in range(5):
        assert b"\nbazaar_asked 1.0\n" in get()
    for n in range(5):
        last = get(f"text/plain; q=0.{n}")
    assert last.startswith(b"HTTP/1.1 503 ")
    clock.advance(FRESH_SECONDS)
    assert b"\nbazaar_asked %.1f\n" % (len(asked) + 1) in get()


def test_a_public_site_knows_no_metrics_unless_asked() -> None:
    assert FrontEnd().get("/metrics").code == 404
