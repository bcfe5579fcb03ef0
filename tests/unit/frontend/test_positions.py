"""The text that says where a list or stream over several partitions goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.frontend.positions import (
    MAX_LOCAL_NUMBER,
    packed,
    sealed,
    unpacked,
    unsealed,
)
from twisted_bazaar.partitions import MAX_PARTITIONS

positions = st.lists(st.integers(0, MAX_LOCAL_NUMBER), min_size=1, max_size=40).map(tuple)


@given(positions, st.binary(max_size=20))
def test_positions_come_back_as_they_were(wanted: tuple[int, ...], rest: bytes) -> None:
    assert unpacked(packed(wanted) + rest, len(wanted)) == (wanted, rest)


@given(positions)
def test_positions_of_another_number_of_partitions_are_none(wanted: tuple[int, ...]) -> None:
    assert unpacked(packed(wanted), len(wanted) + 1) is None
    fewer = unpacked(packed(wanted), len(wanted) - 1) if len(wanted) > 1 else None
    assert fewer is None or fewer[1] != b""  # what is left over shows it


@given(st.binary(max_size=60), st.integers(1, 10))
def test_whatever_bytes_come_are_positions_or_none(data: bytes, partitions: int) -> None:
    found = unpacked(data, partitions)
    if found is not None:
        wanted, rest = found
        assert len(wanted) == partitions
        assert all(0 <= each <= MAX_LOCAL_NUMBER for each in wanted)
        assert packed(wanted) + rest == data  # there is one form of each


@pytest.mark.parametrize("data", [b"\x80\x00\x00", b"\x05\x01\x01", b"\xff" * 30, b""])
def test_a_second_form_of_the_same_positions_is_refused(data: bytes) -> None:
    assert unpacked(data, 2) is None


@given(st.binary(max_size=60), st.data())
def test_a_text_that_was_cut_or_changed_is_refused(content: bytes, data: st.DataObject) -> None:
    text = sealed(content, b"one").decode()
    assert unsealed(text, b"one") == content
    assert unsealed(text, b"another") is None
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("AZaz09-_+/=é \n"))
    for changed in (text[:at], text[:at] + other + text[at + 1 :], text + other):
        assert changed == text or unsealed(changed, b"one") is None


def test_a_thousand_partitions_fit_into_a_url_and_a_header() -> None:
    busy = tuple(10**6 + 37 * partition for partition in range(MAX_PARTITIONS))
    assert len(sealed(packed(busy), b"one")) < 3_500
    worst = (0, *[MAX_LOCAL_NUMBER] * (MAX_PARTITIONS - 1))
    assert len(sealed(packed(worst), b"one")) < 10_000
