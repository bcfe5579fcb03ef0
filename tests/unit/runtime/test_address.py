"""HOST:PORT is read exactly, and written as it is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_bazaar.runtime.address import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7003", Address("127.0.0.1", 7003)),
        ("order-3.example:1", Address("order-3.example", 1)),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_an_address_reads_as_it_writes(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@given(host=st.from_regex(r"[a-z0-9.-]{1,30}", fullmatch=True), port=st.integers(1, 65535))
def test_every_address_survives_a_round_trip(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "7003", ":7003", "host", "host:", "host:0", "host:65536", "host:-1", "host:7_0",
        "host:+7", "host:٣", "host: 7", "ho st:7", "host:7x", "::1:7", "[]:7", "host:99999999999",
    ],
)  # fmt: skip
def test_a_text_that_is_no_address_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be HOST:PORT .*, not '.*'$"):
        Address.parse(text)
