"""What a catalog counts and measures, and shows of its state."""

from pathlib import Path

import pytest
from twisted.python.failure import Failure

from tests.fakes.catalog_node import LOG, TIMING, Catalog
from tests.fakes.histories import sends
from tests.fakes.leaks import nothing_leaks  # noqa: F401
from twisted_bazaar.catalog.figures import CatalogFigures, show_catalog
from twisted_bazaar.errors import Unavailable
from twisted_bazaar.leases import kept
from twisted_bazaar.metrics.figures import Counter, Family, Gauges, Histogram, Metrics


class World(Catalog):
    """A catalog that is measured."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.metrics = Metrics()
        self.node._figures = CatalogFigures(self.metrics)
        show_catalog(self.metrics, [self.node])

    def value(self, name: str, *labels: str) -> float:
        family = {each.name: each for each in self.metrics}[f"bazaar_{name}"]
        if isinstance(family, Gauges):
            return family.read()[labels]
        assert isinstance(family, Family)
        value = family.of(*labels)
        assert isinstance(value, Counter)
        return value.value

    def stage(self, stage: str) -> tuple[int, float]:
        """How often it was measured, and for how long in all."""
        family = {each.name: each for each in self.metrics}["bazaar_trade_stage_seconds"]
        assert isinstance(family, Family)
        seconds = family.of(stage)
        assert isinstance(seconds, Histogram)
        return seconds.count, pytest.approx(seconds.total)


@pytest.fixture
def catalog(tmp_path: Path) -> World:
    return World(tmp_path / "catalog.csv")


def test_a_push_takes_until_no_front_end_shows_anything_older(catalog: World) -> None:
    catalog.tell()
    count, _ = catalog.stage("push")
    catalog.node.apply(sends(LOG, 6, 7))
    catalog.reactor.advance(0.01)
    assert catalog.stage("push")[0] == count
    catalog.frontends.answer()
    assert catalog.stage("push") == (count + 1, 0.01)
    catalog.node.apply(sends(LOG, 7, 7))
    assert catalog.stage("push")[0] == count + 1, "a heartbeat brings nothing"


def test_pushes_are_counted_by_how_they_end(catalog: World) -> None:
    catalog.tell()
    assert catalog.value("catalog_pushes_total", "acknowledged") == 2
    catalog.node.apply(sends(LOG, 6, 7))
    catalog.frontends.pushed.pop()[3].errback(Failure(Unavailable("it is down")))
    assert catalog.value("catalog_pushes_total", "failed") == 1


def test_each_lease_that_runs_out_is_counted_once(catalog: World) -> None:
    catalog.tell()
    assert catalog.value("catalog_lease_losses_total") == 0
    assert catalog.value("catalog_lease_held") == 1
    catalog.reactor.pump([TIMING.heartbeat] * 40)
    assert catalog.value("catalog_lease_held") == 0
    assert catalog.value("catalog_lease_losses_total") == 1
    catalog.lease()
    catalog.reactor.advance(TIMING.heartbeat)
    catalog.reactor.advance(kept(TIMING.lease))
    catalog.reactor.advance(TIMING.heartbeat)
    assert catalog.value("catalog_lease_losses_total") == 2


def test_a_save_is_timed(catalog: World) -> None:
    catalog.tell()
    catalog.reactor.advance(0.5)
    catalog.reactor.advance(0.2)
    before = catalog.stage("save")[0]
    catalog.threads.finish()
    assert catalog.stage("save")[0] == before + 1


def test_the_state_is_read_when_it_is_wanted(catalog: World) -> None:
    assert catalog.value("catalog_stocks") == 0
    catalog.tell()
    assert catalog.value("catalog_applied_index") == 6
    assert catalog.value("catalog_released_index") == 6
    assert catalog.value("catalog_subscribers") == 1
    assert catalog.value("catalog_subscribers_kept_out") == 0
    assert catalog.value("catalog_stocks") == len(catalog.shown() or ())
    assert catalog.value("catalog_held_lookups") == 0
