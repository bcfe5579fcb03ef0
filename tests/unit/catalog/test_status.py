"""How a catalog says that it is."""

from pathlib import Path

import pytest

from tests.fakes.catalog_node import SUBSCRIPTION, TIMING, Catalog
from twisted_bazaar.errors import Malformed
from twisted_bazaar.leases import kept
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2
from twisted_bazaar.rpc.catalog_status import (
    CatalogStatus,
    SubscriberStatus,
    status_from_wire,
    status_to_wire,
)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalog.csv")


def test_without_a_lease_it_does_not_serve(catalog: Catalog) -> None:
    catalog.apply(6)
    assert catalog.node.status() == CatalogStatus(
        applied=6, released=6, lease_seconds=0.0, serving=False, subscribers=[]
    )


def test_with_a_lease_it_serves_while_that_lasts(catalog: Catalog) -> None:
    catalog.apply(6)
    catalog.lease()
    status = catalog.node.status()
    assert status.serving
    assert status.lease_seconds == pytest.approx(kept(TIMING.lease))
    catalog.reactor.advance(0.25)
    assert catalog.node.status().lease_seconds == pytest.approx(kept(TIMING.lease) - 0.25)
    catalog.reactor.advance(TIMING.lease)
    assert (catalog.node.status().serving, catalog.node.status().lease_seconds) == (False, 0.0)


def test_before_a_stock_is_listed_it_does_not_serve(catalog: Catalog) -> None:
    catalog.apply(1)
    catalog.lease()
    assert not catalog.node.status().serving


def test_it_names_the_front_ends_that_it_waits_for(catalog: Catalog) -> None:
    catalog.tell()
    assert catalog.node.status().subscribers == [
        SubscriberStatus(address=SUBSCRIPTION.address, lease_seconds=TIMING.lease)
    ]


def test_it_names_the_front_ends_that_it_keeps_out(catalog: Catalog) -> None:
    catalog.tell()
    now = catalog.reactor.seconds()
    catalog.node._publisher.backoff.delayed(SUBSCRIPTION.address, 1.5 * TIMING.lease, now)
    catalog.node._publisher.backoff.delayed("127.0.0.1:9", 1.5 * TIMING.lease, now)
    known = {each.address: each for each in catalog.node.status().subscribers}
    assert known.keys() == {SUBSCRIPTION.address, "127.0.0.1:9"}
    assert known[SUBSCRIPTION.address].lease_seconds == TIMING.lease
    assert all(each.kept_out_seconds == 3 * TIMING.lease for each in known.values())
    assert known["127.0.0.1:9"].lease_seconds == 0.0


STATUS = CatalogStatus(
    applied=830,
    released=829,
    lease_seconds=0.8,
    serving=True,
    subscribers=[
        SubscriberStatus(address="127.0.0.1:7010", lease_seconds=0.9, kept_out_seconds=2.0)
    ],
)


def test_it_crosses_as_it_is() -> None:
    assert status_from_wire(status_to_wire(STATUS)) == STATUS


@pytest.mark.parametrize(
    "wire",
    [
        catalog_pb2.CatalogStatusReply(applied=-1),
        catalog_pb2.CatalogStatusReply(released=2**53),
        catalog_pb2.CatalogStatusReply(lease=float("nan")),
        catalog_pb2.CatalogStatusReply(subscribers=[catalog_pb2.Subscriber(address="x" * 257)]),
        catalog_pb2.CatalogStatusReply(subscribers=[catalog_pb2.Subscriber(kept_out=-1.0)]),
        catalog_pb2.CatalogStatusReply(subscribers=[catalog_pb2.Subscriber()] * 2049),
    ],
)
def test_what_no_catalog_says_is_malformed(wire: catalog_pb2.CatalogStatusReply) -> None:
    with pytest.raises(Malformed):
        status_from_wire(wire)
