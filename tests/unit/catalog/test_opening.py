"""What a catalog starts with, and what it logs of a listing that comes too late."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from twisted_bazaar.catalog.market_file import Snapshot, save
from twisted_bazaar.catalog.opening import Opening, check_partitions, difference, open_market
from twisted_bazaar.catalog.projection import Position
from twisted_bazaar.errors import Damaged, Unusable
from twisted_bazaar.market import DEFAULT_LISTING, Listing, Stock

DIGEST = "0123456789abcdef" * 2
GAME = Listing("GameStart", 1599, 100)
OPEN = Snapshot((Stock("GameStart", 1599, 95, 5, 12),), Position(12, DIGEST, 4), 2)
NOT_OPEN = Snapshot((Stock("Older", 1, 1, 0, 0),), Position(), 0)
GOOD = "name,price,quantity\nGameStart,15.99,100\n"
BAD = "name,price,quantity\n..,15.99,100\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.csv"


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    return tmp_path / "listing.csv"


def listed(opening: Opening) -> Sequence[str]:
    assert opening.snapshot.position == Position()
    return [stock.name for stock in opening.snapshot.stocks]


def said(opening: Opening, stocks: Mapping[str, Stock]) -> list[tuple[LogLevel, str]]:
    with capturedLogs() as events:
        opening.opened(stocks)
    return [(event["log_level"], formatEvent(event)) for event in events]


def market(*stocks: Stock) -> dict[str, Stock]:
    return {stock.name: stock for stock in stocks}


def test_a_new_catalog_lists_what_the_operator_says_or_else_the_default(
    path: Path, listing: Path
) -> None:
    assert listed(open_market(path, None)) == [each.name for each in DEFAULT_LISTING]
    listing.write_text(GOOD)
    assert listed(open_market(path, listing)) == ["GameStart"]
    assert not path.exists()


def test_until_the_market_is_open_the_operator_may_change_the_listing(
    path: Path, listing: Path
) -> None:
    save(path, NOT_OPEN)
    assert listed(open_market(path, None)) == ["Older"]
    listing.write_text(GOOD)
    assert listed(open_market(path, listing)) == ["GameStart"]


def test_a_listing_that_makes_no_sense_opens_no_market(path: Path, listing: Path) -> None:
    listing.write_text(BAD)
    for before in None, NOT_OPEN:
        if before is not None:
            save(path, before)
        with pytest.raises(Damaged, match=rf"^{listing} line 2: name must be something other"):
            open_market(path, listing)
    listing.unlink()
    with pytest.raises(Unusable, match=rf"^{listing} cannot be read"):
        open_market(path, listing)


def test_once_it_is_open_the_listing_is_ignored_and_one_line_says_why(
    path: Path, listing: Path
) -> None:
    save(path, OPEN)
    stocks = market(*OPEN.stocks)
    ignored = f"--listing {listing} is ignored, as the market is already open: "
    for text, why in (
        (BAD, f"{listing} line 2: name must be"),
        (GOOD + "Another,1,1\n", "'Another' is not in the market"),
        (GOOD.replace("15.99", "16"), "the price of 'GameStart' is another in the market"),
    ):
        listing.write_text(text)
        opening = open_market(path, listing)
        assert opening.snapshot == OPEN
        [(level, line)] = said(opening, stocks)
        assert level is LogLevel.warn
        assert line.startswith(ignored + why)
    listing.write_text(GOOD)
    [(level, _)] = said(open_market(path, listing), stocks)
    assert level is LogLevel.info
    assert said(open_market(path, None), stocks) == []


def test_where_there_are_several_the_line_names_the_partition(path: Path, listing: Path) -> None:
    save(path, OPEN)
    listing.write_text(BAD)
    [(_, line)] = said(open_market(path, listing, (2, 4)), market(*OPEN.stocks))
    assert "as the market of partition 2 is already open" in line


def test_a_listing_that_opens_the_market_is_worth_no_line(path: Path, listing: Path) -> None:
    listing.write_text(GOOD)
    opening = open_market(path, listing)
    assert said(opening, market(Stock("GameStart", 1599, 100, 0, 2))) == []
    [(level, line)] = said(opening, market(Stock("BoarCo", 1599, 100, 0, 2)))
    assert (level, line.rpartition(": ")[2]) == (LogLevel.warn, "'GameStart' is not in the market")


@pytest.mark.parametrize(
    ("stock", "same"),
    [
        (Stock("GameStart", 1599, 100, 0, 2), True),
        (Stock("GameStart", 1599, 95, 5, 3), True),
        (Stock("GameStart", 1599, 105, 5, 3), True),
        (Stock("GameStart", 1599, 100, 10, 4), True),
        (Stock("GameStart", 1599, 101, 0, 2), False),
        (Stock("GameStart", 1599, 99, 0, 2), False),
        (Stock("GameStart", 1599, 90, 5, 3), False),
        (Stock("GameStart", 1599, 100, 5, 3), False),
        (Stock("GameStart", 1598, 100, 0, 2), False),
    ],
)
def test_what_trades_cannot_explain_is_a_difference(stock: Stock, same: bool) -> None:
    assert (difference([GAME], market(stock)) is None) == same


def test_a_stock_on_one_side_only_is_a_difference() -> None:
    stock, other = Stock("GameStart", 1599, 100, 0, 2), Stock("Z", 1, 1, 0, 2)
    assert difference([GAME], market(stock, other)) == "it lacks 'Z', which is in the market"
    assert difference([GAME, Listing("Z", 1, 1)], market(stock)) == "'Z' is not in the market"


@pytest.mark.parametrize(
    ("files", "partitions", "refused"),
    [
        ([], 4, False),
        ([NOT_OPEN], 4, False),  # it was killed at its first start
        ([OPEN], 1, False),
        ([OPEN, NOT_OPEN], 2, False),
        ([OPEN], 4, True),
        ([NOT_OPEN, OPEN], 1, True),
    ],
)
def test_a_catalog_of_other_partitions_is_refused(
    tmp_path: Path, files: Sequence[Snapshot], partitions: int, refused: bool
) -> None:
    paths = [tmp_path / f"catalog-{number}.csv" for number in range(5)]
    for path, snapshot in zip(paths, files, strict=False):
        save(path, snapshot)
    if refused:
        line = f"a catalog of {len(files)}, not {partitions}"
        with pytest.raises(Unusable, match=line):
            check_partitions(paths, partitions)
    else:
        check_partitions(paths, partitions)
