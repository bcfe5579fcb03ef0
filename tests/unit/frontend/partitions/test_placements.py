"""Where stocks are: at home, unless a member says that they were moved."""

from twisted_bazaar.frontend.partitions.placements import NextPlace, Placements, next_place
from twisted_bazaar.partitions import home

from .members import PARTITIONS, at_home_in, moved

[STOCK] = at_home_in(1)


def test_a_stock_is_at_home_unless_it_was_moved() -> None:
    placements = Placements(PARTITIONS)
    assert placements.of(STOCK) == home(STOCK, PARTITIONS) == 1
    assert placements.heard(3, [moved(STOCK, 2)])
    assert placements.of(STOCK) == 2
    assert placements.moved == [moved(STOCK, 2)]


def test_a_stock_on_its_way_is_asked_for_where_it_goes() -> None:
    placements = Placements(PARTITIONS)
    placements.heard(3, [moved(STOCK, 2, arrived=False)])
    assert placements.of(STOCK) == 2


def test_only_what_a_member_has_not_said_before_is_news() -> None:
    placements = Placements(PARTITIONS)
    assert placements.heard(3, [moved(STOCK, 2)])
    assert not placements.heard(3, [moved(STOCK, 2)])
    assert not placements.heard(1, [moved(STOCK, 2)])
    assert placements.heard(1, [moved(STOCK, 0)])
    assert not placements.heard(3, [moved(STOCK, 2)]), "what 3 said is older by now"
    assert placements.of(STOCK) == 0


def test_a_stock_that_has_arrived_is_not_on_its_way_there_any_more() -> None:
    placements = Placements(PARTITIONS)
    assert placements.heard(3, [moved(STOCK, 2, arrived=False)])
    assert placements.heard(1, [moved(STOCK, 2)])
    assert not placements.heard(2, [moved(STOCK, 2, arrived=False)])
    assert placements.moved == [moved(STOCK, 2)]


def test_a_member_that_knows_less_takes_nothing_back() -> None:
    placements = Placements(PARTITIONS)
    placements.heard(3, [moved(STOCK, 2)])
    placements.heard(1, [])
    assert placements.of(STOCK) == 2


def test_what_is_not_at_home_and_was_not_moved_is_nowhere() -> None:
    assert next_place(STOCK, 1, (), PARTITIONS) is None
    assert next_place(STOCK, 1, [moved("Other", 2)], PARTITIONS) is None


def test_a_wrong_guess_leads_home() -> None:
    assert next_place(STOCK, 2, (), PARTITIONS) == NextPlace(1, wait=False)


def test_a_stock_is_asked_for_where_the_leader_has_sent_it() -> None:
    assert next_place(STOCK, 1, [moved(STOCK, 2)], PARTITIONS) == NextPlace(2, wait=False)
    on_its_way = moved(STOCK, 2, arrived=False)
    assert next_place(STOCK, 1, [on_its_way], PARTITIONS) == NextPlace(2, wait=True)
    assert next_place(STOCK, 2, [on_its_way], PARTITIONS) == NextPlace(2, wait=True)


def test_a_stock_that_arrives_just_then_is_asked_for_again() -> None:
    assert next_place(STOCK, 2, [moved(STOCK, 2)], PARTITIONS) == NextPlace(2, wait=True)
