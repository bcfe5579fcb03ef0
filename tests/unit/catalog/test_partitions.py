"""A catalog of several partitions: each is a market of its own."""

from itertools import count
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from twisted.logger import capturedLogs, formatEvent

from tests.fakes.catalog_node import LOG, TIMING, Frontends, ReactorWithThreads
from tests.fakes.histories import sends
from tests.fakes.replicas import result_of
from twisted_bazaar.catalog.admission import Admission
from twisted_bazaar.catalog.figures import CatalogFigures, show_catalog
from twisted_bazaar.catalog.following import Following
from twisted_bazaar.catalog.market_file import Snapshot, load, save
from twisted_bazaar.catalog.node import CatalogNode, Found
from twisted_bazaar.catalog.opening import open_market
from twisted_bazaar.catalog.partitions import Partitions, file_of
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.catalog.servicer import Catalog
from twisted_bazaar.catalog.tap import Options
from twisted_bazaar.consensus.entries import GENESIS, Entry, Opened, encode_entry
from twisted_bazaar.consensus.messages import Apply, ApplyReply, MarketSnapshot
from twisted_bazaar.errors import NotAuthorised, NotOurs, Unavailable
from twisted_bazaar.leases import Stamp
from twisted_bazaar.market import DEFAULT_LISTING, Listed, Stock
from twisted_bazaar.metrics.figures import Gauges, Metrics
from twisted_bazaar.partitions import home
from twisted_bazaar.rpc.bazaar.v1 import catalog_pb2, market_pb2
from twisted_bazaar.rpc.push import Subscription, prove

PARTITIONS = 3
SECRET = b"the secret of the cluster"


def opened_without_stocks() -> list[Entry]:
    """The log of a partition in which no stock is at home."""
    first = encode_entry(GENESIS, 1, 1, 0, Opened(leader=1))
    return [first, encode_entry(first.digest, 2, 1, 0, Listed(()))]


class World:
    """A catalog of three partitions, beyond its first silence."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.reactor = ReactorWithThreads()
        self.lives, self.figures = count(1).__next__, CatalogFigures(Metrics())
        self.partitions = Partitions([self.node(number) for number in range(PARTITIONS)])
        self.servicer: Any = Catalog(
            cast(Any, self.reactor), self.partitions, Admission(SECRET, PARTITIONS)
        )
        for node in self.partitions.nodes:
            node.startService()
        self.reactor.advance(TIMING.lease)

    def node(self, number: int, *stocks: Stock, partitions: int = PARTITIONS) -> CatalogNode:
        """Of partition `number`, with a file that lists `stocks`."""
        reactor: Any = self.reactor
        return CatalogNode(
            reactor,
            reactor.seconds,
            Snapshot(stocks, Position(), 0),
            file_of(self.data, number),
            cast(Any, Frontends()),
            self.lives,
            TIMING,
            figures=self.figures.another(),
            place=(number, partitions),
        )

    def apply(
        self, partition: int, upto: int, log: list[Entry] = LOG, stamp: Stamp | None = None
    ) -> ApplyReply:
        after = self.partitions.node(partition)._projection.position.index
        message = of(partition, sends(log, after, upto, stamp=stamp))
        [reply] = result_of(self.partitions.apply(message))
        assert isinstance(reply, ApplyReply)
        return reply

    def lease(self, partition: int, upto: int, log: list[Entry] = LOG) -> None:
        stamp = self.apply(partition, upto, log).stamp
        self.apply(partition, upto, log, stamp)

    def shown(self, partition: int) -> list[str] | None:
        """The names that lookups show; None: they fail."""
        try:
            return sorted(self.partitions.node(partition).view().stocks)
        except Unavailable:
            return None


def of(partition: int, message: Apply) -> Apply:
    return msgspec.structs.replace(message, partition=partition, cluster=f"bazaar/{partition}")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_each_partition_has_a_log_and_a_lease_of_its_own(world: World) -> None:
    world.lease(1, 5)
    assert world.apply(2, 8).applied == 8
    assert world.shown(1) == ["Fish, Co", "GameStart"]
    assert (world.shown(0), world.shown(2)) == (None, None)
    assert [node.status().applied for node in world.partitions.nodes] == [0, 5, 8]
    assert [node.cluster for node in world.partitions.nodes] == ["", "bazaar/1", "bazaar/2"]


def test_entries_of_a_partition_that_there_is_not_are_refused(world: World) -> None:
    for partition in PARTITIONS, -1:
        with pytest.raises(NotOurs, match=f"partition {partition} .* has 3"):
            world.partitions.apply(of(partition, sends(LOG, 0, 2)))


def test_a_catalog_of_one_partition_refuses_the_entries_of_another(world: World) -> None:
    """It was started with another number of partitions than their leader."""
    node = world.node(0, partitions=1)
    with pytest.raises(NotOurs):
        Partitions([node]).apply(of(1, sends(LOG, 0, 2)))
    assert node.cluster == ""


def test_whose_entries_are_is_known_by_partition(world: World) -> None:
    """Two entries of one index and term are not the same."""
    made = []

    def following() -> Following:
        made.append(Following(None, True))
        return made[-1]

    apply = world.partitions.apply_followed(following)
    assert len(made) == PARTITIONS
    apply((of(2, sends(LOG, 0, 2)), {}))
    assert [node.status().applied for node in world.partitions.nodes] == [0, 0, 2]
    with pytest.raises(NotOurs):
        apply((of(PARTITIONS, sends(LOG, 0, 2)), {}))


@pytest.mark.parametrize(("given", "partitions"), [((), 1), (("--partitions=4",), 4)])
def test_there_is_one_partition_unless_the_options_say_more(
    tmp_path: Path, given: tuple[str, ...], partitions: int
) -> None:
    options = Options()
    options.parseOptions(["--listen=127.0.0.1:1", f"--data={tmp_path}", *given])
    assert options.config.partitions == partitions


def test_it_is_ready_as_soon_as_it_answers_for_a_partition(world: World) -> None:
    """Another catalog may hold the other leases."""
    assert world.partitions.why_not_ready() is not None
    world.lease(1, 5)
    assert world.partitions.why_not_ready() is None


# A partition without stocks.


def test_a_partition_that_is_open_without_stocks_answers(world: World) -> None:
    """No stock is at home there, which is no failure."""
    node, log = world.partitions.node(1), opened_without_stocks()
    world.lease(1, 1, log)
    assert (world.shown(1), node.status().serving) == (None, False)
    world.lease(1, 2, log)
    assert (world.shown(1), node.status().serving) == ([], True)
    found = node.look_up(["GameStart"])
    assert isinstance(found, Found)
    assert found.view.upto == 2


@pytest.mark.parametrize("listed", [True, False])
def test_a_snapshot_says_whether_the_partition_is_open(world: World, listed: bool) -> None:
    log = opened_without_stocks()
    snapshot = MarketSnapshot(
        index=2, digest=log[1].digest, stocks=(), last_number=0, listed=listed
    )
    message = msgspec.structs.replace(sends(log, 2, 2, rebuild=True), snapshot=snapshot)
    with capturedLogs() as events:
        world.partitions.apply(of(1, message))
    assert [formatEvent(event) for event in events] == [
        "the catalog's data of partition 1 is too old, or not of this order log: "
        "going on from a snapshot"
    ]
    world.reactor.advance(TIMING.lease)
    world.lease(1, 2, log)
    assert world.shown(1) == ([] if listed else None)


def test_a_file_of_stocks_is_of_a_market_that_is_open() -> None:
    """They may all leave it."""
    stock = Stock("GameStart", 1, 1, 0, 2)
    projection = Snapshot((stock,), Position(7, "0" * 32, 1), 0).projection()
    assert projection.listed
    assert not Snapshot((stock,), Position(), 0).projection().listed


# Listings.


def test_each_partition_lists_the_stocks_that_are_at_home_there(tmp_path: Path) -> None:
    listed = []
    for number in range(PARTITIONS):
        path = file_of(tmp_path, number)
        opening = open_market(path, None, (number, PARTITIONS))
        save(path, opening.snapshot)
        again = open_market(path, None, (number, PARTITIONS))
        names = sorted(stock.name for stock in opening.snapshot.stocks)
        assert names == [stock.name for stock in again.snapshot.stocks]
        assert all(home(name, PARTITIONS) == number for name in names)
        listed += names
    assert sorted(listed) == sorted(each.name for each in DEFAULT_LISTING)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "catalog-1.csv",
        "catalog-2.csv",
        "catalog.csv",
    ]


def test_a_partition_in_which_no_stock_is_at_home_lists_none(tmp_path: Path) -> None:
    listing = tmp_path / "listing.csv"
    listing.write_text("name,price,quantity\nGameStart,15.99,100\n")
    elsewhere = (home("GameStart", PARTITIONS) + 1) % PARTITIONS
    path = file_of(tmp_path, elsewhere)
    opening = open_market(path, listing, (elsewhere, PARTITIONS))
    save(path, opening.snapshot)
    assert load(path).stocks == ()
    assert open_market(path, None, (elsewhere, PARTITIONS)).snapshot.stocks == ()


def test_a_file_that_lists_the_stocks_of_all_is_asked_for_those_at_home(world: World) -> None:
    """It was written before the market had partitions."""
    stocks = [Stock(each.name, each.price, each.quantity, 0, 0) for each in DEFAULT_LISTING]
    listed = []
    for number in range(PARTITIONS):
        names = [each.name for each in world.node(number, *stocks).listing()]
        assert all(home(name, PARTITIONS) == number for name in names)
        listed += names
    assert sorted(listed) == sorted(each.name for each in DEFAULT_LISTING)


# What front-ends and operators see.


class Context:
    """Of a call by a front-end on this machine."""

    def peer(self) -> str:
        return "ipv4:127.0.0.1:5000"

    def set_trailing_metadata(self, metadata: object) -> None:
        """It says that this is an error of a bazaar."""

    def abort(self, code: object, details: str) -> None:
        raise NotOurs(details)


def test_requests_are_for_the_partition_that_they_name(world: World) -> None:
    servicer = world.servicer
    world.lease(1, 5)
    asked = market_pb2.LookupRequest(names=["GameStart"], partition=1)
    assert [stock.name for stock in servicer.Lookup(asked, Context()).stocks] == ["GameStart"]
    with pytest.raises(Unavailable):
        servicer.Lookup(market_pb2.LookupRequest(names=["GameStart"]), Context())
    with pytest.raises(NotOurs):
        servicer.Lookup(market_pb2.LookupRequest(partition=PARTITIONS), Context())
    with pytest.raises(NotOurs, match="bazaar/1"):
        servicer.Lookup(market_pb2.LookupRequest(partition=1, cluster="bazaar/2"), Context())
    asked = catalog_pb2.CatalogStatusRequest(partition=1)
    assert servicer.Status(asked, Context()).applied == 5
    assert servicer.Status(catalog_pb2.CatalogStatusRequest(), Context()).applied == 0


def test_a_subscription_is_for_the_partition_that_it_was_signed_for(world: World) -> None:
    """Else one that was recorded could be sent to another, whose pushes the front-end would take
    for those of the first."""
    servicer = world.servicer
    world.lease(1, 5)
    world.lease(2, 5)
    signed = Subscription(address="127.0.0.1:7001", life=71, token="token", partition=1)
    request = catalog_pb2.SubscribeRequest(
        address=signed.address, life=71, token="token", partition=2, proof=prove(SECRET, signed)
    )
    with pytest.raises(NotAuthorised):
        servicer.Subscribe(request, Context())
    request.partition = 1
    assert servicer.Subscribe(request, Context()).kept_out == 0.0
    assert len(world.partitions.node(1).status().subscribers) == 1
    assert len(world.partitions.node(2).status().subscribers) == 0


def test_gauges_are_by_partition_if_there_are_several(world: World) -> None:
    world.lease(1, 5)

    def shown(nodes: Any) -> Gauges:
        metrics = Metrics()
        show_catalog(metrics, nodes)
        [gauge] = [each for each in metrics if each.name == "bazaar_catalog_applied_index"]
        assert isinstance(gauge, Gauges)
        return gauge

    several, one = shown(world.partitions.nodes), shown(world.partitions.nodes[1:2])
    assert several.labels == ("partition",)
    assert several.read() == {("0",): 0, ("1",): 5, ("2",): 0}
    assert (one.labels, one.read()) == ((), {(): 5})
