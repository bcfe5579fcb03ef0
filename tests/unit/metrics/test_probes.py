"""The metrics of a service are not written more often than it can afford."""

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_bazaar.metrics.figures import Metrics
from twisted_bazaar.metrics.probes import make_probes
from twisted_bazaar.metrics.resource import FRESH_SECONDS, MAX_FORMATS


class Service:
    def __init__(self) -> None:
        self.clock = Clock()
        self.read = 0
        metrics = Metrics()
        metrics.gauge("bazaar_reads", "How often it was read.", self._count)
        probes = make_probes(self.clock, metrics, lambda: None, lambda: 0.0, lambda: "id-1")
        self.site = probes.site

    def _count(self) -> float:
        self.read += 1
        return self.read

    def get(self, accept: bytes = b"*/*", path: bytes = b"/metrics") -> bytes:
        channel: Any = self.site.buildProtocol(None)
        transport: Any = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"GET %b HTTP/1.1\r\nHost: a\r\nAccept: %b\r\n\r\n" % (path, accept))
        answered: bytes = transport.value()
        channel.connectionLost(None)
        return answered


def test_metrics_are_shown_anew_after_a_moment() -> None:
    service = Service()
    first = service.get()
    assert b"\nbazaar_reads 1.0\n" in first
    assert b"\r\nContent-Type: text/plain; version=" in first
    assert service.get() == first
    assert service.read == 1
    service.clock.advance(FRESH_SECONDS)
    assert b"\nbazaar_reads 2.0\n" in service.get()


def test_who_wants_another_format_gets_it_and_not_too_many_do() -> None:
    service = Service()
    service.get()
    assert b"\r\nContent-Type: application/openmetrics-text" in service.get(
        b"application/openmetrics-text; version=1.0.0"
    )
    for n in range(10):
        service.get(b"text/plain; q=0.%d" % n)
    assert service.read == MAX_FORMATS
    assert service.get(b"text/*").startswith(b"HTTP/1.1 503 ")
    service.clock.advance(FRESH_SECONDS)
    assert service.get(b"text/*").startswith(b"HTTP/1.1 200 ")


def test_whether_it_is_ready_is_said_beside() -> None:
    assert Service().get(path=b"/readyz").endswith(b'{"data":"ready"}')
