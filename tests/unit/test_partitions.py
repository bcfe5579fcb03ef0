"""Numbers over partitions: unique, reversible, and as they are where there is one."""

from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.market import DEFAULT_LISTING
from twisted_bazaar.partitions import (
    MAX_PARTITIONS,
    home,
    local_number,
    order_number,
    partition_of,
)


@given(st.integers(1, 2**40), st.integers(2, MAX_PARTITIONS), st.data())
def test_a_number_says_where_its_order_is(local: int, partitions: int, data: st.DataObject) -> None:
    partition = data.draw(st.integers(0, partitions - 1))
    number = order_number(local, partition, partitions)
    assert partition_of(number, partitions) == partition
    assert local_number(number, partitions) == local


@given(st.integers(1, 2**53))
def test_with_one_partition_numbers_are_as_they_are(number: int) -> None:
    assert order_number(number, 0, 1) == number == local_number(number, 1)
    assert partition_of(number, 1) == 0


def test_the_home_of_a_stock_never_changes() -> None:
    homes = [home(listing.name, 4) for listing in DEFAULT_LISTING]
    assert homes == HOMES
    assert {home(listing.name, 2) for listing in DEFAULT_LISTING} == {0, 1}


HOMES = [3, 1, 1, 0, 0, 3, 3, 2, 0, 0]
"""Of the first ten stocks, of four partitions. A bazaar that exists has its stocks there."""
