"""Requests as spans of a trace."""

import pytest
from twisted.internet.defer import Deferred

from tests.fakes.frontend_world import FrontEnd
from tests.fakes.tracer import CLIENT, FakeSpan, FakeTracer
from twisted_bazaar.http.client_address import TrustedProxies, read_network
from twisted_bazaar.http.traced import trace_requests


@pytest.fixture
def tracer() -> FakeTracer:
    return FakeTracer(all_of_them=True)


@pytest.fixture
def frontend(tracer: FakeTracer) -> FrontEnd:
    frontend = FrontEnd()
    trace_requests(frontend.site, tracer)
    return frontend


def only(tracer: FakeTracer) -> FakeSpan:
    [span] = tracer.spans
    return span


def test_a_request_is_a_span_with_what_it_asks_and_is_answered(
    frontend: FrontEnd, tracer: FakeTracer
) -> None:
    frontend.get("/orders/1?x=secret", User_Agent="tests/1", X_Request_ID="mine")
    span = only(tracer)
    assert (span.parent, span.error) == (None, "")
    assert span.name == "GET /orders/<number>"
    assert span.attributes.items() >= {
        ("http.request.method", "GET"),
        ("http.route", "/orders/<number>"),
        ("http.response.status_code", 404),
        ("url.path", "/orders/1"),
        ("user_agent.original", "tests/1"),
        ("network.protocol.version", "1.1"),
        ("bazaar.request_id", "mine"),
    }


def test_it_is_within_the_clients_span_and_what_it_causes_is_within_it(
    frontend: FrontEnd, tracer: FakeTracer
) -> None:
    frontend.trade("buy", 1, headers={"traceparent": CLIENT.parent})
    assert only(tracer).parent == CLIENT
    assert frontend.bazaar.contexts == [only(tracer).context]


def test_what_is_not_traced_passes_the_clients_context_on(
    frontend: FrontEnd, tracer: FakeTracer
) -> None:
    unsampled = CLIENT.parent[:-2] + "00"
    frontend.trade("buy", 1, headers={"traceparent": unsampled})
    assert tracer.spans == []
    [context] = frontend.bazaar.contexts
    assert context is not None
    assert context.parent == unsampled


def test_without_a_tracer_the_clients_context_is_passed_on_all_the_same() -> None:
    frontend = FrontEnd()
    plain = frontend.site.requestFactory
    trace_requests(frontend.site, None)
    assert frontend.site.requestFactory is plain
    frontend.trade("buy", 1, headers={"traceparent": CLIENT.parent})
    frontend.get("/orders/1", traceparent=CLIENT.parent)
    frontend.get("/orders", traceparent="nonsense")
    assert frontend.bazaar.contexts == [CLIENT, CLIENT, None]


def test_a_failure_of_the_bazaar_is_one_of_the_span(frontend: FrontEnd, tracer: FakeTracer) -> None:
    frontend.bazaar.unready = "no order replica leads"
    frontend.get("/readyz")
    assert only(tracer).error == "status 503"
    assert only(tracer).attributes["error.type"] == "503"


def test_an_unknown_method_and_path_have_no_names_of_their_own(
    frontend: FrontEnd, tracer: FakeTracer
) -> None:
    frontend.ask("BREW", "/pot")
    assert only(tracer).name == "HTTP"
    assert only(tracer).attributes["http.request.method"] == "_OTHER"
    assert "http.route" not in only(tracer).attributes


def test_a_client_that_hangs_up_ends_the_span(frontend: FrontEnd, tracer: FakeTracer) -> None:
    frontend.bazaar.answer = Deferred()
    connection = frontend.connect()
    connection.send(b"GET /orders/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert only(tracer).error is None
    connection.hang_up()
    assert only(tracer).error == "the client hung up"


def test_behind_a_trusted_proxy_the_client_of_a_span_is_that_of_the_access_log(
    frontend: FrontEnd, tracer: FakeTracer
) -> None:
    frontend.get("/ping", X_Forwarded_For="198.51.100.1")
    frontend.site.proxies = TrustedProxies([read_network("127.0.0.1")])
    frontend.get("/ping", X_Forwarded_For="198.51.100.1")
    clients = [span.attributes["client.address"] for span in tracer.spans]
    assert clients == ["127.0.0.1", "198.51.100.1"]
