"""What a leader says of stocks that left it, while what the engine shows is old."""

import msgspec
import pytest

from twisted_bazaar.consensus.entries import GENESIS, encode_entry
from twisted_bazaar.consensus.messages import StockPlacement
from twisted_bazaar.engine.shared_log import Placement
from twisted_bazaar.frontend.partitions.placements import NextPlace, next_place
from twisted_bazaar.market import Adopted, Moved
from twisted_bazaar.order.partitioned.moves import Moves, shown_with

PLACED = Placement(stock="GameStart", partition=0, moved=2, before=1, arrived=False, former=(0, 1))
HERE = StockPlacement(stock="GameStart", partition=0, arrived=True)
replace = msgspec.structs.replace


@pytest.fixture
def moves() -> Moves:
    return Moves(0, ["Y"])


def committed(moves: Moves, event: Moved | Adopted) -> None:
    """It is entry 10."""
    moves.committed(encode_entry(GENESIS, 10, 3, 0, event))


def unseen(moves: Moves, stock: str) -> int | None:
    """The partition that the stock is said to go to; None: the engine has shown where it is."""
    return {each.stock: each.partition for each in moves.unseen()}.get(stock)


def test_a_stock_that_left_and_came_back_unseen_is_not_shown_elsewhere(moves: Moves) -> None:
    """It was back before the tails were read again."""
    committed(moves, Moved("GameStart", 1))
    assert unseen(moves, "GameStart") == 1
    moves.saw([PLACED])
    committed(moves, Adopted("GameStart", 1599, 95, 5, False, 1, 2))
    assert moves.unseen()[-1] == HERE
    moves.saw([replace(PLACED, arrived=True)])
    assert unseen(moves, "GameStart") is None


def test_an_old_answer_of_the_engine_does_not_hide_where_a_stock_went(moves: Moves) -> None:
    committed(moves, Moved("GameStart", 1))
    moves.saw([replace(PLACED, partition=1, before=0, moved=10)])
    assert unseen(moves, "GameStart") is None
    moves.saw([])
    assert unseen(moves, "GameStart") == 1
    assert not moves.knows(["Y"])


@pytest.mark.parametrize("before", [True, False])
def test_a_stock_that_came_is_here_though_the_engine_shows_what_was_before(before: bool) -> None:
    """Its catalog may not show it yet: a front-end must not take it for unknown."""
    moves = Moves(0, [], ["GameStart"] if before else [])
    if not before:
        committed(moves, Adopted("GameStart", 1599, 95, 5, False, 1, 2))
    for old in [], [PLACED], [replace(PLACED, partition=1, before=0)]:
        moves.saw(old)
        said = shown_with(moves.unseen(), old)
        assert [each for each in said if each.stock == "GameStart"] == [HERE]
        assert next_place("GameStart", 0, said, 2) == NextPlace(0, wait=True)
    committed(moves, Moved("GameStart", 1))
    assert unseen(moves, "GameStart") == 1


def test_a_stock_that_left_before_is_on_its_way_until_it_is_seen_elsewhere(moves: Moves) -> None:
    """A front-end that an earlier leader refused must not take it for unknown."""
    before = replace(PLACED, stock="Y", arrived=True)
    assert next_place("Y", 0, moves.unseen(), 2) == NextPlace(0, wait=True)
    moves.saw([before])
    assert not moves.knows(["X", "Y"]), "that was before it left"
    moves.saw([replace(before, partition=1, before=0)])
    assert moves.knows(["X", "Y"])
    assert moves.unseen() == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (replace(PLACED, partition=1, before=0, moved=10), None),
        (replace(PLACED, partition=1, before=0, moved=9), 1),
        (replace(PLACED, arrived=True), 1),
        (replace(PLACED, partition=2, before=1, moved=3), None),
    ],
    ids=["this move", "an earlier one", "that it came", "that it has gone on"],
)
def test_a_stock_that_left_is_said_to_go_until_the_engine_shows_that(
    moves: Moves, seen: Placement, told: int | None
) -> None:
    committed(moves, Moved("GameStart", 1))
    moves.saw([seen])
    assert unseen(moves, "GameStart") == told


def test_what_the_log_says_counts_more_than_what_the_engine_shows(moves: Moves) -> None:
    committed(moves, Moved("GameStart", 1))
    shown = shown_with(moves.unseen(), [replace(PLACED, arrived=True), replace(PLACED, stock="X")])
    assert shown == [
        StockPlacement(stock="Y", partition=0, arrived=False),
        StockPlacement(stock="GameStart", partition=1, arrived=False),
        StockPlacement(stock="X", partition=0, arrived=False),
    ]
